"""Go's durations: whole nanoseconds in 64 bits, read and written as texts such as "1h30m"."""

from __future__ import annotations

import re

from micro_agi_kernel.go_time.quoting import quote

MIN_INT64, MAX_INT64 = -(1 << 63), (1 << 63) - 1

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
"""Nanoseconds."""

_MOST_DIGITS = 19
"""Of a number in 64 bits."""

_TERM = re.compile(r"(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


def parse_duration(text: str) -> int:
    """Nanoseconds in a Go duration such as "1h30m", "-1.5s" or "0".

    Raises ValueError with Go's kind of line: no number, no unit, an unknown unit, or beyond 64 bits.
    """
    sign = text[:1] if text[:1] in ("-", "+") else ""
    position = len(sign)
    if text[position:] == "0":
        return 0
    total = 0
    while position < len(text) or position == len(sign):
        match = _TERM.match(text, position)
        if match is None:
            raise ValueError(f"invalid duration {quote(text)}")
        whole, fraction, unit = match.groups()
        whole = whole.lstrip("0") or "0"
        if len(whole) > _MOST_DIGITS or int(whole) > 1 << 63:
            raise ValueError(f"invalid duration {quote(text)}")
        if not unit:
            raise ValueError(f"missing unit in duration {quote(text)}")
        if unit not in UNITS:
            raise ValueError(f"unknown unit {quote(unit)} in duration {quote(text)}")
        total += int(whole) * UNITS[unit]
        if fraction:
            # Go counts a fraction in floating point and drops digits that 63 bits cannot hold: so do we.
            kept = _digits_that_fit(fraction)
            total += int(int(kept) * (UNITS[unit] / 10 ** len(kept)))
        if total > 1 << 63:
            raise ValueError(f"invalid duration {quote(text)}")
        position = match.end()
    if sign == "-":
        return -total
    if total > MAX_INT64:
        raise ValueError(f"invalid duration {quote(text)}")
    return total


def _digits_that_fit(digits: str) -> str:
    kept = digits[:_MOST_DIGITS]
    return kept if int(kept) <= MAX_INT64 else kept[:-1]


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


def truncate_duration(nanoseconds: int, step: int) -> int:
    """The duration cut towards zero to a multiple of `step`; unchanged when `step` is 0 or less."""
    if step <= 0:
        return nanoseconds
    rest = abs(nanoseconds) % step
    return nanoseconds - rest if nanoseconds > 0 else nanoseconds + rest


def round_duration(nanoseconds: int, step: int) -> int:
    """The nearest multiple of `step`, halves away from zero, at most what 64 bits hold; see `truncate_duration`."""
    if step <= 0:
        return nanoseconds
    size = abs(nanoseconds)
    rest = size % step
    size += step - rest if 2 * rest >= step else -rest
    return saturated(size if nanoseconds > 0 else -size)


def saturated(nanoseconds: int) -> int:
    """The duration, or the longest one of its sign that 64 bits hold."""
    return min(max(nanoseconds, MIN_INT64), MAX_INT64)
