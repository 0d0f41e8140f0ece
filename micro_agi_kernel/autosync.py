"""Sharing by itself, where the settings ask for it: a pull when a session begins, a push after what it commits.

No cell waits for either or fails by it. What happened, or why nothing could, is one line for the person, shown
with a later cell; a remote that cannot be reached gives one line a session.
"""

from __future__ import annotations

import asyncio

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.sharing.remote import Behind
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.syncing import Pulled, Syncing
from micro_agi_kernel.values import many
from micro_agi_kernel.workspace import Workspace

PATIENCE = 3.0
"""Seconds that the end of a session waits for a push that runs; Jupyter waits 5 for a kernel to end."""


class AutoSync:
    """What a session does with its remote beside its cells, one thing at a time."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        self.settings = settings.sync
        self._syncing = Syncing(workspace, settings.home)
        self._task: asyncio.Task[None] | None = None
        self._pulls = settings.sync.pull_at_start
        self._pushes = False
        self._seen = workspace.registry.head()
        """The newest commit that needs no push, or was pushed."""
        self._told: set[str] = set()

    def start(self) -> None:
        """The session begins; harmless when repeated."""
        if self._pulls:
            self._work()

    def turn_ended(self) -> None:
        """The turn that ended, however it did, may have changed the registry."""
        if self.settings.push_after_commit:
            self._pushes = True
            self._work()

    async def close(self) -> None:
        """Wait a little for what runs, then end it: the next push brings what this one did not."""
        if self._task is not None:
            _, running = await asyncio.wait([self._task], timeout=PATIENCE)
            if running:
                self._tell("failed", f"the registry was not shared: {PATIENCE:.0f} s were not enough")
                self._task.cancel()
                await asyncio.wait([self._task])

    def _work(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._pulls or self._pushes:
            pulls, pushes, self._pulls, self._pushes = self._pulls, self._pushes, False, False
            try:
                if pulls:
                    self._report(await self._syncing.pull(shows=False))
                if pushes and await asyncio.to_thread(self._workspace.registry.head) != self._seen:
                    await self._push()
            except MicroAgiError as error:
                self._tell("failed", f"the registry was not shared: {error}")
            except Exception as error:  # a fault of ours must not end sharing without a word
                what = f"{type(error).__name__}: {error}"
                self._tell(type(error).__name__, f"the registry was not shared, by a fault of Micro AGI: {clean(what)}")

    async def _push(self) -> None:
        try:
            self._seen = await self._syncing.push()
        except Behind:
            done = await self._syncing.pull(shows=False)
            self._report(done)
            if not done.open:
                self._seen = await self._syncing.push()

    def _report(self, done: Pulled) -> None:
        if taken := done.of("taken"):
            self._workspace.notices.append(f"{many(len(taken), 'change')} taken from {done.remote}")
        if done.open:
            undecided = f"{many(len(done.open), 'change')} from {done.remote} to decide about"
            self._tell("undecided", f"{undecided}: `micro-agi registry pull` shows them")

    def _tell(self, what: str, line: str) -> None:
        """A line of this sort, once a session."""
        if what not in self._told:
            self._told.add(what)
            self._workspace.notices.append(line)
