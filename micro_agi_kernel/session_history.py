"""Session logs, read: the turns of a session with what was asked and answered, and what its front end was told.

A log may be cut, may be written by another version, and may come from somebody else: whatever is not as
`session_log` writes it is passed over, field by field.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from micro_agi_kernel.entries import EntryId, Operation
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.events import (
    EntryPublished,
    Event,
    Notice,
    ReasoningDelta,
    Revision,
    Spent,
    TextDelta,
    ToolDisplay,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolProgress,
    ToolStarted,
    TurnFinished,
    UsageReport,
)
from micro_agi_kernel.messages import ToolCall, Usage
from micro_agi_kernel.outputs import JSON_FORMS, PICTURE_FORMS, TEXT_FORMS
from micro_agi_kernel.session_log import FORMAT, LINE, SUFFIX
from micro_agi_kernel.values import Json, Value, check_json, decode_base64, shorten

LONGEST = 16 * LINE
"""Bytes of a line that is read; our own are shorter, whatever is escaped in them."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a log."""

    session: str
    time: str
    version: str


@dataclass(slots=True)
class Step:
    """A request to a model, and its answer."""

    model: str
    prompt: str
    """What the person, or whoever asked, said last in the request."""
    first: bool
    """Nothing was answered to the prompt yet."""
    tools: frozenset[str]
    """Names of those that the model could call."""
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str | None = None
    """None: the answer is not whole."""
    usage: Usage = field(default_factory=Usage)
    error: str = ""


@dataclass(slots=True)
class Turn:
    """One cell of a session."""

    cell: int
    time: str
    prompt: str
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    status: str = "cut"
    """"ok", "error", "interrupted"; "cut" when the log ends within the turn."""


def find_log(folder: Path, named: str) -> Path:
    """The log of the session with the id `named` in `folder`, or the file at the path `named`.

    Raises Refused when there is none.
    """
    path = folder / f"{named}{SUFFIX}"
    if not _ID.fullmatch(named) or not path.is_file():
        path = Path(named)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a name that no file can have
        pass
    line = f"there is no session log {shorten(named)!r}: `micro-agi sessions list` shows those that there are"
    raise Refused(ErrorKind.NOT_FOUND, line)


def read_header(path: Path) -> Header:
    """The header of a log. Raises Refused when the file cannot be read, or is no log that this version reads."""
    first = next(_lines(path), {})
    if first.get("kind") != "Session":
        raise Refused(ErrorKind.INVALID, f"{path} is no session log")
    if first.get("format") != FORMAT:
        raise Refused(ErrorKind.INVALID, f"{path} was written by another version of Micro AGI; this one reads {FORMAT}")
    return Header(_text(first, "session"), _text(first, "time"), _text(first, "version"))


def read_turns(path: Path) -> Iterator[Turn]:
    """The turns in order, each as soon as it is read. Raises Refused like `read_header`."""
    read_header(path)
    reading = _Reading()
    for line in _lines(path):
        if (done := reading.add(line)) is not None:
            yield done
    if reading.turn is not None:
        yield reading.turn


class _Reading:
    """A log as far as it is read."""

    def __init__(self) -> None:
        self.turn: Turn | None = None
        self._said: list[tuple[str, str]] = []
        """Role and text of the messages of the newest request."""

    def add(self, line: _Line) -> Turn | None:
        """Take one line in; the turn that is complete, when a new one begins."""
        kind = line.get("kind")
        if kind == "Prompt":
            done, self.turn = self.turn, Turn(_count(line, "cell"), _text(line, "time"), _text(line, "text"))
            return done
        turn = self.turn
        if turn is None:
            return None
        if kind == "Request":
            turn.steps.append(self._step(line))
        elif kind == "Answer":
            if turn.steps:
                _answer(turn.steps[-1], line)
        else:
            if kind == "TurnFinished":
                turn.status = _one_of(line, "status", "ok", "error", "interrupted")
            if turn.status != "interrupted" and (event := _event(str(kind), line)) is not None:
                turn.events.append(event)
        return None

    def _step(self, line: _Line) -> Step:
        messages = [(_text(message, "role"), _text(message, "text")) for message in _objects(line, "messages")]
        self._said[_count(line, "kept") :] = messages
        roles = [role for role, _ in self._said]
        at = len(roles) - 1 - roles[::-1].index("user") if "user" in roles else -1
        first = not {"assistant", "tool"} & {*roles[at + 1 :]}
        names = line.get("tools")
        tools = frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
        return Step(_text(line, "model"), self._said[at][1] if at >= 0 else "", first, tools)


def _answer(step: Step, line: _Line) -> None:
    """Fill `step` with its answer."""
    step.text, step.error = _text(line, "text"), _text(line, "error")
    step.calls = tuple(
        ToolCall(_text(call, "id"), _text(call, "name"), _text(call, "arguments")) for call in _objects(line, "calls")
    )
    step.finish = _text(line, "finish") or None
    step.usage = _usage(line)


