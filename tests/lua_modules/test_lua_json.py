"""The Lua module `json` beyond its page: what is written and read how, and what is refused."""

from __future__ import annotations

import json

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("lua", "text"),
    [
        ("nil", "null"),
        ("42", "42"),
        ("99.50", "99.5"),
        ("3.0", "3"),
        ("1e15", "1000000000000000"),
        ("0.1", "0.1"),
        ("1/3", "0.3333333333333333"),
        ("1e300", "1e+300"),
        ("-0.0", "0"),
        ("math.mininteger", "-9223372036854775808"),
        ("math.huge", "null"),
        ("0/0", "null"),
        ("print", "null"),
        ('"a\\"b\\\\c\\n\\0é"', '"a\\"b\\\\c\\n\\u0000é"'),
        ('{b = 1, a = {}, ["k\\n"] = 2}', '{"a":[],"b":1,"k\\n":2}'),
        ("json.decode('[{}, [], {\"a\": {}}]')", '[{},[],{"a":{}}]'),
        ("{setmetatable({1}, {__metatable = 'error'}), setmetatable({}, {__metatable = 'channel'})}", "[[1],[]]"),
        ('errors.new({kind = errors.INVALID, message = "no"})', '"INVALID: no"'),
        ("time.unix(0, 0)", '"1970-01-01 00:00:00 +0000 UTC"'),
    ],
)
async def test_json_encode(lua: str, text: str, run_lua: RunLua) -> None:
    ran = await run_lua(f'local json, time = require("json"), require("time")\nreturn (json.encode({lua}))')
    assert ran.value == text


@pytest.mark.parametrize(
    ("lua", "kind", "message"),
    [
        ("{1, 2, a = 3}", "INTERNAL", "mixed table"),
        ("{1, nil, 3}", "INTERNAL", "sparse array"),
        ("{[0] = 1}", "INTERNAL", "a key is neither"),
        ("{[1.5] = 1}", "INTERNAL", "a key is neither"),
        ("{[true] = 1}", "INTERNAL", "a key is neither"),
        ("cycle", "INTERNAL", "recursive"),
        ("deep(129)", "INTERNAL", "deeper than 128"),
        ('{a = "\\xff"}', "INVALID", "not valid UTF-8"),
        ('{["\\xff"] = 1}', "INVALID", "not valid UTF-8"),
    ],
)
async def test_json_encode_refuses(lua: str, kind: str, message: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local json = require("json")
        local cycle = {{}}
        cycle.list = {{cycle}}
        local function deep(levels)
          local value = {{}}
          for _ = 2, levels do value = {{value}} end
          return value
        end
        assert(json.encode(deep(128)))
        local shared = {{1}}
        assert(json.encode({{shared, shared}}) == "[[1],[1]]")
        local text, err = json.encode({lua})
        return {{tostring(text), err:kind(), err:message(), err:retryable()}}
    """)
    assert isinstance(ran.value, list)
    assert ran.value[:2] == ["nil", kind]
    assert message in str(ran.value[2])
    assert ran.value[3] is False


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775807", (1 << 63) - 1),
        ("9223372036854775808", float(1 << 63)),
        ("-9223372036854775808", -(1 << 63)),
        ("1" + "0" * 30, 1e30),
        ("1.0", 1.0),
        ('"\\ud83d\\ude00 \\ud800"', "😀 �"),
        ('{"\\udfff": ["\\udfff"]}', {"�": ["�"]}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("[" * 127 + "]" * 127, None),
    ],
)
async def test_json_decode(text: str, value: Value, run_lua: RunLua) -> None:
    ran = await run_lua("return {handler = function(text) return (require('json').decode(text)) end}", text)
    if value is not None:
        assert ran.value == value
        assert type(ran.value) is type(value)
    else:
        assert ran.value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "INVALID"),
        (b"\xff", "INTERNAL"),
        ("nope", "INTERNAL"),
        ("[1,]", "INTERNAL"),
        ("NaN", "INTERNAL"),
        ("1e999", "INTERNAL"),
        ("1" * 5000, "INTERNAL"),
        ("[" * 130 + "]" * 130, "INTERNAL"),
        ("[" * 100_000, "INTERNAL"),
        ('{"a":' * 100_000, "INTERNAL"),
    ],
)
async def test_json_decode_refuses(text: Value, kind: str, run_lua: RunLua) -> None:
    ran = await run_lua("return {handler = function(text) return require('json').decode(text) end}", text)
    assert ran.outcome.error is not None
    assert (ran.outcome.error.kind, ran.outcome.error.retryable) == (ErrorKind(kind), False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "expected : after the key of an object, at byte 14 in line 2"),
        ("[1 2]", "expected , or ] in a list, at byte 4 in line 1"),
        ("{a: 1}", "expected a key in quotes in an object, at byte 2 in line 1"),
        ('"a\nb"', "a string has a control character, which needs an escape, at byte 3 in line 1"),
        ('"a\\', "a string has no end, at byte 4 in line 1"),
        ('"\\x"', "a string has the unknown escape \\x, at byte 2 in line 1"),
        ("1.e5", "a number has no digits after its point or exponent, at byte 1 in line 1"),
        ("[1] x", "something follows the value, at byte 5 in line 1"),
        ("[", "the text ends where a value is expected, at byte 2 in line 1"),
    ],
)
async def test_json_decode_says_where_the_mistake_is(text: str, message: str, run_lua: RunLua) -> None:
    ran = await run_lua("return {handler = function(text) return require('json').decode(text) end}", text)
    assert ran.outcome.error is not None
    assert ran.outcome.error.message == f"decode failed: {message}"


async def test_json_reads_back_what_it_wrote(run_lua: RunLua) -> None:
    numbers = [n / 7 for n in range(-50, 50)] + [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 9.95, 2.0**63, -(2.0**63)]
    texts = ["".join(map(chr, range(128))), "\u00e9\u20ac\U0001f600", "\x7f", "\\u0041", '"', ""]
    ran = await run_lua(
        """return {handler = function(values)
          local json = require("json")
          local text = json.encode(values)
          return {text, json.decode(text)}
        end}""",
        [numbers, texts],
    )
    assert isinstance(ran.value, list)
    assert json.loads(str(ran.value[0])) == ran.value[1] == [numbers, texts]


async def test_encode_within_a_text_of_an_object_that_is_encoded(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local json = require("json")
        local object = setmetatable({}, {__tostring = function()
          return json.encode({a = 1}) .. tostring(json.encode({1, x = 2}))
        end})
        return (json.encode({b = {object, 1}}))
    """)
    assert ran.value == '{"b":["{\\"a\\":1}nil",1]}'


