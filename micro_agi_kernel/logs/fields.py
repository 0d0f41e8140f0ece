"""The fields of a log's lines, which anybody may have written: each as its own type, or as nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.events import Spent
from micro_agi_kernel.logs.lines import LINE
from micro_agi_kernel.messages import ToolCall, Usage
from micro_agi_kernel.values import Json, check_json

LONGEST = 16 * LINE
"""Bytes of a line that is read; our own are shorter, whatever is escaped in them."""

LONGEST_FIRST = 1 << 16
"""The same for the first line, which says what the file is: whatever else it is may be of any length."""

_COMMIT = re.compile(r"[0-9a-f]{40}")

Line: TypeAlias = Mapping[str, Any]
"""A line of a log, or an object within one."""


def lines_of(path: Path) -> Iterator[Line]:
    """The lines of a log that are objects of JSON. Raises Refused when the file cannot be read."""
    try:
        with path.open("rb") as file:
            while content := file.readline(LONGEST):  # what is longer falls into pieces, which are no JSON
                if (line := object_in(content)) is not None:
                    yield line
    except OSError as error:
        raise Refused(ErrorKind.UNAVAILABLE, f"cannot read {path}: {error.strerror}") from error


def first_line_of(path: Path) -> Line:
    """The first line of a file when it is an object of JSON, and not long; else one without fields.

    Raises Refused when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return object_in(file.readline(LONGEST_FIRST)) or {}
    except OSError as error:
        raise Refused(ErrorKind.UNAVAILABLE, f"cannot read {path}: {error.strerror}") from error


def object_in(content: bytes) -> Line | None:
    """A line of a log, when it is an object of JSON."""
    try:
        text = content.decode()
        line = json.loads(text, parse_constant=_refuse)
        line = _mended(line) if "\\u" in text else line
        check_json(line, "it")
    except (ValueError, RecursionError, EntryError):
        return None
    return line if isinstance(line, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _mended(value: Json) -> Json:
    """`value` with lone halves of surrogate pairs replaced, which escapes of JSON bring in: they cannot be shown."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_mended(item) for item in value]
        case dict():
            return {str(_mended(key)): _mended(item) for key, item in value.items()}
        case _:
            return value


def text_of(line: Line, name: str) -> str:
    """The field, or an empty text."""
    value = line.get(name)
    return value if isinstance(value, str) else ""


def count_of(line: Line, name: str) -> int:
    """The field when it is a whole number that a count can be, else 0."""
    value = line.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else 0


def number_of(line: Line, name: str) -> float:
    """The field when it is a finite number from 0, else 0."""
    value = line.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast(float, value)) if is_number and 0 <= cast(float, value) < math.inf else 0.0


def one_of(line: Line, name: str, *choices: str) -> str:
    """The field, or the last of the choices."""
    value = line.get(name)
    return value if value in choices else choices[-1]


def commit_of(line: Line, name: str) -> str:
    """The field when it is a commit's 40 hex digits, else an empty text."""
    value = text_of(line, name)
    return value if _COMMIT.fullmatch(value) else ""


def id_of(line: Line) -> EntryId | None:
    """The field `id`, when it is one."""
    try:
        return EntryId.parse(text_of(line, "id"))
    except EntryError:
        return None


def object_of(line: Line, name: str) -> Line:
    """The field, or an object without fields."""
    value = line.get(name)
    return value if isinstance(value, dict) else {}


def objects_of(line: Line, name: str) -> list[Line]:
    """The objects of a field that is a list, else none."""
    value = line.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def calls_of(line: Line) -> tuple[ToolCall, ...]:
    """The field `calls`: those of a model's answer."""
    return tuple(
        ToolCall(text_of(call, "id"), text_of(call, "name"), text_of(call, "arguments"))
        for call in objects_of(line, "calls")
    )


def usage_of(line: Line) -> Usage:
    """The field `usage`."""
    said = object_of(line, "usage")
    return Usage(*(count_of(said, name) for name in ("prompt", "completion", "cached", "reasoning")))


def spent_of(line: Line, name: str) -> Spent:
    """The field, as what model steps took."""
    said = object_of(line, name)
    return Spent(count_of(said, "steps"), usage_of(said), number_of(said, "cost"), number_of(said, "seconds"))
