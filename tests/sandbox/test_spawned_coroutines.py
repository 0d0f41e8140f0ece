"""`coroutine.spawn`: who runs when, errors, deadlock, limits, requests side by side, and what outlives the handler."""

from __future__ import annotations

import asyncio
import os

import pytest
from sandbox_kit import Runner, opened

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.values import Value

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

FULL = os.environ.get("MICRO_AGI_FULL") == "1"


# -- who runs when


async def test_a_spawned_coroutine_begins_at_the_next_wait(lua: Runner) -> None:
    assert await lua.value("""
        local log = {}
        local co = coroutine.spawn(function(a, b, c) log[#log + 1] = a .. tostring(b) .. c end, "x", nil, "z")
        log[#log + 1] = type(co) .. " " .. coroutine.status(co)
        require("service").sleep(0)
        log[#log + 1] = coroutine.status(co)
        return log
    """) == ["thread suspended", "xnilz", "dead"]


async def test_the_call_ends_with_its_handler(lua: Runner) -> None:
    assert await lua.value("""
        coroutine.spawn(function() require("service").sleep(60) print("late") end)
        coroutine.spawn(function() channel.new():receive() end)
        coroutine.spawn(function() print("never begins") end)
        return "done"
    """, seconds=2) == "done"  # fmt: skip
    assert lua.output == ""


async def test_yield_in_a_spawned_coroutine_lets_the_others_run(lua: Runner) -> None:
    assert await lua.value("""
        local log, done = {}, channel.new()
        for _, name in ipairs({ "a", "b" }) do
          coroutine.spawn(function()
            for i = 1, 3 do
              log[#log + 1] = name .. i
              assert(select("#", coroutine.yield("dropped")) == 0)
            end
            done:send(true)
          end)
        end
        done:receive() done:receive()
        return log
    """) == ["a1", "b1", "a2", "b2", "a3", "b3"]


async def test_tasks_that_never_wait_for_long_do_not_keep_answers_and_timers_away(lua: Runner) -> None:
    assert await lua.value("""
        local over = false
        for _ = 1, 3 do coroutine.spawn(function() while not over do coroutine.yield() end end) end
        local service = require("service")
        service.sleep(0.001)
        local answer = service.ask("answer")
        over = true
        return answer
    """, seconds=5) == "answer"  # fmt: skip


async def test_plain_coroutines_work_inside_and_move_between_tasks(lua: Runner) -> None:
    assert await lua.value("""
        local service, turns = require("service"), channel.new()
        local gen = coroutine.wrap(function() for i = 1, 4 do coroutine.yield(service.ask(i)) end end)
        local first, second
        coroutine.spawn(function() turns:send(gen()) end) first = turns:receive()
        coroutine.spawn(function() turns:send(gen()) end) second = turns:receive()
        return { first, second, gen(), gen() }
    """) == [1, 2, 3, 4]


# -- errors


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        ("error('bad')", "UNKNOWN", "tool:2: bad (in a coroutine spawned at tool:1)"),
        ("error({ kind = 'CONFLICT', message = 'twice' })", "CONFLICT", "twice (in a coroutine spawned at tool:1)"),
        ("error(errors.new({ kind = errors.NOT_FOUND, message = 'gone' }))", "NOT_FOUND",
         "gone (in a coroutine spawned at tool:1)"),
        ("error(setmetatable({}, { __tostring = function() return 'said' end }))", "UNKNOWN",
         "said (in a coroutine spawned at tool:1)"),
        ("error()", "UNKNOWN", "nil was raised as an error (in a coroutine spawned at tool:1)"),
        ("error(setmetatable({}, { __tostring = error }))", "UNKNOWN", "an error that cannot be shown"),
        ("local x = nil + 1", "UNKNOWN", "arithmetic on a nil value (in a coroutine spawned at tool:1)"),
        ("require('service').ask({ print })", None, ""),
    ],
)  # fmt: skip
async def test_an_error_that_nobody_catches_ends_the_call(
    lua: Runner, raised: str, kind: str | None, message: str
) -> None:
    outcome = await lua(f"coroutine.spawn(function()\n{raised} end) require('service').sleep(0.05) return 'fine'")
    if kind is None:
        assert outcome.value == "fine"
    else:
        assert outcome.error is not None
        assert (outcome.error.kind, outcome.error.message.endswith(message)) == (kind, True), outcome.error


async def test_what_a_spawned_coroutine_returns_is_dropped(lua: Runner) -> None:
    source = "coroutine.spawn(function() return nil, 'error' end) require('service').sleep(0.001) return 1"
    assert await lua.value(source) == 1


@pytest.mark.parametrize("body", ["nil", "1", "{}", "coroutine.create(print)"])
async def test_what_cannot_be_spawned(lua: Runner, body: str) -> None:
    error = await lua.error(f"coroutine.spawn({body})")
    assert error.message == "tool:1: bad argument #1 to 'spawn' (function expected)"


