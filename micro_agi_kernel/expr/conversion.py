"""The builtins that tell types and read JSON."""

from __future__ import annotations

import json
import math
import re

from micro_agi_kernel.expr.budget import MAX_NUMBER, Budget
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import (
    SLICES,
    AnyMap,
    Byte,
    Bytes,
    Duration,
    Dynamic,
    Method,
    Month,
    NoItem,
    Weekday,
    raw,
)
from micro_agi_kernel.expr.strings import text
from micro_agi_kernel.go_time import Time, Zone
from micro_agi_kernel.values import shorten

_TYPES: dict[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    Byte: "uint",
    float: "float",
    str: "string",
    bytes: "string",
    Bytes: "array",
    dict: "map",
    AnyMap: "map",
    Method: "func",
    Time: "time.Time",
    Duration: "time.Duration",
    Month: "time.Month",
    Weekday: "time.Weekday",
    Zone: "time.Location",
}


def type_of(budget: Budget, value: Dynamic) -> str:
    """The name of a type as expr-lang has it; Go's names for times."""
    kind = type(value)
    if kind is NoItem:
        raise RunError("the elements of a map cannot be looked at")
    return "array" if kind in SLICES else _TYPES.get(kind, "unknown")


_SURROGATES = re.compile("[\ud800-\udfff]")


def from_json(budget: Budget, value: Dynamic) -> Dynamic:
    """Every number becomes a float; half a surrogate pair becomes U+FFFD."""
    budget.write(len(text(value)))
    budget.work(len(value) >> 4)
    source = raw(value)
    budget.grow(1 + source.count(b",") + source.count(b"[") + source.count(b"{"))
    try:
        found = _DECODER.decode(_whole(source.decode("utf-8", "surrogateescape")))
    except ValueError as error:
        raise RunError(f"no JSON: {error}") from error
    return _cleaned(found) if b"\\u" in source else found


def _cleaned(value: Dynamic) -> Dynamic:
    if type(value) is str:
        return _whole(value)
    if type(value) is list:
        return [*map(_cleaned, value)]
    if type(value) is dict:
        return {_whole(key): _cleaned(item) for key, item in value.items()}
    return value


def _whole(value: str) -> str:
    return _SURROGATES.sub("\ufffd", value)


def _number(digits: str) -> float:
    if len(digits) > MAX_NUMBER:
        raise ValueError(f"the number {shorten(digits, 40)} has more than {MAX_NUMBER:,} characters")
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {shorten(digits, 40)} is too large")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"unexpected {name}")


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_constant)
