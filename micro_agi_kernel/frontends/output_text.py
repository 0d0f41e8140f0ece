"""What a tool shows, as text: for front ends that show no more than text, and as the fallback of those that do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import assert_never

from micro_agi_kernel.outputs import PICTURE_FORMS, Display, Output, Printed, Progress
from micro_agi_kernel.values import Value

_BEST_FIRST = ("text/plain", "text/markdown")


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
            case Progress(done, total):
                step = int(10 * min(done / total, 1)) if total else int(min(done, 1 << 62)).bit_length()
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

    def _on_a_line(self, text: str) -> str:
        return f"{'' if self._line_start else chr(10)}{text.rstrip(chr(10))}\n"


def progress_line(progress: Progress) -> str:
    """`[3/10] text`, on one line."""
    count = f"{progress.done:g}" if progress.total is None else f"{progress.done:g}/{progress.total:g}"
    return " ".join([f"[{count}]", *progress.text.split()])


def display_text(data: Mapping[str, Value]) -> str:
    """A display as text: its plain text or Markdown, else its JSON, else what it is."""
    for form in _BEST_FIRST:
        if isinstance(text := data.get(form), str):
            return text
    for content in data.values():
        if isinstance(content, (list, dict)):
            return json.dumps(content, ensure_ascii=False, indent=2, default=_bytes)
    return ", ".join(f"<{form}, {_size(form, content)}>" for form, content in data.items())


def _size(form: str, content: Value) -> str:
    assert isinstance(content, (str, bytes))
    return f"{len(content):,} {'bytes' if form in PICTURE_FORMS else 'characters'}"


def _bytes(value: object) -> str:
    assert isinstance(value, bytes)
    return f"<{len(value):,} bytes>"
