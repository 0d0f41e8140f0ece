"""Waits and coroutines of programs through the real child."""

from __future__ import annotations

import asyncio

import pytest
from sandbox_kit import Runner

from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


def wrap(body: str) -> str:
    return f"return {{ handler = function(input) {body} end }}"


@pytest.mark.parametrize(
    "body",
    [
        "return ask(input)",
        "return coroutine.wrap(function() return ask(input) end)()",
        "return coroutine.wrap(function() return coroutine.wrap(function() return ask(input) end)() end)()",
        "return select(2, pcall(function() return ask(input) end))",
        "return select(2, coroutine.resume(coroutine.create(ask), input))",
        "return setmetatable({}, { __index = function(_, key) return ask(key) end })[input]",
        "for value in function(_, last) return not last and ask(input) or nil end do return value end",
        "local r ('x'):gsub('x', function() r = ask(input) end) return r",  # Lua cannot yield here: blocks
        "local r table.sort({ 1, 2 }, function() r = ask(input) return false end) return r",
        "local r ('x'):gsub('x', function() r = coroutine.wrap(function() return ask(input) end)() end) return r",
        "local t = setmetatable({}, { __tostring = function() return ask(input) end }) return tostring(t)",
        "local r do local x <close> = setmetatable({}, { __close = function() r = ask(input) end }) end return r",
        "local r local co = coroutine.create(function()"
        " local x <close> = setmetatable({}, { __close = function() r = ask(input) end }) coroutine.yield() end)"
        " coroutine.resume(co) coroutine.close(co) return r",
        "local _, r = xpcall(error, function() return ask(input) end) return r",
    ],
)
async def test_a_wait_works_from_everywhere(lua: Runner, body: str) -> None:
    assert await lua.value("local ask = require('service').ask " + wrap(body), "payload") == "payload"


async def test_user_coroutines_never_see_a_wait(lua: Runner) -> None:
    assert await lua.value("""
        local ask, seen = require("service").ask, {}
        local co = coroutine.create(function(first)
          seen[#seen + 1] = first
          local second = coroutine.yield(ask("asked 1"))
          seen[#seen + 1] = second
          require("service").sleep(0.001)
          return ask("asked 2")
        end)
        for _, sent in ipairs({ "one", "two" }) do
          local ok, got = coroutine.resume(co, sent)
          seen[#seen + 1] = got
        end
        seen[#seen + 1] = coroutine.status(co)
        return seen
    """) == ["one", "asked 1", "two", "asked 2", "dead"]


async def test_what_a_tool_may_not_do_with_coroutines(lua: Runner) -> None:
    assert await lua.value("""
        local me, is_main = coroutine.running()
        local inside = coroutine.wrap(function() return select(2, coroutine.running()), coroutine.isyieldable() end)
        local a, b = inside()
        return { is_main, a, b, coroutine.isyieldable(), (coroutine.resume(me)), (pcall(coroutine.close, me)),
          (pcall(coroutine.yield, 1)), (pcall(coroutine.resume, 1)), (pcall(coroutine.wrap, 1)) }
    """) == [True, False, True, False, False, False, False, False, False]


async def test_a_tool_cannot_catch_the_token(lua: Runner) -> None:
    """An object with __eq beside a wait: if a comparison ran it, it would be handed the scheduler's token."""
    assert (
        await lua.value("""
        local caught = {}
        local trap = setmetatable({}, { __eq = function(a, b) caught[#caught + 1] = true return true end })
        local ask, yield = require("service").ask, coroutine.yield
        local co = coroutine.create(function() yield(trap) ask(1) yield(trap) end)
        for _ = 1, 4 do coroutine.resume(co, trap) end
        return #caught
    """)
        == 0
    )


async def test_requests_side_by_side(lua: Runner) -> None:
    """Two calls of one sandbox wait for each other in the host: it works only when they really overlap."""
    both = asyncio.Barrier(2)

    class Meeting:
        async def request(self, op: str, payload: Value) -> Value:
            await both.wait()
            return payload

    source = wrap("return require('service').ask(input)")
    assert await asyncio.gather(*(lua.value(source, n, host=Meeting()) for n in (1, 2))) == [1, 2]


async def test_a_nested_call_has_its_own_child_and_stops_the_clock(lua: Runner) -> None:
    class Nesting:
        async def request(self, op: str, payload: Value) -> Value:
            return await lua.value("require('service').sleep(0.6) return 'inner'", seconds=5)

    source = """
        local inner = require("service").ask(1)
        for _ = 1, 2e6 do end  -- long enough for a look at the clock
        return inner
    """
    outcome = await lua(source, host=Nesting(), seconds=0.3)
    assert (outcome.value, outcome.error) == ("inner", None)


async def test_random_numbers_differ_between_children(lua: Runner) -> None:
    assert len({await lua.value("return math.random(1 << 60)") for _ in range(4)}) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return string.format('%d', 1.5)", "bad argument #2 to 'format' (number has no integer representation)"),
        ("return require('nope')", "module 'nope' is not available here: it is not among this entry's modules"),
        ("return channel.select({ 1 })", "case 1 of channel.select is not a case: make it with ch:case_receive() or"),
        ("local x = require('nope')", "tool:1: module 'nope' is not available here"),
        ("error('[x]:1: mine', 0)", "[x]:1: mine"),
    ],
)
async def test_an_error_names_a_line_of_the_tool_or_none(lua: Runner, source: str, message: str) -> None:
    """A tail call leaves no line of the tool; those of our own files mean nothing to it."""
    assert (await lua.error(source)).message.startswith(message)
