"""Folds a turn's events into what a front end shows: `Fold` for all of them, `Transcript` for those that show lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import assert_never

from micro_agi_kernel.events import (
    Asked,
    CommandAnswered,
    DiffShown,
    EntryPublished,
    Event,
    FileRead,
    Notice,
    ReasoningDelta,
    RegistryShown,
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
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.output_text import BAR, ShownOutput, barred_piece, progress_rewritten, progress_step
from micro_agi_kernel.frontends.panel_text import diff_markdown, panel_markdown
from micro_agi_kernel.frontends.question_text import ANSWERS, question_text
from micro_agi_kernel.frontends.text import Tone, one_line, painted
from micro_agi_kernel.outputs import Display, Output, Printed, Progress
from micro_agi_kernel.questions import Question
from micro_agi_kernel.values import many, money

SHOWN = 32_768
"""Characters of one call's output that are shown, from its start and as many from its end."""

SHOWN_LATE = 512
"""The same for a call that begins when the cell has shown IN_CELL characters of output."""

IN_CELL = 1 << 20
"""A Jupyter server drops messages above a megabyte a second, and hundreds of calls may print."""

_TONES: dict[str, Tone] = {"ok": "ok", "error": "error", "interrupted": "note"}


class Fold(ABC):
    """The fold that all front ends share: which event asks for what, and where an answer begins and ends.

    A subclass says how each thing is shown.
    """

    def __init__(self, *, footer: bool) -> None:
        """`footer`: whether a last line says what the turn took (setting render.footer)."""
        self._footer = footer
        self._answering = False
        self._shown = 0

    def handle(self, event: Event) -> None:
        """Show one event."""
        match event:
            case TextDelta(text):
                self._answer(text)
            case CommandAnswered(markdown):
                self.show_command(markdown)
            case ToolStarted():
                self.start_call(event)
            case ToolOutput(call_id, text):
                self.hear(call_id, Printed(text))
            case ToolProgress(call_id, done, total, text):
                self.hear(call_id, Progress(done, total, text))
            case ToolDisplay(call_id, data):
                self.hear(call_id, Display(data))
            case ToolFinished():
                self.end_call(event)
            case ToolLoaded(id):
                self.loaded(str(id))
            case EntryPublished():
                self.published(event)
            case RegistryShown():
                self.show_registry(event)
            case DiffShown():
                self.show_diff(event)
            case Asked(question, answer=answer):
                self.say(f"asked: {question}: {ANSWERS[answer]}", "note")
            case FileRead(name, said=said):
                self.say(f"[file] {name}: {said}", "note")
            case Notice(text):
                self.say(f"note: {text}", "note")
            case TurnFinished():
                self.finish(event.registry, footer(event.spent) if self._footer and self.counts(event.spent) else "")
            case ReasoningDelta() | UsageReport():
                pass
            case _:
                assert_never(event)

    def ask(self, question: Question) -> None:
        """Show what the person is asked; the answer is asked for next."""
        self.end_answer()
        self.show_question(question_text(question))

    def end_answer(self) -> None:
        """Something else than answer text comes next."""
        if self._answering:
            self._answering = False
            self.close_answer()

    def new_output(self) -> ShownOutput:
        """For what a call shows that begins now."""
        return ShownOutput(SHOWN if self._shown < IN_CELL else SHOWN_LATE)

    def add_output(self, to: ShownOutput, output: Output) -> str:
        """What `output` adds to what is shown of a call now, without bars."""
        return self._counted(to.add(output))

    def end_output(self, of: ShownOutput) -> str:
        """What remains to show of a call that is over, without bars."""
        return self._counted(of.end())

    def _counted(self, text: str) -> str:
        """`text` itself, which is shown behind bars, at least where only text is."""
        self._shown += len(text) + len(BAR) * text.count("\n")
        return text

    def _answer(self, text: str) -> None:
        if not self._answering:
            text = text.lstrip()  # models open an answer with empty lines
            if not text:
                return
            self._answering = True
            self.open_answer()
        self.answer(text)

    def close(self) -> None:
        """Show all that is pending; harmless when repeated. A cancelled turn may end without TurnFinished."""
        self.end_answer()

    def counts(self, spent: Spent) -> bool:
        """Whether a footer says what the turn took; as text not where no tokens are known, as with the demo model."""
        return spent.tokens > 0

    def finish(self, revision: Revision | None, took: str) -> None:
        """The turn's last event came; `revision` is the cell's, for a saved notebook, `took` the footer or ""."""
        if took:
            self.say(took, "dim")
        self.close()

    def open_answer(self) -> None:  # noqa: B027 (a hook that not every front end needs)
        """The next item of answer text begins."""

    @abstractmethod
    def answer(self, text: str) -> None:
        """Show the next piece of the open item, which may be hostile."""

    def close_answer(self) -> None:  # noqa: B027 (a hook that not every front end needs)
        """The open item is complete."""

    def start_call(self, event: ToolStarted) -> None:  # noqa: B027 (a hook that not every front end needs)
        """A call begins."""

    @abstractmethod
    def hear(self, call_id: str, output: Output) -> None:
        """Show what a running call shows."""

    @abstractmethod
    def end_call(self, event: ToolFinished) -> None:
        """Show that a call is over."""

    @abstractmethod
    def loaded(self, id: str) -> None:
        """Show that the agent has one tool more."""

    @abstractmethod
    def published(self, event: EntryPublished) -> None:
        """Show a commit."""

    def show_registry(self, event: RegistryShown) -> None:
        """Show tools of the registry: as a command's answer, where no more can be shown."""
        self.show_command(panel_markdown(event))

    def show_diff(self, event: DiffShown) -> None:
        """Show what differs between two revisions: likewise."""
        self.show_command(diff_markdown(event))

    @abstractmethod
    def show_command(self, markdown: str) -> None:
        """Show what a command answers."""

    @abstractmethod
    def say(self, line: str, tone: Tone) -> None:
        """Show a line of ours, in which hostile text may stand."""

    @abstractmethod
    def show_question(self, text: str) -> None:
        """Show safe text on lines of its own, and now."""


