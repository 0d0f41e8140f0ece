"""What a tool shows, as text: for front ends that show no more than text, and as the fallback of those that do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never

from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.outputs import PICTURE_FORMS, Display, Output, Printed, Progress
from micro_agi_kernel.values import INDENTED, Value, shown_json

BAR = "  | "
"""What stands before each line of a tool's output."""

_CELLS = 20
"""Characters of a bar on a terminal."""

LAID_OUT = 100_000
"""Characters of Markdown up to which its tables are aligned: what takes 10 ms, and more than is shown."""


class OutputText:
    """The outputs of one call as one text: each display and each step of the progress on lines of its own.

    Of the progress only the tenths are shown, or the doublings where no total is known: a tool may report
    thousands of times. Nothing is escaped here.
    """

    def __init__(self) -> None:
        self._line_start = True
        self._step = -1

    def add(self, output: Output) -> str:
        """The text that `output` adds."""
        match output:
            case Printed(text):
                pass
            case Progress():
                step = progress_step(output, 10)
                if step == self._step:
                    return ""
                self._step = step
                text = self._on_a_line(progress_line(output))
            case Display(data):
                text = self._on_a_line(display_text(data))
            case _:
                assert_never(output)
        self._line_start = text.endswith("\n") if text else self._line_start
        return text

    def end_line(self) -> str:
        """What ends the line that is open, if one is."""
        end = "" if self._line_start else "\n"
        self._line_start = True
        return end

    def _on_a_line(self, text: str) -> str:
        return f"{'' if self._line_start else chr(10)}{text.rstrip(chr(10))}\n"


class ShownOutput:
    """What is shown of one call's output, as text: the head as it comes, the tail at the end, and between them a line
    that says how much is missing. No bars are there yet: see `barred_piece`."""

    def __init__(self, most: int) -> None:
        """`most`: characters that are shown from the start, and from the end."""
        self._text = OutputText()
        self._room = self._most = most
        self._missing = 0
        self._tail = ""
        self.line_start = True
        """What is shown next begins a line."""
        self._held = ""

    def add(self, output: Output) -> str:
        """What to show of the next output, which may be hostile, now."""
        text = self._held + self._text.add(output)
        self._held = "\r" if text.endswith("\r") else ""  # its newline may come with the next piece
        text = plain(text.removesuffix("\r"))
        head, rest = text[: self._room], text[self._room :]
        self._room -= len(head)
        if rest:
            tail = self._tail + rest
            self._tail = tail[-self._most :]
            self._missing += len(tail) - len(self._tail)
        return self._showing(head)

    def break_line(self) -> str:
        """What ends the line that is open, if one is: something else is shown next."""
        return "" if self.line_start else self.add(Printed("\n"))

    def end(self) -> str:
        """What remains to show once the call is over."""
        gap = f"\n... {self._missing:,} characters not shown ...\n" if self._missing else ""
        shown = self._showing((gap.lstrip("\n") if self.line_start else gap) + self._tail)
        return shown if self.line_start else shown + "\n"

    @property
    def newest(self) -> str:
        """The end of what came and is not shown yet."""
        return self._tail

    def _showing(self, text: str) -> str:
        self.line_start = text.endswith("\n") if text else self.line_start
        return text


def progress_step(progress: Progress, parts: int) -> int:
    """In which of `parts` of its way it is, or how often its count doubled where no total is known."""
    done, total = progress.done, progress.total
    return int(parts * min(done / total, 1)) if total else int(min(done, 1 << 62)).bit_length()


def progress_line(progress: Progress) -> str:
    """`[3/10] text`, on one line."""
    count = f"{progress.done:g}" if progress.total is None else f"{progress.done:g}/{progress.total:g}"
    return " ".join([f"[{count}]", *progress.text.split()])


def progress_rewritten(progress: Progress) -> str:
    """A bar for a terminal: it begins with a return and so rewrites the line that stands; no newline ends it."""
    share = progress_share(progress)
    bar = "" if share is None else f"{'█' * int(share * _CELLS):░<{_CELLS}} "
    return f"\r\x1b[K{BAR}{bar}{one_line(progress_line(progress))[:40]}"


def progress_share(progress: Progress) -> float | None:
    """0 to 1; None where no total is known."""
    if not progress.total:
        return None
    share = progress.done / progress.total
    return min(max(share, 0.0), 1.0) if math.isfinite(share) else 1.0


def display_text(data: Mapping[str, Value]) -> str:
    """A display as text: its plain text, or its Markdown laid out, else its JSON, else what it is."""
    if isinstance(text := data.get("text/plain"), str):
        return text
    if isinstance(text := data.get("text/markdown"), str):
        return markdown_as_text(text) if len(text) <= LAID_OUT else text
    for content in data.values():
        if isinstance(content, (list, dict)):
            return shown_json(content, INDENTED)
    return ", ".join(f"<{form}, {_size(form, content)}>" for form, content in data.items())


def barred_text(text: str) -> str:
    """Each line of `text` behind a bar, so that none can pose as a line of ours."""
    return BAR + text.replace("\n", f"\n{BAR}")


def barred_piece(text: str, *, line_start: bool) -> str:
    """The next piece of a longer text, behind bars: no second one for a line that is open (`line_start`: none is), and
    none for what its last newline begins."""
    barred = barred_text(text)
    barred = barred if line_start else barred.removeprefix(BAR)
    return barred.removesuffix(BAR) if not text or text.endswith("\n") else barred


def _size(form: str, content: Value) -> str:
    assert isinstance(content, (str, bytes))
    return f"{len(content):,} {'bytes' if form in PICTURE_FORMS else 'characters'}"
