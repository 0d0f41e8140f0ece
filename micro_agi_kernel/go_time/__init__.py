"""Go's `time`: moments, zones, layouts, durations, as the Lua module `time` and the expression language have them.

All of it works on plain integers of any size, so it needs no bounds of its own but those on the length of a text.
"""

from __future__ import annotations

from micro_agi_kernel.go_time.calendar import MONTHS, WEEKDAYS, WallTime, iso_week
from micro_agi_kernel.go_time.durations import (
    MAX_INT64,
    MIN_INT64,
    UNITS,
    format_duration,
    parse_duration,
    round_duration,
    truncate_duration,
)
from micro_agi_kernel.go_time.parsing import parse_time
from micro_agi_kernel.go_time.times import NANOSECONDS, Time, at_instant, date, now
from micro_agi_kernel.go_time.zones import UTC, Zone, load_zone, preload_zones

__all__ = [
    "MAX_INT64",
    "MIN_INT64",
    "MONTHS",
    "NANOSECONDS",
    "UNITS",
    "UTC",
    "WEEKDAYS",
    "Time",
    "WallTime",
    "Zone",
    "at_instant",
    "date",
    "format_duration",
    "iso_week",
    "load_zone",
    "now",
    "parse_duration",
    "parse_time",
    "preload_zones",
    "round_duration",
    "truncate_duration",
]
