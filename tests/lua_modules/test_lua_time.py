"""`time.parse` and zones as a tool meets them: what it gets back, in which location, and what is refused."""

from __future__ import annotations

from importlib.resources import files

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("call", "want"),
    [
        ('"2006-01-02 15:04", "2024-12-29 14:30"', ["2024-12-29T14:30:00Z", "UTC"]),
        ('"2006-01-02 15:04", "2024-12-29 14:30", newyork', ["2024-12-29T14:30:00-05:00", "America/New_York"]),
        ('"2006-01-02 15:04", "2024-12-29 14:30", time.localtz', ["2024-12-29T14:30:00Z", "Local"]),
        ('"2006-01-02 15:04 MST", "2024-12-29 14:30 EST"', ["2024-12-29T14:30:00Z", "EST"]),
        ('"2006-01-02 15:04 MST", "2024-12-29 14:30 EST", newyork', ["2024-12-29T14:30:00-05:00", "America/New_York"]),
        ('time.RFC3339, "2024-12-29T15:04:05Z", newyork', ["2024-12-29T15:04:05Z", "UTC"]),
        ('time.RFC3339, "2024-12-29T15:04:05-05:00", newyork', ["2024-12-29T15:04:05-05:00", "America/New_York"]),
        ('time.RFC3339, "2024-12-29T15:04:05+05:30"', ["2024-12-29T15:04:05+05:30", ""]),
        ('time.RFC822, "29 Dec 24 15:04 GMT+3"', ["2024-12-29T18:04:00+03:00", "GMT+3"]),
        ('time.KITCHEN, "3:04PM", time.fixed_zone("X", 60)', ["0000-01-01T15:04:00+00:01", "X"]),
    ],
)
async def test_what_is_read_and_where(call: str, want: Value, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local time = require("time")
        local newyork = time.load_location("America/New_York")
        local t, err = time.parse({call})
        if err then return nil, err end
        return {{t:format_rfc3339(), t:location():string()}}
    """)
    assert ran.value == want


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "layout must be a string"),
        ('"2006"', "value must be a string"),
        ('"2006", "2024", "UTC"', "location must be a Location, such as time.utc"),
        ('"2006", "2024", false', "location must be a Location, such as time.utc"),
        ('2006, "2024"', "layout must be a string"),
        ('"2006", errors.new("2024")', "value must be a string"),
        ('"2006", "\\xff"', "value is not valid UTF-8"),
        ('("2"):rep(1001), "2024"', "layout is longer than 1000 characters"),
        ('"2006", ("2"):rep(1001)', "value is longer than 1000 characters"),
        ('"2006-01-02", "x"', 'parsing time "x" as "2006-01-02": cannot parse "x" as "2006"'),
        ('"2006-01-02", "2024-02-30"', 'parsing time "2024-02-30": day out of range'),
    ],
)
async def test_what_is_not_read(arguments: str, message: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local t, err = require("time").parse({arguments})
        return {{t == nil, err:kind(), err:message(), err:retryable()}}
    """)
    assert ran.value == [True, "INVALID", message, False]


