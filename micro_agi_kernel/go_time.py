"""Go's time layouts, durations and calendar, on plain integers: any year, nanoseconds, no datetime.

The behaviour is that of Go's `time` package, since the reference's Lua module is a thin layer over it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MIN_INT64, MAX_INT64 = -(1 << 63), (1 << 63) - 1

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
DAYS_BEFORE_1970 = 719_162
"""Days from 0001-01-01 to 1970-01-01."""
DAYS_IN_400_YEARS = 146_097


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
    year_day = day_of_four - single * 365
    year = cycle * 400 + century * 100 + four * 4 + single + 1
    month, start = 12, days_before_month(year, 12)
    while start > year_day:
        month -= 1
        start = days_before_month(year, month)
    return WallTime(
        year,
        month,
        year_day - start + 1,
        second_of_day // 3_600,
        second_of_day // 60 % 60,
        second_of_day % 60,
        nanosecond,
        (days + 4) % 7,
        year_day + 1,
        offset,
        zone,
    )


def days_before_month(year: int, month: int) -> int:
    """Days of `year` before the first of `month`."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1] + (leap and month > 2)


def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01; a month or day outside its range counts on into the next or back."""
    carry, month0 = divmod(month - 1, 12)
    year += carry
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    return days + days_before_month(year, month0 + 1) + day - 1 - DAYS_BEFORE_1970


# A number within a longer run of digits still counts ("20060102"), so the order is all that decides:
# longer forms first. "Jan" and "Mon" are words of their own unless a small letter follows ("Janet"),
# "_2006" is an underscore and a year, and a fraction must end where its zeros or nines end.
_ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|__2|_2(?!006)|2|3|4|5|PM|pm"
    r"|(?:[-Z])(?:070000|07:00:00|0700|07:00|07)|[.,](?:0+|9+)(?![0-9])"
)


def format_time(time: WallTime, layout: str) -> str:
    """`time` in a Go layout: the reference moment `Mon Jan 2 15:04:05 MST 2006` shows where each part goes."""
    return _ELEMENT.sub(lambda match: _element(time, match[0]), layout)


def _element(time: WallTime, element: str) -> str:
    match element:
        case "2006":
            return f"-{-time.year:04d}" if time.year < 0 else f"{time.year:04d}"
        case "06":
            return f"{max(time.year, 0) % 100:02d}"
        case "January":
            return MONTHS[time.month - 1]
        case "Jan":
            return MONTHS[time.month - 1][:3]
        case "Monday":
            return WEEKDAYS[time.weekday]
        case "Mon":
            return WEEKDAYS[time.weekday][:3]
        case "MST":
            return time.zone or _offset(time.offset, "-07" if time.offset % 3_600 == 0 else "-0700")
        case "PM":
            return "PM" if time.hour >= 12 else "AM"
        case "pm":
            return "pm" if time.hour >= 12 else "am"
        case "1" | "01":
            return _number(time.month, element)
        case "2" | "02" | "_2":
            return _number(time.day, element)
        case "002" | "__2":
            return _number(time.year_day, element)
        case "15":
            return f"{time.hour:02d}"
        case "3" | "03":
            return _number((time.hour - 1) % 12 + 1, element)
        case "4" | "04":
            return _number(time.minute, element)
        case "5" | "05":
            return _number(time.second, element)
        case _ if element[0] in "-Z":
            return _offset(time.offset, element)
        case _:
            return _fraction(time.nanosecond, element)


def _number(value: int, element: str) -> str:
    """`value`, as wide as the layout's element and filled with what that begins with."""
    return str(value).rjust(len(element), "0" if element[0] == "0" else " ")


def _offset(offset: int, element: str) -> str:
    """An offset from UTC as "-0700", "-07:00:00", "Z07:00" ... ask for; Z stands for an offset of zero."""
    if element[0] == "Z" and offset == 0:
        return "Z"
    sign, rest = ("-", -offset) if offset < 0 else ("+", offset)
    parts = [f"{rest // 3_600:02d}", f"{rest // 60 % 60:02d}", f"{rest % 60:02d}"]
    separator = ":" if ":" in element else ""
    return sign + separator.join(parts[: (len(element.replace(":", "")) - 1) // 2])


def _fraction(nanosecond: int, element: str) -> str:
    digits = f"{nanosecond:09d}"[: len(element) - 1]
    if element[1] == "9":
        digits = digits.rstrip("0")
    return element[0] + digits if digits else ""


UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5
    "μs": 1_000,  # U+03BC
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


def parse_duration(text: str) -> int:
    """Nanoseconds in a Go duration such as "1h30m", "-1.5s" or "0".

    Raises ValueError with Go's kind of line: no number, no unit, an unknown unit, or beyond 64 bits.
    """
    quoted = f'duration "{_quote(text)}"'
    sign = text[:1] if text[:1] in ("-", "+") else ""
    position = len(sign)
    if text[position:] == "0":
        return 0
    total = 0
    while position < len(text) or position == len(sign):
        match = _TERM.match(text, position)
        if match is None:
            raise ValueError(f"invalid {quoted}")
        whole, fraction, unit = match.groups()
        if not unit:
            raise ValueError(f"missing unit in {quoted}")
        if unit not in UNITS:
            raise ValueError(f'unknown unit "{_quote(unit)}" in {quoted}')
        total += int(whole or "0") * UNITS[unit]
        if fraction:
            # Go counts a fraction in floating point and drops digits that 63 bits cannot hold: so do we.
            kept = _digits_that_fit(fraction)
            total += int(int(kept) * (UNITS[unit] / 10 ** len(kept)))
        if total > 1 << 63:
            raise ValueError(f"invalid {quoted}")
        position = match.end()
    if sign == "-":
        return -total
    if total > MAX_INT64:
        raise ValueError(f"invalid {quoted}")
    return total


def _digits_that_fit(digits: str) -> str:
    kept = digits[:19]
    return kept if int(kept) <= MAX_INT64 else kept[:18]


def _quote(text: str) -> str:
    """`text` for an error line: quotes and backslashes escaped, every byte beyond printable ASCII as \\xNN."""
    shown = (f"\\x{octet:02x}" if not 32 <= octet < 127 else chr(octet) for octet in text.encode()[:64])
    return "".join("\\" + char if char in '"\\' else char for char in shown)


def format_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: "1h30m0s", "2.5ms", "0s"."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest == 0:
        return "0s"
    for unit in ("ns", "µs", "ms"):
        if rest < UNITS[unit] * 1_000:
            return sign + _decimal(rest, UNITS[unit]) + unit
    minutes, seconds = divmod(rest, UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    shown = _decimal(seconds, UNITS["s"]) + "s"
    if hours:
        return f"{sign}{hours}h{minutes}m{shown}"
    return f"{sign}{minutes}m{shown}" if minutes else sign + shown


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    fraction = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)
