"""Markdown that commands answer with: others' words as code or prose, tables, sources in a fence they cannot close."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import compress


def code(text: str) -> str:
    """`text`, on one line, as code: it is others' words, which might load an image otherwise. "" of nothing."""
    line = " ".join(text.split()).replace("`", "'")  # longer marks could be taken for a fence
    return f"`{line}`" if line else ""


def prose(text: str) -> str:
    """`text`, on one line, as words: nothing in it is Markdown, HTML or TeX. A backslash in it is code."""
    parts = re.split(r"(\\+)", " ".join(text.split()))
    return "".join(code(part) if part.startswith("\\") else _words(part) for part in parts)


def _words(text: str) -> str:
    """A full stop stays, for those who read it as it is written; behind a number it could begin a list."""
    return re.sub(r"(?<=[^\d\s])&#46;(?=\s|$)", ".", entities(text, but=","))


def entities(text: str, *, but: str = "/-.,=?%") -> str:
    """`text` with all signs of ASCII that are not in `but` as numeric entities, which nothing acts upon."""
    return re.sub(r"[!-/:-@\[-`{-~]", lambda sign: sign[0] if sign[0] in but else f"&#{ord(sign[0])};", text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int | None = None) -> str:
    """A table of lines that are Markdown; "" without rows. The columns from `numbers_from` on stand to the right.

    A column that is empty throughout is left out. A line end in a cell is shown as a space, and a bar as a slash: they
    would end the row, and the cell.
    """
    lines = [*rows]
    left = len(heads) if numbers_from is None else numbers_from
    rules = ["---" if column < left else "--:" for column in range(len(heads))]
    shown = [any(line[column] for line in lines) for column in range(len(heads))]
    head, rule, *body = ([*compress(cells, shown)] for cells in (heads, rules, *lines))
    return "\n".join((_row(head), f"|{'|'.join(rule)}|", *map(_row, body))) if body else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"


def fenced(text: str, language: str = "") -> str:
    """`text` as a code fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip(chr(10))}\n{fence}"
