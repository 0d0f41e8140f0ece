"""What one line of a session's log holds: any value as JSON, within a bound, and never a key."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum

from micro_agi_kernel.entries import EntryId, Operation
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.logs.keys import Keys
from micro_agi_kernel.values import Json

LINE = 4 * MIB
"""Characters of text that one line holds; what goes beyond them is left out, with a mark."""

_LOOKED_AT = 10_000
"""Parts of a value that are weighed, in about a millisecond."""


def line_of(kind: str, when: datetime, parts: Iterable[object], keys: Keys) -> bytes:
    """A line of the log with the fields of all `parts`, which are dataclasses or mappings."""
    line: dict[str, Json] = {"kind": kind, "time": when.isoformat(timespec="milliseconds")}
    plain = _Plain(keys)
    for part in parts:
        said = plain.of(part)
        line |= said if isinstance(said, dict) else {}
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode(errors="backslashreplace")  # a lone surrogate becomes its escape in JSON


def as_fields(value: object) -> dict[str, Json]:
    """The fields of a dataclass, an event for example, as JSON, whole: bytes are base64."""
    return _Plain(Keys(), math.inf).fields(value)


def weight(value: object) -> int:
    """About the bytes that `value` holds; of one with very many parts as many as a line has."""
    total, looked_at, parts = 0, 0, [value]
    while parts:
        part = parts.pop()
        total += 16
        looked_at += 1
        if looked_at > _LOOKED_AT:
            return max(total, LINE)
        match part:
            case str() | bytes():
                total += len(part)
            case dict() | list() | tuple() if len(part) > _LOOKED_AT:
                return max(total, LINE)
            case dict():
                parts += (*part, *part.values())
            case list() | tuple():
                parts += part
            case _ if is_dataclass(part):
                parts += (getattr(part, item.name) for item in fields(part))
    return total


class _Plain:
    """What goes into one line as JSON: without keys, and within its bound."""

    def __init__(self, keys: Keys, room: float = LINE) -> None:
        self._keys = keys
        self._room = room

    def of(self, value: object) -> Json:
        match value:
            case Enum():
                return str(value.value)
            case None | bool() | int():
                self._room -= 8
                return value
            case float():
                self._room -= 8
                return value if math.isfinite(value) else None
            case str():
                return self._text(value)
            case EntryId():
                return str(value)
            case bytes():
                # One character for each byte, so that a key is found in bytes as it is in text.
                content = self._keys.hidden_in(value.decode("latin-1")).encode("latin-1")
                return self._text(base64.b64encode(content).decode())
            case tuple() | list():
                return self._items(value)
            case Mapping():
                return {self._text(str(key)): self.of(item) for key, item in value.items() if self._room > 0}
            case Operation():
                return {"action": value.action, "id": str(value.id)}  # the entry is in the registry
            case _:
                return self.fields(value) if is_dataclass(value) else self._text(str(value))

    def fields(self, value: object) -> dict[str, Json]:
        """The fields of a dataclass."""
        assert is_dataclass(value)
        return {item.name: self.of(getattr(value, item.name)) for item in fields(value)}

    def _items(self, items: Iterable[object]) -> list[Json]:
        kept: list[Json] = []
        for item in items:
            if self._room <= 0:
                kept.append("... (items left out) ...")
                break
            kept.append(self.of(item))
        return kept

    def _text(self, text: str) -> str:
        text = self._keys.hidden_in(text)
        self._room -= len(text)
        if self._room >= 0:
            return text
        left, self._room = max(0, len(text) + int(self._room)), 0
        return f"{text[:left]}... ({len(text) - left} characters left out) ..."
