"""How values are printed: `string()` as Go's fmt does, `toJSON()` as its encoding/json does."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable

from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import (
    NO_SLICE,
    SLICES,
    AnyMap,
    Byte,
    Bytes,
    Duration,
    Dynamic,
    Method,
    Month,
    Weekday,
    raw,
    text_of,
    type_name,
)
from micro_agi_kernel.expr.methods import RFC3339_NANO
from micro_agi_kernel.go_time import Time, Zone, format_duration


def decimal(number: float, big: int, small: int) -> str:
    """The shortest digits that read back as `number`, with an exponent from 10**`big` on and below 10**`small`."""
    if number != number:
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    digits, _, power = f"{abs(number)!r}".partition("e")
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(power or "0")
    significant = (whole + fraction).rstrip("0")
    stripped = significant.lstrip("0")
    point -= len(significant) - len(stripped)
    sign = "-" if number < 0 else ""
    if big <= point - 1 or point - 1 < small:
        shown = stripped[0] + (f".{stripped[1:]}" if len(stripped) > 1 else "")
        return f"{sign}{shown}e{'-' if point < 1 else '+'}{abs(point - 1):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{stripped}"
    if point >= len(stripped):
        return sign + stripped.ljust(point, "0")
    return f"{sign}{stripped[:point]}.{stripped[point:]}"


class _Writer:
    """Collects the parts of a text and pays for each."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.parts: list[bytes] = []

    def put(self, part: str | bytes) -> None:
        self.budget.write(len(part))
        self.budget.work(4)
        self.parts.append(raw(part))

    def quoted(self, value: str | bytes) -> str:
        """A JSON string; < > & are escaped, and a byte that is no UTF-8 becomes U+FFFD."""
        self.budget.work(len(value) >> 5)
        text = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
        return f'"{_ESCAPED.sub(self.escaped, text)}"'

    def escaped(self, match: re.Match[str]) -> str:
        self.budget.work(1)
        char = match[0]
        return _SHORT.get(char) or ("\\ufffd" if char >= "\ud800" else f"\\u{ord(char):04x}")

    def text(self) -> str | bytes:
        return text_of(b"".join(self.parts))


def to_string(budget: Budget, value: Dynamic) -> Dynamic:
    """Any value as text."""
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    writer = _Writer(budget)
    _print(writer, value)
    return writer.text()


def _print(writer: _Writer, value: Dynamic) -> None:
    kind = type(value)
    if kind in SLICES or kind is Bytes:
        writer.put("[")
        for number, item in enumerate(value):
            if number:
                writer.put(" ")
            _print(writer, item)
        writer.put("]")
    elif kind is dict or kind is AnyMap:
        writer.put("map[")
        for number, (key, item) in enumerate(_in_order(writer.budget, value)):
            if number:
                writer.put(" ")
            _print(writer, key)
            writer.put(":")
            _print(writer, item)
        writer.put("]")
    else:
        writer.put(shown(value))


def shown(value: Dynamic) -> str | bytes:
    """A value that is neither array nor map, as Go prints it."""
    kind = type(value)
    if kind is str or kind is bytes:
        return value  # type: ignore[no-any-return]
    if value is None:
        return "<nil>"
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return decimal(value, 6, -4)
    if kind is Time:
        return str(value)
    if kind is Duration:
        return format_duration(value.nanoseconds)
    if kind is Zone:
        return str(value.name)
    if kind is int or kind is Byte or kind is Month or kind is Weekday:
        return str(value)
    raise RunError(f"{type_name(value)} cannot be printed")


_RANKS: dict[type, int] = {type(None): 0, bool: 1, int: 2, Byte: 2, float: 3, str: 4, bytes: 4}


def _in_order(budget: Budget, value: Dynamic) -> list[tuple[Dynamic, Dynamic]]:
    """The entries of a map, sorted by key; keys of several types one type after the other."""
    budget.sort((key for key, _ in value.items()), len(value))
    if type(value) is dict:
        return sorted(value.items())

    budget.work(4 * len(value))

    def rank(entry: tuple[Dynamic, Dynamic]) -> tuple[int, Dynamic]:
        key = entry[0]
        if type(key) in (str, bytes):
            return 4, raw(key)
        if type(key) in _RANKS:
            return _RANKS[type(key)], -math.inf if key is None or key != key else key
        return 5, raw(shown(key))

    return sorted(value.items(), key=rank)


# JSON

_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def to_json(budget: Budget, value: Dynamic) -> Dynamic:
    writer = _Writer(budget)
    _json(writer, value, "\n")
    return writer.text()


def _json(writer: _Writer, value: Dynamic, newline: str) -> None:
    """`newline`: a line break and the indentation of what `value` stands in."""
    kind = type(value)
    if kind in SLICES and value is not NO_SLICE:
        writer.budget.work(len(value))
        _block(writer, "[]", newline, [(None, item) for item in value])
    elif kind is dict:
        _block(writer, "{}", newline, _in_order(writer.budget, value))
    elif kind is str or kind is bytes:
        writer.put(writer.quoted(value))
    elif kind is float:
        if not math.isfinite(value):
            raise RunError(f"JSON has no {decimal(value, 21, -6)}")
        writer.put(re.sub(r"e([+-])0", r"e\1", decimal(value, 21, -6)))
    else:
        scalar = _SCALARS.get(kind)
        if scalar is None:
            raise RunError(f"JSON has no {type_name(value)} with keys of any type" if kind is AnyMap else "no JSON")
        writer.put(scalar(value))


def _block(writer: _Writer, brackets: str, newline: str, items: list[tuple[Dynamic, Dynamic]]) -> None:
    if not items:
        writer.put(brackets)
        return
    inner = newline + "  "
    writer.put(brackets[0])
    for number, (key, item) in enumerate(items):
        writer.put("," + inner if number else inner)
        if key is not None:
            writer.put(writer.quoted(key) + ": ")
        _json(writer, item, inner)
    writer.put(newline + brackets[1])


def _time(value: Time) -> str:
    if not 0 <= value.wall().year <= 9_999:
        raise RunError("JSON takes years from 0 to 9999")
    return f'"{value.format(RFC3339_NANO)}"'


_SCALARS: dict[type, Callable[[Dynamic], str]] = {
    type(None): lambda _: "null",
    type(NO_SLICE): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: str,
    Byte: str,
    Bytes: lambda value: f'"{base64.b64encode(value).decode()}"',
    Time: _time,
    Duration: lambda value: str(value.nanoseconds),
    Month: lambda value: str(value.number),
    Weekday: lambda value: str(value.number),
    Zone: lambda _: "{}",
    Method: lambda value: _no_method(value),
}


def _no_method(value: Method) -> str:
    raise RunError(f"JSON has no {type_name(value)}")
