"""What the tests of commands share: cells of a session, and what came of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from house_kit import House, words

from micro_agi_kernel.approval import Ask
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import DiffShown, Event, RegistryShown, TurnFinished
from micro_agi_kernel.frontends.panel_text import diff_markdown, panel_markdown
from micro_agi_kernel.pinning import own_revision
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.session import Session


class Cells:
    """The cells of one session."""

    def __init__(self, house: House) -> None:
        self.session = Session(house, house.settings)
        self.events: list[Event] = []
        """Of the newest cell."""

    async def run(self, text: str, ask: Ask | None = None) -> TurnFinished:
        self.events = [event async for event in run_cell(self.session, text, ask=ask)]
        end = self.events[-1]
        assert isinstance(end, TurnFinished)
        return end

    async def said(self, text: str, ask: Ask | None = None) -> str:
        """The answer of a cell that ends well."""
        end = await self.run(text, ask)
        assert end.status == "ok", end.error
        panels = [panel_markdown(event) for event in self.events if isinstance(event, RegistryShown)]
        panels += [diff_markdown(event) for event in self.events if isinstance(event, DiffShown)]
        return words(self.events) + "".join(panels)

    async def failed(self, text: str, ask: Ask | None = None) -> str:
        """The one line of a cell that does not."""
        end = await self.run(text, ask)
        assert end.status == "error" and words(self.events) == ""
        assert end.registry is not None
        return end.error

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


async def stop_while_it_looks(work: Coroutine[Any, Any, Any], monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Stop a cell while a thread looks for a revision, by the `own_revision` at `where`; then let that go on."""
    began, ended, go_on = asyncio.Event(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(registry: Registry, rev: str) -> Snapshot:
        loop.call_soon_threadsafe(began.set)
        go_on.wait(30)
        try:
            return own_revision(registry, rev)
        finally:
            loop.call_soon_threadsafe(loop.call_later, 0.05, ended.set)

    monkeypatch.setattr(where, slow)
    task = asyncio.create_task(work)
    await asyncio.wait_for(began.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.wait_for(ended.wait(), 30)
