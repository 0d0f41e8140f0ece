"""`channel`: what each operation gives, in which order, and what a hostile or clumsy tool cannot do with it."""

from __future__ import annotations

import pytest
from sandbox_kit import Runner

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

SPAWN = "local spawn, log = coroutine.spawn, {} local function note(...) log[#log + 1] = ... end "


# -- one coroutine alone


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return { c:send(1), c:send(2), (c:receive()), (c:receive()) }", [True, True, 1, 2]),
        ("c:send(nil) c:send(false) return { tostring(c:receive()), tostring(c:receive()) }", ["nil", "false"]),
        ("c:send(nil) return select(2, c:receive())", True),
        ("c:send('last') c:close() local a, b = c:receive() local x, y = c:receive() return { a, b, x == nil, y }",
         ["last", True, True, False]),
        ("c:close() c:close() return select('#', c:close())", 0),
        ("local t = {} c:send(t) return (c:receive()) == t", True),
        ("c:send(c) return (c:receive()) == c", True),
        ("return { type(c), getmetatable(c), tostring(c), c == c, c ~= channel.new(2), #c, next(c) == nil }",
         ["table", "channel", "channel: 1", True, True, 0, True]),
        ("return select('#', channel.new(3.0):close())", 0),
        ("channel.new(math.maxinteger):send(1) return 'sent'", "sent"),
    ],
)  # fmt: skip
async def test_a_buffer(lua: Runner, body: str, value: Value) -> None:
    assert await lua.value("local c = channel.new(2) " + body) == value


@pytest.mark.parametrize(
    ("cases", "result"),
    [
        ("full:case_receive()", ["full", "item", True]),
        ("empty:case_receive(), full:case_receive()", ["full", "item", True]),
        ("full:case_send(1), empty:case_send('in')", ["empty", "in", True]),
        ("shut:case_receive()", ["shut", None, False]),
        ("empty:case_receive(), shut:case_receive(), full:case_receive()", ["shut", None, False]),
        ("full:case_receive(), shut:case_send(1)", ["full", "item", True]),  # the first that can go on
        ("empty:case_receive(), default = true", "default"),
        ("default = true", "default"),
        ("full:case_receive(), default = true", ["full", "item", True]),
        ("empty:case_send(nil)", ["empty", None, True]),
    ],
)
async def test_select_takes_the_first_case_that_can_go_on(lua: Runner, cases: str, result: Value) -> None:
    source = """
        local empty, full, shut = channel.new(1), channel.new(1), channel.new()
        local names = { [empty] = "empty", [full] = "full", [shut] = "shut" }
        full:send("item") shut:close()
        local r = channel.select{ CASES }
        if r.default then return r.ok and r.channel == nil and "default" end
        return { name = names[r.channel], value = r.value, ok = r.ok }
    """
    expected: Value = result
    if isinstance(result, list):
        expected = dict(zip(("name", "value", "ok"), result, strict=True))
        if result[1] is None:
            del expected["value"]
    assert await lua.value(source.replace("CASES", cases)) == expected


