"""Folds a turn's events into one final output, for runners that no one watches: nbclient, papermill."""

from __future__ import annotations

from typing import Literal

from micro_agi_kernel.events import Revision, ToolStarted
from micro_agi_kernel.frontends.displays import CellDisplays
from micro_agi_kernel.frontends.jupyter.outcome import metadata_of
from micro_agi_kernel.frontends.jupyter.output import Send
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.rendering import safe_markdown
from micro_agi_kernel.frontends.text import plain
from micro_agi_kernel.frontends.transcript import Transcript
from micro_agi_kernel.markdown_text import fenced
from micro_agi_kernel.outputs import Display, Output
from micro_agi_kernel.questions import Question


class BatchSink(Transcript):
    """One display with all of the cell, once it is over; what a tool displays stands beside it."""

    def __init__(self, send: Send, *, footer: bool) -> None:
        super().__init__(footer=footer)
        self.send = send
        self._items: list[tuple[Literal["answer", "command", "lines"], list[str]]] = []
        """What it is, and its text, in the pieces that came."""
        self._revision: Revision | None = None
        self._displays = CellDisplays()
        self._names: dict[str, str] = {}
        """Of the calls."""

    def open_answer(self) -> None:
        self._items.append(("answer", []))

    def answer(self, text: str) -> None:
        self._items[-1][1].append(text)

    def show_command(self, markdown: str) -> None:
        self.end_answer()
        self._items.append(("command", [markdown]))

    def start_call(self, event: ToolStarted) -> None:
        self._names[event.call_id] = event.name

    def hear(self, call_id: str, output: Output) -> None:
        if not isinstance(output, Display):
            super().hear(call_id, output)
        elif bundle := self._displays.bundle(self._names.get(call_id, ""), output.data):
            self._flush()
            self.send("display_data", {"data": bundle, "metadata": {}, "transient": {}})

    def print(self, text: str, *, new_line: bool) -> None:
        if not self._items or self._items[-1][0] != "lines":
            self._items.append(("lines", []))
        pieces = self._items[-1][1]
        if new_line and pieces and not pieces[-1].endswith("\n"):
            pieces.append("\n")
        if text:
            pieces.append(text)

    def ask(self, question: Question) -> None:
        """What there is must be shown now after all."""
        super().ask(question)
        self._flush()

    def finish(self, revision: Revision | None, took: str) -> None:
        self._revision = revision
        if self._displays.left_out:
            self.say(f"note: {self._displays.missing()}", "note")
        super().finish(revision, took)

    def close(self) -> None:
        super().close()
        self._flush()

    def _flush(self) -> None:
        if not self._items:
            return
        items = [(kind, "".join(pieces)) for kind, pieces in self._items]
        data = {
            "text/markdown": "\n\n".join(
                fenced(text) if kind == "lines" else safe_markdown(text) for kind, text in items
            ),
            "text/plain": "\n".join(
                (markdown_as_text if kind == "command" else plain)(text).rstrip("\n") for kind, text in items
            ),
        }
        self.send("display_data", {"data": data, "metadata": metadata_of(self._revision), "transient": {}})
        self._items.clear()
