"""The builtins that make times, durations and time zones."""

from __future__ import annotations

from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import Duration, Dynamic
from micro_agi_kernel.expr.strings import decoded, text
from micro_agi_kernel.go_time import UTC, Time, Zone, load_zone, parse_duration, parse_time
from micro_agi_kernel.go_time import now as current
from micro_agi_kernel.values import shorten

_LAYOUTS = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
"""What date() tries without a layout."""
_LONGEST = 1_024
"""Characters of a date, a layout or a duration."""


_READING = 100
"""Steps of reading a date, which may be tried by all layouts."""
_ZONE = 300
"""Steps of a time zone, whose rules may have to be read from a file."""


def now(budget: Budget, zone: Dynamic = UTC) -> Time:
    if type(zone) is not Zone:
        raise RunError("now takes nothing or a timezone")
    return current(zone)


def duration(budget: Budget, value: Dynamic) -> Duration:
    """A duration such as "1h30m", "-1.5s"."""
    try:
        return Duration(parse_duration(_short(budget, value)))
    except ValueError as error:
        raise RunError(str(error)) from error


def timezone(budget: Budget, name: Dynamic) -> Zone:
    """A time zone by name, such as "Europe/Zurich"."""
    try:
        budget.work(_ZONE)
        return load_zone(_short(budget, name))
    except ValueError as error:
        raise RunError(str(error)) from error


def date(budget: Budget, *arguments: Dynamic) -> Time:
    """date([timezone,] text [, layout [, timezone's name]])"""
    zone = arguments[0] if arguments and type(arguments[0]) is Zone else UTC
    rest = arguments[1:] if arguments and type(arguments[0]) is Zone else arguments
    if not rest:
        raise RunError("date needs a text")
    value = _short(budget, rest[0])
    budget.work(_READING)
    if len(rest) > 2:
        zone = timezone(budget, rest[2])
    for layout in _LAYOUTS if len(rest) == 1 else (_short(budget, rest[1]),):
        try:
            return parse_time(layout, value, zone)
        except ValueError as error:
            if len(rest) > 1:
                raise RunError(str(error)) from error
    raise RunError(f'no date: {shorten(value, 40)!r}; give its layout, as in date(x, "02.01.2006")')


def _short(budget: Budget, value: Dynamic) -> str:
    found = text(value)
    budget.work(4 * len(found))
    if len(found) > _LONGEST:
        raise RunError(f"a text of {len(found):,} characters is too long for this, more than {_LONGEST:,}")
    return decoded(budget, found)
