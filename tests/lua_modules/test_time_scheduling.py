"""`time.sleep`, `after`, `timer` and `ticker`: channels that the clock feeds, and what they cost."""

from __future__ import annotations

import heapq
import os

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.sandbox.timers import Timers
from micro_agi_kernel.values import Value

FULL = os.environ.get("MICRO_AGI_FULL") == "1"

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

TIME = """
local time = require("time")
local function sends_a_time(value) return value:sub(time.now()):seconds() > -60 and value:format("2006") >= "2024" end
"""


async def test_after_sends_one_time_and_closes(run_lua: RunLua) -> None:
    assert (await run_lua(TIME + """
        local start = time.now()
        local c = time.after("2ms")
        local value, ok = c:receive()
        local late = time.now():sub(start):milliseconds() >= 2
        local more, open = c:receive()
        return { sends_a_time(value), ok, late, more == nil, open }
    """)).value == [True, True, True, True, False]  # fmt: skip


async def test_select_with_a_timeout(run_lua: RunLua) -> None:
    source = (
        TIME
        + """
        local work, timeout = channel.new(), time.after(input.timeout)
        coroutine.spawn(function() time.sleep(input.work) work:send("result") end)
        local r = channel.select{ work:case_receive(), timeout:case_receive() }
        return r.channel == timeout and "timeout" or r.value
    """
    )
    source = f"return {{ handler = function(input) {source} end }}"
    assert (await run_lua(source, {"timeout": "10s", "work": "1ms"})).value == "result"
    assert (await run_lua(source, {"timeout": "1ms", "work": "10s"})).value == "timeout"


async def test_a_timer(run_lua: RunLua) -> None:
    assert (await run_lua(TIME + """
        local t = time.timer("2ms")
        local same = t:response() == t:channel()
        local value, ok = t:response():receive()
        return { same, sends_a_time(value), ok, select(2, t:channel():receive()), t:stop(), t:stop() }
    """)).value == [True, True, True, False, False, False]  # fmt: skip


async def test_a_timer_that_is_stopped_wakes_who_waits_for_it(run_lua: RunLua) -> None:
    assert (await run_lua(TIME + """
        local t = time.timer("1h")
        coroutine.spawn(function() time.sleep("1ms") assert(t:stop() == true) end)
        local value, ok = t:response():receive()
        return { value == nil, ok, t:stop() }
    """)).value == [True, False, False]  # fmt: skip


async def test_reset(run_lua: RunLua) -> None:
    """While it runs, after it fired with nobody there, after it was stopped: each time it fires once, and anew."""
    assert (await run_lua(TIME + """
        local t, log = time.timer("1h"), {}
        log[1] = t:reset("1ms")
        log[2] = select(2, t:response():receive())
        log[3] = t:reset(1 * time.MILLISECOND)
        time.sleep("20ms")
        log[4] = t:reset("1ms")
        local first = t:response():receive()
        log[5] = sends_a_time(first) and select(2, t:response():receive()) == false
        log[6] = t:stop()
        log[7] = t:reset(time.parse_duration("1ms"))
        log[8] = select(2, t:response():receive())
        return log
    """)).value == [True, True, False, False, True, False, False, True]  # fmt: skip


async def test_a_ticker(run_lua: RunLua) -> None:
    assert (await run_lua(TIME + """
        local start, ticker = time.now(), time.ticker("3ms")
        local c, times = ticker:response(), {}
        for i = 1, 3 do times[i] = c:receive() end
        local long_enough = time.now():sub(start):milliseconds() >= 9
        local rising = times[1]:before(times[2]) and times[2]:before(times[3])
        local good = c == ticker:channel() and sends_a_time(times[3])
        return { long_enough, rising, good, ticker:stop(), select(2, c:receive()), ticker:stop() }
    """)).value == [True, True, True, True, False, False]  # fmt: skip


async def test_ticks_that_nobody_takes_are_dropped(run_lua: RunLua) -> None:
    assert (await run_lua(TIME + """
        local ticker = time.ticker("1ms")
        time.sleep("20ms")
        local c, waiting = ticker:channel(), 0
        local missed = channel.select({ c:case_receive() }, true)
        while not channel.select({ c:case_receive() }, true).default do waiting = waiting + 1 end
        return { missed.ok and not missed.default, waiting <= 1, (select(2, c:receive())) }
    """)).value == [True, True, True]  # fmt: skip


async def test_a_quick_ticker_keeps_nothing_else_away(run_lua: RunLua) -> None:
    """A tick each nanosecond: with nobody there, and with a reader who never rests."""
    assert (await run_lua(TIME + """
        local idle, busy = time.ticker(1), time.ticker(1)
        local ticks = 0
        coroutine.spawn(function() while busy:response():receive() do ticks = ticks + 1 end end)
        local json = require("json")
        local answer = require("funcs").call("app.generated:add", { a = 1, b = 2 })
        time.sleep("2ms")
        return { ticks > 1, answer }
    """)).value == [True, 3]  # fmt: skip


