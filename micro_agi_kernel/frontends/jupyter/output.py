"""Paces what a cell shows: a front end chokes on many small messages, not on few large ones."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

FULL = 8_192
"""Pending characters that are shown without waiting."""

_SHARE = 5
"""A flush that took long makes the next one wait this many times as long: showing stays below a fifth of the time."""


class Send(Protocol):
    """Publishes one message of the running cell."""

    def __call__(
        self, msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> None: ...


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
        """Show `text`, which is safe, soon."""
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
        self._pending.clear()
        self._size = 0
        if text:
            self._send("stream", {"name": "stdout", "text": text})


class Shown:
    """One output of the cell, shown at once, and again as it changes: at most once in `seconds`.

    The newest state is what a saved notebook keeps. Its metadata stays the same over all updates: VS Code replaces
    every output of the cell otherwise.
    """

    def __init__(self, send: Send, bundle: Callable[[], Mapping[str, Any]], *, seconds: float) -> None:
        """`bundle` gives what to show now, by MIME type."""
        self._send = send
        self._bundle = bundle
        self._id = uuid.uuid4().hex
        self._msg_type = "display_data"
        self._pacer = Pacer(self._show, seconds=seconds)

    def change(self) -> None:
        """Show what it is now, soon."""
        self._pacer.ask()

    def finish(self) -> None:
        """Show now what is not shown yet."""
        self._pacer.finish()

    def _show(self) -> None:
        self._send(
            self._msg_type,
            {"data": dict(self._bundle()), "metadata": {}, "transient": {"display_id": self._id}},
        )
        self._msg_type = "update_display_data"
