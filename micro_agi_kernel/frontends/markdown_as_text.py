"""Markdown as text that reads well on a terminal, tables aligned and code without marks: commands' and displays'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape

from micro_agi_kernel.frontends.text import plain

WIDE = 48
"""Characters of a cell, but for the last of its row, for which all others of its column make room."""

CELLS = 10_000
"""Of all tables; others stay as they are written. A tool's may have as many columns as rows, with nothing in them."""

_INDENT = "    "
_FENCE = re.compile(r"(`{3,}|~{3,})[^`]*")
_RULE = re.compile(r"\|(?:[ ]*:?-+:?[ ]*\|)+")
_BAR = re.compile(r"(?<!\\)\|")
_INLINE = re.compile(
    r"(?<!`)(?P<ticks>`{1,2})(?P<code>[^`\n]+)(?P=ticks)(?!`) | \*\*(?P<bold>[^*\n]+)\*\*"
    r" | \\(?P<escaped>[!-/:-@\[-`{-~]) | (?P<entity>&(?:\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)",
    re.VERBOSE,
)


def markdown_as_text(markdown: str) -> str:
    """The Markdown of a command's answer, or of a tool's display, as safe lines of text, without a newline at the end.

    Of a model's answer it would lose too much: it knows what `markdown_text` writes, and leaves all else as it is.
    """
    return plain("\n".join(_lines(markdown.split("\n"))))


def _lines(lines: Sequence[str]) -> Iterator[str]:
    at, room = 0, CELLS
    while at < len(lines):
        line = lines[at]
        if opened := _FENCE.fullmatch(line):
            end = next((n for n in range(at + 1, len(lines)) if lines[n].rstrip() == opened[1]), len(lines))
            yield from (f"{_INDENT}{each}".rstrip() for each in lines[at + 1 : end])
            at = end + 1
        elif line.startswith("|") and at + 1 < len(lines) and _RULE.fullmatch(lines[at + 1].rstrip()):
            end = next((n for n in range(at, len(lines)) if not lines[n].startswith("|")), len(lines))
            rules = _cells(lines[at + 1], as_is=True)
            cells = len(rules) * (end - at)
            if cells > room:
                yield from lines[at:end]
            else:
                room -= cells
                yield from _table([_cells(each) for each in (line, *lines[at + 2 : end])], rules)
            at = end
        else:
            yield _inline(line)
            at += 1


def _cells(row: str, *, as_is: bool = False) -> list[str]:
    cells = [cell.strip() for cell in _BAR.split(row.rstrip().removeprefix("|").removesuffix("|"))]
    return cells if as_is else [_inline(cell) for cell in cells]


def _table(rows: list[list[str]], rules: list[str]) -> Iterator[str]:
    from rich.cells import cell_len

    def padded(cell: str, column: int, last: int) -> str:
        room = " " * max(widths[column] - cell_len(cell), 0)
        if rules[column].endswith(":") and not rules[column].startswith(":"):
            return room + cell
        return cell if column == last else cell + room

    rows = [(row + [""] * len(rules))[: len(rules)] for row in rows]
    last = len(rules) - 1
    widths = [max((w for row in rows if (w := cell_len(row[n])) <= WIDE), default=WIDE) for n in range(len(rules))]
    for number, row in enumerate(rows):
        yield "  ".join(padded(cell, n, last) for n, cell in enumerate(row)).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _inline(text: str) -> str:
    return plain(_INLINE.sub(_shown, text))


def _shown(found: re.Match[str]) -> str:
    if bold := found["bold"]:
        return _inline(bold)
    if entity := found["entity"]:
        return unescape(entity)
    return found["code"] or found["escaped"]
