"""The Lua module `yaml` beyond its page: what scalars stand for, how tables are written, and hostile documents."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.lua_modules import load_all
from micro_agi_kernel.values import Value

YAML = load_all()["yaml"].functions

DECODE = "return {handler = function(text) return require('yaml').decode(text) end}"

# -- decode

SCALARS: dict[str, Value] = {
    **dict.fromkeys(("~", "null", "Null", "NULL", "# a comment", "--- # nothing", "!!null ~")),
    **dict.fromkeys(("true", "True", "TRUE", "!!bool true"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{word: word for word in ("yes", "No", "on", "off", "y", "nULL", "tRUE", "12:30:45", "1.2.3", "0x", "_1", "=")},
    **dict.fromkeys(("12", "+12", "1_2", "0xC", "0b1100", "0o14", "014", "0XC", "!!int 12", '!!int "12"'), 12),
    **dict.fromkeys(("-12", "-0xC", "-0b1100", "-0o14"), -12),
    "9223372036854775807": (1 << 63) - 1,
    "-9223372036854775808": -(1 << 63),
    "9223372036854775808": 2.0**63,
    "18446744073709551616": 2.0**64,
    "0xFFFFFFFFFFFFFFFF": 2.0**64,
    "0x1FFFFFFFFFFFFFFFF": "0x1FFFFFFFFFFFFFFFF",
    **dict.fromkeys(("1.5", "+1.5", "15e-1", "1.5e0", "01.5", "1_.5"), 1.5),
    ".5": 0.5,
    "-.5": -0.5,
    "08": 8.0,
    "1.": 1.0,
    "1e3": 1000.0,
    "!!float 2": 2.0,
    **{text: text for text in ("1e999", ".5_0", "1e", "0o8", "+-1", "9" * 401)},
    **dict.fromkeys(("!!str 12", "'12'", '"12"', "! '12'", "|-\n  12", "!mine 12", "!!other 12"), "12"),
    **dict.fromkeys(("2001-12-15T02:59:43.1Z", "2001-12-14t21:59:43.10-05:00", "2001-12-15 2:59:43.10"), 1008385183),
    **dict.fromkeys(("2001-12-15", "!!timestamp 2001-12-15", '!!timestamp "2001-12-15"'), 1008374400),
    **{text: text for text in ("2001-13-15", "2001-12-15x", "2001-12-15 02:59:43 -5", "20011-12-15")},
    "!!binary aGk=": b"hi",
    "!!binary /w==": b"\xff",
}


@pytest.mark.asyncio(loop_scope="module")
async def test_scalars_stand_for_what_they_do_in_the_reference(run_lua: RunLua) -> None:
    source = """return {handler = function(texts)
      local found = {}
      for i, text in ipairs(texts) do
        local value, err = require("yaml").decode(text)
        found[i] = {value = value, type = math.type(value) or type(value), error = err and err:message()}
      end
      return found
    end}"""
    ran = await run_lua(source, list(SCALARS))
    assert isinstance(ran.value, list)
    types = {bool: "boolean", int: "integer", float: "float", str: "string", bytes: "string", type(None): "nil"}
    for (text, want), got in zip(SCALARS.items(), ran.value, strict=True):
        expected: dict[str, Value] = {"type": types[type(want)]}
        if want is not None:
            # Bytes that are text are text for Lua's strings.
            expected["value"] = "hi" if want == b"hi" else want
        assert got == expected, text


@pytest.mark.asyncio(loop_scope="module")
async def test_numbers_that_json_lacks_arrive(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local yaml = require("yaml")
        local value = yaml.decode("a: [1, .inf, {b: -.INF, c: &c [.NaN]}]\\nd: *c")
        local nan, below, alone = value.a[3].c[1], value.a[3].b, yaml.decode("-.inf")
        local again = yaml.encode({nan, 1/0, {deep = -1/0}})
        local other = value.d[1]
        return {value.a[1], value.a[2] == 1/0, below == -1/0, nan ~= nan, other ~= other, alone == -1/0, again}
    """)
    assert ran.value == [1, True, True, True, True, True, "- .nan\n- .inf\n- deep: -.inf\n"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1: a\n1.5: b\ntrue: c\n'2': d\n~: e", {"1": "a", "1.5": "b", "true": "c", "2": "d", "<nil>": "e"}),
        ("2024-01-15: a", {"2024-01-15 00:00:00 +0000 UTC": "a"}),
        ("&k key: 1\nother: {*k : 2}", {"key": 1, "other": {"key": 2}}),
        ("a: &a [1, &b 2]\nb: *a\nc: *b", {"a": [1, 2], "b": [1, 2], "c": 2}),
        ("[&a 1, *a, &a 2, *a]", [1, 1, 2, 2]),
        ("&a [&a x, *a]", ["x", "x"]),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("<<: [{x: 1}, {x: 2, y: 2}]\nz: 3", {"x": 1, "y": 2, "z": 3}),
        ("z: 0\n<<: {<<: {x: 1, z: 1}, y: 2}", {"x": 1, "y": 2, "z": 0}),
        ("'<<': {x: 1}", {"<<": {"x": 1}}),
        ("!!set {a, b}", []),  # nothing in Lua
        ("{}", {}),
        ("[]", []),
        ("a: 1\n---\nb: [", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: 1".encode("utf-16"), {"a": 1}),
    ],
)
async def test_keys_aliases_merges_and_documents(text: Value, value: Value, run_lua: RunLua) -> None:
    assert (await run_lua(DECODE, text)).value == value


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", "INVALID", "input cannot be empty"),
        (5, "INVALID", "text must be a string"),
        (None, "INVALID", "text must be a string"),
        ({"a": 1}, "INVALID", "text must be a string"),
        (":\n  :\n  invalid", "INTERNAL", "line 1: did not find expected key"),
        ("a: 1\na: 2", "INTERNAL", "line 2: the key 'a' stands twice"),
        ("1: a\n'1': b", "INTERNAL", "line 2: the key '1' stands twice"),
        ("? [a]\n: b", "INTERNAL", "line 1: a list or a map is no key"),
        ("!!binary /w==: 1", "INTERNAL", "line 1: a key that is not UTF-8 text"),
        ("- *x", "INTERNAL", "line 1: unknown anchor 'x'"),
        ("&a [*a]", "INTERNAL", "line 1: the anchor 'a' contains itself"),
        ("<<: 1", "INTERNAL", "line 1: << takes a map or a list of maps"),
        ("!!int x", "INTERNAL", "line 1: 'x' is no !!int"),
        ("!!int true", "INTERNAL", "line 1: 'true' is no !!int"),
        ("!!binary x", "INTERNAL", "line 1: !!binary without valid base64"),
        ("a\0", "INTERNAL", "control characters are not allowed"),
        (b"a: \xff", "INTERNAL", "invalid leading UTF-8 octet"),
    ],
)
async def test_decode_refuses(text: Value, kind: str, message: str, run_lua: RunLua) -> None:
    error = (await run_lua(DECODE, text)).outcome.error
    assert error is not None
    assert (error.kind, error.retryable) == (ErrorKind(kind), False)
    assert message in error.message


