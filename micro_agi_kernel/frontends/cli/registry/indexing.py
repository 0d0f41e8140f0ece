"""The bar that a person sees while a large registry is indexed for the first time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_FROM = 2_000
"""Steps from which on it takes more than a moment."""


class IndexingBar:
    """Told how far the index is, shows a bar on stderr where that is a terminal and the steps are many."""

    def __init__(self) -> None:
        self._bar: tuple[Progress, TaskID] | None = None
        self._shown = sys.stderr.isatty()
        if context := click.get_current_context(silent=True):
            context.call_on_close(self._close)

    def __call__(self, done: int, total: int) -> None:
        if not self._shown or (self._bar is None and total - done < SHOWN_FROM):
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            progress = Progress(console=Console(stderr=True), transient=True)
            self._bar = progress, progress.add_task("Indexing the registry")
            progress.start()
        progress, task = self._bar
        progress.update(task, completed=done, total=total)
        if done >= total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None
