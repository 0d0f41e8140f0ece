"""Markdown's blocks, for the splitter: what a document consists of, with the text inside left as it is written.

The block structure of CommonMark 0.28, and tables; HTML is text, as in the reference. A line is first carried through
the open containers, then it may open blocks, and what is left of it is text. Each line costs as much as it has
characters, at most MAX_DEPTH times.

markdown-it-py, which shows Markdown elsewhere in the project, was measured for its place: a megabyte of list items
becomes 1.2 million tokens there, some 450 MB, and takes four times as long; tables take twenty times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

MAX_DEPTH = 40
"""Open containers; a list and its item are two. What is nested deeper is text, as its author would not notice."""

Kind: TypeAlias = Literal["document", "quote", "list", "item", "paragraph", "heading", "code", "fence", "rule", "table"]


@dataclass(slots=True)
class Block:
    """A block; which fields mean anything depends on the kind."""

    kind: Kind
    children: list[Block] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    marker: str = ""
    """Of a list its last character, of a fence the opening one: "```"."""
    level: int = 0
    """Of a heading 1 to 6; of an item and a fence the columns by which their lines are indented."""
    info: str = ""
    rows: list[list[str]] = field(default_factory=list)
    """Of a table, the first is its head."""
    columns: int = 0

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip()


_ITEM = re.compile(r"([-+*]|([0-9]{1,9})[.)])(?=[ \t]|$)")
_FENCE = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
_HEADING = re.compile(r"(#{1,6})(?:[ \t]|$)")
_REFERENCE = re.compile(
    r"""\[((?:[^\[\]\\]|\\.){1,999}+)\]:[ \t]*\n?[ \t]*(<[^<>\n]*>|[^\s<]\S*)"""
    r"""(?:(?:[ \t]+|[ \t]*\n[ \t]*)("(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)))?[ \t]*(?:\n|$)""",
    re.DOTALL,
)


def parse(source: str) -> tuple[Block, dict[str, str]]:
    """The document, and where its reference links lead: `url` or `url "title"` by label."""
    parser = _Parser()
    for line in source.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        parser.feed(line)
    parser.close_to(1)
    return parser.open[0], parser.references


def label_key(label: str) -> str:
    """Labels that differ in case or in spaces only are the same."""
    return " ".join(label.split()).casefold()


class _Parser:
    def __init__(self) -> None:
        self.open = [Block("document")]
        self.references: dict[str, str] = {}

    def feed(self, line: str) -> None:
        rest, column = _expanded(line, 0), 0
        depth = 1
        while depth < len(self.open) and (inside := _inside(self.open[depth], rest, column)):
            rest, column = inside
            depth += 1
        if depth == len(self.open) - 1 and self._goes_on(self.open[-1], rest):
            return
        while rest.strip() and len(self.open) < MAX_DEPTH and (entered := self._enter(rest, column, depth)):
            rest, column = entered
            depth = len(self.open)
        if not self._leaf(rest, depth):
            self._text(rest, depth)

    def _goes_on(self, leaf: Block, rest: str) -> bool:
        """Give the line to the open leaf, if it can only belong to that."""
        body = rest.strip()
        indent = len(rest) - len(rest.lstrip(" "))
        match leaf.kind:
            case "fence":
                if indent < 4 and len(body) >= len(leaf.marker) and not body.strip(leaf.marker[0]):
                    self.close_to(len(self.open) - 1)
                else:
                    leaf.lines.append(rest[min(indent, leaf.level) :])
                return True
            case "code" if indent >= 4 or not body:
                leaf.lines.append(rest[4:])
                return True
            case "table" if indent < 4 and "|" in rest:
                leaf.rows.append(_cells(body)[: leaf.columns])
                return True
            case "paragraph" if indent < 4 and body:
                return self._underlined(leaf, body)
        return False

    def _underlined(self, leaf: Block, line: str) -> bool:
        """Whether `line` makes the paragraph a heading, or its last line the head of a table."""
        columns, head = _columns(line), leaf.lines[-1].strip()
        if "|" in head and len(_cells(head)) <= columns:
            leaf.lines.pop()
            if not leaf.lines:
                self._drop(leaf)
            self.close_to(len(self.open) - 1)
            self._push(Block("table", rows=[_cells(head)], columns=columns), len(self.open))
            return True
        if line.strip("=") and line.strip("-"):
            return False
        leaf.kind, leaf.level = "heading", 1 if line[0] == "=" else 2
        self.close_to(len(self.open) - 1)
        return True

    def _enter(self, rest: str, column: int, depth: int) -> tuple[str, int] | None:
        """Open the container that begins the line, if one does; gives what stands inside."""
        body = rest.lstrip(" ")
        indent = len(rest) - len(body)
        if indent >= 4:
            return None
        if body[0] == ">":
            self._push(Block("quote"), depth)
            return _inside(self.open[-1], rest, column)
        found = _ITEM.match(body)
        if not found or _is_rule(body):
            return None
        column += indent + found.end()
        after = _expanded(body[found.end() :], column)
        content = after.lstrip(" ")
        if (
            depth == len(self.open) - 1
            and self.open[-1].kind == "paragraph"
            and (not content or found[2] not in (None, "1"))
        ):
            return None  # a line of text that happens to begin so
        space = len(after) - len(content) if content else 1
        space = space if space < 5 else 1
        marker = found[1][-1]
        if self.open[depth - 1].kind != "list" or self.open[depth - 1].marker != marker:
            self._push(Block("list", marker=marker), depth)
            depth = len(self.open)
        self._push(Block("item", level=indent + found.end() + space), depth)
        return after[space:], column + space

    def _leaf(self, rest: str, depth: int) -> bool:
        """Open the block that is no container and begins the line, if one does."""
        body = rest.lstrip(" ")
        indent = len(rest) - len(body)
        if not body or indent >= 4:
            return False
        if heading := _HEADING.match(body):
            title = body[heading.end() :].strip()
            closed = title.rstrip("#")
            if not closed or closed[-1] in " \t":
                title = closed.rstrip()
            self._push(Block("heading", lines=[title], level=len(heading[1])), depth)
            self.close_to(len(self.open) - 1)
            return True
        if fence := _FENCE.match(body):
            info = body[fence.end() :].strip()
            self._push(Block("fence", marker=fence[0], level=indent, info=info), depth)
            return True
        if _is_rule(body):
            self._push(Block("rule"), depth)
            self.close_to(len(self.open) - 1)
            return True
        return False

    def _text(self, rest: str, depth: int) -> None:
        if not rest.strip():
            self.close_to(depth)
        elif self.open[-1].kind == "paragraph":  # also one of containers that this line does not name: lazy
            self.open[-1].lines.append(rest)
        elif rest.startswith("    "):
            self._push(Block("code", lines=[rest[4:]]), depth)
        else:
            self._push(Block("paragraph", lines=[rest]), depth)

    def _push(self, block: Block, depth: int) -> None:
        """Open `block` inside the first `depth` open ones; the others are over, and a list for all but an item."""
        self.close_to(depth)
        if self.open[-1].kind == "list" and block.kind != "item":
            self.close_to(len(self.open) - 1)
        self.open[-1].children.append(block)
        self.open.append(block)

    def close_to(self, depth: int) -> None:
        while len(self.open) > depth:
            block = self.open.pop()
            if block.kind == "paragraph":
                self._take_references(block)
            while block.kind == "code" and not block.lines[-1].strip():
                block.lines.pop()

    def _take_references(self, block: Block) -> None:
        """Keep what a paragraph defines at its start; one that does nothing else is no block."""
        source = block.text
        at = 0
        while found := _REFERENCE.match(source, at):
            at = found.end()
            url, title = found[2].strip("<>"), found[3]
            self.references.setdefault(label_key(found[1]), f'{url} "{title[1:-1]}"' if title else url)
        block.lines = [source[at:]]
        if not block.text:
            self._drop(block)

    def _drop(self, block: Block) -> None:
        parent = self.open[self.open.index(block) - 1] if block in self.open else self.open[-1]
        if parent.children and parent.children[-1] is block:
            parent.children.pop()


def _inside(block: Block, rest: str, column: int) -> tuple[str, int] | None:
    """What is left of a line inside of the open container `block`, and at which column; None when it is outside."""
    body = rest.lstrip(" ")
    indent = len(rest) - len(body)
    match block.kind:
        case "quote" if indent < 4 and body[:1] == ">":
            column += indent + 1
            after = _expanded(body[1:], column)
            return (after[1:], column + 1) if after[:1] == " " else (after, column)
        case "list":
            return rest, column
        case "item" if indent >= block.level or (not body and block.children):
            return rest[block.level :], column + block.level
    return None


def _expanded(line: str, column: int) -> str:
    """`line`, which begins at `column`, with spaces for the tabs before its text."""
    body = line.lstrip(" \t")
    width = 0
    for char in line[: len(line) - len(body)]:
        width += 1 if char == " " else 4 - (column + width) % 4
    return " " * width + body


def _is_rule(body: str) -> bool:
    marks = body.replace(" ", "").replace("\t", "")
    return len(marks) >= 3 and marks[0] in "*-_" and not marks.strip(marks[0])


def _columns(line: str) -> int:
    """How many columns a line such as `| --- | :-: |` makes; 0 for any other line."""
    if line.strip("|:- \t") or line[0] not in "|:-":
        return 0
    cells = [cell.strip() for cell in line.split("|")]
    cells = cells[not cells[0] : len(cells) - (not cells[-1])]
    return len(cells) if all(re.fullmatch(":?-+:?", cell) for cell in cells) else 0


def _cells(line: str) -> list[str]:
    """The cells of a row. A bar behind a backslash or within a code span belongs to the cell."""
    line = line.removeprefix("|").removesuffix("|")
    cells, start = [], 0
    for found in re.finditer(r"\\.|`[^`]*`|\|", line):
        if found[0] == "|":
            cells.append(line[start : found.start()].strip())
            start = found.end()
    return [*cells, line[start:].strip()]