def _event(kind: str, line: _Line) -> Event | None:
    """The event of a line; None for another kind of line, or when its fields make no event."""
    call = _text(line, "call_id")
    match kind:
        case "TextDelta":
            return TextDelta(_text(line, "text"))
        case "ReasoningDelta":
            return ReasoningDelta(_text(line, "text"))
        case "ToolStarted":
            return ToolStarted(call, _text(line, "name"), _text(line, "arguments"))
        case "ToolOutput":
            return ToolOutput(call, _text(line, "text"))
        case "ToolProgress":
            total = _number(line, "total") if line.get("total") is not None else None
            return ToolProgress(call, _number(line, "done"), total, _text(line, "text"))
        case "ToolDisplay":
            data = dict(_forms(line))
            return ToolDisplay(call, data) if data else None
        case "ToolFinished":
            status = cast(Literal["ok", "error", "interrupted"], _one_of(line, "status", "ok", "error", "interrupted"))
            summary = _text(line, "summary")
            return ToolFinished(call, _text(line, "name"), status, summary, _number(line, "seconds"), line.get("value"))
        case "ToolLoaded":
            id = _id(line)
            return ToolLoaded(id, _text(line, "alias")) if id else None
        case "EntryPublished":
            operations = tuple(_operations(line))
            return EntryPublished(_commit(line, "commit"), _text(line, "subject"), operations)
        case "Notice":
            return Notice(_text(line, "text"))
        case "UsageReport":
            return UsageReport(_text(line, "model"), _usage(line), _number(line, "cost"))
        case "TurnFinished":
            ended = cast(Literal["ok", "error"], _one_of(line, "status", "ok", "error"))
            return TurnFinished(ended, _text(line, "error"), _text(line, "error_name"), _revision(line), _spent(line))
        case _:
            return None


def _forms(line: _Line) -> Iterator[tuple[str, Value]]:
    """What a display holds, in the forms that outputs.Display may have."""
    for form, content in _object(line, "data").items():
        if isinstance(content, str if form in TEXT_FORMS else list | dict if form in JSON_FORMS else ()):
            yield form, content
        elif form in PICTURE_FORMS and isinstance(content, str):
            try:
                picture = decode_base64(content.encode())
            except ValueError:  # cut, or never any
                continue
            if picture.startswith(PICTURE_FORMS[form]):
                yield form, picture


def _operations(line: _Line) -> Iterator[Operation]:
    for item in _objects(line, "operations"):
        action = item.get("action")
        if (id := _id(item)) is not None and action in ("create", "update", "delete"):
            yield Operation(action, id)


def _revision(line: _Line) -> Revision | None:
    said = _object(line, "registry")
    after, before = _commit(said, "registry"), _commit(said, "before")
    return Revision(after, before, _text(said, "session"), _count(said, "cell")) if after and before else None


def _spent(line: _Line) -> Spent:
    said = _object(line, "spent")
    return Spent(_count(said, "steps"), _usage(said), _number(said, "cost"), _number(said, "seconds"))


def _usage(line: _Line) -> Usage:
    said = _object(line, "usage")
    return Usage(*(_count(said, name) for name in ("prompt", "completion", "cached", "reasoning")))


def _lines(path: Path) -> Iterator[_Line]:
    """The lines that are objects."""
    try:
        with path.open("rb") as file:
            while content := file.readline(LONGEST):  # what is longer falls into pieces, which are no JSON
                try:
                    text = content.decode()
                    line = json.loads(text, parse_constant=_refuse)
                    line = _mended(line) if "\\u" in text else line
                    check_json(line, "it")
                except (ValueError, RecursionError, EntryError):
                    continue
                if isinstance(line, dict):
                    yield line
    except OSError as error:
        raise Refused(ErrorKind.UNAVAILABLE, f"cannot read {path}: {error.strerror}") from error


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


def _text(line: _Line, name: str) -> str:
    value = line.get(name)
    return value if isinstance(value, str) else ""


def _count(line: _Line, name: str) -> int:
    value = line.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else 0


def _number(line: _Line, name: str) -> float:
    value = line.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast(float, value)) if is_number and 0 <= cast(float, value) < math.inf else 0.0


def _one_of(line: _Line, name: str, *choices: str) -> str:
    """The field, or the last of the choices."""
    value = line.get(name)
    return value if value in choices else choices[-1]


def _commit(line: _Line, name: str) -> str:
    value = _text(line, name)
    return value if _COMMIT.fullmatch(value) else ""


def _id(line: _Line) -> EntryId | None:
    try:
        return EntryId.parse(_text(line, "id"))
    except EntryError:
        return None


def _object(line: _Line, name: str) -> _Line:
    value = line.get(name)
    return value if isinstance(value, dict) else {}


def _objects(line: _Line, name: str) -> list[_Line]:
    value = line.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
