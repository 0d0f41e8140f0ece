"""Values on their way through a real child: text, numbers and tables in every shape, there and back."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_kit import Runner

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = "return { handler = function(input) return input end }"
SPECIAL = "".join(map(chr, range(0x200))) + "[]{},:\"\\/'$%^- \u2028\ud7ff\ue000\uffff\U00010000\U0010ffff"
TEXT = st.text(st.sampled_from(SPECIAL) | st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = (
    st.booleans() | NUMBERS | TEXT | st.binary(max_size=8) | st.sampled_from(["$", "$b", "$$b", "null", "true", ""])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5), max_leaves=40
)


def exactly(value: object) -> object:
    """`value` as Lua can tell it from others: with types and signs, and bytes that are UTF-8 as text."""
    match value:
        case list():
            return [exactly(item) for item in value]
        case dict():
            return {key: exactly(item) for key, item in value.items()}
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value
        case float():
            return ("float", value.hex())
    return (type(value).__name__, value) if isinstance(value, (bool, int)) else value


async def test_every_value_comes_back(lua: Runner) -> None:
    """Many values in one call: what is tried is the crossing, not the process."""
    tried: list[Any] = []

    @settings(
        deadline=None,
        database=None,
        max_examples=5000 if os.environ.get("MICRO_AGI_FULL") else 120,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(VALUES)
    def collect(value: Any) -> None:
        tried.append(value)

    collect()
    found = await lua.value(ECHO, tried)
    assert isinstance(found, list) and len(found) == len(tried)
    for before, after in zip(tried, found, strict=True):
        assert exactly(after) == exactly(before)


async def test_every_character_and_every_byte(lua: Runner) -> None:
    texts: list[Value] = [*SPECIAL, *(f"a{char}b" for char in SPECIAL), {char: char for char in SPECIAL}]
    assert await lua.value(ECHO, texts) == texts
    octets = [bytes([0xFF, byte, byte]) for byte in range(256)]
    assert await lua.value(ECHO, [*octets]) == octets
    source = "local t = {} for n = 0, 255 do t[n + 1] = ('\\xff%c'):format(n) end return t"
    assert await lua.value(source) == [bytes([0xFF, byte]) for byte in range(256)]


async def test_holes_and_empty_tables(lua: Runner) -> None:
    source = "return { handler = function(v) return { v[1] == nil, v[2], v[3].a == nil, v[3].b, v[4], v[5], {} } end }"
    assert await lua.value(source, [None, 2, {"a": None, "b": 1}, {}, []]) == [True, 2, True, 1, {}, [], []]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("{ 1, x = 2 }", ": a mixed table (text keys and list items)"),
        ("{ x = 2, 1 }", ": a mixed table (text keys and list items)"),
        ("{ [1] = 1, [3] = 3 }", ": a sparse list (2 items, the last at 3)"),
        ("{ nil, 2 }", ": a sparse list (1 items, the last at 2)"),
        ("{ [1.5] = 1 }", ": a table with a key that is a float"),
        ("{ [0] = 1 }", ": a table with a key that is a number below 1"),
        ("{ a = 1, [true] = 1 }", ": a table with a key that is a boolean"),
        ("{ { print }, x = 1 }", ": a mixed table (text keys and list items)"),  # the keys are looked at first
        ("{ a = { 1, { b = print } } }", ".a[2].b: a function is no value"),
        ("{ b = print, a = coroutine.create(print) }", ".a: a thread is no value"),  # in the order of the keys
        ("{ ['\\xff'] = 1 }", ": a key that is not UTF-8 text"),
        ("{ ['\\xff'] = 1, a = print }", ".a: a function is no value"),
        ("{ 1, (function() local t = {} t.self = { t } return t end)() }", "[2].self[1]: a cycle"),
        ("{ a = ('x'):rep((8 << 20) + 1) }", ".a: larger than 8 MiB"),
        ("{ ('x'):rep(5 << 20), ('y'):rep(5 << 20) }", ": larger than 8 MiB"),
    ],
)
async def test_what_cannot_cross(lua: Runner, table: str, problem: str) -> None:
    error = await lua.error(f"return {{ handler = function() return {table} end }}")
    assert (error.kind, error.message) == (ErrorKind.INVALID, f"the result{problem}")


@pytest.mark.parametrize(("depth", "crosses"), [(128, True), (129, False)])
async def test_depth(lua: Runner, depth: int, crosses: bool) -> None:
    source = f"local t = {{}} for n = 2, {depth} do t = n % 2 == 0 and {{ t }} or {{ a = t }} end return t"
    if crosses:
        await lua.value(source)
    else:
        assert (await lua.error(source)).message.endswith(": nested deeper than 128")


async def test_lists_in_any_order_and_behind_metatables(lua: Runner) -> None:
    """A list whose items lie in the hash part comes back in order; no metamethod of a tool is asked for anything."""
    backward = "local t = {} for n = 100, 1, -1 do t[n] = n end return t"
    assert await lua.value(backward) == [*range(1, 101)]
    trap = "function() error('asked') end"
    meta = f"{{ __index = {trap}, __len = {trap}, __pairs = {trap}, __eq = {trap} }}"
    guarded = f"setmetatable({{ 1, setmetatable({{ a = 2 }}, {meta}) }}, {meta})"
    assert await lua.value(f"return {{ handler = function() return {guarded} end }}") == [1, {"a": 2}]


async def test_the_same_table_twice_is_no_cycle(lua: Runner) -> None:
    assert await lua.value("local t = { 1 } return { t, { t, t }, { a = t } }") == [[1], [[1], [1]], {"a": [1]}]


async def test_the_time_limit_holds_while_a_value_is_written(lua: Runner) -> None:
    """Sharing makes a value that fits in memory endless as text; the error still names the line."""
    source = "local t = { 1 }\nfor n = 1, 100 do t = { t, t } end\nlocal _ = require('values').echo(t)"
    error = await lua.error(source, seconds=0.05, memory=256 << 20)
    assert (error.kind, error.message) == (ErrorKind.TIMEOUT, "time limit of 0.05 s reached at tool:3")


async def test_a_small_text_cannot_stand_for_a_large_value(lua: Runner) -> None:
    source = "local t = {} for n = 1, 1100000 do t[n] = 1 end return require('values').echo(t)"
    error = await lua.error(source, memory=256 << 20)
    assert (error.kind, error.message) == (
        ErrorKind.INVALID,
        "an argument: too many values, about a million is the most",
    )
    assert await lua.value("local t = {} for n = 1, 900000 do t[n] = 1 end return t", memory=256 << 20) == [1] * 900_000
    text = "[{," * 1_500_000  # marks within a string are no values
    assert await lua.value("return {handler = function(text) return text end}", text, memory=256 << 20) == text


async def test_an_error_in_the_middle_leaves_nothing_behind(lua: Runner) -> None:
    """After a value that ran out of memory, the next one is whole, and the clock is still looked at."""
    source = """
        local echo = require("values").echo
        local function full()
          local t = { ("x"):rep(1000) }
          for n = 1, 60 do t = { t, t } end
          return echo(t)
        end
        local ok, problem = pcall(full)
        local after = echo({ 1, { a = "b" } })
        if not ok and problem == "not enough memory" and after[2].a == "b" then print("whole") end
        while true do end"""
    error = await lua.error(source, seconds=2, memory=16 << 20)
    assert lua.output == "whole\n"
    assert error.message == "time limit of 2 s reached at tool:11"


async def test_strings_cross_to_a_module_as_they_are(lua: Runner) -> None:
    assert (
        await lua.value("""
        local echo = require("values").echo
        local all = {}
        for byte = 0, 255 do all[#all + 1] = string.char(byte) end
        local strings = { "", "\\0", table.concat(all), "é\\u{10ffff}", "\\xed\\xa0\\x80", ("x\\n"):rep(1 << 20), "$b" }
        for _, text in ipairs(strings) do
          assert(echo(text) == text)
          local first, between, last = table.unpack(echo(text, { text }, text), 1, 3)
          assert(first == text and between[1] == text and last == text)
        end
        local none, problem = echo(("x"):rep((8 << 20) + 1))
        return none == nil and problem:message()
    """)
        == "an argument: larger than 8 MiB"
    )