BOMBS = {
    "laughs": (
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
        "aliases expand to more than 8 MiB",
    ),
    "long texts": (f"a: &a {'x' * 10_000}\nb: [{'*a, ' * 1_000}]", "aliases expand to more than 8 MiB"),
    "merges": (f"a: &a {{k: v}}\nb: {{<<: [{'*a, ' * 400_000}]}}", "aliases expand to more than 8 MiB"),
    "brackets": ("[" * 100_000, "nested deeper than 128"),
    "dashes": ("- " * 100_000, "nested deeper than 128"),
    "question marks": ("? " * 100_000, "nested deeper than 128"),
    "indentation": ("".join(" " * n + "a:\n" for n in range(200)), "line 129: nested deeper than 128"),
    "aliases of aliases": (
        "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200)),
        "nested deeper than 128",
    ),
    "directives": ("".join(f"%TAG !a{n}! tag:x\n" for n in range(100_000)) + "--- a", "more than 100 %TAG directives"),
    "values": ("- a\n" * 500_000, "line 500000: more than 500,000 values"),
    "moments": ("- 2024-01-15 10:11:12.123\n" * 50_000, "line 50000: more than 500,000 values"),
    "moments as keys": ("".join(f"2024-01-15 10:11:12.{n}: 1\n" for n in range(50_000)), "more than 500,000 values"),
    "what looks like a moment": ("- 2024-13-15 10:11:12.123\n" * 50_000, "line 50000: more than 500,000 values"),
    "moments by their tag": ("- !!timestamp '2024-01-15'\n" * 50_000, "line 50000: more than 500,000 values"),
}

