"""Limits of a turn and of a session, the footer and %cost, over the scripted model server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from house_kit import House, Talk, create, finished, talking, tool, words
from model_server import Hold, Reply, calls, delta, end, text

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import Event, TextDelta, ToolFinished, ToolOutput, TurnFinished, UsageReport
from micro_agi_kernel.frontends.cli.ask import ConsoleTranscript
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.settings import Settings

LOOK = ("registry_list", {"limit": 1})
CACHED = {
    "prompt_tokens": 1_000,
    "completion_tokens": 100,
    "total_tokens": 1_100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 60},
}


def limited(house: House, **limits: Any) -> Settings:
    return replace(house.settings, limits=Bounds(**limits))


def end_of(events: list[Event]) -> TurnFinished:
    last = events[-1]
    assert isinstance(last, TurnFinished)
    return last


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        ({"tokens": 200}, "stopped after 240 tokens (setting limits.tokens); ask again to go on"),
        ({"cost": 0.0008}, "stopped after $0.0009 (setting limits.cost); ask again to go on"),
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
                "this session took 240 of 240 tokens (setting limits.session_tokens); "
                "start a new session, or raise it with %set"
            )
        assert len(talk.requests) == 2


async def test_no_second_try_of_a_cut_answer_beyond_the_limit(house: House) -> None:
    script = [calls(LOOK, finish="length"), text("fine")]
    async with talking(house, script, limited(house, tokens=100)) as talk:
        assert end_of(await talk.say("look")).error_name == "LimitReached"
        assert len(talk.requests) == 1
        assert words(await talk.say("again")) == "fine"
        assert "cut at" in talk.results()[0]["error"]["message"]


@pytest.mark.parametrize("steps", [1, 2, 3])
async def test_every_request_is_a_step(house: House, steps: int) -> None:
    """The second try of an answer whose call was cut is one too."""
    half = calls(("create_tool", '{"name": '), finish="length")
    async with talking(house, [half] * steps + [text("fine")], limited(house, steps=steps)) as talk:
        last = end_of(await talk.say("write"))
        shown = f"{steps} step{'s' if steps > 1 else ''}"
        assert last.error == f"stopped after {shown} (setting limits.steps); ask again to go on"
        assert (last.error_name, last.spent.steps, len(talk.requests)) == ("LimitReached", steps, steps)
        assert words(await talk.say("go on")) == "fine"


async def out_of_time(
    talk: Talk, prompt: str, when: Callable[[Event], bool], monkeypatch: pytest.MonkeyPatch
) -> list[Event]:
    """The events of a turn whose time is over as soon as `when` says so of one; the limit says 1,000 s."""
    clocks: list[asyncio.Timeout] = []
    make = asyncio.timeout

    def timeout(seconds: float | None) -> asyncio.Timeout:
        clocks.append(make(seconds))
        return clocks[-1]

    talk.session.budget.bounds = Bounds(seconds=1_000)
    events = []
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "timeout", timeout)
        async for event in talk.session.run(prompt):
            events.append(event)
            if when(event) and clocks:
                turn = clocks[0]  # it begins before all others
                turn.reschedule(asyncio.get_running_loop().time())
    return events


async def test_time_is_over_while_a_model_speaks(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Hold()
    slow = Reply((delta(role="assistant", content=""), delta(content="so far"), hold, end("stop")))
    async with talking(house, [slow, text("fine")]) as talk:
        events = await out_of_time(talk, "go", lambda event: isinstance(event, TextDelta), monkeypatch)
        last = end_of(events)
        assert (last.error_name, last.error) == (
            "TimeLimit",
            "stopped after 1000 s (setting limits.seconds); ask again to go on",
        )
        assert await asyncio.to_thread(hold.closed.wait, 10), "the connection to the model is closed"
        hold.release()
        assert words(await talk.say("go on")) == "fine"
        assert any("so far" in str(message["content"]) for message in talk.requests[-1].body["messages"])


async def test_time_is_over_while_tools_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(tool("slow", "return { handler = function() print('on') while true do end end }")))
    script = [
        calls(("load_tool", {"id": "app.generated:slow"})),
        text("loaded"),
        calls(("slow", {}), LOOK),
        text("fine"),
    ]
    waited_for = {"on\n", "registry_list"}

    def both(event: Event) -> bool:
        """The one tool runs, the other is through."""
        seen = event.text if isinstance(event, ToolOutput) else event.name if isinstance(event, ToolFinished) else ""
        if seen not in waited_for:
            return False
        waited_for.remove(seen)
        return not waited_for

    async with talking(house, script) as talk:
        await talk.say("load it")
        events = await out_of_time(talk, "go", both, monkeypatch)
        assert end_of(events).error_name == "TimeLimit"
        assert finished(events) == [("registry_list", "ok"), ("slow", "interrupted")]
        assert words(await talk.say("go on")) == "fine"
        _, slow, looked = talk.results()
        why = "the turn was stopped after 1000 s (setting limits.seconds); the call wrote nothing to the registry"
        assert slow["error"] == {"kind": "TIMEOUT", "message": why}
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

    transcript = Lines(footer=footer)
    for event in events:
        transcript.handle(event)
    return "".join(lines).splitlines()


async def test_a_model_with_a_bar_in_its_name_has_one_cell(house: House) -> None:
    async with talking(house, []) as talk:
        talk.session.budget.count(UsageReport("a|b `c`\n| d", Usage(1, 2)))
        assert "| `a/b 'c' / d` | 1 | 1 |" in await command(talk.session, "%cost")


async def command(session: Any, cell: str) -> str:
    return words([event async for event in run_cell(session, cell)])


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
