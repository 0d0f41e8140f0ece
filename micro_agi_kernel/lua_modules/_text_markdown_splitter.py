"""Markdown in chunks: paragraphs, list items and table rows put together up to a size, each chunk under its heading.

As the reference's splitter does it, with these differences, where that one loses or changes text: text inside lists and
quotes stays as it is written; the code, headings and tables in them are kept; the numbers of a list go on behind a list
in one of its items; the first row of a table has the table's head also when a paragraph stands before it.
"""

from __future__ import annotations

import re

from micro_agi_kernel.lua_modules._text_markdown import Block, label_key, parse
from micro_agi_kernel.lua_modules._text_recursive_splitter import Budget, Sizes, split_recursive

_SEPARATORS = ("\n\n", "\n", " ")
"""Where a paragraph is cut that is too long. Never within a word."""

_LINK = re.compile(r"\\.|(`+)|\[((?:[^\[\]\\`]|\\.)*+)\](?:\[((?:[^\[\]\\]|\\.)*+)\]|(?![\[(:]))", re.DOTALL)


def split_markdown(source: str, sizes: Sizes, flags: frozenset[str]) -> list[str]:
    """The chunks of `source`; `flags` are the options that are on (see _text_splitter.MARKDOWN_FLAGS)."""
    document, references = parse(source)
    chunker = _Chunker(sizes, flags, references, Budget())
    for block in document.children:
        chunker.add(block)
    chunker.close()
    return chunker.chunks


class _Chunker:
    """Collects a snippet until it is large enough for a chunk."""

    def __init__(self, sizes: Sizes, flags: frozenset[str], references: dict[str, str], budget: Budget) -> None:
        self.chunks: list[str] = []
        self._sizes = sizes
        self._flags = flags
        self._references = references
        self._budget = budget
        self._inside = False
        self._lists = 0
        self._snippet: list[str] = []
        self._length = 0
        self._title = ""
        self._titles = [""] * 6
        self._title_shown = False

    def add(self, block: Block) -> None:
        match block.kind:
            case "heading":
                self._heading(block)
            case "quote":
                inner = self._inner(self._lists)
                for child in block.children:
                    inner.add(child)
                inner.close()
                for chunk in inner.chunks:
                    self._join(_indented(chunk, "> "))
                self.close()
            case "list":
                self._list(block)
            case "table":
                self._table(block)
            case "rule":
                self._join("\n---")
            case _:
                if written := self._written(block):
                    self._join(written)

    def _inner(self, lists: int) -> _Chunker:
        inner = _Chunker(self._sizes, self._flags, self._references, self._budget)
        inner._inside, inner._lists = True, lists
        return inner

    def _written(self, block: Block) -> str:
        """Markdown for a block that holds no others; "" for what is left out."""
        match block.kind:
            case "paragraph":
                lines = block.text.split("\n")
                return self._linked("\n".join(map(str.strip, lines)) if self._inside else block.text)
            case "heading":
                return f"{'#' * block.level} {block.text}"
            case "code" if "code_blocks" in self._flags:
                return "\n" + _indented("\n".join([*block.lines, ""]), "    ")
            case "fence" if "code_blocks" in self._flags:
                return "\n".join(["", block.marker + block.info, *block.lines, block.marker, ""])
            case "table":
                return "\n".join([_head(block.rows[0]), *map(_row, block.rows[1:])])
        return ""

    def _linked(self, text: str) -> str:
        """`text` with the links that it has by reference written out, if that is wanted."""
        if "reference_links" not in self._flags or not self._references or "[" not in text:
            return text
        parts, done, at = [], 0, 0
        while found := _LINK.search(text, at):
            at = found.end()
            if found[1]:  # a code span: behind it
                at = max(text.find(found[1], at) + len(found[1]), at)
                continue
            target = self._references.get(label_key(found[3] or found[2] or ""))
            if target is not None:
                parts.append(f"{text[done : found.start()]}[{found[2]}]({target})")
                self._budget.spend(len(parts[-1]))
                done = at
        return "".join([*parts, text[done:]])

    def _heading(self, block: Block) -> None:
        self.close()
        self._title = self._written(block)
        if "heading_hierarchy" in self._flags:
            self._titles[block.level - 1 :] = [self._title] + [""] * (6 - block.level)
            self._title = "\n".join(filter(None, self._titles))
        self._title_shown = False

    def _list(self, block: Block) -> None:
        inner = self._inner(self._lists + 1)
        number = 0
        for item in block.children:
            for child in _flat(item):
                if child.kind == "list":
                    inner._list(child)
                elif written := inner._written(child):
                    number += child.kind == "paragraph"
                    marker = "" if child.kind != "paragraph" else f"{number}. " if block.marker in ".)" else "- "
                    inner._join(marker + written)
            inner.close()
        for chunk in inner.chunks:
            self._join(_indented(chunk, "  ") if self._lists else chunk)

    def _table(self, block: Block) -> None:
        head, *rows = block.rows
        if rows and not any(head):
            head, *rows = rows
            head = _padded(head, block.columns)
        shown = False
        for row in rows:
            line = _row(_padded(row, block.columns))
            if not shown or not self._length or self._length + len(line) >= self._sizes.chunk:
                line = f"{_head(head)}\n{line}"
                shown = True
            self._join(line)
            if "join_table_rows" not in self._flags:
                self.close()
        if not rows:
            self._join(_head(head))
            self.close()

    def _join(self, snippet: str) -> None:
        if self._length and self._length + len(snippet) >= self._sizes.chunk:
            self.close()
        if self._length:
            self._length += 1
        else:
            self._snippet = []
        self._snippet.append(snippet)
        self._length += len(snippet)

    def close(self) -> None:
        """Make chunks of the snippet; under a heading that has nothing below it, of the heading."""
        snippet = "\n".join(self._snippet)
        self._snippet, self._length = [], 0
        chunks = [snippet] if snippet else []
        if len(snippet) > self._sizes.chunk + self._sizes.overlap:
            chunks = split_recursive(snippet, _SEPARATORS, self._sizes, self._budget)
        if not chunks and self._title and not self._title_shown:
            chunks = [self._title]
        elif self._title and self._title not in snippet:
            chunks = [f"{self._title}\n{chunk}" for chunk in chunks]
        for chunk in chunks:
            self._budget.spend(len(chunk))
            self._title_shown = True
        self.chunks += chunks


def _flat(item: Block) -> list[Block]:
    """What stands in an item; the quotes in it are taken for its text."""
    blocks: list[Block] = []
    for child in item.children:
        blocks += _flat(child) if child.kind == "quote" else [child]
    return blocks


def _indented(text: str, mark: str) -> str:
    return "\n".join(mark + line for line in text.split("\n"))


def _padded(row: list[str], columns: int) -> list[str]:
    return row + [""] * (columns - len(row))


def _head(cells: list[str]) -> str:
    return f"{_row(cells)}\n{_row(['---'] * len(cells))}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |" if cells else ""
