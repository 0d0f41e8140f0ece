"""Pages and full-text search over the Markdown in the registry's docs/: what doc_search answers from.

The index lives in memory (SQLite FTS5), one row per section, so that a hit is the part of a page that a
model needs and not the page's beginning. Build one index per version of the pages and drop it with them.
"""

from __future__ import annotations

import difflib
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.values import shorten

EXCERPT = 600
"""Characters of an excerpt: a heading, a few lines and a short example."""

_MAX_QUERY = 1_000
_MAX_TERMS = 24
_MAX_PATH = 200
_HEADING = re.compile(r"#{1,6}\s+\S")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_TERM = re.compile(r"\w+")
_STOP_WORD = re.compile(
    r"an?|and|are|as|at|be|by|can|do|does|for|from|how|i|in|is|it|of|on|or|that|the|this|to|what|which|with"
)

# Title above heading above text. A match in the path ("time" in lua/core/time) counts as one in the title.
_SEARCH = """
    SELECT path, title, heading, body FROM sections WHERE sections MATCH ?
    ORDER BY bm25(sections, 6.0, 6.0, 3.0, 1.0), rowid LIMIT 200
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """One page that a search found, by its best section."""

    path: str
    title: str
    excerpt: str
    """Markdown, EXCERPT characters at most: the section's heading and the lines around the match."""


class DocsIndex:
    """The pages of one version of the documentation. Safe to use from several threads."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        """`pages`: path without folder and suffix ("lua/core/time") to Markdown; what is not UTF-8 is left out."""
        self._pages: dict[str, str] = {}
        for path, content in sorted(pages.items()):
            try:
                self._pages[path] = content.decode()
            except UnicodeDecodeError:
                continue
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def __del__(self) -> None:
        if (database := getattr(self, "_database", None)) is not None:
            database.close()  # from Python 3.13 on, one that is merely dropped is a warning

    @property
    def paths(self) -> tuple[str, ...]:
        """Every page, in order."""
        return tuple(self._pages)

    def page(self, path: str) -> str:
        """The Markdown of a page; "/docs/lua/core/time.md" is "lua/core/time". Raises Refused (NOT_FOUND)."""
        wanted = path.strip().strip("/").removeprefix("docs/").removesuffix(".md")
        if wanted in self._pages:
            return self._pages[wanted]
        shown = "".join(c if c.isprintable() else "?" for c in shorten(path, _MAX_PATH))
        nearest = self._nearest(wanted[:_MAX_PATH])
        hint = f" (nearest: {', '.join(nearest)})" if nearest else ""
        raise Refused(ErrorKind.NOT_FOUND, f"not found: {shown}{hint}")

    def search(self, query: str, limit: int = 5) -> list[Hit]:
        """The best pages for `query`, best first, each once; an empty list when nothing matches.

        `query` is plain words, never search syntax. Pages with all words come first; when there is none,
        pages with any of them. The last word may be the beginning of one.
        """
        words = list(dict.fromkeys(_TERM.findall(query[:_MAX_QUERY].lower())))
        terms = ([word for word in words if not _STOP_WORD.fullmatch(word)] or words)[:_MAX_TERMS]
        if not terms:
            return []
        quoted = [f'"{term}"' for term in terms]
        quoted[-1] += "*"
        rows = self._rows(" AND ".join(quoted)) or self._rows(" OR ".join(quoted))
        best: dict[str, Hit] = {}
        for path, title, heading, body in rows:
            if path not in best:
                best[path] = Hit(path, title, _excerpt(heading, body, terms))
        return list(best.values())[: max(limit, 0)]

    def _rows(self, expression: str) -> list[tuple[str, str, str, str]]:
        with self._lock:
            if self._database is None:
                self._database = _build(self._pages)
            return self._database.execute(_SEARCH, (expression,)).fetchall()

    def _nearest(self, wanted: str) -> list[str]:
        """Pages of the same last name ("time" for "core/time"), else those spelled alike."""
        name = wanted.rpartition("/")[2].lower()
        same = [path for path in self._pages if path.rpartition("/")[2].lower() == name]
        return same[:3] or difflib.get_close_matches(wanted, self._pages, n=3)


def _build(pages: Mapping[str, str]) -> sqlite3.Connection:
    # Each use holds the index's lock, so the thread that built it need not be the one that asks.
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute(
        "CREATE VIRTUAL TABLE sections USING fts5(path, title, heading, body, tokenize = 'porter unicode61')"
    )
    for path, text in pages.items():
        sections = list(_sections(text))
        title = next((heading for heading, _ in sections if heading), path).partition("\n")[0].lstrip("# ")
        database.executemany(
            "INSERT INTO sections VALUES (?, ?, ?, ?)",
            ((path, title, heading, body) for heading, body in sections),
        )
    return database


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The page cut before each heading: heading and body. A # inside a fenced block is no heading.

    A heading with nothing below it goes with the next one ("## Encoding", "### Options").
    """
    headings, body = list[str](), list[str]()
    for line, fenced in _lines(text):
        if fenced or not _HEADING.match(line):
            body.append(line)
        elif any(body):
            yield "\n".join(headings), "\n".join(body).strip("\n")
            headings, body = [line.strip()], []
        else:
            headings = [*headings[-2:], line.strip()]
    if headings or any(body):
        yield "\n".join(headings), "\n".join(body).strip("\n")


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a fenced block (its fences do)."""
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        inside = bool(fence) or mark is not None
        if mark and not fence:
            fence = mark[1]
        elif mark and fence and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        yield line, inside


def _blocks(body: str) -> list[str]:
    """The body's paragraphs and fenced blocks; a block of code is never cut at its empty lines."""
    blocks: list[list[str]] = [[]]
    for line, fenced in _lines(body):
        if line.strip() or fenced:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def _excerpt(heading: str, body: str, terms: list[str]) -> str:
    """The heading and, from the block with most of the terms on, as many blocks as there is room for."""
    blocks = _blocks(body)
    parts = [shorten(heading, EXCERPT // 4)] if heading else []
    if blocks:
        stems = [term[:-2] if len(term) > 5 else term for term in terms]
        scores = [sum(stem in text for stem in stems) for text in map(str.lower, blocks)]
        first = scores.index(max(scores))
        parts.append(_cut(blocks[first], EXCERPT - sum(len(part) + 2 for part in parts)))
        for block in blocks[first + 1 :]:
            if sum(len(part) + 2 for part in parts) + len(block) > EXCERPT:
                break
            parts.append(block)
    return "\n\n".join(parts)


def _cut(block: str, room: int) -> str:
    """`block` within `room` characters, cut at a line's end where it can be and its fence closed."""
    if len(block) <= room:
        return block
    mark = _FENCE.match(block)
    ending = f"\n…\n{mark[1]}" if mark else " …"
    kept = block[: room - len(ending)]
    line = kept.rfind("\n")
    return (kept[:line] if line > room // 2 else kept) + ending
