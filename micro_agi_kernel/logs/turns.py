"""Session logs, read: the turns of a session with what was asked and answered, and what its front end was told.

A log may be cut, may be written by another version, and may come from somebody else: whatever is not as
`logs.writer` writes it is passed over, field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, cast

from micro_agi_kernel.entries import Operation
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.events import (
    STOPPED,
    Asked,
    CommandAnswered,
    DiffShown,
    EntryPublished,
    Event,
    FileRead,
    Notice,
    ReasoningDelta,
    RegistryShown,
    Revision,
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
from micro_agi_kernel.logs.fields import (
    Line,
    calls_of,
    commit_of,
    count_of,
    first_line_of,
    id_of,
    lines_of,
    number_of,
    object_of,
    objects_of,
    one_of,
    spent_of,
    text_of,
    usage_of,
)
from micro_agi_kernel.logs.writer import FORMAT, SUFFIX
from micro_agi_kernel.messages import ToolCall, Usage
from micro_agi_kernel.outputs import JSON_FORMS, PICTURE_FORMS, TEXT_FORMS
from micro_agi_kernel.panels import Change, Excerpt, PanelTool, ToolCommit
from micro_agi_kernel.questions import Answer
from micro_agi_kernel.values import Value, decode_base64, shorten

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


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
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str | None = None
    """None: the answer is not whole."""
    usage: Usage = field(default_factory=Usage)
    error: str = ""


class Failure(NamedTuple):
    """How a turn ended that did not end well: what Jupyter calls its ename, and one line."""

    name: str
    line: str


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

    @property
    def failure(self) -> Failure | None:
        end = self.events[-1] if self.events else None
        if isinstance(end, TurnFinished):
            return Failure(end.error_name or "Error", end.error) if end.status == "error" else None
        cut = self.status == "cut"
        return Failure("Cut", "the log ends here") if cut else Failure("Interrupted", STOPPED)


def logs_in(folder: Path, begin: str = "") -> list[Path]:
    """The logs in `folder` of the sessions whose ids begin so, newest first."""
    return sorted((path for path in folder.glob(f"{begin}*{SUFFIX}") if path.is_file()), reverse=True)


def log_of(folder: Path, session: str) -> Path | None:
    """The log of the session with this id in `folder`, if there is one."""
    path = folder / f"{session}{SUFFIX}"
    return path if _ID.fullmatch(session) and path.is_file() else None


def find_log(folder: Path, named: str) -> Path:
    """The log of the session in `folder` whose id is `named`, or the file at the path `named`, or the one log whose id
    begins so.

    Raises Refused when there is none, or more than one.
    """
    if (log := log_of(folder, named)) is not None:
        return log
    try:
        if (path := Path(named)).is_file():
            return path
    except (OSError, ValueError):  # a name that no file can have
        pass
    begun = logs_in(folder, named) if _ID.fullmatch(named) else []
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise Refused(ErrorKind.INVALID, f"{len(begun)} session logs begin with {named}: write more of the id")
    line = f"there is no session log {shorten(named)!r}: `micro-agi sessions list` shows those that there are"
    raise Refused(ErrorKind.NOT_FOUND, line)


def read_header(path: Path) -> Header:
    """The header of a log. Raises Refused when the file cannot be read, or is no log that this version reads."""
    first = first_line_of(path)
    if first.get("kind") != "Session":
        raise Refused(ErrorKind.INVALID, f"{path} is no session log")
    if first.get("format") != FORMAT:
        raise Refused(ErrorKind.INVALID, f"{path} was written by another version of Micro AGI; this one reads {FORMAT}")
    return Header(text_of(first, "session"), text_of(first, "time"), text_of(first, "version"))


def read_turns(path: Path) -> Iterator[Turn]:
    """The turns in order, each as soon as it is read. Raises Refused like `read_header`."""
    read_header(path)
    reading = _TurnsRead()
    for line in lines_of(path):
        if (done := reading.add(line)) is not None:
            yield done
    if reading.turn is not None:
        yield reading.turn


class _TurnsRead:
    """A log as far as it is read."""

    def __init__(self) -> None:
        self.turn: Turn | None = None
        self._said: list[tuple[str, str]] = []
        """Role and text of the messages of the newest request."""

    def add(self, line: Line) -> Turn | None:
        """Take one line in; the turn that is complete, when a new one begins."""
        kind = line.get("kind")
        if kind == "Prompt":
            done, self.turn = self.turn, Turn(count_of(line, "cell"), text_of(line, "time"), text_of(line, "text"))
            return done
        turn = self.turn
        if turn is None:
            return None
        if kind == "Request":
            turn.steps.append(self._step(line))
        elif kind == "Answer":
            if turn.steps:
                _answer(turn.steps[-1], line)
        elif kind == "Reset":
            self._said.clear()
        else:
            if kind == "TurnFinished":
                turn.status = one_of(line, "status", "ok", "error", "interrupted")
            if turn.status != "interrupted" and (event := _event(str(kind), line)) is not None:
                turn.events.append(event)
        return None

    def _step(self, line: Line) -> Step:
        messages = [(text_of(message, "role"), text_of(message, "text")) for message in objects_of(line, "messages")]
        self._said[count_of(line, "kept") :] = messages
        roles = [role for role, _ in self._said]
        at = len(roles) - 1 - roles[::-1].index("user") if "user" in roles else -1
        first = not {"assistant", "tool"} & {*roles[at + 1 :]}
        names = line.get("tools")
        tools = frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
        return Step(text_of(line, "model"), self._said[at][1] if at >= 0 else "", first, tools)


def _answer(step: Step, line: Line) -> None:
    """Fill `step` with its answer."""
    step.text, step.reasoning, step.error = (text_of(line, name) for name in ("text", "reasoning", "error"))
    step.calls = calls_of(line)
    step.finish = text_of(line, "finish") or None
    step.usage = usage_of(line)


def _event(kind: str, line: Line) -> Event | None:
    """The event of a line; None for another kind of line, or when its fields make no event."""
    call = text_of(line, "call_id")
    match kind:
        case "TextDelta":
            return TextDelta(text_of(line, "text"))
        case "CommandAnswered":
            return CommandAnswered(text_of(line, "markdown"))
        case "ReasoningDelta":
            return ReasoningDelta(text_of(line, "text"))
        case "ToolStarted":
            by_person = line.get("by_person") is True
            return ToolStarted(call, text_of(line, "name"), text_of(line, "arguments"), by_person)
        case "ToolOutput":
            return ToolOutput(call, text_of(line, "text"))
        case "ToolProgress":
            total = number_of(line, "total") if line.get("total") is not None else None
            return ToolProgress(call, number_of(line, "done"), total, text_of(line, "text"))
        case "ToolDisplay":
            data = dict(_forms(line))
            return ToolDisplay(call, data) if data else None
        case "ToolFinished":
            status = cast(Literal["ok", "error", "interrupted"], one_of(line, "status", "ok", "error", "interrupted"))
            summary = text_of(line, "summary")
            return ToolFinished(
                call, text_of(line, "name"), status, summary, number_of(line, "seconds"), line.get("value")
            )
        case "ToolLoaded":
            id = id_of(line)
            return ToolLoaded(id, text_of(line, "alias")) if id else None
        case "EntryPublished":
            operations = tuple(_operations(line))
            said = (text_of(line, "policy"), count_of(line, "tests"), text_of(line, "diff"))
            return EntryPublished(commit_of(line, "commit"), text_of(line, "subject"), operations, *said)
        case "RegistryShown":
            return RegistryShown(text_of(line, "query"), count_of(line, "total"), tuple(_tools(line)))
        case "DiffShown":
            return DiffShown(tuple(map(_change, objects_of(line, "changes"))), text_of(line, "all_of_it"))
        case "Asked":
            answer = cast(Answer, one_of(line, "answer", "yes", "always", "nobody", "no"))
            return Asked(text_of(line, "question"), _texts(line, "policies"), answer)
        case "FileRead":
            size, digest = count_of(line, "size"), text_of(line, "sha256")
            return FileRead(text_of(line, "name"), size, digest, text_of(line, "said"))
        case "Notice":
            return Notice(text_of(line, "text"))
        case "UsageReport":
            return UsageReport(text_of(line, "model"), usage_of(line), number_of(line, "cost"))
        case "Missing":
            return Notice(f"{count_of(line, 'lines'):,} lines of the log are missing here: the disk was too slow")
        case "TurnFinished":
            ended = cast(Literal["ok", "error"], one_of(line, "status", "ok", "error"))
            return TurnFinished(
                ended, text_of(line, "error"), text_of(line, "error_name"), _revision(line), spent_of(line, "spent")
            )
        case _:
            return None


def _forms(line: Line) -> Iterator[tuple[str, Value]]:
    """What a display holds, in the forms that outputs.Display may have."""
    for form, content in object_of(line, "data").items():
        if isinstance(content, str if form in TEXT_FORMS else list | dict if form in JSON_FORMS else ()):
            yield form, content
        elif form in PICTURE_FORMS and isinstance(content, str):
            try:
                picture = decode_base64(content.encode())
            except ValueError:  # cut, or never any
                continue
            if picture.startswith(PICTURE_FORMS[form]):
                yield form, picture


def _operations(line: Line) -> Iterator[Operation]:
    for item in objects_of(line, "operations"):
        action = item.get("action")
        if (id := id_of(item)) is not None and action in ("create", "update", "delete"):
            yield Operation(action, id)


def _tools(line: Line) -> Iterator[PanelTool]:
    for item in objects_of(line, "tools"):
        if (id := id_of(item)) is None:
            continue
        yield PanelTool(
            id,
            text_of(item, "title"),
            text_of(item, "description"),
            _texts(item, "modules"),
            _texts(item, "imports"),
            _texts(item, "calls"),
            count_of(item, "tests"),
            count_of(item, "used"),
            count_of(item, "failed"),
            _excerpt(item, "source"),
            tuple(map(_commit, objects_of(item, "commits"))),
            item.get("has_older") is True,
        )


def _change(line: Line) -> Change:
    return Change(text_of(line, "action"), text_of(line, "name"), text_of(line, "diff"))


def _commit(line: Line) -> ToolCommit:
    return ToolCommit(
        count_of(line, "number"),
        commit_of(line, "commit"),
        text_of(line, "time"),
        text_of(line, "action"),
        text_of(line, "actor"),
        text_of(line, "subject"),
        text_of(line, "tests"),
        _excerpt(line, "diff"),
    )


def _excerpt(line: Line, name: str) -> Excerpt:
    said = object_of(line, name)
    return Excerpt(text_of(said, "text"), count_of(said, "missing"))


def _texts(line: Line, name: str) -> tuple[str, ...]:
    """The texts of a field that is a list."""
    listed = line.get(name)
    return tuple(text for text in listed if isinstance(text, str)) if isinstance(listed, list) else ()


def _revision(line: Line) -> Revision | None:
    said = object_of(line, "registry")
    after, before = commit_of(said, "registry"), commit_of(said, "before")
    return Revision(after, before, text_of(said, "session"), count_of(said, "cell")) if after and before else None