async def test_the_default_may_be_the_second_argument(lua: Runner) -> None:
    assert await lua.value("return channel.select({ channel.new():case_receive() }, true).default") is True
    assert await lua.value("return channel.select({ channel.new(1):case_send(1), default = false }).ok") is True


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("c:close() c:send(1)", "tool:1: send on closed channel"),
        ("c:close() channel.select{ c:case_send(1), default = true }", "tool:1: send on closed channel"),
        ("c.send(1)", "tool:1: not a channel: call it as ch:send(value)"),
        ("c.receive({})", "tool:1: not a channel: call it as ch:receive()"),
        ("c.close(setmetatable({}, { __index = c, __metatable = 'channel' }))", "not a channel: call it as ch:close()"),
        ("c.case_send('x')", "tool:1: not a channel: call it as ch:case_send(value)"),
        ("c.case_receive(c:case_receive())", "tool:1: not a channel: call it as ch:case_receive()"),
        ("c:case_receive():receive()", "attempt to call a nil value (method 'receive')"),
        ("channel.new(-1)", "tool:1: channel.new takes the size of the buffer: an integer, 0 or more"),
        ("channel.new(1.5)", "tool:1: channel.new takes the size"),
        ("channel.new('1')", "tool:1: channel.new takes the size"),
        ("channel.select()", "tool:1: channel.select takes a list of cases"),
        ("channel.select{}", "tool:1: channel.select without a case would wait forever"),
        ("channel.select{ c }", "tool:1: case 1 of channel.select is not a case: make it with ch:case_receive()"),
        ("channel.select{ c:case_receive(), {} }", "tool:1: case 2 of channel.select is not a case"),
        ("channel.select{ x = c:case_receive() }", "tool:1: channel.select takes a list of cases and the field"),
        ("channel.select{ c:case_receive(), x = 1, default = true }", "tool:1: channel.select takes a list"),
        ("c.x = 1", "tool:1: a channel cannot be changed"),
        ("setmetatable(c, {})", "cannot replace a metatable"),
        ("return c", "the result: a channel is no value"),
        ("return { a = { c } }", "the result.a[1]: a channel is no value"),
        ("return { c:case_receive() }", "the result[1]: a channel case is no value"),
        ("error(c)", "a table was raised as an error"),
    ],
)  # fmt: skip
async def test_what_is_an_error(lua: Runner, body: str, message: str) -> None:
    assert message in (await lua.error("local c = channel.new(1) " + body)).message


# -- several


async def test_without_a_buffer_the_two_meet(lua: Runner) -> None:
    source = (
        SPAWN
        + """
        local c = channel.new()
        spawn(function() for i = 1, 3 do note("send " .. i) c:send(i) note("sent " .. i) end c:close() end)
        while true do
          local value, ok = c:receive()
          if not ok then return log end
          note("got " .. value)
        end
    """
    )
    log = await lua.value(source)
    assert isinstance(log, list)
    assert [line for line in log if line.startswith("got")] == ["got 1", "got 2", "got 3"]
    assert log.index("sent 1") < log.index("send 2") < log.index("sent 2") < log.index("sent 3")


async def test_those_who_wait_are_served_in_order(lua: Runner) -> None:
    assert await lua.value(
        SPAWN
        + """
        local c, done = channel.new(), channel.new(8)
        for i = 1, 4 do spawn(function() note(i .. ":" .. c:receive()) done:send(true) end) end
        for i = 1, 4 do c:send(i * 10) end
        for _ = 1, 4 do done:receive() end
        for i = 5, 8 do spawn(function() c:send(i) end) end
        for _ = 5, 8 do note(tostring((c:receive()))) end
        return log
    """
    ) == ["1:10", "2:20", "3:30", "4:40", "5", "6", "7", "8"]


async def test_a_waiting_sender_fills_the_place_that_becomes_free(lua: Runner) -> None:
    assert await lua.value(
        SPAWN
        + """
        local c = channel.new(1)
        c:send(1)
        for i = 2, 4 do spawn(function() c:send(i) end) end
        coroutine.spawn(function() end)
        for _ = 1, 4 do note((c:receive())) end
        return log
    """
    ) == [1, 2, 3, 4]


async def test_close_wakes_all_who_wait(lua: Runner) -> None:
    assert await lua.value(
        SPAWN
        + """
        local c, full, done = channel.new(), channel.new(), channel.new()
        spawn(function() local v, ok = c:receive() note(v == nil and ok == false) done:send(1) end)
        spawn(function() local r = channel.select{ c:case_receive() } note(r.ok == false) done:send(1) end)
        spawn(function() local ok, why = pcall(full.send, full, 1) note(why) done:send(1) end)
        spawn(function()
          note(select(2, pcall(channel.select, { full:case_send(1), channel.new():case_receive() }))) done:send(1)
        end)
        spawn(function() c:close() full:close() end)
        for _ = 1, 4 do done:receive() end
        return log
    """
    ) == [True, True, "send on closed channel", "send on closed channel"]


