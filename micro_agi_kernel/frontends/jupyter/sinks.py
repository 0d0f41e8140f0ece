"""Folds a turn's events into Jupyter messages: one sink for each kind of front end.

A notebook shows Markdown that grows, a terminal shows a transcript as it is written, a batch runner
(nbclient, papermill) keeps one final output. All of them show the same lines.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from micro_agi_kernel.frontends.jupyter.output import Pacer, Send, Stream
from micro_agi_kernel.frontends.jupyter.rendering import fenced, safe_markdown
from micro_agi_kernel.frontends.text import plain
from micro_agi_kernel.frontends.transcript import Transcript
from micro_agi_kernel.values import Json


class Sink(Transcript):
    """A transcript that becomes Jupyter messages."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self.send = send


class TerminalSink(Sink):
    """jupyter console: everything is text on stdout, in order, at most 20 messages a second."""

    def __init__(self, send: Send) -> None:
        super().__init__(send)
        self._stream = Stream(send, seconds=0.05)

    def open_answer(self) -> None:
        self._stream.start_line()

    def answer(self, text: str) -> None:
        self._stream.write(text)

    def close_answer(self) -> None:
        self._stream.start_line()

    def print(self, text: str, *, new_line: bool) -> None:
        if new_line:
            self._stream.start_line()
        self._stream.write(text)

    def close(self) -> None:
        super().close()
        self._stream.flush()


class NotebookSink(Sink):
    """JupyterLab and its like: each item of answer text is one display that is updated as it grows."""

    shows_commits = True

    def __init__(self, send: Send) -> None:
        super().__init__(send)
        self._stream = Stream(send, seconds=0.1)
        self._pacer = Pacer(self._show_answer, seconds=0.06)
        self._text = ""
        self._display_id = ""

    def open_answer(self) -> None:
        self._stream.start_line()
        self._stream.flush()
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

    def print(self, text: str, *, new_line: bool) -> None:
        if new_line:
            self._stream.start_line()
        self._stream.write(text)

    def close(self) -> None:
        super().close()
        self._stream.flush()

    def finish(self, registry: Mapping[str, Json] | None) -> None:
        super().finish(registry)
        if registry is not None:  # without data there is nothing to draw: only the saved notebook has it
            self.send("display_data", {"data": {}, "metadata": {"micro_agi": dict(registry)}, "transient": {}})


class BatchSink(Sink):
    """nbclient, papermill: one display with all of the cell, once it is over."""

    def __init__(self, send: Send) -> None:
        super().__init__(send)
        self._items: list[tuple[bool, str]] = []
        """Is it answer text, and the text."""
        self._registry: Mapping[str, Json] | None = None

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

    def _append(self, text: str) -> None:
        is_answer, before = self._items[-1]
        self._items[-1] = (is_answer, before + text)

    def finish(self, registry: Mapping[str, Json] | None) -> None:
        self._registry = registry
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
        metadata = {} if self._registry is None else {"micro_agi": dict(self._registry)}
        self.send("display_data", {"data": data, "metadata": metadata, "transient": {}})
        self._items.clear()
