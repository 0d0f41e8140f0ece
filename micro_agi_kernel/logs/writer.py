"""The file of a session's log, written: JSON Lines, one for each thing that happened.

    {"kind": "Session", "format": 1, "version": ..., "session": "20260102T...", "time": "2026-..."}
    {"kind": "Prompt", "cell": 1, "text": "what time is it?", "cell_id": ...}
    {"kind": "Request", "model", "step", "kept", "tools", "messages"}    the messages behind the first `kept` are new
    {"kind": "Answer", "model", "step", "text", "reasoning", "calls", "finish", "usage", "seconds", "error"}
    {"kind": "Reset"}                                                    the conversation was forgotten
    {"kind": "State", "kept", "messages", "cells", "loaded", ...}        where the session stands after a cell
    {"kind": "Missing", "lines": 3}                                      the disk was too slow for that many

and every event of a turn under its class's name, with its fields. Each line has a `time`. What stands in a key never
gets in; `logs.keys` sees to that. `logs.turns` reads the file back.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, cast

from micro_agi_kernel import __version__
from micro_agi_kernel.events import Event, ReasoningDelta, TextDelta, ToolFinished, ToolOutput
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.logs.keys import Keys
from micro_agi_kernel.logs.lines import line_of, weight
from micro_agi_kernel.logs.state import SessionState
from micro_agi_kernel.messages import (
    AssistantMessage,
    Message,
    ModelRequest,
    SystemMessage,
    ToolResult,
    UserMessage,
)

FORMAT = 1
SUFFIX = ".jsonl"
OUTPUT = 8 * MIB
"""Characters that one call printed; a line says that there was more."""

QUEUE = 64 * MIB
"""About the bytes that may wait for the disk; what comes then is left out, and a line says how much that was."""

_OF_A_LINE = 256
"""Bytes that a line takes while it waits, whatever is in it."""

_PIECE = 8_192
"""Characters of an answer or an output that are gathered to one line."""

_PIECEWISE = frozenset({"TextDelta", "ReasoningDelta", "ToolOutput"})
"""Kinds of lines whose text goes on in the next one of their source."""

_GATHERING = 0.05
"""Seconds for which the thread that writes gathers lines: the lines of a turn follow one another closely."""

_Work: TypeAlias = "tuple[int, str, datetime, tuple[object, ...]] | None"
"""A line: about its bytes, its kind, its time and what it says; or None: learn the keys."""


class SessionLog:
    """Writes the log of one session, in a thread of its own: no cell waits for the disk, and none fails with it."""

    def __init__(
        self,
        folder: Path,
        session: str,
        keys: Callable[[], Iterable[str]],
        notify: Callable[[str], None],
        about: Mapping[str, str] | None = None,
    ) -> None:
        """The file comes with the first prompt; `about` stands in its first line. `keys` gives the keys that must not
        get in; it is asked in the thread, at each prompt. `notify` is told in one line, once, when the log cannot be
        written, and when it is not whole."""
        self.path = folder / f"{session}{SUFFIX}"
        self._header = {"format": FORMAT, "version": __version__, "session": session, **(about or {})}
        self._keys = keys
        self._notify = notify
        self._writer = ThreadPoolExecutor(1, "session-log")  # what is pending is still written when the process ends
        self._pending: deque[_Work] = deque()
        self._awake = False
        self._hurry = threading.Event()
        self._broken = False
        self._hidden = Keys()
        self._begun: dict[tuple[str, str], str] = {}
        """What may be the beginning of a key, at the end of what each source said last."""
        self._queued = 0
        """Bytes that were ever to be written."""
        self._written = 0
        """Those of them with which the thread is done."""
        self._missing = 0
        """Lines that were left out since the last one that was not."""
        self._told = False
        self._gathering: tuple[str, str] | None = None
        self._pieces: list[str] = []
        self._gathered = 0
        self._printed: dict[str, int] = {}
        self._sent: tuple[Message, ...] = ()
        self._state = SessionState()
        self._step = 0

    def prompt(self, cell: int, text: str, cell_id: str = "") -> None:
        """A turn begins. `cell_id` is what its front end calls the cell."""
        self._step = 0
        self._submit(None)
        self._hurry.set()  # the keys as they are now
        self._put("Prompt", cell=cell, text=text, **({"cell_id": cell_id} if cell_id else {}))

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

    def reset(self) -> None:
        """The conversation is forgotten: the next request keeps nothing."""
        self._sent = ()
        self._put("Reset")

    def request(self, model: str, request: ModelRequest, *, summarizes: bool = False) -> None:
        """A model is asked, by the conversation or to summarize it."""
        self._step += 1
        kept, new = _since(self._sent, request.messages)
        self._sent = request.messages
        tools = [tool.name for tool in request.tools]
        more = {"summarizes": True} if summarizes else {}
        self._put("Request", model=model, step=self._step, kept=kept, tools=tools, messages=new, **more)

    def answer(self, answer: Mapping[str, object], error: str, seconds: float) -> None:
        """The fields of what it answered; `error` is why the answer is not whole."""
        self._put("Answer", answer, step=self._step, error=error, seconds=round(seconds, 3))

    def state(self, state: SessionState) -> None:
        """Where the session stands now; nothing is written when it stands where it stood."""
        if state != self._state:
            self._state = state
            kept, new = _since(self._sent[1:], state.messages)
            fields = {"cells": state.cells, "loaded": state.loaded, "pinned": state.pinned, "registry": state.registry}
            self._put("State", kept=kept, messages=new, **fields, spent=state.spent)

    def close(self) -> None:
        """Write what is pending. Blocks; harmless when repeated."""
        self._flush()
        self._tell_missing()
        self._hurry.set()
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
            self._write_later(kind, *_piece(call_id, text))

    def _put(self, kind: str, item: object = None, **more: object) -> None:
        self._flush()
        self._write_later(kind, item, more)

    def _write_later(self, kind: str, *parts: object) -> None:
        if self._broken:
            return
        size = weight(parts) + _OF_A_LINE
        waiting = self._queued - self._written
        if waiting and waiting + size > QUEUE:
            self._leave_out()
            return
        self._tell_missing()
        self._queued += size
        self._submit((size, kind, datetime.now(UTC), parts))

    def _leave_out(self) -> None:
        self._missing += 1
        self._sent, self._state = (), SessionState()  # what is kept of these would not be in the log
        if not self._told:
            self._told = True
            self._notify(f"the disk is too slow for the log of this session, some lines are left out ({self.path})")

    def _tell_missing(self) -> None:
        if self._missing:
            missing, self._missing = self._missing, 0
            self._submit((0, "Missing", datetime.now(UTC), ({"lines": missing},)))

    def _submit(self, work: _Work) -> None:
        self._pending.append(work)
        if not self._awake:
            self._awake = True
            with suppress(RuntimeError):  # closed, or the process is about to end
                self._writer.submit(self._work_off).add_done_callback(self._done)

    # In the writer's thread:

    def _done(self, work: Future[None]) -> None:
        """Before the next work: whatever fails, nothing more is written, and nothing without the keys known."""
        if (error := work.exception()) is not None and not self._broken:
            self._broken = True
            reason = error.strerror if isinstance(error, OSError) else repr(error)
            self._notify(f"the log of this session cannot be written, it ends here: {reason} ({self.path})")

    def _learn_keys(self) -> None:
        self._hidden.learn(self._keys())

    def _work_off(self) -> None:
        """Do what is pending, a little later: what comes close together takes one wake-up and one write."""
        self._hurry.wait(_GATHERING)
        self._hurry.clear()
        self._awake = False  # what comes from now on wakes the thread again
        lines: list[bytes] = []
        done = 0
        try:
            while self._pending and not self._broken:
                if (work := self._pending.popleft()) is None:
                    self._learn_keys()
                else:
                    size, kind, when, parts = work
                    done += size
                    lines += self._lines_of(kind, when, parts)
        finally:
            self._write(lines)
            self._written += done

    def _lines_of(self, kind: str, when: datetime, parts: tuple[object, ...]) -> Iterator[bytes]:
        """The lines of one work.

        Sources may speak in turns, in the middle of a key too: its beginning waits for the rest of it, at most until
        something else happens.
        """
        if kind not in _PIECEWISE:
            begun, self._begun = self._begun, {}
            for (name, call_id), text in begun.items():
                yield line_of(name, when, _piece(call_id, text), self._hidden)
            yield line_of(kind, when, parts, self._hidden)
            return
        [said] = cast("tuple[Mapping[str, str]]", parts)
        source = kind, said.get("call_id", "")
        text = self._hidden.hidden_in(self._begun.pop(source, "") + said["text"])
        if size := self._hidden.begun_in(text):
            text, self._begun[source] = text[:-size], text[-size:]
        if text:
            yield line_of(kind, when, _piece(source[1], text), self._hidden)

    def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self.path, "ab", opener=_private) as file:
            if file.tell() == 0:
                file.write(line_of("Session", datetime.now(UTC), (self._header,), self._hidden))
            file.writelines(lines)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _piece(call_id: str, text: str) -> tuple[Mapping[str, str]]:
    return (({"call_id": call_id} if call_id else {}) | {"text": text},)


def _since(old: tuple[Message, ...], now: tuple[Message, ...]) -> tuple[int, list[Mapping[str, object]]]:
    """How many messages at the beginning of `now` are those of `old`, and all others."""
    kept = 0
    for one, other in zip(old, now, strict=False):
        if one is not other and one != other:
            break
        kept += 1
    return kept, [_message(message) for message in now[kept:]]


def _message(message: Message) -> Mapping[str, object]:
    match message:
        case SystemMessage(text):
            return {"role": "system", "text": text}
        case UserMessage(text, attached, images):
            shown = [
                {"name": image.name, "mime": image.mime, "size": len(image.data), "sha256": image.sha256}
                for image in images
            ]
            files = {"attached": attached, "images": shown} if attached else {}
            return {"role": "user", "text": text, **files}
        case AssistantMessage(text, calls, interrupted):
            return {"role": "assistant", "text": text, "calls": calls, "interrupted": interrupted}
        case ToolResult(call_id, name, content, ok):
            return {"role": "tool", "call": call_id, "name": name, "text": content, "ok": ok}
