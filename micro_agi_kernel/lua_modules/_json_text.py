"""Strict JSON as Python values, for validation; what a tool decodes is read in Lua (json_decode.lua).

Values that went through Lua have no null, so a text that is to be validated is read here, by the same rules.
"""

from __future__ import annotations

import json
import math
import re

from micro_agi_kernel.values import MAX_DEPTH, Value

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str) -> Value:
    """The value of a JSON text, whole floats as integers: to JSON Schema they are the same.

    Integers beyond 64 bits become floats; half a surrogate pair becomes U+FFFD; of equal keys the last counts.
    Raises ValueError for bad syntax, and for more than MAX_DEPTH lists and objects within one another.
    """
    try:
        value: Value = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_constant)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from error
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def _integer(digits: str) -> int | float:
    if len(digits) <= 20 and -(1 << 63) <= (number := int(digits)) < 1 << 63:
        return number
    return _finite(digits)


def _float(digits: str) -> int | float:
    number = _finite(digits)
    return int(number) if number.is_integer() and abs(number) < 1 << 63 else number


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is out of range")
    return number


def _constant(name: str) -> Value:
    raise ValueError(f"{name} is no JSON")


def _check_depth(value: Value) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _children(value: Value) -> list[Value]:
    match value:
        case list():
            return value
        case dict():
            return list(value.values())
        case _:
            return []


def _without_surrogates(value: Value) -> Value:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {str(_without_surrogates(key)): _without_surrogates(item) for key, item in value.items()}
        case _:
            return value