async def test_too_many_at_once(lua: Runner) -> None:
    source = "for i = 1, COUNT do coroutine.spawn(function() channel.new():receive() end) end return 'enough'"
    assert await lua.value(source.replace("COUNT", "9999")) == "enough"
    error = await lua.error(source.replace("COUNT", "10000"))
    assert error.message == "tool:1: limit of 10000 coroutines at once reached"
    assert (
        await lua.value("""
        local service, count = require("service"), 0
        for _ = 1, 3 do
          for _ = 1, 5000 do coroutine.spawn(function() count = count + 1 end) end
          service.sleep(0)
        end
        return count
    """)
        == 15000
    )


# -- deadlock


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("local c = channel.new()\nc:receive()",
         "deadlock: the handler at tool:2 waits for a channel that nothing is left to reach"),
        ("channel.new():send(1)", "deadlock: the handler at tool:1 waits for a channel that nothing is left to reach"),
        ("coroutine.wrap(function()\nchannel.new():receive() end)()", "deadlock: the handler at tool:2 waits for"),
        ("pcall(channel.select, { channel.new():case_receive() })", "deadlock: the handler at tool:1 waits for"),
        ("local c, d = channel.new(), channel.new()\ncoroutine.spawn(function()\nd:receive() end)\nc:receive()",
         "deadlock: all 2 coroutines wait for channels: the handler at tool:4, a spawned one at tool:3"),
        ("for i = 1, 9 do coroutine.spawn(function() channel.new():receive() end) end channel.new():receive()",
         "deadlock: all 10 coroutines wait for channels: the handler at tool:1, a spawned one at tool:1, "
         "a spawned one at tool:1, a spawned one at tool:1, a spawned one at tool:1, ..."),
        ("local c = channel.new() coroutine.spawn(function() require('service').sleep(0.01) end) c:receive()",
         "deadlock: the handler at tool:1"),
        ("local c = channel.new() coroutine.spawn(function() require('service').ask(1) end) c:receive()",
         "deadlock: the handler at tool:1"),
    ],
)  # fmt: skip
async def test_all_wait(lua: Runner, source: str, message: str) -> None:
    error = await lua.error(source, seconds=10)
    assert (error.kind, error.retryable) == (ErrorKind.INTERNAL, False)
    assert error.message.startswith(message)


# -- attacks


async def test_tasks_are_out_of_reach(lua: Runner) -> None:
    assert await lua.value("""
        local c, service = channel.new(), require("service")
        local co
        co = coroutine.spawn(function()
          local me, main = coroutine.running()
          local inside = { rawequal(me, co), main, coroutine.isyieldable(), (coroutine.resume(me)),
            (pcall(coroutine.close, me)), coroutine.status(me) }
          c:receive()
          service.sleep(0.001)
          c:send(inside)
        end)
        local outside = { (coroutine.resume(co, "forged")), (pcall(coroutine.close, co)) }
        c:send(1)
        outside[3] = coroutine.resume(co, "forged")
        local inside = c:receive()
        service.sleep(0)
        outside[4], outside[5] = coroutine.resume(co), coroutine.close(co)
        return { inside, outside }
    """) == [[True, False, True, False, False, "running"], [False, False, False, False, True]]


async def test_a_coroutine_that_waits_in_one_task_cannot_be_resumed_or_closed_by_another(lua: Runner) -> None:
    assert await lua.value("""
        local c, seen = channel.new(), {}
        local inner = coroutine.create(function() return (c:receive()) end)
        local outer = coroutine.create(function() return coroutine.resume(inner) end)
        local done = channel.new()
        coroutine.spawn(function() local _, _, got = coroutine.resume(outer) done:send(got) end)
        require("service").sleep(0)
        for _, co in ipairs({ inner, outer }) do
          seen[#seen + 1] = coroutine.status(co)
          seen[#seen + 1] = select(2, coroutine.resume(co, "forged"))
          seen[#seen + 1] = select(2, pcall(coroutine.close, co))
        end
        c:send("honest")
        seen[#seen + 1] = done:receive()
        return seen
    """) == [*["normal", "cannot resume non-suspended coroutine", "cannot close a normal coroutine"] * 2, "honest"]


async def test_a_task_cannot_catch_the_token(lua: Runner) -> None:
    """Everything that a tool can hang into a spawned coroutine: yields, metamethods, wrap, close."""
    assert await lua.value("""
        local c, seen = channel.new(), {}
        local function keep(...) for i = 1, select("#", ...) do seen[#seen + 1] = (select(i, ...)) end end
        coroutine.spawn(function()
          local trap = setmetatable({}, { __eq = keep, __index = function(_, k) keep(c:receive()) end })
          keep(trap.x)
          keep(coroutine.wrap(function() return coroutine.yield(trap.y) end)())
          local co <close> = setmetatable({}, { __close = function() keep(c:receive()) end })
        end)
        for i = 1, 3 do c:send(i) end
        require("service").sleep(0)
        return seen
    """) == [1, True, 2, True, 3, True]


