"""How a cell ended, in Jupyter's terms: fine, the person's failure in one line, or a bug with its traceback."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded with the first cell, see kernel.py
    from micro_agi_kernel.events import Revision, TurnFinished


@dataclass(frozen=True, slots=True)
class CellFailure:
    """A cell's error, as Jupyter names its parts."""

    name: str
    line: str
    traceback: tuple[str, ...]

    @property
    def content(self) -> dict[str, Any]:
        """What its reply and its output hold."""
        return {"ename": self.name, "evalue": self.line, "traceback": list(self.traceback)}


def outcome(turn: asyncio.Task[TurnFinished], *, color: bool) -> tuple[CellFailure | None, Revision | None]:
    """The failure of a turn that is done, if it failed, and the registry revision if it has one.

    `color` is that of Transcript; notebooks know a terminal's colours in errors too.
    """
    from micro_agi_kernel.errors import MicroAgiError
    from micro_agi_kernel.events import STOPPED
    from micro_agi_kernel.frontends.text import one_line, plain

    if turn.cancelled():
        return failure_of("Interrupted", STOPPED, color=False), None
    bug = turn.exception()
    if isinstance(bug, MicroAgiError):
        return failure_of(type(bug).__name__, str(bug), color=color), None
    if bug is not None:
        frames = tuple(plain(frame.rstrip("\n")) for frame in traceback.format_exception(bug))
        return CellFailure(type(bug).__name__, one_line(str(bug)), frames), None
    finished = turn.result()
    if finished.status == "ok":
        return None, finished.registry
    return failure_of(finished.error_name, finished.error, color=color), finished.registry


def failure_of(name: str, line: str, *, color: bool) -> CellFailure:
    """The person's failure as one clear block: what failed, which front ends do not show otherwise, and the line that
    says what to do."""
    from micro_agi_kernel.frontends.text import one_line, painted

    name, line = one_line(name) or "MicroAgiError", one_line(line)
    return CellFailure(name, line, (f"{painted(name, 'error') if color else name}: {line}",))


def metadata_of(revision: Revision | None) -> dict[str, Any]:
    """What a saved notebook keeps of a cell's revision, on its reply or on one of its outputs."""
    return {} if revision is None else {"micro_agi": asdict(revision)}