async def test_a_written_time_is_read_as_what_it_was(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local wrong = {}
        local layouts = {
          time.RFC3339NANO, "Mon Jan _2 15:04:05.000000000 MST 2006", "2006 002 03:04:05.000000000pm -07:00:00",
        }
        for i = 1, 300 do
          local place = time.load_location(({"Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo"})[i % 3 + 1])
          local t = time.unix(math.random(0, 1 << 33), math.random(0, 999999999)):in_location(place)
          for _, layout in ipairs(layouts) do
            local text = t:format(layout)
            local again, err = time.parse(layout, text, place)
            -- In the hour that comes twice a year the abbreviation tells which one is meant.
            if err or not again:equal(t) or again:format(layout) ~= text then wrong[#wrong + 1] = text end
          end
        end
        return wrong
    """)
    assert ran.value == []


async def test_every_zone_is_there_in_the_jail(run_lua: RunLua) -> None:
    names: list[Value] = [*files("tzdata").joinpath("zones").read_text("utf-8").split()]
    source = """
        local time = require("time")
        local function handler(names)
          local t, wrong = time.unix(1e9), {}
          for i, name in ipairs(names) do
            local place, err = time.load_location(name)
            local read = place and time.parse(time.DATE_TIME, t:in_location(place):format(time.DATE_TIME), place)
            if not read or not read:equal(t) then wrong[#wrong + 1] = name end
          end
          return {#names, wrong}
        end
        return {handler = handler}
    """
    ran = await run_lua(source, names)
    assert ran.value == [len(names), []]
    assert len(names) > 500


async def test_reading_cannot_grow_into_a_bomb(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local bombs = {
          {("_2"):rep(500), (" 1"):rep(500)}, {(" "):rep(1000), (" "):rep(999)}, {"MST", "GMT+" .. ("0"):rep(990)},
          {(".9"):rep(500), "." .. ("9"):rep(900)}, {("MST"):rep(333), ("ABC"):rep(333)},
          {("é"):rep(1000), ("é"):rep(1000)},
        }
        for _ = 1, 20 do
          for _, bomb in ipairs(bombs) do
            local t, err = time.parse(bomb[1], bomb[2])
            if err and #err:message() > 3000 then return "a long error" end
          end
        end
        return "done"
    """)
    assert ran.value == "done"


async def test_times_at_the_end_of_64_bits(run_lua: RunLua) -> None:
    error = (await run_lua("return require('time').date(1 << 60, 1, 1)")).outcome.error
    assert error is not None
    assert (error.kind, error.message) == (ErrorKind.INVALID, "time out of range")
    ran = await run_lua("""
        local time = require("time")
        local zero = time.date(1, 1, 1, 0, 0, 0, 0, time.utc)
        local last, first = time.unix(math.maxinteger), time.unix(math.mininteger)
        return {zero:is_zero(), zero:add(1):is_zero(), last:year(), first:year(), last:sub(first):nanoseconds(),
          (pcall(last.add, last, "1s")), (pcall(first.add, first, -1)), last:equal(last:utc()), tostring(zero)}
    """)
    assert ran.value == [
        *(True, False, 292_277_026_596, -292_277_022_657, (1 << 63) - 1),
        *(False, False, True, "0001-01-01 00:00:00 +0000 UTC"),
    ]


async def test_the_constants(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time, found = require("time"), {}
        for name, value in pairs(time) do
          if type(value) == "string" and time.date(2024, 12, 29, 9, 1, 2, 6000):format(value) ~= value then
            found[name] = value
          end
        end
        return found
    """)
    assert ran.value == {
        "RFC3339": "2006-01-02T15:04:05Z07:00",
        "RFC3339NANO": "2006-01-02T15:04:05.999999999Z07:00",
        "RFC822": "02 Jan 06 15:04 MST",
        "RFC822Z": "02 Jan 06 15:04 -0700",
        "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
        "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
        "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
        "DATE_TIME": "2006-01-02 15:04:05",
        "DATE_ONLY": "2006-01-02",
        "TIME_ONLY": "15:04:05",
        "KITCHEN": "3:04PM",
        "STAMP": "Jan _2 15:04:05",
        "STAMP_MILLI": "Jan _2 15:04:05.000",
        "STAMP_MICRO": "Jan _2 15:04:05.000000",
        "STAMP_NANO": "Jan _2 15:04:05.000000000",
    }


async def test_a_time_and_a_duration_are_their_text_as_values(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        return {t = time.unix(0, 0):utc(), list = {time.parse_duration("90m"), {time.utc}, 5}}
    """)
    assert ran.value == {"t": "1970-01-01 00:00:00 +0000 UTC", "list": ["1h30m0s", ["UTC"], 5]}
