"""Checks of what Lua hands to the Python functions of a module: a wrong type is an INVALID error, never a traceback."""

from __future__ import annotations

from collections.abc import Collection

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.values import Value, shorten


def invalid(message: str) -> Refused:
    return Refused(ErrorKind.INVALID, message, retryable=False)


def octets(value: Value, name: str) -> bytes:
    """A Lua string as the bytes it is."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
        case _:
            raise invalid(f"{name} must be a string")


def text(value: Value, name: str, limit: int) -> str:
    """A Lua string of at most `limit` characters that is UTF-8."""
    match value:
        case str() if len(value) <= limit:
            return value
        case str():
            raise invalid(f"{name} is longer than {limit} characters")
        case bytes():
            raise invalid(f"{name} is not valid UTF-8")
        case _:
            raise invalid(f"{name} must be a string")


def integer(value: Value, name: str) -> int:
    """A whole number of 64 bits; in Lua 10 / 2 is 5.0, which counts as one."""
    if isinstance(value, float) and value.is_integer() and -(1 << 63) <= value < 1 << 63:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise invalid(f"{name} must be an integer")


def options(value: Value, names: Collection[str]) -> dict[str, Value]:
    """The options in a Lua table, each of which must be one of `names`."""
    if value == []:  # an empty table of Lua
        return {}
    if not isinstance(value, dict):
        raise invalid("options must be a table")
    for name in value:
        if name not in names:
            raise invalid(f"unknown option: {shorten(name, 40)}: there are {', '.join(names)}")
    return value
