"""Moments: an instant, to the nanosecond, with the zone whose clocks show it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from micro_agi_kernel.go_time.calendar import (
    DAY,
    DAYS_BEFORE_1970,
    WallTime,
    days_since_1970,
    wall_time,
)
from micro_agi_kernel.go_time.durations import saturated
from micro_agi_kernel.go_time.layouts import format_time
from micro_agi_kernel.go_time.zones import UTC, Zone

NANOSECONDS = 1_000_000_000
"""In a second."""


@dataclass(frozen=True, slots=True)
class Time:
    """A moment. `==` compares the zones too; `instant` is what tells earlier from later."""

    seconds: int
    """Since 1970-01-01 UTC, of any size."""
    nanosecond: int
    """0 to 999,999,999."""
    zone: Zone = UTC

    @property
    def instant(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return self.seconds * NANOSECONDS + self.nanosecond

    def wall(self) -> WallTime:
        """Its date, clock time and weekday in its zone."""
        offset, abbreviation = self.zone.at(self.seconds)
        return wall_time(self.seconds, self.nanosecond, offset, abbreviation)

    def __str__(self) -> str:
        """As Go prints a time."""
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def format(self, layout: str) -> str:
        """The text that a Go layout asks for."""
        return format_time(self.wall(), layout)

    def in_zone(self, zone: Zone) -> Time:
        """The same instant, shown by other clocks."""
        return replace(self, zone=zone)

    def add(self, nanoseconds: int) -> Time:
        """The moment that much later."""
        return at_instant(self.instant + nanoseconds, self.zone)

    def add_date(self, years: int, months: int, days: int) -> Time:
        """The same clock time on a later date; a day that its month lacks counts on into the next."""
        wall = self.wall()
        year, month, day = wall.year + years, wall.month + months, wall.day + days
        return date(year, month, day, wall.hour, wall.minute, wall.second, wall.nanosecond, self.zone)

    def sub(self, other: Time) -> int:
        """Nanoseconds from `other` to this moment, at most what 64 bits hold."""
        return saturated(self.instant - other.instant)

    def truncate(self, step: int) -> Time:
        """The moment cut to a multiple of `step` nanoseconds since year 1; unchanged when `step` is 0 or less."""
        return self.add(-self._beyond(step)) if step > 0 else self

    def round(self, step: int) -> Time:
        """The nearest multiple of `step` nanoseconds since year 1, halves going up; see `truncate`."""
        if step <= 0:
            return self
        rest = self._beyond(step)
        return self.add(step - rest if 2 * rest >= step else -rest)

    def _beyond(self, step: int) -> int:
        return (self.instant + DAYS_BEFORE_1970 * DAY * NANOSECONDS) % step


def now(zone: Zone = UTC) -> Time:
    """The current moment."""
    import time

    return at_instant(time.time_ns(), zone)


def at_instant(nanoseconds: int, zone: Zone = UTC) -> Time:
    """The moment `nanoseconds` after 1970-01-01 UTC."""
    return Time(*divmod(nanoseconds, NANOSECONDS), zone)


def date(
    year: int,
    month: int,
    day: int,
    hour: int = 0,
    minute: int = 0,
    second: int = 0,
    nanosecond: int = 0,
    zone: Zone = UTC,
) -> Time:
    """The moment at which the clocks of a zone show this; parts outside their range carry over.

    A clock time that is skipped or comes twice is read with the offset before or after the change, as Go
    chooses: the one in force where the guess falls.
    """
    carry, nanosecond = divmod(nanosecond, NANOSECONDS)
    local = days_since_1970(year, month, day) * DAY + hour * 3_600 + minute * 60 + second + carry
    offset, _ = zone.at(local)
    if offset:
        offset, _ = zone.at(local - offset)
    return Time(local - offset, nanosecond, zone)
