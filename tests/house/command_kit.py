"""What the tests of commands share: cells of a session, and what came of them."""

from __future__ import annotations

from house_kit import House, words

from micro_agi_kernel.approval import Ask
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import DiffShown, Event, RegistryShown, TurnFinished
from micro_agi_kernel.frontends.panel_text import diff_markdown, panel_markdown
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
