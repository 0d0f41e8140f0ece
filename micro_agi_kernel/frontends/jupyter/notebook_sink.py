"""Folds a turn's events into Markdown that grows and cards of HTML, with the lines of the transcript as their text."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from micro_agi_kernel.events import (
    DiffShown,
    EntryPublished,
    RegistryShown,
    Revision,
    Spent,
    ToolFinished,
    ToolStarted,
)
from micro_agi_kernel.frontends.displays import CellDisplays, progress_html
from micro_agi_kernel.frontends.jupyter.cards import (
    Call,
    call_card,
    commit_card,
    diff_card,
    line_html,
    more_calls,
    question_html,
)
from micro_agi_kernel.frontends.jupyter.outcome import metadata_of
from micro_agi_kernel.frontends.jupyter.output import Send, Shown
from micro_agi_kernel.frontends.jupyter.panel import panel_html
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.output_text import ShownOutput, barred_piece, barred_text, progress_line
from micro_agi_kernel.frontends.panel_text import diff_markdown, panel_markdown
from micro_agi_kernel.frontends.rendering import last_block, safe_markdown
from micro_agi_kernel.frontends.text import Tone, one_line, plain
from micro_agi_kernel.frontends.transcript import Fold, call_line, own_line
from micro_agi_kernel.outputs import Display, Output, Progress
from micro_agi_kernel.values import Value, short_commit

CARDS = 20
"""Calls of a cell that have an output of their own. JupyterLab hides what comes behind 50 outputs of a cell, and the
answer is the last one: further calls share one."""

LISTED = 200
"""Lines in that one."""

TAIL, TAIL_LINES = 2_000, 12
"""Characters, and lines, of a running call's newest output that are shown."""

LONG, PARTS = 4_000, 15
"""Characters from which on an answer goes on in a new output: a front end renders all of one each time it grows, and
stands still for that long. After so many parts of a cell three times as many: see CARDS."""


class _Card:
    """A call in a notebook: what is known of it, and the output that shows it."""

    def __init__(self, call: Call, output: ShownOutput) -> None:
        self.call = call
        self.output = output
        self.head: list[str] = []
        self.started = time.monotonic()
        self.progress: Progress | None = None
        self.shown: Shown | None = None
        """None: among those that share one."""

    def bundle(self) -> dict[str, str]:
        if self.call.status == "running":
            newest = ("".join(self.head)[-TAIL:] + self.output.newest)[-TAIL:]
            self.call.output = "\n".join(newest.rstrip("\n").split("\n")[-TAIL_LINES:])
        return {"text/html": call_card(self.call), "text/plain": self.text()}

    def text(self) -> str:
        """The lines of the transcript."""
        before = barred_piece("".join(self.head), line_start=True)
        if self.call.status == "running" and before and not before.endswith("\n"):
            before += "\n"
        if self.progress is not None:
            before += f"{barred_text(one_line(progress_line(self.progress)))}\n"
        return before + self.status()

    def status(self) -> str:
        """Those of them that say how it stands, without what it showed."""
        call = self.call
        return call_line(call.name, call.status, call.why) + "".join(own_line(f"[+] {id}") for id in call.loaded)