SECONDS = {"values", "moments", "moments as keys", "moments by their tag"}
"""What takes about one, of the bombs."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name in BOMBS if os.environ.get("MICRO_AGI_FULL") or name not in SECONDS])
async def test_bombs_end_in_a_named_limit(name: str, run_lua: RunLua) -> None:
    text, message = BOMBS[name]
    error = (await run_lua(DECODE, text)).outcome.error
    assert error is not None
    assert error.kind is ErrorKind.INTERNAL
    assert message in error.message


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_deep_or_shared_and_honest_is_read(run_lua: RunLua) -> None:
    deep: Any = []
    for _ in range(127):
        deep = [deep]
    assert (await run_lua(DECODE, "[" * 128 + "]" * 128)).value == deep
    # Deep where it is named, and again where it is not: 60 levels below 60.
    text = f"a: &a {'[' * 60}1{']' * 60}\nb: {'[' * 60}*a{']' * 60}"
    assert (await run_lua(DECODE, text)).outcome.error is None
    assert (await run_lua(DECODE, "- '2024-01-15'\n" * 60_000)).outcome.error is None, "texts are no moments"
    shared = "base: &base {a: 1, b: [x, y]}\n" + "".join(f"k{n}: *base\n" for n in range(1_000))
    value = (await run_lua(DECODE, shared)).value
    assert isinstance(value, dict)
    assert len(value) == 1_001 and value["k999"] == {"a": 1, "b": ["x", "y"]}


# -- encode


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("lua", "text"),
    [
        ('{name = "myapp", port = 8080, debug = true}', "debug: true\nname: myapp\nport: 8080\n"),
        ('{b = {1, {2, 3}, {c = 4}}, a = {}}', "a: []\nb:\n- 1\n- - 2\n  - 3\n- c: 4\n"),
        ('{zebra = 1, alpha = 2, name = "t", kind = "d"}, {field_order = {"name", "kind"}, sort_unordered = true}',
         "name: t\nkind: d\nalpha: 2\nzebra: 1\n"),
        ('{o = {b = 1, a = 2, z = {{b = 1, a = 2}}}, b = 1}, {field_order = {"z", "b"}}',
         "b: 1\no:\n  z:\n  - b: 1\n    a: 2\n  b: 1\n  a: 2\n"),
        ("{1.5, 3.0, 1e300, -0.0, math.mininteger}", "- 1.5\n- 3.0\n- 1e+300\n- -0.0\n- -9223372036854775808\n"),
        ('{"yes", "12", "0o7", "1e3", "2024-01-15", "<<", "", "~", "on: x", "# x", "é"}',
         '- "yes"\n- "12"\n- "0o7"\n- "1e3"\n- "2024-01-15"\n- "<<"\n- ""\n- "~"\n- \'on: x\'\n- \'# x\'\n- é\n'),
        ('{text = "two\\nlines\\n"}', "text: |\n  two\n  lines\n"),
        ('{"\\xff\\0", "\\xff.inf", ".inf", 1/0}', '- !!binary /wA=\n- !!binary /y5pbmY=\n- ".inf"\n- .inf\n'),
        ('{("word "):rep(40) .. "end"}', "- " + "word " * 40 + "end\n"),
        ('{at = time.unix(0, 0), err = errors.new({kind = errors.INVALID, message = "no"})}',
         "at: 1970-01-01 00:00:00 +0000 UTC\nerr: 'INVALID: no'\n"),
        ("{json.decode('{}'), shared, shared}", "- {}\n- a: 1\n- a: 1\n"),
    ],
)  # fmt: skip
async def test_encode(lua: str, text: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local yaml, json, time = require("yaml"), require("json"), require("time")
        local shared = {{a = 1}}
        return (assert(yaml.encode({lua})))
    """)
    assert ran.value == text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "table expected"),
        ("nil", "table expected"),
        ('"text"', "table expected"),
        ("12", "table expected"),
        ("0/0", "table expected"),
        ('errors.new("e")', "table expected"),
        ("{}, 5", "options must be a table"),
        ("{}, {indent = 2}", "unknown option: indent"),
        ('{}, {field_order = "a"}', "field_order must be a table"),
        ("{}, {field_order = {1, 2}}", "field_order must be a list of different strings"),
        ("{}, {field_order = {a = 1}}", "field_order must be a list of different strings"),
        ('{}, {field_order = {"a", "a"}}', "field_order must be a list of different strings"),
        ("{}, {sort_unordered = 1}", "sort_unordered must be a boolean"),
        ("{1, a = 2}", "a mixed table"),
        ("{1, nil, 3}", "a sparse list"),
        ("{[1.5] = 1}", "a key that is a float"),
        ("{print}", "a function is no value"),
        ("cycle", "a cycle"),
        ("deep", "nested deeper than 128"),
        ("deeper", "nested deeper than 128"),
        ('{["\\xff"] = 1}', "a key that is not UTF-8 text"),
    ],
)
async def test_encode_refuses(arguments: str, message: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local time, cycle, deep = require("time"), {{1/0}}, {{}}
        cycle[2] = {{cycle}}
        for _ = 1, 128 do deep = {{deep}} end
        local deeper = time.unix(0, 0)
        for _ = 1, 128 do deeper = {{deeper}} end
        assert(require("yaml").encode(deeper))
        for _ = 1, 200000 do deeper = {{deeper}} end
        local text, err = require("yaml").encode({arguments})
        return {{tostring(text), err:kind(), err:message(), err:retryable()}}
    """)
    assert isinstance(ran.value, list)
    assert (ran.value[0], ran.value[1], ran.value[3]) == ("nil", "INVALID", False)
    assert message in str(ran.value[2])


_TEXTS = st.text(st.characters(codec="utf-8")) | st.text(" \n\t:-#'\"[]{}&*!|>%@`,?~\\.0123456789exoyn\x85\u2028\ufeff")
_SCALARS = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(-1e308, 1e308) | _TEXTS
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner), max_leaves=8)


@given(_VALUES)
@settings(deadline=None, max_examples=5_000 if os.environ.get("MICRO_AGI_FULL") else 100)
def test_what_was_written_is_read_back(value: Any) -> None:
    assert YAML["decode"](YAML["encode"](value, [])) == value
