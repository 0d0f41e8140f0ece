"""Asking the person at a terminal: what is asked stands on stderr, the answer is a line of stdin."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable

from micro_agi_kernel.approval import Approvals, Ask, Standing
from micro_agi_kernel.frontends.question_text import asker
from micro_agi_kernel.interfaces import Approver
from micro_agi_kernel.questions import Question, Subject

_LINE = 4_096
"""Bytes that a terminal gives as one line."""


def at_terminal(show: Callable[[Question], None]) -> Ask | None:
    """A way to whoever sits at the terminal, None where nobody does; `show` shows them a question."""
    return asker(show, _read_line) if sys.stdin.isatty() and sys.stderr.isatty() else None


@contextlib.asynccontextmanager
async def approver(show: Callable[[Question], None]) -> AsyncIterator[Approver]:
    """The Approver of a command that has no session."""
    ask, standing, always = at_terminal(show), asyncio.Queue[Standing](), set[Subject]()

    async def settle() -> None:
        while ask is not None:
            await (await standing.get()).settle(ask, always)

    settling = asyncio.create_task(settle())
    try:
        pass_on = standing.put_nowait if ask is not None else None
        yield Approvals(pass_on, always, lambda _: None, contextlib.nullcontext)
    finally:
        settling.cancel()


async def _read_line(prompt: str) -> str | None:
    """A line of the terminal, None at its end (Ctrl-D), without a thread that Ctrl-C would have to wait for."""
    loop, line = asyncio.get_running_loop(), asyncio.Event()
    _forget_typed()
    print(prompt, end="", file=sys.stderr, flush=True)
    loop.add_reader(sys.stdin.fileno(), line.set)
    try:
        await line.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    with contextlib.suppress(OSError):  # the terminal was closed
        return os.read(sys.stdin.fileno(), _LINE).decode(errors="replace") or None
    return None


def _forget_typed() -> None:
    """Drop what was typed so far: it answers no question that nobody has seen."""
    try:
        import termios
    except ImportError:  # another kind of terminal
        return
    with contextlib.suppress(termios.error):  # the terminal was closed
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
