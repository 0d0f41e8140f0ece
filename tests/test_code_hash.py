"""The hash of a Lua source: the same for another layout and other names of locals, another for other code."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import yaml
from lupa.lua54 import LuaRuntime

from micro_agi_kernel.code_hash import MOST, code_hash
from micro_agi_kernel.lua_tokens import NoLua, tokens_of

TASKS = sorted((Path(__file__).parent / "corpus" / "tasks").glob("*.yaml"))
SOURCES = [yaml.safe_load(path.read_text())["tool"]["source"] for path in TASKS]
ROUNDS = 20 if os.environ.get("MICRO_AGI_FULL") == "1" else 1

DUMP = LuaRuntime(encoding=None).eval(
    b"function(source) local chunk = load(source) return chunk and string.dump(chunk, true) end"
)


def compiled(source: str) -> bytes | None:
    """What Lua makes of it, without names and lines; None where it is no Lua."""
    found: bytes | None = DUMP(source.encode())
    return found


SAME = {
    "names of locals": ("local a, b = 1, 2 return a + b * a", "local x, y = 1, 2 return x + y * x"),
    "layout and comments": ("local a=1 return a", "-- what\n--[==[ long\n]] ]==] local\ta =\r\n1 --[[x]] return a --"),
    "quotes": ("return 'a\"b', 'c'", 'return "a\\"b", [[c]]'),
    "escapes": (r"return '\65\x42\u{43}\z   D\n'", "return 'ABCD\\\n'"),
    "long strings": ("return [[\na\r\nb]]", "return [==[a\nb]==]"),
    "a name that two scopes share": (
        "do local a = 1 f(a) end do local a = 2 f(a) end",
        "do local a = 1 f(a) end do local b = 2 f(b) end",
    ),
    "one that hides another": (
        "local a = 1 do local a = a + 1 g(a) end return a",
        "local a = 1 do local b = a + 1 g(b) end return a",
    ),
    "parameters": ("function M.f(a, ...) return a, ... end", "function M.f(bc, ...) return bc, ... end"),
    "local functions": ("local function f(n) return f(n - 1) end", "local function g(m) return g(m - 1) end"),
    "loops": (
        "for i, v in next, t do print(i, v) end for i = 1, 3 do print(i) end",
        "for k, w in next, t do print(k, w) end for n = 1, 3 do print(n) end",
    ),
    "a condition after its block": (
        "local x = 0 repeat local x = f() until x > 1 return x",
        "local y = 0 repeat local z = f() until z > 1 return y",
    ),
    "attributes": ("local a <const>, b <close> = 1, f() return a", "local c <const>, d <close> = 1, f() return c"),
    "functions in expressions": (
        "local f = function(a) local b = a return {b = b, [b] = function() return a end} end return f",
        "local g = function(x) local y = x return {b = y, [y] = function() return x end} end return g",
    ),
    "statements one after the other": (
        "local a = f\n(b) local c = a.x local d = 'x' goto e ::e:: return c, d",
        "local p = f(b)\nlocal q = p.x\nlocal r = 'x'\ngoto e ::e:: return q, r",
    ),
    "numbers": ("return 0XAP3, 1E5, 0x10, 1e1, .5, 3.14", "return 80.0, 100000., 16, 10.0, 0x.8p0, 314E-2"),
    "numbers without bound": (
        "return 0xffffffffffffffff01, 9223372036854775808, 1e999",
        "return 0Xffffffffffffff01, 9223372036854775808.0, 1E+400",
    ),
    "a string as the only argument": (
        "local j = require'json' return j:get \"x\" (f [[y]]), f{1}.a",
        'local j = require("json") return j:get("x")(f(\'y\')), f({1}).a',
    ),
    "semicolons": (
        "local a = 1; f(a); do ; local b = 2; end; return a;",
        "local c = 1 f(c) do local d = 2 end return c",
    ),
    "semicolons that part": (
        "a = b;;; (c or d)(); local t = {} ; ('x'):f(t)",
        "a = b; (c or d)() local u = {} ('x'):f(u)",
    ),
    "fields": (
        "local t = {['a'] = 1; b = 2,} return t['a'].b, t[\"x\"]('y')",
        "local u = {a = 1, b = 2} return u.a.b, u.x 'y'",
    ),
    "a call after a declaration": ("local a f('x') local b <const> g{1}", "local c f 'x' local d <const> g({1})"),
    "functions by assignment": (
        "local M = {} function M.f(a) return a end function M.g:h(a, ...) return self, a end function x() end",
        "local N = {} N.f = function(b) return b end N.g.h = function(me, b, ...) return me, b end x = function() end",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_code(case: str) -> None:
    one, other = map(code_hash, SAME[case])
    assert one is not None and len(one) == 64 and one == other


DIFFERENT = {
    "a global": ("return a", "return b"),
    "a field": ("local t = {} return t.a", "local t = {} return t.b"),
    "a key of a table": ("local a = 1 return {a = a}", "local b = 1 return {b = b}"),
    "a method": ("local a = f() a:a()", "local b = f() b:b()"),
    "a label": ("goto a ::a:: ::b::", "goto b ::a:: ::b::"),
    "a global of the name of a local to come": (
        "local f = function() return f end",
        "local f = function() return g end",
    ),
    "the value before the name counts": ("local a = 1 local a = a", "local a = 1 local b = b"),
    "after the end of a block": ("do local a = 1 end return a", "do local b = 1 end return b"),
    "outside of a loop": ("for i = 1, 2 do end return i", "for j = 1, 2 do end return j"),
    "a range before its loop": ("local i = 2 for i = 1, i do f(i) end", "local i = 2 for j = 1, j do f(j) end"),
    "which local": ("local a, b = 1, 2 return a", "local a, b = 1, 2 return b"),
    "the self of a method": ("function M:f() return self end", "function M:f() return this end"),
    "what is local": ("local a = 1", "a = 1"),
    "the environment": ("local _ENV = f() return x", "local env = f() return x"),
    "a string": ("return 'a'", "return 'b'"),
    "a string is no name": ("return a", "return 'a'"),
    "white space in a string": ("return 'a b'", "return 'a  b'"),
    "what a comment is not": ("return '--a'", "return '--b'"),
    "brackets": ("return (f())", "return f()"),
    "an integer": ("return 1", "return 1.0"),
    "signs": ("return a - -b", "return a - b"),
    "order": ("f() g()", "g() f()"),
    "a semicolon that parts": ("a = b; (c or d)()", "a = b (c or d)()"),
    "a call and a statement": ("local t = {} ('x'):f(t)", "local t = f{} ('x'):f(t)"),
    "what only follows a declaration": ("local a ('x'):f(a)", "local a = a ('x'):f(a)"),
    "which variable follows a declaration": ("local a = {} ('x'):f(a)", "local b = {} ('x'):f(a)"),
    "a body that begins with brackets": ("function f() ('x'):g() end", "function f() x 'x':g() end"),
    "brackets around a value": ("return f(('x'))", "return f('x', nil)"),
    "a list and its last": ("return {f(), nil}", "return {f()}"),
    "a local as a key": ("local a = 'a' return t[a]", "local a = 'a' return t.a"),
    "a keyword as a key": ("return t['end']", "return t['nil']"),
    "no name as a key": ("return t['a b'], t['1']", "return t['a b'], t[1]"),
    "a text and a key": ("return {'a'}", "return {['a'] = 'a'}"),
    "a list of a list": ("return {{'a'}}", "return {['a'] = 1}"),
    "a local function that calls itself": ("local function f() f() end", "local f = function() f() end"),
    "a method and a function": ("function M:f() end", "function M.f() end"),
    "a float and an integer": ("return 1e1", "return 10"),
    "large integers": ("return 9007199254740993", "return 9007199254740992"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_other_code(case: str) -> None:
    one, other = map(code_hash, DIFFERENT[case])
    assert one is not None and other is not None and one != other


def test_lua_makes_the_same_of_the_same() -> None:
    """The cases above are what they say: Lua compiles both to one code, or to two."""
    for case, (one, other) in (SAME | DIFFERENT).items():
        first, second = compiled(one), compiled(other)
        assert first and second, case
        assert (first == second) == (case in SAME or case == "a label"), case


def test_no_two_of_the_corpus_are_the_same() -> None:
    assert len({code_hash(source) for source in SOURCES} - {None}) == len(SOURCES) == 30


@pytest.mark.parametrize("new", ["", *";(){}'", " f", "=1 "])
def test_sources_of_one_hash_are_one_program_for_lua(new: str) -> None:
    """One character of a tool made another: where that is Lua still, it has another hash or the same compiled code."""
    chosen = random.Random(7)
    same = other = 0
    for source in SOURCES * ROUNDS:
        whole, plain = compiled(source), code_hash(source)
        assert whole is not None and plain is not None
        for at in chosen.sample([place for place, letter in enumerate(source) if letter != "\n"], 20):
            changed = source[:at] + new + source[at + (not new or chosen.random() < 0.5) :]
            if (code := compiled(changed)) is not None:
                found = code_hash(changed)
                # Lua spares itself a jump for a `break` right behind `then`: other code for the same program.
                jump = "then;break" in changed.replace(" ", "")
                assert found is not None and (found != plain or code == whole or jump), (at, changed)
                same, other = same + (found == plain), other + (found != plain)
    assert same + other > 5 and (new or min(same, other) > 20), "both were seen"


@pytest.mark.parametrize(
    "source", ["'", "'a\n'", '"\\q"', r"'\300'", "--[[", "[==[ ]=]", "é", "end", "a = (]", "until x"]
)
def test_what_is_no_lua_has_no_hash(source: str) -> None:
    assert code_hash(source) is None


@pytest.mark.parametrize(
    "part",
    ["do ", "(", "{", "repeat ", "function f() ", "local a ", "local a = {", "--[", "--\r", "[=", "\\", "0x", "::"],
)
def test_hostile_sources_end_and_never_raise(part: str) -> None:
    for source in (part * (MOST // len(part)), "local x = 1 " + part * 20_000 + " x " * 20_000, "'" + part * 20_000):
        found = code_hash(source)
        assert found is None or len(found) == 64
    assert code_hash(" " * (MOST + 1)) is None


def test_the_tokens() -> None:
    assert tokens_of("a.b = 'c' .. 0x1F -- d") == [
        *(
            ("name", "a"),
            ("sign", "."),
            ("name", "b"),
            ("sign", "="),
            ("string", "c"),
            ("sign", ".."),
            ("number", "31"),
        )
    ]
    with pytest.raises(NoLua):
        tokens_of("a $ b")
