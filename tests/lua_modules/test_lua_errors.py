"""The global `errors`: what its objects hold, say and become, and how they travel."""

from __future__ import annotations

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")

MADE = 'local err = errors.new({message = "gone", kind = errors.NOT_FOUND, retryable = false, details = {id = 7}}) '


@pytest.mark.parametrize(
    ("expression", "want"),
    [
        ('{errors.new("m"):kind(), errors.new("m"):message()}', ["UNKNOWN", "m"]),
        ('{errors.new("INVALID", "m"):kind(), errors.new("INVALID", "m"):message()}', ["UNKNOWN", "INVALID"]),
        ('errors.new("m"):retryable()', None),
        ('errors.new({message = "m", retryable = "yes"}):retryable()', None),
        ('errors.new({message = "m", retryable = true}):retryable()', True),
        ('errors.new("m"):details()', None),
        ('errors.new({message = "m", details = {}}):details()', None),
        ('errors.new({message = "m", details = "text"}):details()', None),
        ('errors.new({message = "m", details = {1, {2}}}):details()', [1, [2]]),
        ('errors.new({message = "m", kind = "OWN"}):kind()', "UNKNOWN"),
        ('errors.new({message = "m", kind = "MEMORY_LIMIT"}):kind()', "UNKNOWN"),
        ("{err:kind(), err:message(), err:retryable(), err:details()}", ["NOT_FOUND", "gone", False, {"id": 7}]),
        ('{tostring(err), err .. "!", "so: " .. err, err .. err, 1 .. err}',
         ["NOT_FOUND: gone", "NOT_FOUND: gone!", "so: NOT_FOUND: gone", "NOT_FOUND: goneNOT_FOUND: gone",
          "1NOT_FOUND: gone"]),
        ('("%s"):format(err)', "NOT_FOUND: gone"),
        ("{type(err), getmetatable(err), err == err, err == errors.new('gone')}", ["table", "error", True, False]),
        ("{errors.is(err, errors.NOT_FOUND), errors.is(err, errors.INVALID), errors.is(err)}", [True, False, False]),
        ("{errors.is('NOT_FOUND', 'NOT_FOUND'), errors.is(nil, nil), errors.is({}, nil)}", [False, False, False]),
        ("{err}", ["NOT_FOUND: gone"]),
        ("{pairs(err) and next(err) == nil, rawlen(err)}", [True, 0]),
    ],
)  # fmt: skip
async def test_what_an_error_says(expression: str, want: Value, run_lua: RunLua) -> None:
    assert (await run_lua(f"{MADE} return {expression}")).value == want


async def test_a_wrapped_error_says_more_and_stays_what_it_is(run_lua: RunLua) -> None:
    ran = await run_lua(f"""{MADE}
        local outer = errors.wrap(err, "loading")
        local outermost = errors.wrap(outer, "page")
        return {{outer:kind(), outer:retryable(), outer:details(), outer:message(), tostring(outer),
          outermost:message(), tostring(outermost), errors.is(outermost, errors.NOT_FOUND),
          tostring(errors.wrap("text", "why")), errors.wrap("text", "why"):kind()}}
    """)
    assert ran.value == [
        *("NOT_FOUND", False, {"id": 7}, "gone", "NOT_FOUND: loading: gone"),
        *("loading: gone", "NOT_FOUND: page: loading: gone", True),
        *("why: text", "UNKNOWN"),
    ]


async def test_where_an_error_was_made(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local function inner() local err = errors.new("m") return err end
        local function outer() local err = inner() return err end
        local err = outer()
        local stack = errors.call_stack(err)
        stack.frames[1].line = 99
        return {err:stack(), errors.call_stack(err), errors.call_stack("text")}
    """)
    assert isinstance(ran.value, list)
    assert ran.value[0] == "test:2: in inner\ntest:3: in outer\ntest:4"
    assert ran.value[1] == {
        "thread": "main",
        "frames": [
            {"level": 0, "source": "test", "line": 2, "name": "inner", "type": "Lua"},
            {"level": 1, "source": "test", "line": 3, "name": "outer", "type": "Lua"},
            {"level": 2, "source": "test", "line": 4, "name": "", "type": "main"},
        ],
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        *((f"errors.new({nothing})", "errors.new takes a message") for nothing in ("", "5", "{}", "{message = 5}")),
        ("errors.new(err)", "errors.new takes a message"),
        *((f"errors.wrap({nothing})", "errors.wrap takes") for nothing in ("", "err", "err, 5", "5, 'x'", "{}, 'x'")),
        ("errors.wrap(err, err)", "errors.wrap takes"),
        ("err.kind()", "call it with a colon, on an error object: err:kind()"),
        ("err.details({})", "call it with a colon, on an error object: err:details()"),
    ],
)
async def test_wrong_arguments(call: str, message: str, run_lua: RunLua) -> None:
    error = (await run_lua(f"{MADE} return {call}")).outcome.error
    assert error is not None
    assert error.kind is ErrorKind.INVALID
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("err.kind = 1", "test:1: an error object cannot be changed"),
        ("err = err .. {}", "test:1: attempt to concatenate a table value"),
        ("err = nil .. err", "test:1: attempt to concatenate a nil value"),
        ("setmetatable(err, {})", "test:1: cannot replace a metatable"),
        ("err = err < err", "test:1: attempt to compare two error values"),
    ],
)
async def test_what_cannot_be_done_with_an_error(statement: str, message: str, run_lua: RunLua) -> None:
    error = (await run_lua(f"{MADE} {statement}")).outcome.error
    assert error is not None
    assert (error.kind, error.message) == (ErrorKind.UNKNOWN, message)


@pytest.mark.parametrize(
    "leave",
    [
        "return nil, errors.wrap(err, 'why')",
        "error(errors.wrap(err, 'why'))",
        "assert(nil, errors.wrap(err, 'why'))",
        "coroutine.wrap(function() error(errors.wrap(err, 'why'), 2) end)()",
    ],
)
async def test_an_error_that_leaves_the_tool(leave: str, run_lua: RunLua) -> None:
    error = (await run_lua(f"{MADE} {leave}")).outcome.error
    assert error is not None
    assert (error.kind, error.message, error.retryable) == (ErrorKind.NOT_FOUND, "why: gone", False)


async def test_what_is_caught_is_what_was_raised(run_lua: RunLua) -> None:
    ran = await run_lua(f"""{MADE}
        local function raise() error(err) end
        local _, caught = pcall(raise)
        local _, handled = xpcall(raise, function(what) return what == err end)
        local _, asserted = pcall(assert, false, err)
        local _, resumed = coroutine.resume(coroutine.create(raise))
        local _, text = pcall(error, "text", 0)
        return {{caught == err, handled, asserted == err, resumed == err, text}}
    """)
    assert ran.value == [True, True, True, True, "text"]


async def test_a_chain_of_wraps_keeps_no_memory(run_lua: RunLua) -> None:
    ran = await run_lua(f"""{MADE}
        for i = 1, 2000 do err = errors.wrap(err, ("x"):rep(100)) end
        return #tostring(err)
    """)
    assert ran.value == len("NOT_FOUND: gone") + 2000 * 102
