"""The module `time` against Go: the tables of Go's own tests, and 1,500 texts that Go has written.

Only what the module offers is asked of it here; ISO weeks and steps of durations are asked of go_time itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conformance_kit import vectors
from lua_double import RunLua

pytestmark = pytest.mark.asyncio(loop_scope="module")


def go_time(*kinds: str) -> list[dict[str, Any]]:
    """The cases of Go's tables of these kinds."""
    return [case for case in vectors("go_time.jsonl") if case["kind"] in kinds]


def wrong(cases: list[dict[str, Any]], got: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    assert len(cases) == len(got)
    return ((case, answer) for case, answer in zip(cases, got, strict=True) if case["want"] != answer)


MONOTONIC = [
    {"kind": "sub", "t": "1885-01-01T00:00:00Z", "u": "1885-01-01T00:00:00Z", "want_ns": wanted}
    for wanted in (-(1 << 63), (1 << 63) - 1)
]
"""Left out: differences of monotonic clocks, which a time in Lua does not carry and these texts do not show."""

FORMAT = """
local time = require("time")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local place = case.offset and time.fixed_zone("", case.offset) or time.load_location(case.zone)
    found[i] = time.unix(case.unix, case.nsec):in_location(place):format(case.layout)
  end
  return found
end
return {handler = handler}
"""


async def test_layouts_give_what_go_gives(run_lua: RunLua) -> None:
    cases = vectors("go_time_format.jsonl.gz")
    for case in go_time("format"):
        unix, nsec = divmod(case["unixnano"], 10**9)
        cases.append({**case, "unix": unix, "nsec": nsec})
    assert len(cases) == 1_532
    ran = await run_lua(FORMAT, cases)
    assert list(wrong(cases, ran.value)) == []


DATE = """
local time = require("time")
local place = time.load_location("America/Los_Angeles")  -- what the origin calls Local
local function handler(cases)
  local found = {}
  for i, c in ipairs(cases) do
    local t = time.date(c.year, c.month, c.day, c.hour or 0, c.min or 0, c.sec or 0, c.nsec or 0, place)
    found[i] = c.kind == "year_day" and t:year_day() or t:format_rfc3339()
  end
  return found
end
return {handler = handler}
"""


async def test_dates_carry_over_as_go_does(run_lua: RunLua) -> None:
    cases = go_time("year_day", "date_normalise")
    assert len(cases) == 71
    ran = await run_lua(DATE, cases)
    assert list(wrong(cases, ran.value)) == []


ARITHMETIC = """
local time = require("time")
local function read(text)
  local sign, y, m, d, h, min, s, fraction = text:match("^(-?)(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)%.?(%d*)")
  local nanosecond = tonumber((fraction .. "000000000"):sub(1, 9))
  local offset_sign, oh, om = text:match("([-+])(%d%d):(%d%d)$")
  local offset = oh and (oh * 3600 + om * 60) * (offset_sign == "-" and -1 or 1) or 0
  local place = time.fixed_zone("", math.tointeger(offset))
  -- Los Angeles before 1883 was 07:52:58 behind, which RFC 3339 cannot write.
  if offset == -28320 then place = time.load_location("America/Los_Angeles") end
  return time.date(math.tointeger(sign .. y), tonumber(m), tonumber(d), tonumber(h), tonumber(min), tonumber(s),
    nanosecond, place)
end
local function handler(cases)
  local found = {}
  for i, c in ipairs(cases) do
    if c.kind == "sub" then
      found[i] = read(c.t):sub(read(c.u)):nanoseconds()
    elseif c.kind == "add_date" then
      found[i] = read(c.from):add_date(c.years, c.months, c.days):format_rfc3339()
    else
      local step = time.parse_duration(c.d)
      found[i] = read(c.t):truncate(step):format(time.RFC3339NANO) .. read(c.t):round(step):format(time.RFC3339NANO)
    end
  end
  return found
end
return {handler = handler}
"""


async def test_arithmetic_is_that_of_go(run_lua: RunLua) -> None:
    kinds = {"sub": "want_ns", "add_date": "want", "time_truncate_round": "truncate"}
    cases = [case for case in go_time(*kinds) if case not in MONOTONIC]
    assert len(cases) == 23
    for case in cases:
        case["want"] = case[kinds[case["kind"]]] + case.get("round", "" if case["kind"] == "add_date" else 0)
    ran = await run_lua(ARITHMETIC, cases)
    assert list(wrong(cases, ran.value)) == []


DURATION = """
local time = require("time")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local d, err = time.parse_duration(case.value or case.ns)
    if case.kind == "parse_duration" then found[i] = d:nanoseconds()
    elseif case.kind == "duration_string" then found[i] = tostring(d)
    else found[i] = err:kind() .. " " .. err:message() end
  end
  return found
end
return {handler = handler}
"""


async def test_durations_are_those_of_go(run_lua: RunLua) -> None:
    cases = go_time("parse_duration", "parse_duration_error", "duration_string")
    assert len(cases) == 75
    ran = await run_lua(DURATION, cases)
    assert isinstance(ran.value, list)
    for case, got in zip(cases, ran.value, strict=True):
        if case["kind"] != "parse_duration_error":
            assert got == case.get("want", case.get("want_ns")), case
        else:
            assert str(got).startswith("INVALID time: "), case
            # Where the vector's bytes were no UTF-8 they reach us as U+FFFD, so their escapes cannot come out.
            if "�" not in case["value"]:
                assert case["want_in_error"] in str(got), case


PARSE = """
local time = require("time")
local los_angeles = time.load_location("America/Los_Angeles")  -- what the origin calls Local
local function handler(cases)
  local found = {}
  for i, c in ipairs(cases) do
    -- It reads a text without a zone as UTC, where a location that is given would be taken.
    local has_zone = c.layout:find("MST") or c.layout:find("[-Z]07")
    local t, err = time.parse(c.layout, c.value, has_zone and los_angeles or nil)
    found[i] = t and {t:unix(), t:unix_nano(), t:format(time.RFC3339NANO)} or err:kind() .. " " .. err:message()
  end
  return found
end
return {handler = handler}
"""


async def test_texts_are_read_as_go_reads_them(run_lua: RunLua) -> None:
    cases = go_time("parse")
    assert len(cases) == 72
    for case in cases:
        case["want"] = [case["unix"], case["unixnano"], case["rfc3339nano"]]
    ran = await run_lua(PARSE, cases)
    assert list(wrong(cases, ran.value)) == []


async def test_texts_that_go_does_not_read(run_lua: RunLua) -> None:
    cases = go_time("parse_error")
    assert len(cases) == 36
    ran = await run_lua(PARSE, cases)
    assert isinstance(ran.value, list)
    for case, got in zip(cases, ran.value, strict=True):
        assert str(got).startswith("INVALID parsing time "), case
        assert case["want_in_error"] in str(got), case


async def test_days_that_a_month_lacks(run_lua: RunLua) -> None:
    # The table names a layout that its texts do not have: Go's test reads them by this one.
    cases = [{**case, "layout": "Mon Jan _2 15:04:05 2006"} for case in go_time("day_out_of_range")]
    assert len(cases) == 27
    ran = await run_lua(PARSE, cases)
    assert isinstance(ran.value, list)
    for case, got in zip(cases, ran.value, strict=True):
        assert isinstance(got, list) if case["ok"] else str(got).endswith(": day out of range"), case