@pytest.mark.parametrize(
    "source",
    [
        "local function again() spawn(again) end again() c:receive()",
        "local function again() spawn(again) spawn(again) end again() c:receive()",
        "spawn(function() while true do end end) c:receive()",
        "spawn(function() while true do coroutine.yield() end end) c:receive()",
        "spawn(function() while true do pcall(function() while true do end end) end end) c:receive()",
        "spawn(function() while true do c:send(1) end end) while true do c:receive() end",
    ],
)
async def test_the_time_limit_holds_in_every_task(lua: Runner, source: str) -> None:
    error = await lua.error("local spawn, c = coroutine.spawn, channel.new() " + source, seconds=0.2)
    assert error.kind is ErrorKind.TIMEOUT or "limit of 10000 coroutines" in error.message, error


# -- requests side by side


async def test_requests_of_spawned_coroutines_are_open_together(lua: Runner) -> None:
    """They wait for each other in the host: it works only when all are open at once."""
    all_here = asyncio.Barrier(20)

    class Meeting:
        async def request(self, op: str, payload: Value) -> Value:
            await all_here.wait()
            return payload

    assert await lua.value("""
        local service, results = require("service"), channel.new()
        for i = 1, 20 do coroutine.spawn(function() results:send(service.ask(i)) end) end
        local sum = 0
        for _ = 1, 20 do sum = sum + results:receive() end
        return sum
    """, host=Meeting()) == 210  # fmt: skip


async def test_answers_in_any_order_reach_those_who_asked(lua: Runner) -> None:
    class Backwards:
        def __init__(self) -> None:
            self.turn = asyncio.Condition()
            self.last = 10

        async def request(self, op: str, payload: Value) -> Value:
            async with self.turn:
                await self.turn.wait_for(lambda: payload == self.last)
                self.last -= 1
                self.turn.notify_all()
            if payload == 5:
                raise Refused(ErrorKind.CONFLICT, "not five")
            return payload

    assert await lua.value("""
        local service, done, log = require("service"), channel.new(), {}
        for i = 1, 10 do
          coroutine.spawn(function()
            local value, err = service.ask(i)
            log[#log + 1] = err and err:kind() or value
            assert(err and i == 5 or value == i)
            done:send(true)
          end)
        end
        for _ = 1, 10 do done:receive() end
        return log
    """, host=Backwards()) == [10, 9, 8, 7, 6, "CONFLICT", 4, 3, 2, 1]  # fmt: skip


async def test_large_requests_and_answers_do_not_block_each_other(lua: Runner) -> None:
    """More than the pipe and the reader in main hold, both ways at once: each side must read while it writes."""
    assert await lua.value("""
        local service, done = require("service"), channel.new()
        local big = ("x"):rep(1 << 20)
        for i = 1, 60 do coroutine.spawn(function() done:send(#service.ask(big)) end) end
        local sum = 0
        for _ = 1, 60 do sum = sum + done:receive() end
        return sum
    """, memory=512 << 20, seconds=20) == 60 << 20  # fmt: skip


async def test_a_wait_where_lua_cannot_switch_wakes_its_task_once(lua: Runner) -> None:
    assert (
        await lua.value("""
        local service, c = require("service"), channel.new()
        coroutine.spawn(function() service.sleep(0.005) c:send("later") end)
        ;("x"):gsub("x", function() service.ask(1) end)
        return (c:receive())
    """)
        == "later"
    )


async def test_the_handler_may_end_while_many_requests_hang(lua: Runner) -> None:
    """More than main works on at once; none but the first is ever answered."""

    class Hanging:
        async def request(self, op: str, payload: Value) -> Value:
            if payload != 1:
                await asyncio.Event().wait()
            return payload

    assert await lua.value("""
        local service, first = require("service"), channel.new()
        for i = 1, 200 do coroutine.spawn(function() first:send(service.ask(i)) end) end
        return (first:receive())
    """, host=Hanging(), seconds=5) == 1  # fmt: skip


async def test_many_requests_at_once(lua: Runner) -> None:
    assert (
        await lua.value("""
        local service, done = require("service"), channel.new()
        for i = 1, 1000 do coroutine.spawn(function() done:send(service.ask(i)) end) end
        local sum = 0
        for _ = 1, 1000 do sum = sum + done:receive() end
        return sum
    """)
        == 500500
    )


async def test_the_end_arrives_when_requests_are_open() -> None:
    """Answers on their way to a child that has ended must not cost its last message."""

    class Staggered:
        async def request(self, op: str, payload: Value) -> Value:
            assert isinstance(payload, int)
            for _ in range(payload % 7):
                await asyncio.sleep(0)
            return "x" * (payload * 997 % 20_000)

    async with opened(spares=2) as runner:
        for count in range(300 if FULL else 60):
            value = await runner.value("""
                return { handler = function(input)
                  local service = require("service")
                  for i = 1, 30 do coroutine.spawn(function() service.ask(i) service.ask(i + 1) end) end
                  service.ask(input % 5)
                  return input
                end }
            """, count, host=Staggered())  # fmt: skip
            assert value == count
