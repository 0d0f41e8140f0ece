"""How a command opens the registry: with a bar for the person while a large one is indexed for the first time."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.frontends.cli.output import say
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import Workspace, made_by_name, open_registry

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")

SHOWN_FROM = 2_000
"""Steps from which on it takes more than a moment."""


def open_at(path: str | None) -> Registry:
    """The registry at `path`, or that of the settings; made from the seed where there is nothing yet."""
    return watched(open_told(load_settings(registry=path)))


def open_told(settings: Settings, notify: Callable[[str], None] = say) -> Registry:
    """Open the registry of the settings, and tell when it was named and had to be made."""
    made = made_by_name(settings)
    opened = open_registry(settings, notify)
    if made:
        notify(made)
    return opened


def watched(opened: Registry) -> Registry:
    """The same registry, which now shows how far it is when it has much to index."""
    opened.watch(IndexingBar())
    return opened


async def in_workspace(settings: Settings, work: Callable[[Workspace], Awaitable[T]]) -> T:
    """Do `work` in the workspace of the settings, with what that has to say on stderr, also when the work fails."""
    workspace = Workspace(settings, watched(open_told(settings)))
    try:
        return await work(workspace)
    finally:
        for line in workspace.take_notices():
            say(line)
        await workspace.close()


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