async def test_a_select_that_waited_leaves_nothing_behind(lua: Runner) -> None:
    """Its other cases are withdrawn: a later send on them finds nobody; a million rounds stay within memory."""
    assert await lua.value(SPAWN + """
        local work, never, more = channel.new(), channel.new(), channel.new()
        spawn(function() never:receive() end)
        spawn(function()
          for i = 1, 100000 do work:send(i) end
          work:close()
        end)
        local sum = 0
        while true do
          local r = channel.select{ never:case_receive(), more:case_send("lost"), work:case_receive() }
          if not r.ok then break end
          sum = sum + r.value
        end
        return { sum, channel.select({ more:case_receive() }, true).default }
    """, memory=8 << 20) == [5000050000, True]  # fmt: skip


async def test_two_selects_meet(lua: Runner) -> None:
    assert await lua.value(
        SPAWN
        + """
        local a, b, done = channel.new(), channel.new(), channel.new()
        local function both(name)
          local r = channel.select{ a:case_send(name), a:case_receive(), b:case_receive() }
          note(name .. (r.value == name and " sent" or " got " .. r.value))
          done:send(1)
        end
        spawn(both, "x") spawn(both, "y")
        done:receive() done:receive()
        table.sort(log)
        return log
    """
    ) == ["x got y", "y sent"]


async def test_one_select_does_not_meet_itself(lua: Runner) -> None:
    error = await lua.error("local c = channel.new() channel.select{ c:case_send(1), c:case_receive() }")
    assert "deadlock" in error.message


async def test_many_cases(lua: Runner) -> None:
    assert (
        await lua.value("""
        local cases = {}
        for i = 1, 20000 do cases[i] = channel.new():case_receive() end
        local last = channel.new()
        cases[#cases + 1] = last:case_receive()
        coroutine.spawn(function() last:send("last") end)
        return channel.select(cases).value
    """)
        == "last"
    )
    error = await lua.error("local c, cases = channel.new(), {} for i = 1, 1e6 do cases[i] = c:case_receive() end "
                            "channel.select(cases)")  # fmt: skip
    assert error.kind is ErrorKind.MEMORY_LIMIT


WAITS = [
    "BODY",
    "return coroutine.wrap(function() BODY end)()",
    "return coroutine.wrap(function() return coroutine.wrap(function() BODY end)() end)()",
    "return select(2, pcall(function() BODY end))",
    "return select(2, xpcall(function() BODY end, print))",
    "return select(2, coroutine.resume(coroutine.create(function() BODY end)))",
    "return setmetatable({}, { __index = function() BODY end }).x",
    "return setmetatable({}, { __add = function() BODY end }) + 1",
    "for value in function(_, last) if not last then BODY end end do return value end",
]


@pytest.mark.parametrize("place", WAITS)
@pytest.mark.parametrize(
    "body",
    ["return (c:receive())", "return channel.select{ c:case_receive() }.value", "d:send(1) return (c:receive())"],
)
async def test_a_channel_can_be_waited_for_from_everywhere(lua: Runner, place: str, body: str) -> None:
    source = "local c, d = channel.new(), channel.new() "
    source += "coroutine.spawn(function() channel.select({ d:case_receive() }, true) c:send('here') end) "
    source += "coroutine.spawn(function() d:receive() end) "
    assert await lua.value(source + place.replace("BODY", body)) == "here"


CALLBACKS = [
    "('x'):gsub('x', function() BODY end)",
    "table.sort({ 1, 2 }, function() BODY end)",
    "('x'):gsub('x', coroutine.wrap(function() BODY end))",
    "xpcall(error, function() BODY end)",
]


