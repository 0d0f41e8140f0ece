"""The Lua module `time`: instants, durations, Go layouts, zones and sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from micro_agi_kernel import go_time
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import integer, invalid, text
from micro_agi_kernel.values import Value, shorten

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

NANOSECONDS = 1_000_000_000
MAX_LAYOUT = 1_000
MAX_DURATION = 200
MAX_ZONE_NAME = 100
"""Characters. Each is far more than anyone needs and keeps the work of one call small."""

_zones: dict[str, ZoneInfo] = {}


def preload() -> None:
    """Open every zone of the tzdata package, not of the machine: the same tool gives the same answer anywhere."""
    from importlib.resources import files
    from zoneinfo import ZoneInfo

    folder = files("tzdata.zoneinfo")
    for name in files("tzdata").joinpath("zones").read_text(encoding="utf-8").split():
        with folder.joinpath(name).open("rb") as data:
            _zones[name] = ZoneInfo.from_file(data, key=name)


def _now() -> Value:
    return list(divmod(time.time_ns(), NANOSECONDS))


def _zone(name: Value) -> Value:
    """`name`, if there is such a zone. A Lua Location is a zone's name or a fixed offset, see `_offset_at`."""
    name = text(name, "location name", MAX_ZONE_NAME)
    if name not in _zones:
        raise Refused(ErrorKind.NOT_FOUND, f"unknown time zone {shorten(name)}", retryable=False)
    return name


def _fixed_zone_name(name: Value) -> Value:
    return text(name, "zone name", MAX_ZONE_NAME)


def _offset_at(seconds: int, zone: str, fixed: Value) -> tuple[int, str]:
    """Seconds east of UTC and abbreviation at an instant; `fixed` is an offset, or False for a zone of the table."""
    if fixed is not False:
        return integer(fixed, "offset"), zone
    if zone not in _zones:
        raise invalid(f"unknown time zone {shorten(zone)}")
    from datetime import UTC, datetime, timedelta

    # A datetime reaches from year 1 to 9999. Beyond, the rules repeat every 400 years; before, the first one holds.
    first, last, cycle = -62_135_000_000, 253_402_000_000, go_time.DAYS_IN_400_YEARS * go_time.DAY
    seconds = max(first, seconds if seconds < last else last - cycle + (seconds - last) % cycle)
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(_zones[zone])
    offset = local.utcoffset() or timedelta(0)
    return int(offset.total_seconds()), local.tzname() or ""


def _wall(seconds: Value, nanosecond: Value, zone: Value, fixed: Value) -> go_time.WallTime:
    seconds = integer(seconds, "seconds")
    offset, name = _offset_at(seconds, text(zone, "zone", MAX_ZONE_NAME), fixed)
    return go_time.wall_time(seconds, integer(nanosecond, "nanosecond"), offset, name)


def _fields(seconds: Value, nanosecond: Value, zone: Value, fixed: Value) -> Value:
    wall = _wall(seconds, nanosecond, zone, fixed)
    return {
        "year": wall.year,
        "month": wall.month,
        "day": wall.day,
        "hour": wall.hour,
        "minute": wall.minute,
        "second": wall.second,
        "weekday": wall.weekday,
        "year_day": wall.year_day,
    }


def _format(seconds: Value, nanosecond: Value, zone: Value, fixed: Value, layout: Value) -> Value:
    layout = text(layout, "layout", MAX_LAYOUT)
    return go_time.format_time(_wall(seconds, nanosecond, zone, fixed), layout)


def _instant(nanoseconds: int) -> Value:
    """Nanoseconds since 1970 as `[seconds, nanosecond]`, if the seconds fit in 64 bits."""
    seconds, nanosecond = divmod(nanoseconds, NANOSECONDS)
    if not go_time.MIN_INT64 <= seconds <= go_time.MAX_INT64:
        raise invalid("time out of range")
    return [seconds, nanosecond]


def _date(fields: Value, zone: Value, fixed: Value) -> Value:
    """The instant of `[year, month, day, hour, minute, second, nanosecond]` on a clock in a zone.

    Parts outside their range carry over. A wall time that the clock skips or shows twice is read with the
    offset before or after the change, as Go chooses: the one in force where the guess falls.
    """
    if not isinstance(fields, list) or len(fields) != 7:
        raise invalid("seven numbers expected")
    year, month, day, hour, minute, second, nanosecond = (integer(field, "date") for field in fields)
    days = go_time.days_since_1970(year, month, day)
    carry, nanosecond = divmod(nanosecond, NANOSECONDS)
    local = days * go_time.DAY + hour * 3_600 + minute * 60 + second + carry
    zone = text(zone, "zone", MAX_ZONE_NAME)
    offset, _ = _offset_at(local, zone, fixed)
    if offset:
        offset, _ = _offset_at(local - offset, zone, fixed)
    return _instant((local - offset) * NANOSECONDS + nanosecond)


def _add(seconds: Value, nanosecond: Value, duration: Value) -> Value:
    total = integer(seconds, "seconds") * NANOSECONDS + integer(nanosecond, "nanosecond")
    return _instant(total + integer(duration, "duration"))


def _sub(seconds: Value, nanosecond: Value, other_seconds: Value, other_nanosecond: Value) -> Value:
    """Nanoseconds from the other instant to this one, at most what 64 bits hold."""
    difference = (integer(seconds, "seconds") - integer(other_seconds, "seconds")) * NANOSECONDS
    difference += integer(nanosecond, "nanosecond") - integer(other_nanosecond, "nanosecond")
    return min(max(difference, go_time.MIN_INT64), go_time.MAX_INT64)


def _multiple(seconds: Value, nanosecond: Value, duration: Value, nearest: Value) -> Value:
    """The instant cut to a multiple of `duration` since year 1, or moved to the nearest one (halves go up)."""
    total = integer(seconds, "seconds") * NANOSECONDS + integer(nanosecond, "nanosecond")
    step = integer(duration, "duration")
    if step > 0:
        rest = (total + go_time.DAYS_BEFORE_1970 * go_time.DAY * NANOSECONDS) % step
        total += step - rest if nearest and 2 * rest >= step else -rest
    return _instant(total)


def _parse_duration(value: Value) -> Value:
    try:
        return go_time.parse_duration(text(value, "duration", MAX_DURATION))
    except ValueError as error:
        raise invalid(f"time: {error}") from error


def _format_duration(nanoseconds: Value) -> Value:
    return go_time.format_duration(integer(nanoseconds, "duration"))


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "now": _now,
    "zone": _zone,
    "fixed_zone_name": _fixed_zone_name,
    "fields": _fields,
    "format": _format,
    "date": _date,
    "add": _add,
    "sub": _sub,
    "multiple": _multiple,
    "parse_duration": _parse_duration,
    "format_duration": _format_duration,
}

MODULE = LuaModule(functions=_FUNCTIONS)
