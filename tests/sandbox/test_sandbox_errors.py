"""Errors of programs through the real child: how each kind of failure is told."""

from __future__ import annotations

import pytest
from sandbox_kit import Runner

from micro_agi_kernel.errors import ErrorKind

pytestmark = pytest.mark.asyncio(loop_scope="module")


def wrap(body: str) -> str:
    return f"return {{ handler = function(input) {body} end }}"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("\nerror('boom')", "UNKNOWN", "tool:2: boom"),
        ("\n\nlocal x = nil + 1", "UNKNOWN", "tool:3: attempt to perform arithmetic on a nil value"),
        ("return nil, 'no luck'", "UNKNOWN", "no luck"),
        ("return nil, errors.new('plain')", "UNKNOWN", "plain"),
        ("return nil, errors.new({ kind = errors.NOT_FOUND, message = 'no x' })", "NOT_FOUND", "no x"),
        ("error(errors.new({ kind = 'TIMEOUT', message = 'slow' }))", "TIMEOUT", "slow"),
        ("error({ kind = 'CONFLICT', message = 'plain table' })", "CONFLICT", "plain table"),
        ("error({ code = 5 })", "UNKNOWN", '{"code":5}'),
        ("error(setmetatable({}, { __tostring = function() return 'custom' end }))", "UNKNOWN", "custom"),
        ("error(nil)", "UNKNOWN", "nil was raised as an error"),
        ("error('\\xff\\xfe bytes', 0)", "UNKNOWN", "?? bytes"),
        ("coroutine.wrap(function() error('inside') end)()", "UNKNOWN", "tool:1: inside"),
    ],
)
async def test_errors_keep_what_they_say(lua: Runner, body: str, kind: str, message: str) -> None:
    error = await lua.error(wrap(body))
    assert (error.kind, error.message) == (kind, message)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('string.format("%d", "x")', "bad argument #2 to 'format' (number expected, got string)"),
        ('("%d"):format("x")', "bad argument #2 to 'format' (number expected, got string)"),
        ('os.time({year = "x"})', "field 'year' is not an integer"),
        ("setmetatable(1, {})", "bad argument #1 to 'setmetatable' (table expected, got number)"),
    ],
)
async def test_our_own_functions_blame_the_line_of_the_tool(lua: Runner, call: str, message: str) -> None:
    assert (await lua.error(wrap(f"\nlocal x = {call}\nreturn x"))).message == f"tool:2: {message}"


async def test_retryable_is_kept(lua: Runner) -> None:
    source = wrap("return nil, errors.new({ kind = 'UNAVAILABLE', message = 'm', retryable = input })")
    assert [(await lua.error(source, flag)).retryable for flag in (True, False, None)] == [True, False, None]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("return {\n  handler = function( end\n}", "tool:2: "),
        ("local x = 'unfinished", "tool:1: unfinished string"),
        ("\x1bLua", "attempt to load a binary chunk"),
        ("return " + "{" * 100_000, "overflow"),
        ("local " + ",".join(f"a{i}" for i in range(300)), "too many local variables"),
        ("\ufeffreturn 1", "tool:1: unexpected symbol"),
    ],
)
async def test_syntax_errors_name_the_line(lua: Runner, source: str, words: str) -> None:
    error = await lua.error(source)
    assert error.kind is ErrorKind.SYNTAX
    assert words in error.message


async def test_huge_error_objects_are_cut(lua: Runner) -> None:
    assert len((await lua.error("error(('x'):rep(1e7), 0)")).message) <= 8 << 10
    assert len((await lua.error("error(('é'):rep(1e6), 0)")).message) == 4 << 10
    source = wrap("return nil, errors.new({ message = ('y'):rep(1e7), kind = 'INVALID' })")
    assert (await lua.error(source)).kind is ErrorKind.INVALID


async def test_tostring_that_fails_loops_or_lies(lua: Runner) -> None:
    throw = "error(setmetatable({}, { __tostring = function() %s end }))"
    assert (await lua.error(throw % "error('again', 0)")).message == "again"
    assert "must return a string" in (await lua.error(throw % "return 5")).message
    assert (await lua.error(throw % "while true do end", seconds=0.2)).kind is ErrorKind.TIMEOUT
    assert (await lua.error(throw % "return tostring(coroutine.yield())")).kind is ErrorKind.UNKNOWN


async def test_the_errors_table(lua: Runner) -> None:
    value = await lua.value("""
        local err = errors.new({ message = "m", kind = errors.CONFLICT, retryable = true, details = { a = 1 } })
        local outer = errors.wrap(err, "outer")
        local stack = errors.call_stack(err)
        return {
          err:kind(), err:message(), err:retryable(), err:details(), tostring(err),
          outer:kind(), outer:message(), outer:retryable(), outer:details(),
          errors.is(outer, errors.CONFLICT), errors.is(err, errors.INVALID), errors.is("text", "UNKNOWN"),
          errors.wrap("plain", "why"):message(), errors.new("x"):kind(), tostring(errors.new("x")),
          stack.frames[1].source, stack.frames[1].line, err:stack(), errors.call_stack("x") == nil,
          errors.new({ message = "m", kind = "NO_SUCH" }):kind(),
          (pcall(setmetatable, err, {})), (pcall(function() err.kind = 1 end)), getmetatable(err),
          (pcall(errors.new, {})), (pcall(err.kind, {})),
        }
    """)
    assert value == [
        "CONFLICT", "m", True, {"a": 1}, "CONFLICT: m",
        "CONFLICT", "m", True, {"a": 1},
        True, False, False,
        "plain", "UNKNOWN", "x",
        "tool", 2, "tool:2", True,
        "UNKNOWN",
        False, False, "error",
        False, False,
    ]  # fmt: skip


async def test_an_error_object_in_a_result_is_its_text(lua: Runner) -> None:
    assert await lua.value("return { error = errors.new({ message = 'm', kind = 'INVALID' }) }") == {
        "error": "INVALID: m"
    }
