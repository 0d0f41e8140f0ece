"""Checks of the arguments that a service gets from a tool: what is wrong is INVALID, with one line that says so."""

from __future__ import annotations

from collections.abc import Mapping

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.values import Value


def invalid(message: str) -> Refused:
    return Refused(ErrorKind.INVALID, message, retryable=False)


def utf8(value: Value, name: str) -> str:
    """`value` if it is text that UTF-8 can carry. Raises Refused."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            pass
        else:
            return value
    raise invalid(f"{name} must be a UTF-8 string")


def text(payload: Mapping[str, Value], name: str) -> str:
    """The argument `name`, which must be text. Raises Refused."""
    return utf8(payload.get(name), name)


def optional_text(payload: Mapping[str, Value], name: str) -> str | None:
    """The argument `name`, text or absent. Raises Refused."""
    return None if payload.get(name) is None else text(payload, name)


def count(payload: Mapping[str, Value], name: str, default: int, most: int) -> int:
    """The argument `name`, a whole number from 1 to `most`. Raises Refused."""
    value = payload.get(name, default)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise invalid(f"{name} must be a whole number from 1 to {most}")
    return value
