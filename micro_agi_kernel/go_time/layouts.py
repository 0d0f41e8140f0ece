"""Go's layouts: how a moment is written, shown by writing the reference moment `Mon Jan 2 15:04:05 MST 2006`."""

from __future__ import annotations

import re

from micro_agi_kernel.go_time.calendar import MONTHS, WEEKDAYS, WallTime

# A number within a longer run of digits still counts ("20060102"), so the order is all that decides:
# longer forms first. "Jan" and "Mon" are words of their own unless a small letter follows ("Janet"),
# "_2006" is an underscore and a year, and a fraction must end where its zeros or nines end.
ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|__2|_2(?!006)|2|3|4|5|PM|pm"
    r"|(?:[-Z])(?:070000|07:00:00|0700|07:00|07)|[.,](?:0+|9+)(?![0-9])"
)
"""The parts of a layout that stand for something; what lies between them stands for itself."""


def format_time(time: WallTime, layout: str) -> str:
    """`time` in a Go layout."""
    return ELEMENT.sub(lambda match: _element(time, match[0]), layout)


def _element(time: WallTime, element: str) -> str:
    match element:
        case "2006":
            return f"-{-time.year:04d}" if time.year < 0 else f"{time.year:04d}"
        case "06":
            return f"{abs(time.year) % 100:02d}"
        case "January":
            return MONTHS[time.month - 1]
        case "Jan":
            return MONTHS[time.month - 1][:3]
        case "Monday":
            return WEEKDAYS[time.weekday]
        case "Mon":
            return WEEKDAYS[time.weekday][:3]
        case "MST":
            return time.zone or _offset(time.offset, "-0700")
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
