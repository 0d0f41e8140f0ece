"""The log of a session: a JSON Lines file of all that was asked, answered, run and shown in it.

    {"kind": "Session", "format": 1, "version": "0.5.0", "session": "20260102T...", "time": "2026-..."}
    {"kind": "Prompt", "cell": 1, "text": "what time is it?"}
    {"kind": "Request", "model", "step", "kept", "tools", "messages"}    the messages behind the first `kept` are new
    {"kind": "Answer", "model", "step", "text", "reasoning", "calls", "finish", "usage", "seconds", "error"}

and every event of a turn under its class's name, with its fields. Each line has a `time`. What stands in a key never
gets in. `session_history` reads the file back.
"""

from __future__ import annotations

import base64
import json
import math
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from micro_agi_kernel import __version__
from micro_agi_kernel.entries import EntryId, Operation
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import Event, ReasoningDelta, TextDelta, ToolFinished, ToolOutput
from micro_agi_kernel.interfaces import MIB, Model
from micro_agi_kernel.messages import (
    AssistantMessage,
    CallChunk,
    FinishChunk,
    Message,
    ModelChunk,
    ModelRequest,
    ReasoningChunk,
    SystemMessage,
    TextChunk,
    ToolCall,
    ToolResult,
    UserMessage,
)
from micro_agi_kernel.values import Json

FORMAT = 1
SUFFIX = ".jsonl"
LINE = 4 * MIB
"""Characters of text that one line holds; what goes beyond them is left out, with a mark."""

OUTPUT = 8 * MIB
"""Characters that one call printed; a line says that there was more."""

SHORTEST_KEY = 8
"""Characters. What is shorter is no secret, and would black out words."""

_PIECE = 8_192
"""Characters of an answer or an output that are gathered to one line."""


class SessionLog:
    """Writes the log of one session, in a thread of its own: no cell waits for the disk, and none fails with it."""

    def __init__(
        self, folder: Path, session: str, keys: Callable[[], Iterable[str]], notify: Callable[[str], None]
    ) -> None:
        """The file comes with the first prompt. `keys` gives the keys that must not get in; it is asked in the
        thread, at each prompt. `notify` is told once, in one line, when the log cannot be written."""
        self.path = folder / f"{session}{SUFFIX}"
        self._session = session
        self._keys = keys
        self._notify = notify
        self._writer = ThreadPoolExecutor(1, "session-log")  # what is pending is still written when the process ends
        self._broken = False
        self._hidden: tuple[str, ...] = ()
        self._gathering: tuple[str, str] | None = None
        self._pieces: list[str] = []
        self._gathered = 0
        self._printed: dict[str, int] = {}
        self._sent: tuple[Message, ...] = ()
        self._step = 0

    def prompt(self, cell: int, text: str) -> None:
        """A turn begins."""
        self._step = 0
        self._submit(self._learn_keys)
        self._put("Prompt", cell=cell, text=text)

    def event(self, event: Event) -> None:
        """What the turn told its front end. Pieces of text that follow one another become one line."""
        match event:
            case TextDelta(text) | ReasoningDelta(text):
                self._gather((type(event).__name__, ""), text)
            case ToolOutput(call_id, text):
                self._gather_output(call_id, text)
            case _:
                if isinstance(event, ToolFinished):
                    self._printed.pop(event.call_id, None)
                self._put(type(event).__name__, event)

    def stopped(self) -> None:
        """The turn ended without TurnFinished: the person stopped it, or a bug of ours did."""
        self._printed.clear()
        self._put("TurnFinished", status="interrupted")

    def request(self, model: str, request: ModelRequest) -> None:
        """A model is asked."""
        self._step += 1
        kept = 0
        for old, new in zip(self._sent, request.messages, strict=False):
            if old is not new and old != new:
                break
            kept += 1
        self._sent = request.messages
        tools = [tool.name for tool in request.tools]
        new_messages = [_message(message) for message in request.messages[kept:]]
        self._put("Request", model=model, step=self._step, kept=kept, tools=tools, messages=new_messages)

    def answer(self, answer: _Answer, error: str, seconds: float) -> None:
        """What it answered; `error` is why the answer is not whole."""
        self._put("Answer", answer, step=self._step, error=error, seconds=round(seconds, 3))

    def close(self) -> None:
        """Write what is pending. Blocks; harmless when repeated."""
        self._flush()
        self._writer.shutdown()

    def _gather_output(self, call_id: str, text: str) -> None:
        printed = self._printed.get(call_id, 0)
        self._printed[call_id] = printed + len(text)
        if printed <= OUTPUT:
            more = printed + len(text) > OUTPUT
            mark = "\n... (more was printed than the log holds) ...\n" if more else ""
            self._gather(("ToolOutput", call_id), text[: OUTPUT - printed] + mark)

    def _gather(self, source: tuple[str, str], text: str) -> None:
        if self._gathering != source:
            self._flush()
        self._gathering = source
        self._pieces.append(text)
        self._gathered += len(text)
        if self._gathered >= _PIECE and text[-1:].isspace():  # a key has no space in it: none is cut in two
            self._flush()

    def _flush(self) -> None:
        source, text = self._gathering, "".join(self._pieces)
        self._gathering, self._pieces, self._gathered = None, [], 0
        if source is not None and text:
            kind, call_id = source
            self._write_later(kind, ({"call_id": call_id} if call_id else {}) | {"text": text})

    def _put(self, kind: str, item: object = None, **more: object) -> None:
        self._flush()
        self._write_later(kind, item, more)

    def _write_later(self, kind: str, *parts: object) -> None:
        self._submit(self._write, kind, datetime.now(UTC), parts)

    def _submit(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            self._writer.submit(work, *arguments).add_done_callback(self._done)
        except RuntimeError:  # closed, or the process is about to end
            return

    # In the writer's thread:

    def _done(self, work: Future[None]) -> None:
        """Before the next work: whatever fails, nothing more is written, and nothing without the keys known."""
        if (error := work.exception()) is not None and not self._broken:
            self._broken = True
            reason = error.strerror if isinstance(error, OSError) else repr(error)
            self._notify(f"the log of this session cannot be written, it ends here: {reason} ({self.path})")

    def _learn_keys(self) -> None:
        keys = {key for key in self._keys() if len(key) >= SHORTEST_KEY}
        # Arguments of a call are JSON in a string, and may hold JSON in strings themselves.
        forms = {form for key in keys for form in (key, _escaped(key), _escaped(_escaped(key)))}
        self._hidden = tuple(sorted({*self._hidden, *forms}, key=len, reverse=True))

    def _write(self, kind: str, when: datetime, parts: tuple[object, ...]) -> None:
        if self._broken:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self.path, "ab", opener=_private) as file:
            if file.tell() == 0:
                header = {"format": FORMAT, "version": __version__, "session": self._session}
                file.write(self._line("Session", when, (header,)))
            file.write(self._line(kind, when, parts))

    def _line(self, kind: str, when: datetime, parts: tuple[object, ...]) -> bytes:
        line: dict[str, Json] = {"kind": kind, "time": when.isoformat(timespec="milliseconds")}
        plain = _Plain(self._hidden)
        for part in parts:
            said = plain.of(part)
            line |= said if isinstance(said, dict) else {}
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return f"{text}\n".encode(errors="backslashreplace")  # a lone surrogate becomes its escape in JSON


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Recorder:
    """A model whose requests and answers go into a log."""

    def __init__(self, model: Model, log: SessionLog) -> None:
        self._model = model
        self._log = log

    @property
    def name(self) -> str:
        return self._model.name

    async def close(self) -> None:
        await self._model.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """Answer `request` as the model does."""
        self._log.request(self.name, request)
        answer, why, started = _Answer(), "", time.monotonic()
        try:
            async with aclosing(self._model.stream(request)) as chunks:
                async for chunk in chunks:
                    answer.add(chunk)
                    yield chunk
        except MicroAgiError as error:
            why = str(error)
            raise
        finally:
            answer.model = self.name
            self._log.answer(answer, why, time.monotonic() - started)


