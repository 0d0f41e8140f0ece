"""Folds a turn's events into a transcript: the lines that all front ends show, whatever they show them with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import assert_never

from micro_agi_kernel.events import (
    Asked,
    EntryPublished,
    Event,
    Notice,
    ReasoningDelta,
    Revision,
    Spent,
    TextDelta,
    ToolDisplay,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolProgress,
    ToolStarted,
    TurnFinished,
    UsageReport,
)
from micro_agi_kernel.frontends.output_text import ShownOutput
from micro_agi_kernel.frontends.question_text import ANSWERS, question_text
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.outputs import Display, Output, Printed, Progress
from micro_agi_kernel.questions import Question
from micro_agi_kernel.values import money

SHOWN = 32_768
"""Characters of one call's output that are shown, from its start and as many from its end."""

SHOWN_LATE = 512
"""The same for a call that begins when the cell has shown IN_CELL characters of output."""

IN_CELL = 1 << 20
"""A Jupyter server drops messages above a megabyte a second, and hundreds of calls may print."""


class Transcript(ABC):
    """The fold that all front ends share; a subclass says how an answer and a line are shown."""

    shows_commits = False

    def __init__(self, *, footer: bool) -> None:
        """`footer`: whether a last line says what the turn took (setting render.footer)."""
        self._footer = footer
        self._answering = False
        self._outputs: dict[str, ShownOutput] = {}
        self._shown = 0

    def handle(self, event: Event) -> None:
        """Show one event."""
        match event:
            case TextDelta(text):
                self._answer(text)
            case ToolOutput(call_id, text):
                self._tell(call_id, Printed(text))
            case ToolProgress(call_id, done, total, text):
                self._tell(call_id, Progress(done, total, text))
            case ToolDisplay(call_id, data):
                self._tell(call_id, Display(data))
            case ToolFinished(call_id, name, status, summary):
                if output := self._outputs.pop(call_id, None):
                    self._show(output.end())
                self._line(f"[{name}] error: {summary}" if status == "error" else f"[{name}] {status}")
            case ToolLoaded(id):
                self._line(f"[+] {id}")
            case EntryPublished(commit, subject):
                if self.shows_commits:
                    self._line(f"commit {commit[:7]} {subject}")
            case Asked(question, answer=answer):
                self._line(f"asked: {question}: {ANSWERS[answer]}")
            case Notice(text):
                self._line(f"note: {text}")
            case TurnFinished():
                if self._footer and event.spent.tokens:
                    self._line(_footer(event.spent))
                self.finish(event.registry)
            case ToolStarted() | ReasoningDelta() | UsageReport():
                pass
            case _:
                assert_never(event)

    def ask(self, question: Question) -> None:
        """Show what the person is asked; the answer is asked for next."""
        if self._answering:
            self._answering = False
            self.close_answer()
        self.show_question(question_text(question))

    def _tell(self, call_id: str, output: Output) -> None:
        if call_id not in self._outputs:
            self._outputs[call_id] = ShownOutput(SHOWN if self._shown < IN_CELL else SHOWN_LATE)
        self._show(self._outputs[call_id].add(output))

    def _show(self, output: str) -> None:
        self._shown += len(output)
        self._print(output)

    def _answer(self, text: str) -> None:
        if not self._answering:
            text = text.lstrip()  # models open an answer with empty lines
            if not text:
                return
            self._answering = True
            self.open_answer()
        self.answer(text)

    def _line(self, line: str) -> None:
        self._print(f"  {one_line(line)}\n", new_line=True)

    def _print(self, text: str, *, new_line: bool = False) -> None:
        if not text:
            return
        if self._answering:
            self._answering = False
            self.close_answer()
        self.print(text, new_line=new_line)

    def close(self) -> None:
        """Show all that is pending; harmless when repeated. A cancelled turn may end without TurnFinished."""
        for output in self._outputs.values():
            self._print(output.end())
        self._outputs.clear()
        if self._answering:
            self._answering = False
            self.close_answer()

    def finish(self, revision: Revision | None) -> None:
        """The turn's last event came; `revision` is the cell's, for a saved notebook."""
        self.close()

    def open_answer(self) -> None:  # noqa: B027 (a hook that not every front end needs)
        """The next item of answer text begins."""

    @abstractmethod
    def answer(self, text: str) -> None:
        """Show the next piece of the open item."""

    def show_question(self, text: str) -> None:
        """Show safe text on lines of its own, and now."""
        self.print(text, new_line=True)

    def close_answer(self) -> None:  # noqa: B027 (a hook that not every front end needs)
        """The open item is complete."""

    @abstractmethod
    def print(self, text: str, *, new_line: bool) -> None:
        """Show safe text that is no answer, on a line of its own if `new_line`."""


def _footer(spent: Spent) -> str:
    """`2 steps, 1,234 tokens (456 cached), $0.0012, 3.2 s`; what is zero is left out."""
    parts = ["1 step" if spent.steps == 1 else f"{spent.steps} steps"]
    cached = f" ({spent.usage.cached:,} cached)" if spent.usage.cached else ""
    parts += [f"{spent.tokens:,} tokens{cached}"]
    parts += [money(spent.cost)] if spent.cost else []
    return ", ".join((*parts, f"{spent.seconds:,.1f} s"))