@pytest.mark.parametrize("name", ["after", "timer", "ticker"])
@pytest.mark.parametrize("duration", ["0", "-1", "'0s'", "'-1ms'", "'soon'", "{}", "nil", "time.parse_duration('0s')"])
async def test_durations_that_are_refused(run_lua: RunLua, name: str, duration: str) -> None:
    source = TIME + f"local v, e = time.{name}({duration}) return {{ v == nil, e:kind(), e:retryable() }}"
    assert (await run_lua(source)).value == [True, "INVALID", False]


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("time.timer('1s'):reset('0s')", "INVALID", "duration must be greater than 0"),
        ("time.timer('1s'):reset()", "INVALID", "duration must be a number"),
        ("time.timer('1s').stop()", "INVALID", "call it with a colon: timer:stop()"),
        ("time.timer('1s').stop(time.ticker('1s'))", "INVALID", "call it with a colon: timer:stop()"),
        ("time.ticker('1s').response(time.now())", "INVALID", "call it with a colon: ticker:response()"),
        ("time.ticker('1s'):reset('1s')", "UNKNOWN", "attempt to call a nil value (method 'reset')"),
        ("time.sleep('x')", "INVALID", 'invalid duration "x"'),
        ("return { time.timer('1s') }", "INVALID", "the result[1]._channel: a channel is no value"),
    ],
)
async def test_what_is_an_error(run_lua: RunLua, source: str, kind: str, message: str) -> None:
    error = (await run_lua(TIME + source)).outcome.error
    assert error is not None
    assert (error.kind, message in error.message) == (kind, True), error


async def test_a_channel_has_no_json(run_lua: RunLua) -> None:
    source = "local value, err = require('json').encode({ channel.new() }) return { value == nil, err:message() }"
    assert (await run_lua(source)).value == [True, "encode failed: a channel is no value"]


# -- deadlock and cost


@pytest.mark.parametrize(
    "before",
    [
        "time.timer('1h'):stop()",
        "local t = time.timer('1h') t:reset('2h') t:stop()",
        "time.ticker('1h'):stop()",
        "local t = time.ticker('1ms') t:response():receive() t:stop()",
        "time.ticker('1ms')",  # nobody takes its ticks: after the first it waits too
        "time.after('1ms')",
        "time.after('1h'):close()",
    ],
)
async def test_timers_that_are_over_do_not_hide_a_deadlock(run_lua: RunLua, before: str) -> None:
    error = (await run_lua(TIME + before + " channel.new():receive()")).outcome.error
    assert error is not None
    assert (error.kind, error.message[:9]) == (ErrorKind.INTERNAL, "deadlock:")


async def test_a_timer_feeds_one_who_waits_where_nothing_else_can_run(run_lua: RunLua) -> None:
    assert (await run_lua(TIME + """
        local got, why
        local once, never = time.after("1ms"), channel.new()
        ;("x"):gsub("x", function()
          got = channel.select{ never:case_receive(), once:case_receive() }.channel == once
          why = select(2, pcall(channel.select, { never:case_receive() }))
        end)
        return { got, why:sub(1, 33) }
    """)).value == [True, "cannot wait for a channel here: n"]  # fmt: skip


async def test_many_stopped_timers(run_lua: RunLua) -> None:
    ran = await run_lua(TIME + """
        for i = 1, COUNT do time.timer("1h"):stop() end
        local t = time.timer("1h")
        for i = 1, COUNT do t:reset("1h") end
        return t:stop()
    """.replace("COUNT", "100000" if FULL else "20000"))  # fmt: skip
    assert ran.value is True  # some microseconds each; in quadratic time it would be the time limit


@pytest.mark.parametrize("name", ["timer", "after", "ticker"])
async def test_too_many_timers(run_lua: RunLua, name: str) -> None:
    source = TIME + f"for i = 1, 10000 do assert(time.{name}('1h')) end local v, e = time.{name}('1h') "
    assert (await run_lua(source + "return { v == nil, e:kind(), e:message() }")).value == [
        True,
        "RATE_LIMITED",
        "too many timers run: stop some",
    ]


async def test_what_a_tool_overwrites_in_time_does_not_reach_its_timers(run_lua: RunLua) -> None:
    assert (await run_lua(TIME + """
        time.now, time.localtz = function() error("forged") end, "forged"
        local t = time.timer("1ms")
        local value = t:response():receive()
        t._channel, t._stop = nil, nil
        return { value:unix() > 0, (pcall(t.stop, t)) }
    """)).value == [True, False]  # fmt: skip


@pytest.mark.parametrize(
    "seconds", ["0", "-1", "0/0", "1e300", "{}", "print", "setmetatable({}, { __lt = print })", "math.huge"]
)
async def test_the_inner_functions_of_a_timer_survive_nonsense(run_lua: RunLua, seconds: str) -> None:
    source = f"local t = time.timer('1ms') local ok = pcall(t._reset, {seconds}) t:channel():receive() return ok"
    assert (await run_lua(TIME + source)).value is False


# -- the clock in Python


async def test_stopping_timers_rarely_sorts_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_again = []
    monkeypatch.setattr(heapq, "heapify", sorted_again.append)
    timers = Timers()
    for id in range(10_000):
        timers.start(id, 3600 + id)
    for id in range(10_000):
        timers.stop(id)
    assert 0 < len(sorted_again) < 20


async def test_timers_come_in_order_and_stopped_ones_take_no_room() -> None:
    timers = Timers()
    assert timers.until_next() == float("inf")
    for id in range(1000):
        timers.start(id, 3600 - id)
    for id in range(1000):
        if id % 100:
            timers.stop(id)
            timers.stop(id)
    assert 3500 > timers.until_next() > 2600
    taken: list[Value] = []
    while timers.until_next() < float("inf"):
        taken.append(timers.take())
    assert taken == [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]
    assert len(timers._due) == 0
