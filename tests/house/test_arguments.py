"""What a call is given is held to the input schema of its entry, and the error is one to act on."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from house_kit import House, create, finished, talking, tool
from model_server import calls, reply, text

from micro_agi_kernel import arguments
from micro_agi_kernel.arguments import check_arguments
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.events import ToolOutput
from micro_agi_kernel.lua_modules._json_schema import problems
from micro_agi_kernel.lua_modules._json_work import work
from micro_agi_kernel.values import Json, Value

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
        ({"x": "1", "unit": None}, '/x: "1" is not of type integer'),
        ({"x": -1, "unit": None, "tags": None, "note": None}, "/x: -1 is less than the minimum of 0"),
        ({"x": -1}, "/x: -1 is less than the minimum of 0"),
        ({"x": 1, "unit": "mile"}, '/unit: "mile" is not one of ["m", "km"]'),
        ({"x": 1, "tags": ["a", 2]}, "/tags[2]: 2 is not of type string"),
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


LOOPS: dict[str, Json] = {
    "itself": {"type": "object", "$ref": "#"},
    "two": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "parts": {"allOf": [{"anyOf": [{"$ref": "#"}]}]},
    "unevaluated": {"unevaluatedProperties": False, "$ref": "#"},
    "dynamic": {"$dynamicAnchor": "x", "not": {"$dynamicRef": "#x"}},
}


@pytest.mark.parametrize("name", LOOPS)
def test_references_without_an_end_are_one_line_and_nothing_else(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Rust below jsonschema panics, and prints, when the stack ends within it: wherever the stack ends, it must not."""

    def at(depth: int) -> None:
        if depth:
            at(depth - 1)
        else:
            with pytest.raises(Refused, match=r"its input_schema cannot be used: .* without an end"):
                check_arguments(point(LOOPS[name]), {})

    for depth in range(40):
        at(depth)
    assert capfd.readouterr() == ("", "")


def test_a_check_that_takes_long_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go = threading.Event(), threading.Event()

    def slowly(schema: str, *rest: Any) -> list[str]:
        if "slow" in schema:
            entered.set()
            assert go.wait(30)
        return problems(schema, *rest)

    monkeypatch.setattr(arguments, "problems", slowly)
    slow = threading.Thread(target=check_arguments, args=(point({"title": "slow"}), {}))
    slow.start()
    try:
        assert entered.wait(30)
        work.left = 5
        quick = threading.Thread(target=check_arguments, args=(point(), {"x": 1}))
        quick.start()
        quick.join(30)
        assert slow.is_alive() and not quick.is_alive()
        assert work.left == 5, "each thread counts its own steps"
    finally:
        go.set()
        slow.join(30)
