"""The Lua module `json`: Lua tables as JSON text and back."""

from __future__ import annotations

import json
import math
import re

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid
from micro_agi_kernel.values import MAX_DEPTH, Value

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def _decode(text: Value) -> Value:
    """The value of a JSON text: strict syntax, at most MAX_DEPTH arrays and objects within one another.

    Integers beyond 64 bits become floats; half a surrogate pair becomes U+FFFD; of equal keys the last counts.
    """
    if not isinstance(text, (str, bytes)):
        raise invalid("string expected")
    if not text:
        raise invalid("empty string is not valid JSON")
    if isinstance(text, bytes):
        raise _failed("the text is not valid UTF-8")
    try:
        value: Value = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_constant)
    except ValueError as error:
        raise _failed(str(error)) from error
    except RecursionError as error:
        raise _failed(f"nested deeper than {MAX_DEPTH}") from error
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def _failed(message: str) -> Refused:
    # INTERNAL, not INVALID: that is what the reference's documentation promises for bad JSON.
    return Refused(ErrorKind.INTERNAL, f"decode failed: {message}", retryable=False)


def _integer(digits: str) -> int | float:
    if len(digits) <= 20 and -(1 << 63) <= (number := int(digits)) < 1 << 63:
        return number
    return _float(digits)


def _float(digits: str) -> float:
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
    raise _failed(f"nested deeper than {MAX_DEPTH}")


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


MODULE = LuaModule(functions={"decode": _decode})
