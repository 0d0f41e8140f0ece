"""Programs through the real child: results, globals, modules."""

from __future__ import annotations

import json
import math
import random

import pytest
from lupa.lua54 import LuaRuntime
from sandbox_kit import EchoHost, Runner

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import Library, Program
from micro_agi_kernel.sandbox.vm import lua_side
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


def wrap(body: str) -> str:
    return f"return {{ handler = function(input) {body} end }}"


# -- results


async def test_handler_gets_the_input_and_gives_the_value(lua: Runner) -> None:
    assert await lua.value(wrap("return { sum = input.a + input.b }"), {"a": 2, "b": 3}) == {"sum": 5}


async def test_other_method_names(lua: Runner) -> None:
    assert await lua.value("return { main = function() return 7 end }", method="main") == 7


async def test_a_chunk_that_returns_something_else(lua: Runner) -> None:
    assert await lua.value("return 1 + 1") == 2
    assert await lua.value("return { 1, 2 }") == [1, 2]
    assert await lua.value("local x = 1") is None


async def test_a_module_without_the_method(lua: Runner) -> None:
    error = await lua.error("return { main = function() end }")
    assert (error.kind, error.message) == (ErrorKind.INVALID, "tool does not return a function 'handler'")


async def test_compiling_only(lua: Runner) -> None:
    assert await lua.value("error('never run')", method=None) == []
    assert (await lua.error("local x = = 1", method=None)).kind is ErrorKind.SYNTAX


async def test_compiling_many_says_of_each_what_is_wrong(lua: Runner) -> None:
    sources = {"a": "error('never run')", "b": "x = = 1", "c": "y " + "z" * 5_000, "d": "\x1bLua"}
    libraries = {key: Library(source, f"lib_{key}") for key, source in sources.items()}
    program = Program("", "", method=None, libraries=libraries)
    problems = (await lua.sandbox.run(program, EchoHost(), lambda output: None)).value
    assert isinstance(problems, dict) and sorted(problems) == ["b", "c", "d"]
    assert problems["b"] == "lib_b:1: unexpected symbol near '='"
    assert str(problems["c"]).startswith("lib_c:1: syntax error near 'zzz") and len(str(problems["c"])) == 1_000
    assert "binary chunk" in str(problems["d"])


def some_values(seed: int = 7) -> list[Value]:
    chance = random.Random(seed)

    def make(depth: int) -> Value:
        match chance.randrange(9 if depth else 7):
            case 0:
                return chance.choice([True, False])
            case 1:
                return chance.choice([0, -1, 2**63 - 1, -(2**63), chance.getrandbits(62)])
            case 2:
                return chance.choice([0.0, -0.0, 1.0, 1e16, 1e300, 5e-324, 0.1, -2.5e-7, 2.0**53, chance.random()])
            case 3:
                return "".join(chance.choice('aé$"\\\n\t\x00\x1f\x7f/€😀b') for _ in range(chance.randrange(9)))
            case 4:
                return bytes([*chance.randbytes(chance.randrange(5)), 0xFF])
            case 5:
                return chance.choice(["$b", "$", "", "x" * 1000])
            case 6:
                return chance.choice([[], {}])
            case 7:
                return [make(depth - 1) for _ in range(chance.randrange(4))]
        keys = ["a", "$b", "$$", "é", "", 'q"\\', "\n", "x y"]
        return {chance.choice(keys): make(depth - 1) for _ in range(chance.randrange(4))}

    return [make(4) for _ in range(400)]


def in_order(value: Value) -> Value:
    """`value` with sorted keys, as Lua gives it back."""
    match value:
        case list():
            return [in_order(item) for item in value]
        case dict():
            return {key: in_order(value[key]) for key in sorted(value, key=str.encode)}
    return value


async def test_values_survive_main_lua_python_lua_main(lua: Runner) -> None:
    values = some_values()
    back = await lua.value(wrap("return require('values').echo(input)"), values)
    assert repr(back) == repr(in_order(values))


