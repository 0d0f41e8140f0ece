"""Folds a turn's events into a stream of text, as it is written: for jupyter console and its like."""

from __future__ import annotations

from micro_agi_kernel.frontends.jupyter.output import Send, Stream
from micro_agi_kernel.frontends.text import PlainPieces
from micro_agi_kernel.frontends.transcript import Transcript


class TerminalSink(Transcript):
    """jupyter console: all is text on stdout, in order, at most 20 messages a second."""

    def __init__(self, send: Send, *, footer: bool, color: bool) -> None:
        super().__init__(footer=footer, color=color)
        self.stream = Stream(send, seconds=0.05)
        self._pieces = PlainPieces()

    def open_answer(self) -> None:
        self.stream.start_line()

    def answer(self, text: str) -> None:
        self.stream.write(self._pieces.add(text))

    def close_answer(self) -> None:
        self.stream.write(self._pieces.end())
        self.stream.start_line()

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
