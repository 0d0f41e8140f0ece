"""A cell, shown: which sink its front end wants, and what comes until its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from micro_agi_kernel.events import Event, TurnFinished
from micro_agi_kernel.frontends.jupyter.batch_sink import BatchSink
from micro_agi_kernel.frontends.jupyter.notebook_sink import NotebookSink
from micro_agi_kernel.frontends.jupyter.output import Send
from micro_agi_kernel.frontends.jupyter.terminal_sink import TerminalSink
from micro_agi_kernel.frontends.transcript import Fold
from micro_agi_kernel.settings import RenderSettings


def choose_sink(send: Send, render: RenderSettings, *, cell_id: str, allow_stdin: bool) -> Fold:
    """The sink of a cell that shows with `send`. Front ends differ by what their request has: a cell's id, an input
    line. Call it on the loop."""
    front_end = render.front_end
    if front_end == "auto":
        front_end = "notebook" if cell_id else "terminal" if allow_stdin else "batch"
    match front_end:
        case "notebook":
            return NotebookSink(send, footer=render.footer)
        case "terminal":
            return TerminalSink(send, footer=render.footer, color=render.color)
        case _:
            return BatchSink(send, footer=render.footer)


async def show(events: AsyncGenerator[Event, None], sink: Fold) -> TurnFinished:
    """Have `sink` show the events of a cell; the last of them."""
    finished: TurnFinished | None = None
    try:
        async with aclosing(events):
            async for event in events:
                sink.handle(event)
                if isinstance(event, TurnFinished):
                    finished = event
    finally:
        sink.close()  # also when the turn was cancelled: what was said so far stays
    if finished is None:
        raise RuntimeError("the turn ended without its last event")
    return finished