class NotebookSink(Fold):
    """JupyterLab and its like: outputs that are updated as they grow, one for each piece of an answer and each call."""

    def __init__(self, send: Send, *, footer: bool) -> None:
        super().__init__(footer=footer)
        self.send = send
        self._text = ""
        self._too_long = LONG
        self._parts = 0
        self._shown_answer: Shown | None = None
        self._running: dict[str, _Card] = {}
        self._ended: _Card | None = None
        """The call that ended last, while nothing came after it."""
        self._cards = 0
        self._shared: Shown | None = None
        self._shared_calls: list[_Card] = []
        self._displays = CellDisplays()
        self._not_displayed: Shown | None = None
        self._last: dict[str, str] = {}
        """What is complete and waits for the cell's end, by MIME type: it carries the revision, which is known then."""

    # -- answers -----------------------------------------------------------------------------------

    def open_answer(self) -> None:
        self._text = ""
        self._parts += 1
        self._too_long = LONG if self._parts <= PARTS else 3 * LONG
        self._shown_answer = Shown(self.send, self._answer_bundle, seconds=0.06)

    def answer(self, text: str) -> None:
        assert self._shown_answer is not None
        self._text += text
        if len(self._text) > self._too_long:
            self._go_on()
        self._shown_answer.change()

    def _go_on(self) -> None:
        """Leave what is complete of a long answer as it is, and go on in a new output."""
        assert self._shown_answer is not None
        text = self._text.replace("\r\n", "\n")
        at = last_block(text)
        self._too_long = len(text) * 3 // 2  # to look takes longer, too
        if at:
            self._text = text[:at]
            self._shown_answer.change()
            self._shown_answer.finish()
            self.open_answer()
            self._text = text[at:]

    def close_answer(self) -> None:
        assert self._shown_answer is not None
        self._shown_answer.finish()

    def _answer_bundle(self) -> dict[str, str]:
        return {"text/markdown": safe_markdown(self._text), "text/plain": plain(self._text)}

    # -- calls -------------------------------------------------------------------------------------

    def start_call(self, event: ToolStarted) -> None:
        self.end_answer()
        self._ended = None
        self._show_last({})
        self._begin(event.call_id, Call(event.name, event.arguments, by_person=event.by_person))

    def hear(self, call_id: str, output: Output) -> None:
        card = self._running.get(call_id) or self._begin(call_id, Call(""))
        match output:
            case Display(data):
                self._display(card.call.name, data)
                return
            case _ if card.shown is None:
                return  # those that share an output show how they stand, and no more
            case Progress():
                card.progress = output
                card.call.progress = progress_html(output)
            case _:
                card.head.append(self.add_output(card.output, output))
        self._change(card)

    def _display(self, name: str, data: Mapping[str, Value]) -> None:
        if bundle := self._displays.bundle(name, data):
            self._show(bundle)
            return
        if self._not_displayed is None:
            self._not_displayed = Shown(
                self.send, lambda: _line(f"note: {self._displays.missing()}", "note"), seconds=0.2
            )
        self._not_displayed.change()

    def end_call(self, event: ToolFinished) -> None:
        card = self._running.pop(event.call_id, None) or self._begin(event.call_id, Call(event.name))
        self._running.pop(event.call_id, None)
        call = card.call
        call.name, call.status, call.why = event.name, event.status, event.summary
        call.seconds, call.value = event.seconds, event.value
        self._end(card)

    def loaded(self, id: str) -> None:
        if self._ended is None:
            self.say(f"[+] {id}", "plain")
            return
        self._ended.call.loaded.append(id)
        self._change(self._ended, now=True)

    def close(self) -> None:
        self._settle()
        self._show_last({})

    def _settle(self) -> None:
        """Show all that grows as it is in the end."""
        for card in [*self._running.values()]:  # the turn was stopped
            card.call.status = "interrupted"
            card.call.seconds = time.monotonic() - card.started
            self._end(card)
        self._running.clear()
        for shown in (self._shared, self._not_displayed):
            if shown is not None:
                shown.finish()
        self.end_answer()

    def _begin(self, call_id: str, call: Call) -> _Card:
        card = self._running[call_id] = _Card(call, self.new_output())
        self._cards += 1
        if self._cards <= CARDS:
            card.shown = Shown(self.send, card.bundle, seconds=0.2)
        else:
            self._shared_calls.append(card)
        self._change(card)
        return card

    def _end(self, card: _Card) -> None:
        card.head.append(self.end_output(card.output))
        card.call.output = "".join(card.head)
        self._change(card, now=True)
        self._ended = card

    def _change(self, card: _Card, *, now: bool = False) -> None:
        shown = card.shown
        if shown is None:
            self._shared = shown = self._shared or Shown(self.send, self._shared_bundle, seconds=0.2)
            now = False  # all of it is sent again each time
        shown.change()
        if now:
            shown.finish()

    def _shared_bundle(self) -> dict[str, str]:
        listed = self._shared_calls[-LISTED:]
        before = len(self._shared_calls) - len(listed)
        html = more_calls([card.call for card in listed], before)
        missing = f"  {before:,} more calls, not shown\n" if before else ""
        return {"text/html": html, "text/plain": missing + "".join(card.status() for card in listed)}

    # -- all else ----------------------------------------------------------------------------------

    def published(self, event: EntryPublished) -> None:
        line = own_line(f"commit {short_commit(event.commit)} {event.subject}")
        self._show({"text/html": commit_card(event), "text/plain": line})

    def show_registry(self, event: RegistryShown) -> None:
        self._keep({"text/html": panel_html(event), "text/plain": markdown_as_text(panel_markdown(event))})

    def show_diff(self, event: DiffShown) -> None:
        self._keep({"text/html": diff_card(event), "text/plain": markdown_as_text(diff_markdown(event))})

    def show_command(self, markdown: str) -> None:
        self._keep({"text/markdown": safe_markdown(markdown), "text/plain": markdown_as_text(markdown)})

    def say(self, line: str, tone: Tone) -> None:
        self._show(_line(line, tone))

    def show_question(self, text: str) -> None:
        self._show({"text/html": question_html(text), "text/plain": text})

    def counts(self, spent: Spent) -> bool:
        """A server may not report tokens; steps and time are known."""
        return spent.steps > 0

    def finish(self, revision: Revision | None, took: str) -> None:
        self._settle()
        if took:
            self._keep(_line(took, "dim"))
        elif revision is not None and not self._last:
            self._last = {"text/plain": ""}  # there is nothing to draw: only the saved notebook has it
        self._show_last(metadata_of(revision))

    def _show(self, data: dict[str, Any]) -> None:
        self.end_answer()
        self._show_last({})
        self._ended = None
        self.send("display_data", {"data": data, "metadata": {}, "transient": {}})

    def _keep(self, data: dict[str, str]) -> None:
        self.end_answer()
        self._show_last({})
        self._last = data

    def _show_last(self, metadata: dict[str, Any]) -> None:
        if self._last:
            self.send("display_data", {"data": self._last, "metadata": metadata, "transient": {}})
            self._last = {}


def _line(line: str, tone: Tone) -> dict[str, str]:
    """A line of ours, by MIME type."""
    return {"text/html": line_html(line, tone), "text/plain": own_line(line)}