async def test_what_is_null(lua: Runner) -> None:
    assert await lua.value("return { a = 0/0, b = math.huge, c = nil, d = -math.huge }") == {
        "a": None, "b": None, "d": None,
    }  # fmt: skip
    assert await lua.value(wrap("return input == nil")) is True
    assert await lua.value(wrap("return input.x == nil"), {"x": math.nan}) is True


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{ 1, 2, x = 1 }", "a mixed table"),
        ("{ a = { [1] = 1, [4] = 2 } }", "the result.a: a sparse list (2 items, the last at 4)"),
        ("{ [1.5] = 1 }", "a key that is a float"),
        ("{ [0] = 1 }", "a number below 1"),
        ("{ [true] = 1 }", "a key that is a boolean"),
        ("{ 1, { x = print } }", "the result[2].x: a function is no value"),
        ("{ coroutine.create(print) }", "a thread is no value"),
        ("(function() local t = {} t.t = t return t end)()", "the result.t: a cycle"),
        ("(function() local t = {} for _ = 1, 129 do t = { t } end return t end)()", "nested deeper than 128"),
        ("{ ['\\xff'] = 1 }", "a key that is not UTF-8 text"),
        ("('x'):rep(9 << 20)", "larger than 8 MiB"),
    ],
)
async def test_what_is_no_value(lua: Runner, value: str, words: str) -> None:
    error = await lua.error(wrap(f"return {value}"))
    assert error.kind is ErrorKind.INVALID
    assert words in error.message


async def test_the_same_table_twice_is_no_cycle(lua: Runner) -> None:
    assert await lua.value("local t = { 1 } return { t, t }") == [[1], [1]]


async def test_depth_128_is_fine(lua: Runner) -> None:
    value = await lua.value("local t = 1 for _ = 1, 128 do t = { t } end return t")
    assert repr(value).count("[") == 128


async def test_large_values_cross_in_chunks(lua: Runner) -> None:
    text = "é" * 2_000_000
    assert await lua.value(wrap("return input"), text) == text


async def test_a_program_that_is_too_large(lua: Runner) -> None:
    error = await lua.error(wrap("return 1"), "x" * (9 << 20))
    assert error.kind is ErrorKind.INVALID


# -- globals


async def test_what_is_absent(lua: Runner) -> None:
    absent = "load loadstring loadfile dofile collectgarbage debug io package python getfenv newproxy warn arg"
    value = await lua.value(f"""
        local found = {{ true }}
        for name in ("{absent}"):gmatch("%w+") do if _G[name] ~= nil then found[#found + 1] = name end end
        for name in pairs(os) do if not ("time date clock difftime"):find(name) then found[#found + 1] = name end end
        if string.dump or ("").dump then found[#found + 1] = "dump" end
        return found
    """)
    assert value == [True]


async def test_what_is_there(lua: Runner) -> None:
    assert await lua.value("""
        local list = { _G = _G, string = string.format, table = table.concat, math = math.floor, utf8 = utf8.char,
          coroutine = coroutine.wrap, errors = errors.new, os = os.time, require = require, unpack = unpack }
        for _, name in ipairs({ "select", "type", "tostring", "tonumber", "pairs", "ipairs", "next", "pcall", "xpcall",
          "error", "assert", "rawget", "rawset", "rawequal", "rawlen", "setmetatable", "getmetatable", "print" }) do
          list[name] = _G[name]
        end
        local count = 0
        for _ in pairs(list) do count = count + 1 end
        return { count, _VERSION, os.time({ year = 2024, month = 1, day = 2 }), os.date("!%Y", 0), math.pow(2, 10),
          ("x"):upper(), math.atan2(1, 1) == math.pi / 4 }
    """) == [28, "Lua 5.4", 1704153600, "1970", 1024.0, "X", True]


async def test_our_own_lua_uses_no_global_at_run_time() -> None:
    """The real _G is emptied, so a global would be nil: only what a file's first lines keep in locals is there."""
    dump = LuaRuntime(encoding=None).eval(b"function(text) return string.dump(assert(load(text))) end")
    for name, text in lua_side().items():
        assert dump(text).count(b"_ENV") == 1, f"a function in {name.decode()}.lua uses a global"


@pytest.mark.parametrize(("zone", "hour"), [("EST5", 19), ("CST6CDT,M3.2.0,M11.1.0", 18), ("XYZ-5:30", 5)])
async def test_dates_in_another_zone_than_utc(lua: Runner, zone: str, hour: int) -> None:
    """A zone with its rule written out, as no file of zones can be opened in the jail."""
    set_zone = f"import os, time; os.environ['TZ'] = {zone!r}; time.tzset()"
    assert await lua.value(f"""
        require("python").run({json.dumps(set_zone)})
        local summer = 1719835200 -- 2024-07-01 12:00 UTC
        local midnight = os.time({{ year = 2024, month = 7, day = 1 }})
        local now = os.date("*t", summer)
        return {{ os.date("*t", 0).hour, os.date("!*t", 0).hour, os.time(now) == summer, now.isdst,
          os.date("%H:%M:%S", midnight), summer - midnight == now.hour * 3600 + now.min * 60,
          os.date("%H:%M:%S", os.time({{}})) }}
    """) == [hour, 0, True, "CDT" in zone, "00:00:00", True, "00:00:00"]


