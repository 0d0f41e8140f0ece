"""Markdown that commands answer with: others' words as code, tables, sources in a fence that they cannot close."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def code(text: str) -> str:
    """`text`, on one line, as code: it is others' words, which might load an image otherwise. "" of nothing."""
    line = " ".join(text.split()).replace("`", "'")  # longer marks could be taken for a fence
    return f"`{line}`" if line else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    """A table of lines that are Markdown; "" without rows. `numbers`: all columns but the first stand to the right.

    A line end in a cell is shown as a space, and a bar as a slash: they would end the row, and the cell.
    """
    lines = [_row(row) for row in rows]
    rule = ["---", *["--:" if numbers else "---"] * (len(heads) - 1)]
    return "\n".join((_row(heads), f"|{'|'.join(rule)}|", *lines)) if lines else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


def fenced(text: str, language: str = "") -> str:
    """`text` as a code fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip(chr(10))}\n{fence}"
