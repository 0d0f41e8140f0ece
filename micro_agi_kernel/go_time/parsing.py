"""Reading a moment from a text by a Go layout: the way back from layouts.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from micro_agi_kernel.go_time.calendar import MONTHS, WEEKDAYS, days_before_month, days_in_month, month_and_day
from micro_agi_kernel.go_time.layouts import ELEMENT
from micro_agi_kernel.go_time.quoting import quote
from micro_agi_kernel.go_time.times import NANOSECONDS, Time, date
from micro_agi_kernel.go_time.zones import UTC, Zone


def parse_time(layout: str, text: str, zone: Zone = UTC) -> Time:
    """The moment that `text` names when read by `layout`.

    Without a zone in the text it is a clock time of `zone`, which also decides what an abbreviation such as "EST"
    means and is the zone of the result where its offset is that of the text. An abbreviation that `zone` does not
    know gives a fixed zone of that name without an offset. Spaces in the layout stand for any number of them, month
    and weekday names are read in any case, seconds may have a fraction that the layout does not ask for.

    Raises ValueError with the line that Go gives.
    """
    found = _Found()
    rest = text
    try:
        for prefix, element, has_fraction in _parts(layout):
            rest = _skip(rest, prefix)
            if element:
                rest = found.read(element, rest, has_fraction)
        if rest:
            raise _Impossible(f"extra text: {quote(rest)}")
        return found.time(zone)
    except _Unexpected as error:
        where = f"{quote(text)} as {quote(layout)}"
        raise ValueError(f"parsing time {where}: cannot parse {quote(error.at)} as {quote(error.wanted)}") from None
    except _Impossible as error:
        raise ValueError(f"parsing time {quote(text)}: {error}") from None


class _Unexpected(Exception):
    """The text goes on with `at`, where the layout has `wanted`."""

    def __init__(self, at: str, wanted: str) -> None:
        self.at, self.wanted = at, wanted


class _Impossible(Exception):
    """A part that no date or clock time has, or more than the layout asks for."""


def _parts(layout: str) -> Iterator[tuple[str, str, bool]]:
    """What stands for itself, the element after it ("" at the end), and whether a fraction comes next."""
    matches = [*ELEMENT.finditer(layout)]
    start = 0
    for index, match in enumerate(matches):
        following = matches[index + 1][0] if index + 1 < len(matches) else ""
        yield layout[start : match.start()], match[0], following[:1] in (".", ",")
        start = match.end()
    yield layout[start:], "", False


def _skip(text: str, prefix: str) -> str:
    """`text` behind `prefix`; a run of spaces in it matches any such run, also none at the end of the text."""
    position = 0
    for part in re.findall(r" +|[^ ]", prefix):
        if part[0] == " " and text[position : position + 1] in ("", " "):
            while text.startswith(" ", position):
                position += 1
        elif part[0] != " " and text.startswith(part, position):
            position += 1
        else:
            raise _Unexpected(text[position:], prefix)
    return text[position:]


_ONE_OR_TWO, _TWO = re.compile(r"([0-9]{1,2})"), re.compile(r"([0-9]{2})")
_SIXTY = range(60)
_NUMBERS = {
    "2006": (re.compile(r"([0-9]{4})"), "year", None),
    "06": (re.compile(r"([0-9]{2}|[-+][0-9])"), "year", None),
    "1": (_ONE_OR_TWO, "month", range(1, 13)),
    "01": (_TWO, "month", range(1, 13)),
    "2": (_ONE_OR_TWO, "day", None),
    "_2": (re.compile(r" ?([0-9]{1,2})"), "day", None),
    "02": (_TWO, "day", None),
    "__2": (re.compile(r" {0,2}([0-9]{1,3})"), "year_day", None),
    "002": (re.compile(r"([0-9]{3})"), "year_day", None),
    "15": (_ONE_OR_TWO, "hour", range(24)),
    "3": (_ONE_OR_TWO, "hour", range(13)),
    "03": (_TWO, "hour", range(13)),
    "4": (_ONE_OR_TWO, "minute", _SIXTY),
    "04": (_TWO, "minute", _SIXTY),
    "5": (_ONE_OR_TWO, "second", _SIXTY),
    "05": (_TWO, "second", _SIXTY),
}
"""How an element is written, the field it fills, and what it may be. Days are looked at when their month is known."""

_FRACTION = re.compile(r"[.,][0-9]+")

# Human-made names: three capital letters, or four or five with a T at the end; a few that are not so; and offsets that
# stand for a name, alone or after GMT.
_HOURS = r"[-+]0{0,9}(?:1?[0-9]|2[0-3])(?![0-9])"
_ABBREVIATION = re.compile(
    rf"(?=...)(?:ChST|MeST|GMT(?:{_HOURS})?|{_HOURS}|(?:[A-Z]{{3}}|WITA|[A-Z]{{3,4}}T)(?![A-Z]))", re.DOTALL
)


@dataclass(slots=True)
class _Found:
    """What the elements of a layout have found so far; None where there was none."""

    year: int = 0
    month: int | None = None
    day: int | None = None
    year_day: int | None = None
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    afternoon: bool | None = None
    utc: bool = False
    offset: int | None = None
    abbreviation: str = ""

    def read(self, element: str, text: str, has_fraction: bool) -> str:
        """Take what `element` stands for from the beginning of `text`, and return the rest."""
        match element:
            case "January" | "Jan":
                index, rest = _name(element, text, MONTHS)
                self.month = index + 1
                return rest
            case "Monday" | "Mon":
                return _name(element, text, WEEKDAYS)[1]
            case "PM" | "pm":
                return self._read_half_of_day(element, text)
            case "MST":
                return self._read_abbreviation(text)
            case _ if element in _NUMBERS:
                return self._read_number(element, text, has_fraction)
            case _ if element[0] in ".,":
                return self._read_fraction(element, text)
            case _:
                return self._read_offset(element, text)

    def _read_number(self, element: str, text: str, has_fraction: bool) -> str:
        pattern, field, allowed = _NUMBERS[element]
        match = pattern.match(text)
        if match is None:
            raise _Unexpected(text, element)
        value, rest = int(match[1]), text[match.end() :]
        if allowed is not None and value not in allowed:
            raise _Impossible(f"{field} out of range")
        if element == "06":
            value += 1900 if value >= 69 else 2000
        setattr(self, field, value)
        return self._read_fraction(".9", rest) if field == "second" and not has_fraction else rest

    def _read_fraction(self, element: str, text: str) -> str:
        """As many digits as the element has zeros; for its nines any number of them, also none."""
        if element[1] == "9":
            match = _FRACTION.match(text)
            if match is None:
                return text
            end = match.end()
        else:
            end = len(element)
            if len(text) < end or not re.fullmatch(r"[.,][-+]?[0-9]+", text[:end]):
                raise _Unexpected(text, element)
        digits = text[1:end][:9]
        self.nanosecond = int(digits) * 10 ** (9 - len(digits))
        if self.nanosecond < 0:
            raise _Impossible("fractional second out of range")
        return text[end:]

    def _read_half_of_day(self, element: str, text: str) -> str:
        halves = ("AM", "PM") if element == "PM" else ("am", "pm")
        if text[:2] not in halves:
            raise _Unexpected(text, element)
        self.afternoon = text[:2] == halves[1]
        return text[2:]

    def _read_offset(self, element: str, text: str) -> str:
        """A sign, and pairs of digits and colons as the element has them; or Z where the element has it."""
        if element[0] == text[:1] == "Z":
            self.utc = True
            return text[1:]
        match = re.match("[-+]" + re.sub("[0-9]{2}", "([0-9]{2})", element[1:]), text)
        if match is None:
            raise _Unexpected(text, element)
        offset = 0
        # A whole day and a whole hour are allowed: some people write so.
        for digits, (unit, last, seconds) in zip(
            match.groups(), (("hour", 24, 3_600), ("minute", 60, 60), ("second", 60, 1)), strict=False
        ):
            if int(digits) > last:
                raise _Impossible(f"time zone offset {unit} out of range")
            offset += int(digits) * seconds
        self.offset = -offset if text[0] == "-" else offset
        return text[match.end() :]

    def _read_abbreviation(self, text: str) -> str:
        if text.startswith("UTC"):
            self.utc = True
            return text[3:]
        match = _ABBREVIATION.match(text)
        if match is None:
            raise _Unexpected(text, "MST")
        self.abbreviation = match[0]
        return text[match.end() :]

    def time(self, zone: Zone) -> Time:
        """The moment; raises _Impossible when there is no such day."""
        if self.utc:
            return self._on_the_clocks_of(UTC)
        if self.offset is not None:
            time = self._on_the_clocks_of(UTC).add(-self.offset * NANOSECONDS)
            offset, abbreviation = zone.at(time.seconds)
            known = offset == self.offset and self.abbreviation in ("", abbreviation)
            return time.in_zone(zone if known else Zone(self.abbreviation, self.offset))
        if self.abbreviation:
            time = self._on_the_clocks_of(UTC)
            named = zone.offset_named(self.abbreviation, time.seconds)
            if named is not None:
                return time.add(-named * NANOSECONDS).in_zone(zone)
            hours = int(self.abbreviation.removeprefix("GMT") or 0) if self.abbreviation.startswith("GMT") else 0
            return time.in_zone(Zone(self.abbreviation, hours * 3_600))
        return self._on_the_clocks_of(zone)

    def _on_the_clocks_of(self, zone: Zone) -> Time:
        month, day = self._month_and_day()
        if not 1 <= day <= days_in_month(self.year, month):
            raise _Impossible("day out of range")
        hour = self.hour
        if self.afternoon and hour < 12:
            hour += 12
        elif self.afternoon is False and hour == 12:
            hour = 0
        return date(self.year, month, day, hour, self.minute, self.second, self.nanosecond, zone)

    def _month_and_day(self) -> tuple[int, int]:
        if self.year_day is None:
            return (1 if self.month is None else self.month), (1 if self.day is None else self.day)
        if not 1 <= self.year_day <= days_before_month(self.year, 13):
            raise _Impossible("day-of-year out of range")
        month, day = month_and_day(self.year, self.year_day)
        if self.month not in (None, month):
            raise _Impossible("day-of-year does not match month")
        if self.day not in (None, day):
            raise _Impossible("day-of-year does not match day")
        return month, day


def _name(element: str, text: str, names: tuple[str, ...]) -> tuple[int, str]:
    """Which of `names` (for "Jan" and "Mon" their first three letters) the text begins with, and the rest."""
    for index, name in enumerate(names):
        length = 3 if len(element) == 3 else len(name)
        if text[:length].lower() == name[:length].lower():
            return index, text[length:]
    raise _Unexpected(text, element)