@pytest.mark.parametrize("place", CALLBACKS)
async def test_where_lua_cannot_switch_a_wait_is_an_error_unless_it_is_none(lua: Runner, place: str) -> None:
    start = "local got, why local c = channel.new(1) coroutine.spawn(function() c:send('later') end); "
    ready = "c:send('now'); " + place.replace("BODY", "got = c:receive()") + " return got"
    assert await lua.value(start + ready) == "now"
    never = place.replace("BODY", "local ok, e = pcall(c.receive, c) why = why or e")
    assert await lua.value(start + never + " return why") == (
        "cannot wait for a channel here: no other coroutine can run inside this callback (table.sort, string.gsub ...)"
    )
    select = place.replace("BODY", "local ok, e = pcall(channel.select, { c:case_receive() }) why = why or e")
    # What gave up has left the queue: what the spawned one sends goes to the handler.
    assert await lua.value(start + select + " return { ('' .. why):sub(1, 11), (c:receive()) }") == [
        "cannot wait",
        "later",
    ]


# -- attacks


async def test_methods_that_a_tool_overwrites_are_its_own(lua: Runner) -> None:
    assert (
        await lua.value("""
        channel.new, channel.select, coroutine.spawn = nil, nil, nil
        local time = require("service")
        time.sleep(0.001)
        return channel.new == nil and string.format("%s", "fine")
    """)
        == "fine"
    )
    assert await lua.value("""
        local c = channel.new(1)
        rawset(c, "send", function() return "mine" end)
        local other = channel.new(1)
        return { c:send(1), other:send(1), (other:receive()) }
    """) == ["mine", True, 1]


async def test_no_metamethod_of_a_value_runs_while_it_travels(lua: Runner) -> None:
    assert await lua.value("""
        local ran = 0
        local function touch() ran = ran + 1 return true end
        local trap = setmetatable({}, { __eq = touch, __index = touch, __len = touch, __lt = touch, __call = touch,
          __newindex = touch, __pairs = touch, __close = touch, __concat = touch, __mode = "k" })
        local c = channel.new(1)
        c:send(trap)
        local a = c:receive()
        coroutine.spawn(function() c:send(trap) c:send(trap) c:send(trap) end)
        local b, d = (c:receive()), channel.select{ c:case_receive() }.value
        pcall(channel.select, trap) pcall(channel.select, { trap }) pcall(channel.new, trap) pcall(c.send, trap, 1)
        return { ran, rawequal(a, trap), rawequal(b, trap), rawequal(d, trap) }
    """) == [0, True, True, True]


async def test_a_list_of_cases_that_changes_while_it_waits(lua: Runner) -> None:
    assert (
        await lua.value("""
        local a, b = channel.new(), channel.new()
        local cases = { a:case_receive(), b:case_receive() }
        coroutine.spawn(function() cases[1], cases[2] = nil, "x" b:send(7) end)
        return channel.select(cases).value
    """)
        == 7
    )


async def test_memory_that_ends_amid_channels_is_the_memory_limit(lua: Runner) -> None:
    for hoard in (
        "local c = channel.new(1e9) while true do c:send(('x'):rep(1000)) end",
        "local all = {} while true do all[#all + 1] = channel.new() end",
        "local all = {} while true do all[#all + 1] = channel.new(1):case_send(1) end",
    ):
        error = await lua.error(hoard, memory=16 << 20, seconds=10)
        assert error.kind is ErrorKind.MEMORY_LIMIT, error


async def test_programs_that_keep_going_without_memory_do_not_break_the_scheduler(lua: Runner) -> None:
    """A tool that catches "not enough memory" in the middle of operations ends by its own limit or value."""
    outcome = await lua("""
        local c, hoard = channel.new(), {}
        for i = 1, 50 do coroutine.spawn(function() while true do pcall(c.receive, c) end end) end
        local function fill() while true do hoard[#hoard + 1] = ("x"):rep(100) .. #hoard end end
        pcall(fill)
        for i = 1, 200 do
          pcall(function() local t = {} c:send(i) t[1] = ("y"):rep(i * 10) end)
          pcall(function() channel.select({ c:case_send(i), c:case_receive() }, true) end)
          pcall(fill)
        end
        hoard = nil
        return "still here"
    """, memory=4 << 20, seconds=5)  # fmt: skip
    assert outcome.value == "still here" or outcome.error is not None
    if outcome.error is not None:
        assert outcome.error.kind in (ErrorKind.MEMORY_LIMIT, ErrorKind.UNKNOWN, ErrorKind.INTERNAL), outcome.error
