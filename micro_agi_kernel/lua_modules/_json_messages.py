"""What a validation by JSON Schema says of a value that does not fit: a line with its place, values as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

from micro_agi_kernel.lua_modules._json_work import EmptyTable
from micro_agi_kernel.values import shorten

_ITEMS = 6
"""Of each list and each object, to be shown."""
_LEVELS = 2
_TEXT = 60
"""Characters of a string."""
_MESSAGE = 300

_MORE_ITEMS = "there are more items than the schema has"
_INSTEAD = {
    "items": _MORE_ITEMS,
    "additionalItems": _MORE_ITEMS,
    "contains": "no item is as the schema of contains says",
}
"""By keyword what is said in place of the library's message, which would hold the value as Python writes it."""


def describe(error: Any) -> str:
    """An error of the library as a line: where, and what."""
    place = "".join(f"/{part}" for part in error.absolute_path)
    message = _INSTEAD.get(error.validator, error.message)
    return f"{shorten(place, 100) or 'the value'}: {shorten(message, _MESSAGE)}"


def shown(value: Any, levels: int = _LEVELS) -> str:
    """The beginning of a value as JSON."""
    match value:
        case EmptyTable():
            return "{}"
        case str():
            return json.dumps(shorten(value, _TEXT), ensure_ascii=False)
        case list():
            return f"[{_parts((shown(item, levels - 1) for item in value), len(value), levels)}]"
        case dict():
            pairs = (f"{shown(key)}: {shown(item, levels - 1)}" for key, item in value.items())
            return f"{{{_parts(pairs, len(value), levels)}}}"
        case _:
            return json.dumps(value)


def _parts(parts: Iterable[str], count: int, levels: int) -> str:
    if not levels:
        return "…" if count else ""
    return ", ".join([*islice(parts, _ITEMS), *(["…"] if count > _ITEMS else [])])
