"""The methods of times, durations, time zones, months and weekdays: what they take, give and do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from micro_agi_kernel.expr.kinds import Bytes, Duration, Dynamic, Month, Weekday, raw, text_of, wrap
from micro_agi_kernel.expr.static_types import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    INT64,
    MONTH,
    STRING,
    TIME,
    WEEKDAY,
    ZONE,
    Static,
)
from micro_agi_kernel.go_time import (
    MAX_INT64,
    UTC,
    Time,
    Zone,
    format_duration,
    iso_week,
    round_duration,
    truncate_duration,
)

RFC3339_NANO = "2006-01-02T15:04:05.999999999Z07:00"


@dataclass(frozen=True, slots=True)
class MethodType:
    """A method: what it takes beside its owner, what it gives, and how."""

    parameters: tuple[Static, ...]
    result: Static | None
    """None: Go's method gives more values than an expression can take."""
    call: Callable[..., Dynamic]


def _m(result: Static | None, call: Callable[..., Dynamic], *parameters: Static) -> MethodType:
    return MethodType(parameters, result, call)


def format_layout(time: Time, layout: str | bytes) -> str | bytes:
    # Bytes that are no UTF-8 stand for themselves in a layout.
    text = raw(layout).decode("utf-8", "surrogateescape")
    return text_of(time.format(text).encode("utf-8", "surrogateescape"))


def _fractional(unit: int) -> Callable[[Duration], float]:
    """Go adds whole units and the rest, each in floating point."""

    def convert(duration: Duration) -> float:
        whole, rest = divmod(abs(duration.nanoseconds), unit)
        value = whole + rest / unit
        return -value if duration.nanoseconds < 0 else value

    return convert


def _whole(unit: int) -> Callable[[Duration], int]:
    """Cut towards zero."""

    def convert(duration: Duration) -> int:
        count = abs(duration.nanoseconds) // unit
        return -count if duration.nanoseconds < 0 else count

    return convert


def _several(*_: Dynamic) -> Dynamic:
    return None


def _json(time: Time) -> Bytes:
    return Bytes(f'"{time.format(RFC3339_NANO)}"'.encode())


_SECOND = 1_000_000_000

_TIME: Mapping[str, MethodType] = {
    "Add": _m(TIME, lambda t, d: t.add(d.nanoseconds), DURATION),
    "AddDate": _m(TIME, lambda t, years, months, days: t.add_date(years, months, days), INT, INT, INT),
    "After": _m(BOOL, lambda t, u: t.instant > u.instant, TIME),
    "Before": _m(BOOL, lambda t, u: t.instant < u.instant, TIME),
    "Clock": _m(None, _several),
    "Compare": _m(INT, lambda t, u: (t.instant > u.instant) - (t.instant < u.instant), TIME),
    "Date": _m(None, _several),
    "Day": _m(INT, lambda t: t.wall().day),
    "Equal": _m(BOOL, lambda t, u: t.instant == u.instant, TIME),
    "Format": _m(STRING, format_layout, STRING),
    "Hour": _m(INT, lambda t: t.wall().hour),
    "ISOWeek": _m(INT, lambda t: iso_week(t.wall())[0]),
    "In": _m(TIME, lambda t, zone: t.in_zone(zone), ZONE),
    "IsZero": _m(BOOL, lambda t: t.instant == -62_135_596_800 * _SECOND),
    "Local": _m(TIME, lambda t: t.in_zone(UTC)),
    "Location": _m(ZONE, lambda t: t.zone),
    "MarshalJSON": _m(BYTES, _json),
    "MarshalText": _m(BYTES, lambda t: Bytes(t.format(RFC3339_NANO).encode())),
    "Minute": _m(INT, lambda t: t.wall().minute),
    "Month": _m(MONTH, lambda t: Month(t.wall().month)),
    "Nanosecond": _m(INT, lambda t: t.nanosecond),
    "Round": _m(TIME, lambda t, d: t.round(d.nanoseconds), DURATION),
    "Second": _m(INT, lambda t: t.wall().second),
    "String": _m(STRING, str),
    "Sub": _m(DURATION, lambda t, u: Duration(t.sub(u)), TIME),
    "Truncate": _m(TIME, lambda t, d: t.truncate(d.nanoseconds), DURATION),
    "UTC": _m(TIME, lambda t: t.in_zone(UTC)),
    "Unix": _m(INT64, lambda t: wrap(t.seconds)),
    "UnixMicro": _m(INT64, lambda t: wrap(t.instant // 1_000)),
    "UnixMilli": _m(INT64, lambda t: wrap(t.instant // 1_000_000)),
    "UnixNano": _m(INT64, lambda t: wrap(t.instant)),
    "Weekday": _m(WEEKDAY, lambda t: Weekday(t.wall().weekday)),
    "Year": _m(INT, lambda t: t.wall().year),
    "YearDay": _m(INT, lambda t: t.wall().year_day),
    "Zone": _m(STRING, lambda t: t.wall().zone),
}

_DURATION: Mapping[str, MethodType] = {
    "Abs": _m(DURATION, lambda d: Duration(min(abs(d.nanoseconds), MAX_INT64))),
    "Hours": _m(FLOAT, _fractional(3_600 * _SECOND)),
    "Microseconds": _m(INT64, _whole(1_000)),
    "Milliseconds": _m(INT64, _whole(1_000_000)),
    "Minutes": _m(FLOAT, _fractional(60 * _SECOND)),
    "Nanoseconds": _m(INT64, lambda d: d.nanoseconds),
    "Round": _m(DURATION, lambda d, step: Duration(round_duration(d.nanoseconds, step.nanoseconds)), DURATION),
    "Seconds": _m(FLOAT, _fractional(_SECOND)),
    "String": _m(STRING, lambda d: format_duration(d.nanoseconds)),
    "Truncate": _m(DURATION, lambda d, step: Duration(truncate_duration(d.nanoseconds, step.nanoseconds)), DURATION),
}

METHODS: Mapping[str, Mapping[str, MethodType]] = {
    "time": _TIME,
    "duration": _DURATION,
    "timezone": {"String": _m(STRING, lambda zone: zone.name)},
    "month": {"String": _m(STRING, str)},
    "weekday": {"String": _m(STRING, str)},
}
"""By the type's static name."""

TYPES: Mapping[type, str] = {Time: "time", Duration: "duration", Zone: "timezone", Month: "month", Weekday: "weekday"}
"""Static names of the types that have methods."""

ARGUMENTS: Mapping[Static, tuple[type, ...]] = {
    STRING: (str, bytes),
    INT: (int,),
    TIME: (Time,),
    DURATION: (Duration,),
    ZONE: (Zone,),
}
"""What a parameter of a static type takes."""
