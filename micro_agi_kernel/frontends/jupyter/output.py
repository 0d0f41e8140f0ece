"""Paces what a cell shows: a front end chokes on many small messages, not on few large ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from micro_agi_kernel.frontends.jupyter.rendering import plain

if TYPE_CHECKING:
    from micro_agi_kernel.frontends.jupyter.sinks import Send

FULL = 8_192
"""Pending characters that are shown without waiting."""

HEAD = 32_768
TAIL = 32_768
"""Characters of one call's output that are shown, from its start and from its end."""

_SHARE = 5
"""A flush that took long makes the next one wait this many times as long: showing stays below a fifth of the time."""


class Pacer:
    """Calls `flush` at the first `ask`, and then at most once in `seconds`. Needs the running loop."""

    def __init__(self, flush: Callable[[], None], *, seconds: float) -> None:
        self._flush = flush
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._asked = False

    def ask(self) -> None:
        """There is something to show."""
        self._asked = True
        if self._timer is None:
            wait = self._next - self._loop.time()
            if wait <= 0:
                self.finish()
            else:
                self._timer = self._loop.call_later(wait, self.finish)

    def finish(self) -> None:
        """Show now what was asked for and not shown yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asked:
            self._asked = False
            started = self._loop.time()
            self._flush()
            ended = self._loop.time()
            self._next = ended + max(self._seconds, _SHARE * (ended - started))


class Stream:
    """Text on the cell's stdout, in as few messages as keep it lively."""

    def __init__(self, send: Send, *, seconds: float) -> None:
        self._send = send
        self._pacer = Pacer(self._show, seconds=seconds)
        self._pending: list[str] = []
        self._size = 0
        self._line_start = True

    def write(self, text: str) -> None:
        """Show `text`, which may be hostile, soon."""
        if not text:
            return
        self._pending.append(text)
        self._size += len(text)
        self._line_start = text.endswith("\n")
        self._pacer.ask()
        if self._size >= FULL:
            self._pacer.finish()

    def start_line(self) -> None:
        """End the line that is open, if one is."""
        if not self._line_start:
            self.write("\n")

    def flush(self) -> None:
        """Show now what is pending."""
        self._pacer.finish()

    def _show(self) -> None:
        text = "".join(self._pending)
        self._pending = ["\r"] if text.endswith("\r") else []  # its newline may come with the next piece
        self._size = 0
        if text := plain(text.removesuffix("\r")):
            self._send("stream", {"name": "stdout", "text": text})


class ShownOutput:
    """What is shown of one call's output: bars at the left (so that it cannot pose as a status line),
    the head as it comes, the tail at the end, and between them a line that says how much is missing."""

    def __init__(self) -> None:
        self._room = HEAD
        self._missing = 0
        self._tail = ""
        self._line_start = True
        self._held = ""

    def add(self, text: str) -> str:
        """What to show of the next piece, which may be hostile, now."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""  # its newline may come with the next piece
        text = plain(text.removesuffix("\r"))
        head, rest = text[: self._room], text[self._room :]
        self._room -= len(head)
        if rest:
            tail = self._tail + rest
            self._tail = tail[-TAIL:]
            self._missing += len(tail) - len(self._tail)
        return self._barred(head)

    def end(self) -> str:
        """What remains to show once the call is over."""
        gap = f"\n... {self._missing:,} characters not shown ...\n" if self._missing else ""
        shown = self._barred(gap.lstrip("\n") if self._line_start else gap) + self._barred(self._tail)
        return shown if self._line_start else shown + "\n"

    def _barred(self, text: str) -> str:
        if not text:
            return ""
        lines = text.split("\n")
        barred = "\n".join(f"  | {line}" if line or i < len(lines) - 1 else "" for i, line in enumerate(lines))
        if not self._line_start:
            barred = barred.removeprefix("  | ")
        self._line_start = text.endswith("\n")
        return barred
