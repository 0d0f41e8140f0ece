"""Checks of the fields of an http_client payload that more than one option shares; all raise Refused."""

from __future__ import annotations

import math
import re

from micro_agi_kernel.host.arguments import invalid, utf8
from micro_agi_kernel.values import Value, shorten

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
"""A name in HTTP (RFC 9110): of a method, a header, a cookie."""

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header may hold: with a line break, it would end and another one begin."""

MAX_ITEMS = 1_000
"""Values in one table."""


def octets(value: Value, name: str) -> bytes:
    """A Lua string as the bytes it is."""
    return value if isinstance(value, bytes) else utf8(value, name).encode()


def header_text(value: Value, name: str) -> str:
    """Text that may stand in a header line."""
    found = utf8(value, name)
    if CONTROL.search(found):
        raise invalid(f"{name} must not hold a line break or control character")
    return found


def whole(value: Value, name: str, most: int) -> int:
    """A whole number from 0 to `most`, which it is cut to; Lua may say it as 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(f"{name} must be a whole number, 0 or more")
    return min(value, most)


def record(value: Value, name: str, fields: tuple[str, ...]) -> dict[str, Value]:
    """A Lua table that has some of `fields` and nothing else; an empty table may come as a list."""
    if value == []:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{name} must be a table with {', '.join(fields)}")
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise invalid(f"{name}: there is no {shorten(unknown[0])!r}; there are {', '.join(fields)}")
    return value


def table(value: Value, name: str) -> list[tuple[str, list[str]]]:
    """The pairs of a Lua table by name, each value as a list of texts; an empty table may come as a list."""
    if value is None or value == []:
        return []
    if not isinstance(value, dict):
        raise invalid(f"{name} must be a table of names and values, not a {type(value).__name__}")
    if sum(len(items) if isinstance(items, list) else 1 for items in value.values()) > MAX_ITEMS:
        raise invalid(f"{name}: more than {MAX_ITEMS} values")
    pairs = [(utf8(key, name), items if isinstance(items, list) else [items]) for key, items in sorted(value.items())]
    return [(key, [_scalar(item, f"{name}.{_shown(key)}") for item in items]) for key, items in pairs]


def _shown(key: str) -> str:
    """A name as one line of an error can hold it."""
    return shorten(key if key.isprintable() else repr(key))


def _scalar(value: Value, name: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() and -(1 << 63) <= value < 1 << 63 else repr(value)
        case _:
            return utf8(value, name)