async def test_no_addresses(lua: Runner) -> None:
    texts = await lua.value("""
        local t, f, co = {}, function() end, coroutine.create(print)
        local named = setmetatable({}, { __name = "Named" })
        return { tostring(t), tostring(f), tostring(co), tostring(print), string.format("%s|%5.2s|%d%%", t, f, 3),
          tostring(named), tostring(t) == tostring(t), tostring({}) ~= tostring({}), select(2, pcall(error, t)) == t,
          (pcall(string.format, "%p", t)), (pcall(string.format, "%-20p", "x")),
          string.format("100%%p"), ("%s"):format({}) }
    """)
    assert isinstance(texts, list)
    assert not any("0x" in text for text in texts if isinstance(text, str)), texts
    assert texts[6:12] == [True, True, True, False, False, "100%p"]


async def test_locked_metatables(lua: Runner) -> None:
    assert await lua.value("""
        local t = setmetatable({}, { __index = { a = 1 } })
        return { t.a, getmetatable("") == "string", (pcall(setmetatable, t, {})), (pcall(setmetatable, t, nil)),
          (pcall(setmetatable, {}, { __gc = print })), (pcall(setmetatable, {}, { __gc = false })),
          (pcall(setmetatable, "", {})), (pcall(function() string.upper = nil end)), ("x"):upper() }
    """) == [1, True, False, False, False, False, False, True, "X"]


async def test_print(lua: Runner) -> None:
    assert await lua.value("print(1, nil, 'é\\xff', {} and 2.5, print and true) print() print('end')") is None
    assert lua.output == "1\tnil\té�\t2.5\ttrue\n\nend\n"
    await lua.value("print(('é'):rep(300000))")
    assert lua.output == "é" * 300_000 + "\n"


# -- modules and the host


async def test_require_gives_only_what_is_listed(lua: Runner) -> None:
    source = wrap("local ok, e = pcall(require, input) return { ok, e }")
    unknown = await lua.value(source, "nothing")
    unlisted = await lua.value(source, "python", modules=frozenset({"values"}))
    assert isinstance(unknown, list) and isinstance(unlisted, list)
    assert unlisted == [False, str(unknown[1]).replace("nothing", "python")]
    assert await lua.value("return require('values') == require('values')") is True


async def test_modules_are_not_confused_by_a_tool(lua: Runner) -> None:
    assert (
        await lua.value("""
        string.format, string.upper, tostring, error, type = nil, nil, nil, nil, nil
        return require("text").shout("hi")
    """)
        == "HI!"
    )


async def test_native_errors_are_values(lua: Runner) -> None:
    source = "local v, e = require('values').{}() return {{ v == nil, e:kind(), e:message(), e:retryable() }}"
    assert await lua.value(source.format("refuse")) == [True, "RATE_LIMITED", "not now", True]
    assert await lua.value(source.format("break_")) == [
        True, "INTERNAL", "values.break_: ZeroDivisionError: a bug",
    ]  # fmt: skip
    assert await lua.value(
        "local v, e = require('values').echo({ 1, x = 1 }) return { v == nil, e:kind(), e:message() }"
    ) == [True, "INVALID", "an argument: a mixed table (text keys and list items)"]
    for value, words in (("errors.new('x')", "an error is no value"), ("0/0", "not a finite number")):
        call = f"local v, e = require('values').echo({value})"
        found = await lua.value(f"{call} return {{ v == nil, e:kind(), e:message() }}")
        assert found == [True, "INVALID", f"an argument: {words}"]


class RefusingHost:
    async def request(self, op: str, payload: Value) -> Value:
        raise Refused(ErrorKind.PERMISSION_DENIED, f"{op} is not for you")


async def test_host_errors_are_values(lua: Runner) -> None:
    source = "local v, e = require('service').ask(1) return { v == nil, e:kind(), e:message() }"
    assert await lua.value(source, host=RefusingHost()) == [True, "PERMISSION_DENIED", "test.ask is not for you"]


class BrokenHost:
    async def request(self, op: str, payload: Value) -> Value:
        raise ZeroDivisionError("a bug of ours")


async def test_a_bug_of_the_host_propagates(lua: Runner) -> None:
    with pytest.raises(ZeroDivisionError):
        await lua("return require('service').ask(1)", host=BrokenHost())
    assert await lua.value("return 1") == 1


async def test_an_answer_that_is_too_large(lua: Runner) -> None:
    class LargeHost:
        async def request(self, op: str, payload: Value) -> Value:
            return "x" * (9 << 20)

    source = "local v, e = require('service').ask(1) return { v == nil, e:kind() }"
    assert await lua.value(source, host=LargeHost()) == [True, "INVALID"]