@dataclass(slots=True)
class _Answer:
    """An answer of a model, as it grows."""

    model: str = ""
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    finish: FinishChunk | None = None

    def add(self, chunk: ModelChunk) -> None:
        match chunk:
            case TextChunk(text):
                self.text.append(text)
            case ReasoningChunk(text):
                self.reasoning.append(text)
            case CallChunk(call):
                self.calls.append(call)
            case FinishChunk():
                self.finish = chunk


def as_fields(value: object) -> dict[str, Json]:
    """The fields of a dataclass, an event for example, as JSON, whole: bytes are base64."""
    return _Plain((), math.inf).fields(value)


class _Plain:
    """What goes into one line as JSON: without keys, and within its bound."""

    def __init__(self, hidden: tuple[str, ...], room: float = LINE) -> None:
        self._hidden = hidden
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
                return self._bytes(value)
            case tuple() | list():
                return self._items(value)
            case Mapping():
                return {self._text(str(key)): self.of(item) for key, item in value.items() if self._room > 0}
            case Operation():
                return {"action": value.action, "id": str(value.id)}  # the entry is in the registry
            case _Answer():
                return self._answer(value)
            case _:
                return self.fields(value) if is_dataclass(value) else self._text(str(value))

    def fields(self, value: object) -> dict[str, Json]:
        """The fields of a dataclass."""
        assert is_dataclass(value)
        return {item.name: self.of(getattr(value, item.name)) for item in fields(value)}

    def _answer(self, answer: _Answer) -> dict[str, Json]:
        finish = answer.finish
        return {
            "model": answer.model,
            "text": self._text("".join(answer.text)),
            "reasoning": self._text("".join(answer.reasoning)),
            "calls": self.of(answer.calls),
            "finish": finish.reason if finish else None,
            "usage": self.of(finish.usage) if finish else None,
        }

    def _items(self, items: Iterable[object]) -> list[Json]:
        kept: list[Json] = []
        for item in items:
            if self._room <= 0:
                kept.append("... (items left out) ...")
                break
            kept.append(self.of(item))
        return kept

    def _bytes(self, content: bytes) -> str:
        for key in self._hidden:
            content = content.replace(key.encode(), b"***")
        return self._text(base64.b64encode(content).decode())

    def _text(self, text: str) -> str:
        for key in self._hidden:
            if key in text:
                text = text.replace(key, "***")
        self._room -= len(text)
        if self._room >= 0:
            return text
        left, self._room = max(0, len(text) + int(self._room)), 0
        return f"{text[:left]}... ({len(text) - left} characters left out) ..."


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _message(message: Message) -> Mapping[str, object]:
    match message:
        case SystemMessage(text):
            return {"role": "system", "text": text}
        case UserMessage(text):
            return {"role": "user", "text": text}
        case AssistantMessage(text, calls, interrupted):
            return {"role": "assistant", "text": text, "calls": calls, "interrupted": interrupted}
        case ToolResult(call_id, name, content, ok):
            return {"role": "tool", "call": call_id, "name": name, "text": content, "ok": ok}
