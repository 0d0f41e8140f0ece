"""The Lua module `time`: instants, durations, Go layouts, zones and sleep."""

from __future__ import annotations

from collections.abc import Callable

from micro_agi_kernel import go_time
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import integer, invalid, text
from micro_agi_kernel.values import Value, shorten

MAX_LAYOUT = 1_000
MAX_DURATION = 200
MAX_ZONE_NAME = 100
"""Characters. Each is far more than anyone needs and keeps the work of one call small."""


def preload() -> None:
    go_time.preload_zones()


# A Time of Lua crosses as seconds, nanosecond, and its zone's name and offset; the offset is False for a zone of the
# database. Back comes `[seconds, nanosecond]`: its zone is that of the Time it was made from.


def _zone(name: Value, offset: Value) -> go_time.Zone:
    name = text(name, "zone", MAX_ZONE_NAME)
    if offset is not False:
        return go_time.Zone(name, integer(offset, "offset"))
    try:
        return go_time.load_zone(name)
    except ValueError as error:
        raise invalid(str(error)) from error


def _time(seconds: Value, nanosecond: Value, zone: Value, offset: Value) -> go_time.Time:
    return go_time.Time(integer(seconds, "seconds"), integer(nanosecond, "nanosecond"), _zone(zone, offset))


def _crossing(time: go_time.Time) -> list[Value]:
    if not go_time.MIN_INT64 <= time.seconds <= go_time.MAX_INT64:
        raise invalid("time out of range")
    return [time.seconds, time.nanosecond]


def _now() -> Value:
    return _crossing(go_time.now())


def _unix(seconds: Value, nanoseconds: Value) -> Value:
    return _crossing(go_time.Time(integer(seconds, "seconds"), 0).add(integer(nanoseconds, "nanoseconds")))


def _date(fields: Value, zone: Value, offset: Value) -> Value:
    """The moment when a clock shows `[year, month, day, hour, minute, second, nanosecond]`."""
    if not isinstance(fields, list) or len(fields) != 7:
        raise invalid("seven numbers expected")
    year, month, day, hour, minute, second, nanosecond = (integer(field, "date") for field in fields)
    return _crossing(go_time.date(year, month, day, hour, minute, second, nanosecond, _zone(zone, offset)))


def _parse(layout: Value, value: Value, zone: Value, offset: Value) -> Value:
    """`[seconds, nanosecond]`, with name and offset of the zone behind it when it is not the one that was given."""
    place = _zone(zone, offset)
    try:
        time = go_time.parse_time(text(layout, "layout", MAX_LAYOUT), text(value, "value", MAX_LAYOUT), place)
    except ValueError as error:
        raise invalid(str(error)) from error
    return _crossing(time) if time.zone == place else [*_crossing(time), time.zone.name, time.zone.offset]


def _load_location(name: Value) -> Value:
    try:
        return go_time.load_zone(text(name, "location name", MAX_ZONE_NAME)).name
    except ValueError as error:
        raise Refused(ErrorKind.NOT_FOUND, shorten(str(error)), retryable=False) from error


def _fixed_zone_name(name: Value) -> Value:
    return text(name, "zone name", MAX_ZONE_NAME)


def _fields(seconds: Value, nanosecond: Value, zone: Value, offset: Value) -> Value:
    wall = _time(seconds, nanosecond, zone, offset).wall()
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


def _format(seconds: Value, nanosecond: Value, zone: Value, offset: Value, layout: Value) -> Value:
    return _time(seconds, nanosecond, zone, offset).format(text(layout, "layout", MAX_LAYOUT))


def _add(seconds: Value, nanosecond: Value, zone: Value, offset: Value, duration: Value) -> Value:
    return _crossing(_time(seconds, nanosecond, zone, offset).add(integer(duration, "duration")))


def _add_date(seconds: Value, nanosecond: Value, zone: Value, offset: Value, *numbers: Value) -> Value:
    years, months, days = (integer(number, "number") for number in numbers)
    return _crossing(_time(seconds, nanosecond, zone, offset).add_date(years, months, days))


def _sub(seconds: Value, nanosecond: Value, other_seconds: Value, other_nanosecond: Value) -> Value:
    """Nanoseconds from the other instant to this one."""
    return _time(seconds, nanosecond, "UTC", 0).sub(_time(other_seconds, other_nanosecond, "UTC", 0))


def _truncate(seconds: Value, nanosecond: Value, zone: Value, offset: Value, step: Value) -> Value:
    return _crossing(_time(seconds, nanosecond, zone, offset).truncate(integer(step, "duration")))


def _round(seconds: Value, nanosecond: Value, zone: Value, offset: Value, step: Value) -> Value:
    return _crossing(_time(seconds, nanosecond, zone, offset).round(integer(step, "duration")))


def _parse_duration(value: Value) -> Value:
    try:
        return go_time.parse_duration(text(value, "duration", MAX_DURATION))
    except ValueError as error:
        raise invalid(f"time: {error}") from error


def _format_duration(nanoseconds: Value) -> Value:
    return go_time.format_duration(integer(nanoseconds, "duration"))


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "now": _now,
    "unix": _unix,
    "date": _date,
    "parse": _parse,
    "load_location": _load_location,
    "fixed_zone_name": _fixed_zone_name,
    "fields": _fields,
    "format": _format,
    "add": _add,
    "add_date": _add_date,
    "sub": _sub,
    "truncate": _truncate,
    "round": _round,
    "parse_duration": _parse_duration,
    "format_duration": _format_duration,
}

MODULE = LuaModule(functions=_FUNCTIONS)
