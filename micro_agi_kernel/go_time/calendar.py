"""The calendar on plain integers: any year, nanoseconds, no datetime."""

from __future__ import annotations

from dataclasses import dataclass

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

DAY = 86_400
"""Seconds."""
DAYS_BEFORE_1970 = 719_162
"""Days from 0001-01-01 to 1970-01-01."""
DAYS_IN_400_YEARS = 146_097

_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)


@dataclass(frozen=True, slots=True)
class WallTime:
    """An instant as a clock in one zone shows it."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nanosecond: int
    weekday: int
    """0 is Sunday."""
    year_day: int
    """1 is the first of January."""
    offset: int
    """Seconds east of UTC."""
    zone: str
    """The zone's abbreviation at that instant; may be empty."""


def wall_time(seconds: int, nanosecond: int, offset: int, zone: str) -> WallTime:
    """What a clock `offset` seconds east of UTC shows, `seconds` after 1970-01-01 UTC."""
    days, second_of_day = divmod(seconds + offset, DAY)
    cycle, day_of_cycle = divmod(days + DAYS_BEFORE_1970, DAYS_IN_400_YEARS)
    # Within 400 years: every fourth year is longer, every hundredth is not, the last one is.
    century = min(day_of_cycle // 36_524, 3)
    day_of_century = day_of_cycle - century * 36_524
    four, day_of_four = divmod(day_of_century, 1_461)
    single = min(day_of_four // 365, 3)
    year_day = day_of_four - single * 365 + 1
    year = cycle * 400 + century * 100 + four * 4 + single + 1
    month, day = month_and_day(year, year_day)
    return WallTime(
        year,
        month,
        day,
        second_of_day // 3_600,
        second_of_day // 60 % 60,
        second_of_day % 60,
        nanosecond,
        (days + 4) % 7,
        year_day,
        offset,
        zone,
    )


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_before_month(year: int, month: int) -> int:
    """Days of `year` before the first of `month`; month 13 gives those of the whole year."""
    return _DAYS_BEFORE_MONTH[month - 1] + (month > 2 and is_leap(year))


def days_in_month(year: int, month: int) -> int:
    return days_before_month(year, month + 1) - days_before_month(year, month)


def month_and_day(year: int, year_day: int) -> tuple[int, int]:
    """The date of a day of the year, 1 being the first of January."""
    month = 12
    while days_before_month(year, month) >= year_day:
        month -= 1
    return month, year_day - days_before_month(year, month)


def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01; a month or day outside its range counts on into the next or back."""
    carry, month0 = divmod(month - 1, 12)
    year += carry
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    return days + days_before_month(year, month0 + 1) + day - 1 - DAYS_BEFORE_1970


def iso_week(wall: WallTime) -> tuple[int, int]:
    """Year and week of ISO 8601: weeks begin on Monday and belong to the year in which their Thursday lies."""
    thursday = wall.year_day + 3 - (wall.weekday - 1) % 7
    year = wall.year
    if thursday < 1:
        year -= 1
        thursday += days_before_month(year, 13)
    elif thursday > days_before_month(year, 13):
        thursday -= days_before_month(year, 13)
        year += 1
    return year, (thursday - 1) // 7 + 1
