"""What the Lua modules do beyond their pages: rules, payloads for the host, and every kind of wrong argument."""

from __future__ import annotations

import time

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind

pytestmark = pytest.mark.asyncio(loop_scope="module")

# -- time


async def test_now_is_now(run_lua: RunLua) -> None:
    before = int(time.time())
    ran = await run_lua('return require("time").now():unix()')
    assert before <= ran.value <= time.time()


async def test_times_reach_far_beyond_the_years_that_python_knows(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local berlin = time.load_location("Europe/Berlin")
        return {
          time.date(-44, 3, 15, 12, 0, 0, 0, time.utc):format("Mon 2006-01-02"),
          time.date(12024, 7, 1, 12, 0, 0, 0, berlin):format("2006-01-02 15:04 MST -0700"),
          time.date(12024, 1, 1, 12, 0, 0, 0, berlin):utc():format_rfc3339(),
          time.date(1, 1, 1, 0, 0, 0, 0, time.utc):is_zero(),
          time.unix(math.maxinteger, 0):year() > 292000000000,
        }
    """)
    assert ran.value == [
        "Thu -0044-03-15",
        "12024-07-01 12:00 CEST +0200",
        "12024-01-01T11:00:00Z",
        True,
        True,
    ]


async def test_an_hour_that_the_clock_skips_or_repeats(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local berlin = time.load_location("Europe/Berlin")
        local function at(month, day, hour, minute)
          return time.date(2024, month, day, hour, minute, 0, 0, berlin):format(time.RFC3339)
        end
        return {at(3, 31, 1, 59), at(3, 31, 2, 30), at(10, 27, 1, 59), at(10, 27, 2, 30), at(10, 27, 3, 0)}
    """)
    assert ran.value == [
        "2024-03-31T01:59:00+01:00",
        "2024-03-31T03:30:00+02:00",  # 02:30 does not exist
        "2024-10-27T01:59:00+02:00",
        "2024-10-27T02:30:00+01:00",  # 02:30 came twice
        "2024-10-27T03:00:00+01:00",
    ]


async def test_a_fraction_ends_where_its_digits_end(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local t = time.date(2024, 2, 29, 13, 4, 5, 120000000, time.utc)
        return {t:format("5.000"), t:format("5.999"), t:format("5,00"), t:format("5.001"), t:format("5.900")}
    """)
    assert ran.value == ["5.120", "5.12", "5,12", "5.002", "5.900"]


async def test_names_of_zones_are_looked_up_and_never_opened(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local kinds = {}
        for i, name in ipairs({"../../etc/passwd", "europe/berlin", ("x"):rep(200), "\\xff", ""}) do
          local place, err = time.load_location(name)
          kinds[i] = err:kind()
        end
        return kinds
    """)
    assert ran.value == ["NOT_FOUND", "NOT_FOUND", "INVALID", "INVALID", "INVALID"]


async def test_durations_of_all_three_forms_are_taken(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local t = time.unix(0, 0)
        return {
          t:add("1m"):unix(), t:add(2 * time.MINUTE):unix(), t:add(time.parse_duration("3m")):unix(),
          t:add(0.5 * time.SECOND):nanosecond(), t:add("-1ns"):format(time.RFC3339NANO),
          time.parse_duration("-1500us"):milliseconds(), time.unix(1.9, 0):unix(),
        }
    """)
    assert ran.value == [60, 120, 180, 500_000_000, "1969-12-31T23:59:59.999999999Z", -1, 1]


async def test_layouts_and_zone_names_cannot_grow_into_a_bomb(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local _, long_name = pcall(time.fixed_zone, ("Z"):rep(1000), 0)
        local _, long_layout = pcall(function() return time.now():format(("January"):rep(1000)) end)
        local _, long_duration = time.parse_duration(("1h"):rep(1000))
        return {long_name:kind(), long_layout:kind(), long_duration:kind()}
    """)
    assert ran.value == ["INVALID"] * 3


async def test_sleep_waits_in_a_coroutine_too(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local start = time.now()
        local co = coroutine.wrap(function() time.sleep("15ms"); coroutine.yield("slept") end)
        local said = co()
        return {said, time.now():sub(start):milliseconds() >= 15, time.sleep(-1) == nil}
    """)
    assert ran.value == ["slept", True, True]


# -- host modules


async def test_security_and_funcs_send_objects_for_empty_tables(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local security, funcs = require("security"), require("funcs")
        local actor = security.new_actor("service:agent")
        local scope = security.named_scope("app:agent_security")
        local answers = {scope:evaluate(actor, "registry.create", "app:x"), funcs.call("app.generated:echo")}
        funcs.call("app.generated:echo", {})
        return {answers[1], actor:id()}
    """)
    assert ran.value == ["deny", "service:agent"]
    assert ran.asked == [
        ("security.named_scope", {"id": "app:agent_security"}),
        (
            "security.evaluate",
            {
                "scope": "app:agent_security",
                "actor": {"id": "service:agent", "meta": {}},
                "action": "registry.create",
                "resource": "app:x",
                "meta": {},
            },
        ),
        ("funcs.call", {"id": "app.generated:echo"}),
        ("funcs.call", {"id": "app.generated:echo", "input": {}}),
    ]


async def test_an_error_of_the_host_keeps_its_kind_and_words(run_lua: RunLua) -> None:
    ran = await run_lua('return require("registry").get("app:nothing")')
    assert ran.outcome.error is not None
    assert (ran.outcome.error.kind, ran.outcome.error.message) == (ErrorKind.NOT_FOUND, "not found: app:nothing")


@pytest.mark.parametrize("object", ["time.now()", "time.utc", "time.parse_duration('1s')", "time.ticker('1s')"])
async def test_the_class_of_an_object_is_out_of_reach(run_lua: RunLua, object: str) -> None:
    source = f"""
        local time = require("time")
        local object = {object}
        local replaced = pcall(setmetatable, object, {{}})
        return {{ getmetatable(object), replaced, object.__index == nil, object.__metatable == nil }}
    """
    assert (await run_lua(source)).value == ["object", False, True, True]
