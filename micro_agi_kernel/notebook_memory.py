"""What is remembered of a notebook from one kernel to the next: its sessions, and the registry that each cell ran with.

A file for each notebook in the folder of the logs, with a line when a cell asks its model and one when it was answered,
so that no log is read to find the newest one. Losing it loses no session.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from micro_agi_kernel.logs.fields import commit_of, count_of, object_in, text_of
from micro_agi_kernel.logs.turns import log_of
from micro_agi_kernel.values import many

FOLDER = "notebooks"

TAIL = 256 << 10
"""Bytes at the end of a file that are read, about a thousand lines; one four times as long is cut to them."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation in a notebook."""

    session: str
    time: str
    """When it was asked last, UTC, as in its log."""
    cells: int

    def __str__(self) -> str:
        return f"a conversation of {many(self.cells, 'cell')}, of {minute(self.time)}"


@dataclass(frozen=True, slots=True)
class Ran:
    """The commits before and after a cell, as it ran last."""

    before: str
    after: str


class NotebookMemory:
    """Of one notebook, or of a front end that does not say which: then nothing outlives the kernel."""

    def __init__(self, sessions: Path, path: str) -> None:
        """Reads what is known of the notebook at `path`, and so blocks; empty: nobody knows which it is."""
        self.path = path
        self._sessions = sessions
        digest = hashlib.sha256(path.encode(errors="replace")).hexdigest()[:32]
        self._file = sessions / FOLDER / f"{digest}.jsonl" if path else None
        self._talks: dict[str, Talk] = {}
        self._ran: dict[tuple[str, str], Ran] = {}
        self._writer = ThreadPoolExecutor(1, "notebook")
        for line in self._read():
            self._remember(line)
        newest = next(self.talks(), None)
        self.offer = f"this notebook has {newest}: %resume goes on with it" if newest is not None else ""
        """What to say of its newest conversation when its kernel has just started; empty: there is none."""

    def note(self, session: str, cells: int, *, cell_id: str = "", prompt: str = "", ran: Ran | None = None) -> None:
        """The conversation of `session` has so many cells now, the last of which is `cell_id`. Waits for no disk."""
        line: dict[str, object] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "session": session}
        line["cells"] = cells
        if cell_id and ran is not None:
            line |= {"cell_id": cell_id, "prompt": _digest(prompt), "before": ran.before, "after": ran.after}
        self._remember(line)
        if self._file is not None:
            with suppress(RuntimeError):  # the process is about to end
                self._writer.submit(self._append, f"{json.dumps(line)}\n".encode())

    def ran(self, cell_id: str, prompt: str) -> Ran | None:
        """How the cell with this prompt ran last, if it did."""
        return self._ran.get((cell_id, _digest(prompt)))

    def talks(self) -> Iterator[Talk]:
        """Its conversations that can be resumed, the newest first. Blocks."""
        return (
            talk
            for talk in reversed([*self._talks.values()])
            if talk.cells and log_of(self._sessions, talk.session) is not None
        )

    def close(self) -> None:
        """Write what is pending. Blocks; harmless when repeated."""
        self._writer.shutdown()

    def _remember(self, line: dict[str, object]) -> None:
        session, cell_id = text_of(line, "session"), text_of(line, "cell_id")
        self._talks.pop(session, None)  # the newest stands last
        self._talks[session] = Talk(session, text_of(line, "time"), count_of(line, "cells"))
        before, after = commit_of(line, "before"), commit_of(line, "after")
        if cell_id and before and after:
            self._ran[cell_id, text_of(line, "prompt")] = Ran(before, after)

    def _read(self) -> Iterator[dict[str, object]]:
        """The newest lines. A file that cannot be read is as none: its kernel works without."""
        if self._file is None:
            return
        try:
            with self._file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL))
                lines = file.read(TAIL).splitlines(keepends=True)[size > TAIL :]
            if size > 4 * TAIL:
                shorter = self._file.with_suffix(".new")
                shorter.write_bytes(b"".join(lines))
                shorter.replace(self._file)
        except OSError:
            return
        for content in lines:
            if (line := object_in(content)) is not None:
                yield dict(line)

    def _append(self, line: bytes) -> None:
        assert self._file is not None
        with suppress(OSError):  # the log in the folder above says what is wrong
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(self._file, "ab+", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line  # a kernel that was killed left half a line
                file.write(line)


def minute(time: str) -> str:
    """A time of a log without its seconds, "2026-11-23 14:02"."""
    return time[:16].replace("T", " ")


def _digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode(errors="replace")).hexdigest()[:16]
