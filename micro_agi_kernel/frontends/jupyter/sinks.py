"""Folds a turn's events into Jupyter messages: one sink for each kind of front end.

A notebook shows Markdown that grows, a terminal shows a transcript as it is written, a batch runner
(nbclient, papermill) keeps one final output. All of them show the same lines.
"""

from __future__ import annotations

import uuid

from micro_agi_kernel.events import Revision
from micro_agi_kernel.frontends.jupyter.outcome import metadata_of
from micro_agi_kernel.frontends.jupyter.output import Pacer, Send, Stream
from micro_agi_kernel.frontends.jupyter.rendering import safe_markdown
from micro_agi_kernel.frontends.text import plain
from micro_agi_kernel.frontends.transcript import Transcript
from micro_agi_kernel.markdown_text import fenced


class Sink(Transcript):
    """A transcript that becomes Jupyter messages."""

    def __init__(self, send: Send, *, footer: bool) -> None:
        super().__init__(footer=footer)
        self.send = send


class StreamSink(Sink):
    """Lines and output are text on stdout; a subclass says how an answer is shown."""

    def __init__(self, send: Send, *, footer: bool, seconds: float) -> None:
        super().__init__(send, footer=footer)
        self.stream = Stream(send, seconds=seconds)

    def print(self, text: str, *, new_line: bool) -> None:
        if new_line:
            self.stream.start_line()
        self.stream.write(text)

    def show_question(self, text: str) -> None:
        super().show_question(text)
        self.stream.flush()

    def close(self) -> None:
        super().close()
        self.stream.flush()


class TerminalSink(StreamSink):
    """jupyter console: answers are text on stdout too, in order, at most 20 messages a second."""

    def __init__(self, send: Send, *, footer: bool) -> None:
        super().__init__(send, footer=footer, seconds=0.05)

    def open_answer(self) -> None:
        self.stream.start_line()

    def answer(self, text: str) -> None:
        self.stream.write(text)

    def close_answer(self) -> None:
        self.stream.start_line()


class NotebookSink(StreamSink):
    """JupyterLab and its like: each item of answer text is one display that is updated as it grows."""

    shows_commits = True

    def __init__(self, send: Send, *, footer: bool) -> None:
        super().__init__(send, footer=footer, seconds=0.1)
        self._pacer = Pacer(self._show_answer, seconds=0.06)
        self._text = ""
        self._display_id = ""

    def open_answer(self) -> None:
        self.stream.start_line()
        self.stream.flush()
        self._text = self._display_id = ""

    def answer(self, text: str) -> None:
        self._text += text
        self._pacer.ask()

    def close_answer(self) -> None:
        self._pacer.finish()

    def _show_answer(self) -> None:
        msg_type = "update_display_data" if self._display_id else "display_data"
        self._display_id = self._display_id or uuid.uuid4().hex
        data = {"text/markdown": safe_markdown(self._text), "text/plain": plain(self._text)}
        # Metadata stays the same over all updates: VS Code replaces every output of the cell otherwise.
        self.send(msg_type, {"data": data, "metadata": {}, "transient": {"display_id": self._display_id}})

    def finish(self, revision: Revision | None) -> None:
        super().finish(revision)
        if revision is not None:  # without data there is nothing to draw: only the saved notebook has it
            self.send("display_data", {"data": {}, "metadata": metadata_of(revision), "transient": {}})


class BatchSink(Sink):
    """nbclient, papermill: one display with all of the cell, once it is over."""

    def __init__(self, send: Send, *, footer: bool) -> None:
        super().__init__(send, footer=footer)
        self._items: list[tuple[bool, str]] = []
        """Is it answer text, and the text."""
        self._revision: Revision | None = None

    def open_answer(self) -> None:
        self._items.append((True, ""))

    def answer(self, text: str) -> None:
        self._append(text)

    def print(self, text: str, *, new_line: bool) -> None:
        if not self._items or self._items[-1][0]:
            self._items.append((False, ""))
        if new_line and self._items[-1][1] and not self._items[-1][1].endswith("\n"):
            self._append("\n")
        self._append(text)

    def show_question(self, text: str) -> None:
        """What there is must be shown now after all."""
        super().show_question(text)
        self.close()

    def _append(self, text: str) -> None:
        is_answer, before = self._items[-1]
        self._items[-1] = (is_answer, before + text)

    def finish(self, revision: Revision | None) -> None:
        self._revision = revision
        self.close()

    def close(self) -> None:
        super().close()
        if not self._items:
            return
        data = {
            "text/markdown": "\n\n".join(
                safe_markdown(text) if is_answer else fenced(text) for is_answer, text in self._items
            ),
            "text/plain": "\n".join(plain(text).rstrip("\n") for _, text in self._items),
        }
        self.send("display_data", {"data": data, "metadata": metadata_of(self._revision), "transient": {}})
        self._items.clear()