async def test_encode_within_a_text_that_waits_for_others(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local json, time = require("json"), require("time")
        local function slow(text, wait)
          return setmetatable({}, {__tostring = function() time.sleep(wait) return text end})
        end
        local out, found = channel.new(3), {}
        local function encode(name, value)
          coroutine.spawn(function()
            local text, err = json.encode(value)
            out:send({name, text or err:message()})
          end)
        end
        encode("a", {slow("a", "5ms"), {k = slow("b", "15ms")}, 1})
        encode("b", {slow("c", "15ms"), {k = slow("d", "1ms")}, 2})
        encode("c", {slow("e", "10ms"), {[1.5] = 1}})
        for _ = 1, 3 do
          local answer = out:receive()
          found[answer[1]] = answer[2]
        end
        return found
    """)
    assert ran.value == {
        "a": '["a",{"k":"b"},1]',
        "b": '["c",{"k":"d"},2]',
        "c": "encode failed: a key is neither a string nor a positive integer",
    }


async def test_encode_in_a_coroutine_that_another_text_resumes(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local json = require("json")
        local function object(text) return setmetatable({}, {__tostring = text}) end
        local inner = coroutine.wrap(function()
          return json.encode({"in", object(function() coroutine.yield() return "half" end), {k = 1}})
        end)
        local left = coroutine.wrap(function()
          return json.encode({object(function() coroutine.yield() return "never" end)})
        end)
        local function first() inner() left() return "first" end
        return (json.encode({"out", object(first), {k = 2}, object(inner)}))
    """)
    assert ran.value == '["out","first",{"k":2},"[\\"in\\",\\"half\\",{\\"k\\":1}]"]'


async def test_an_error_that_a_text_raises_is_not_given_back_as_that_of_encode(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local json = require("json")
        local object = setmetatable({}, {__tostring = function()
          local _, err = json.encode({1, k = 2})
          error(err)
        end})
        local ok, err = pcall(json.encode, {object})
        return {ok, err:message()}
    """)
    assert ran.value == [False, "encode failed: mixed table: string keys beside numbers"]