class Transcript(Fold):
    """A turn as lines of text; a subclass says where these go."""

    def __init__(self, *, footer: bool, color: bool = False) -> None:
        """`color`: it is for a terminal, whose codes give colours and write a line anew (setting render.color)."""
        super().__init__(footer=footer)
        self._color = color
        self._outputs: dict[str, ShownOutput] = {}
        self._drawn = ("", 0)
        """The call whose progress is drawn on the open line, and which step of it."""

    @abstractmethod
    def print(self, text: str, *, new_line: bool) -> None:
        """Show safe text that is no answer, on a line of its own if `new_line`."""

    def hear(self, call_id: str, output: Output) -> None:
        if call_id not in self._outputs:
            self._outputs[call_id] = self.new_output()
        shown = self._outputs[call_id]
        if self._color and isinstance(output, Progress):
            self._draw(call_id, shown, output)
        else:
            line_start = shown.line_start
            self._print(barred_piece(self.add_output(shown, output), line_start=line_start))

    def end_call(self, event: ToolFinished) -> None:
        if output := self._outputs.pop(event.call_id, None):
            self._print_rest(output)
        line = call_line(event.name, event.status, event.summary, color=self._color)
        self._print(line, new_line=True)

    def loaded(self, id: str) -> None:
        self.say(f"[+] {id}", "plain")

    def published(self, event: EntryPublished) -> None:
        """A line says which tool was called already."""

    def say(self, line: str, tone: Tone) -> None:
        self._print(own_line(line, tone, color=self._color), new_line=True)

    def show_command(self, markdown: str) -> None:
        """As text that reads well: nothing renders it."""
        self._print(f"{markdown_as_text(markdown)}\n", new_line=True)

    def show_question(self, text: str) -> None:
        self.print(text, new_line=True)

    def ask(self, question: Question) -> None:
        super().ask(question)
        self._drawn = ("", 0)

    def close(self) -> None:
        for output in self._outputs.values():
            self._print_rest(output)
        self._outputs.clear()
        if self._drawn[0]:
            self._drawn = ("", 0)
            self.print("\n", new_line=False)
        super().close()

    def _print_rest(self, of: ShownOutput) -> None:
        line_start = of.line_start
        self._print(barred_piece(self.end_output(of), line_start=line_start))

    def _draw(self, call_id: str, shown: ShownOutput, progress: Progress) -> None:
        """Write the line of a call's progress, or write it anew when a hundredth more is done."""
        before, step = self._drawn, progress_step(progress, 100)
        if before == (call_id, step):
            return
        self._print(shown.break_line())
        self.print(progress_rewritten(progress), new_line=self._drawn[0] != call_id)
        self._drawn = (call_id, step)

    def _print(self, text: str, *, new_line: bool = False) -> None:
        if not text:
            return
        self.end_answer()
        self.print(text, new_line=new_line or bool(self._drawn[0]))
        self._drawn = ("", 0)


def own_line(line: str, tone: Tone = "plain", *, color: bool = False) -> str:
    """A line of ours, in which hostile text may stand; `color`: with a terminal's codes for `tone`."""
    line = one_line(line)
    return f"  {painted(line, tone) if color else line}\n"


def call_line(name: str, status: str, why: str, *, color: bool = False) -> str:
    """How the call `name` stands, and of an error why; all may be hostile but `status`. `color`: as in own_line."""
    said = one_line(f"{status}: {why}" if status == "error" else status)
    return f"  {one_line(f'[{name}]')} {painted(said, _TONES[status]) if color else said}\n"


def footer(spent: Spent) -> str:
    """`2 steps, 1,234 tokens (456 cached), $0.0012, 3.2 s`; what is zero is left out."""
    parts = [many(spent.steps, "step")]
    cached = f" ({spent.usage.cached:,} cached)" if spent.usage.cached else ""
    parts += [f"{spent.tokens:,} tokens{cached}"] if spent.tokens else []
    parts += [money(spent.cost)] if spent.cost else []
    return ", ".join((*parts, f"{spent.seconds:,.1f} s"))
