"""Limits of a turn and of a session, the footer, %cost, and the check of arguments, over the scripted model server."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from house_kit import House, create, finished, talking, tool, words
from model_server import Hold, Reply, calls, delta, end, reply, text

from micro_agi_kernel.agent.budget import Bounds
from micro_agi_kernel.arguments import check_arguments
from micro_agi_kernel.commands import run_cell
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.events import Event, TextDelta, ToolOutput, TurnFinished, UsageReport
from micro_agi_kernel.frontends.cli.ask import ConsoleTranscript
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.settings import Settings, TurnSettings
from micro_agi_kernel.values import Json, Value

LOOK = ("registry_list", {"limit": 1})
CACHED = {
    "prompt_tokens": 1_000,
    "completion_tokens": 100,
    "total_tokens": 1_100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 60},
}


def limited(house: House, **limits: Any) -> Settings:
    return replace(house.settings, limits=TurnSettings(**limits))


def end_of(events: list[Event]) -> TurnFinished:
    last = events[-1]
    assert isinstance(last, TurnFinished)
    return last


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        ({"tokens": 200}, "stopped after 240 tokens (setting limits.tokens); go on with another cell"),
        ({"cost": 0.0008}, "stopped after $0.0009 (setting limits.cost); go on with another cell"),
    ],
)
async def test_a_turn_stops_before_the_step_that_is_too_much(house: House, limits: Any, line: str) -> None:
    async with talking(house, [calls(LOOK), calls(LOOK), text("fine")], limited(house, **limits)) as talk:
        last = end_of(await talk.say("look around"))
        assert (last.status, last.error_name, last.error) == ("error", "LimitReached", line)
        assert len(talk.requests) == 2 and (last.spent.steps, last.spent.tokens) == (2, 240)
        assert words(await talk.say("go on")) == "fine", "a turn's limit is not the next one's"
        assert all("error" not in result for result in talk.results())


async def test_a_session_stops_at_its_limit_and_asks_no_model_again(house: House) -> None:
    async with talking(house, [text("one"), calls(LOOK)], limited(house, session_tokens=240)) as talk:
        assert words(await talk.say("first")) == "one"
        for prompt in ("second", "third"):
            last = end_of(await talk.say(prompt))
            assert last.error == (
                "this session took 240 of 240 tokens (setting limits.session_tokens); raise it, or start a new session"
            )
        assert len(talk.requests) == 2


async def test_no_second_try_of_a_cut_answer_beyond_the_limit(house: House) -> None:
    script = [calls(LOOK, finish="length"), text("fine")]
    async with talking(house, script, limited(house, tokens=100)) as talk:
        assert end_of(await talk.say("look")).error_name == "LimitReached"
        assert len(talk.requests) == 1
        assert words(await talk.say("again")) == "fine"
        assert "cut at" in talk.results()[0]["error"]["message"]


async def test_time_is_over_while_a_model_speaks(house: House) -> None:
    hold = Hold()
    slow = Reply((delta(role="assistant", content=""), delta(content="so far"), hold, end("stop")))
    async with talking(house, [text("hello"), slow, text("fine")], limited(house, seconds=0)) as talk:
        assert words(await talk.say("hi")) == "hello"  # imports and connections take their time
        talk.session.budget.bounds = Bounds(seconds=1)
        last = end_of(await talk.say("go"))
        assert (last.error_name, last.error) == (
            "TimeLimit",
            "stopped after 1 s (setting limits.seconds); go on with another cell",
        )
        assert await asyncio.to_thread(hold.closed.wait, 10), "the connection to the model is closed"
        hold.release()
        assert words(await talk.say("go on")) == "fine"
        assert any("so far" in str(message["content"]) for message in talk.requests[-1].body["messages"])


async def test_time_is_over_while_tools_run(house: House) -> None:
    house.write(*create(tool("slow", "return { handler = function() while true do end end }")))
    script = [
        calls(("load_tool", {"id": "app.generated:slow"})),
        text("loaded"),
        calls(("slow", {}), LOOK),
        text("fine"),
    ]
    async with talking(house, script) as talk:
        await talk.say("load it")
        talk.session.budget.bounds = Bounds(seconds=1.5)
        events = await talk.say("go")
        assert end_of(events).error_name == "TimeLimit"
        assert sorted(finished(events)) == [("registry_list", "ok"), ("slow", "interrupted")]
        assert words(await talk.say("go on")) == "fine"
        _, slow, looked = talk.results()
        assert slow["error"] == {
            "kind": "TIMEOUT",
            "message": "the turn was stopped after 1.5 s (setting limits.seconds)",
        }
        assert "error" not in looked


async def test_steps_have_their_cost_and_the_turn_its_footer(house: House) -> None:
    async with talking(house, [calls(LOOK, usage=CACHED), text("Done.", usage=CACHED)]) as talk:
        events = await talk.say("look")
        reports = [event for event in events if isinstance(event, UsageReport)]
        usage = Usage(1_000, 100, 400, 60)
        assert [(report.model, report.usage) for report in reports] == [("gpt-5.1", usage)] * 2
        assert [report.cost for report in reports] == [pytest.approx((1_000 * 2.5 + 100 * 10) / 1e6)] * 2
        spent = end_of(events).spent
        assert (spent.steps, spent.usage) == (2, usage + usage) and spent.cost == pytest.approx(0.007)
        footer = r"  2 steps, 2,200 tokens \(800 cached\), \$0\.0070, \d+\.\d s"
        assert re.fullmatch(footer, shown(events)[-1])
        assert shown(events, footer=False) == shown(events)[:-1]


async def test_no_footer_where_nothing_is_known(house: House) -> None:
    async with talking(house, [text("Done.", usage=None)]) as talk:
        assert shown(await talk.say("go")) == ["Done."]


def shown(events: list[Event], *, footer: bool = True) -> list[str]:
    """The lines of a transcript."""
    lines: list[str] = []

    class Lines(ConsoleTranscript):
        def _write(self, text: str) -> None:
            lines.append(text)
            self._line_start = text.endswith("\n")

    transcript = Lines()
    transcript.shows_footer = footer
    for event in events:
        transcript.handle(event)
    return "".join(lines).splitlines()


async def command(session: Any, cell: str) -> str:
    return "".join([event.text async for event in run_cell(session, cell) if isinstance(event, TextDelta)])


async def test_the_table_of_costs(house: House) -> None:
    async with talking(house, [calls(LOOK, usage=CACHED), text("Done."), text("Again.")]) as talk:
        assert await command(talk.session, "%cost") == "No model was asked in this session."
        await talk.say("look")
        await talk.say("again")
        assert await command(talk.session, "%cost") == (
            "| model | steps | prompt | cached | answer | reasoning | money |\n"
            "|---|--:|--:|--:|--:|--:|--:|\n"
            "| `gpt-5.1` | 3 | 1,200 | 400 | 140 | 60 | $0.0044 |\n"
            "| all | 3 | 1,200 | 400 | 140 | 60 | $0.0044 |"
        )


# -- arguments -----------------------------------------------------------------------------------

POINT: Json = {
    "type": "object",
    "properties": {
        "x": {"type": "integer", "minimum": 0},
        "unit": {"enum": ["m", "km"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "more": {"type": "object"},
        "note": {"type": ["string", "null"]},
    },
    "required": ["x"],
    "additionalProperties": False,
}


def point(schema: Json = POINT) -> Entry:
    return tool("point", input_schema=schema)


@pytest.mark.parametrize(
    "given",
    [
        {"x": 1},
        {"x": 1.0, "unit": "km", "tags": ["a"], "more": {"b": 1}},
        {"x": 1, "unit": None},
        {"x": 1, "note": None},
        {"x": 1, "tags": {}, "more": []},
        {"x": 1, "note": b"\xff"},
    ],
)
def test_arguments_that_fit(given: Value) -> None:
    check_arguments(point(), given)
    check_arguments(point('{"type": "object", "required": ["x"]}'), given)
    check_arguments(replace(point(), meta={"type": "tool"}), "anything")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (None, 'the value: "x" is a required property'),
        ({}, 'the value: "x" is a required property'),
        ([1], "the value: [1] is not of type object"),
        ({"x": "1"}, '/x: "1" is not of type integer'),
        ({"x": None}, "/x: null is not of type integer"),
        ({"x": -1}, "/x: -1 is less than the minimum of 0"),
        ({"x": 1, "unit": "mile"}, '/unit: "mile" is not one of ["m", "km"]'),
        ({"x": 1, "tags": ["a", 2]}, "/tags/1: 2 is not of type string"),
        ({"x": 1, "y": 2}, 'the value: additional properties are not allowed: ["y"]'),
    ],
)
def test_arguments_that_do_not_fit(given: Value, line: str) -> None:
    with pytest.raises(Refused) as error:
        check_arguments(point(), given)
    assert str(error.value) == (
        f"the arguments do not fit the input_schema of app.generated:point: {line}. "
        "It takes: x (required), unit, tags, more, note"
    )


@pytest.mark.parametrize(
    ("schema", "given", "line"),
    [
        ({"type": "object", "$ref": "#"}, {}, "its input_schema cannot be used"),
        ({"type": "object", "properties": {"x": {"$ref": "https://example.com/s"}}}, {"x": 1}, "input_schema cannot"),
        ({"type": "object", "properties": {"x": {"pattern": "(a"}}}, {"x": "a"}, "the pattern"),
        ("{", {}, "its input_schema cannot be used"),
        (POINT, {"x": float("inf")}, "Infinity is no JSON"),
        (POINT, {"x": float("nan")}, "NaN is no JSON"),
    ],
)
def test_a_hostile_schema_or_value_is_one_line(schema: Json, given: Value, line: str) -> None:
    with pytest.raises(Refused) as error:
        check_arguments(point(schema), given)
    assert line in str(error.value) and str(error.value).startswith(("app.generated:point", "the arguments of app."))


async def test_a_model_reads_what_is_wrong_and_the_tool_does_not_run(house: House) -> None:
    source = "return { handler = function(input) print('ran') return input.x end }"
    house.write(*create(tool("point", source, input_schema=POINT)))
    script = [
        calls(("load_tool", {"id": "app.generated:point"})),
        reply((), [("point", {"x": "1"}), ("point", {"x": 1})]),
        text("fine"),
    ]
    async with talking(house, script) as talk:
        events = await talk.say("go")
        assert sorted(finished(events)[1:]) == [("point", "error"), ("point", "ok")]
        assert [event.text for event in events if isinstance(event, ToolOutput)] == ["ran\n"], "once"
        wrong, right = talk.results()[1:]
        assert wrong["error"]["kind"] == "INVALID" and '/x: "1" is not of type integer' in wrong["error"]["message"]
        assert right == 1


async def test_what_lua_calls_is_checked_too(house: House) -> None:
    caller = (
        "local funcs = require('funcs')\nreturn { handler = function(input)\n"
        "  local value, err = funcs.call('app.generated:point', input)\n"
        "  if err then return { error = err:message() } end\n  return value\nend }"
    )
    anything: Json = {"type": "object"}
    house.write(
        *create(
            tool("point", input_schema=POINT),
            tool("app.tools:caller", caller, modules=["funcs"], input_schema=anything),
        )
    )
    outcome = await house.run("app.tools:caller", {"x": "1"})
    assert isinstance(outcome.value, dict) and '/x: "1" is not of type integer' in str(outcome.value["error"])
    assert (await house.run("app.tools:caller", {"x": 1})).value == {"x": 1}
