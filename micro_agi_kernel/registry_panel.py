"""What `%registry` finds: some tools of the registry, each with its newest commits and what they changed.

The bounds are those of something that is looked at, and saved in a notebook. Nothing here grows with the registry:
tools come from the index, and history is read for those that are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from micro_agi_kernel.entries import Entry, action_between
from micro_agi_kernel.events import RegistryShown
from micro_agi_kernel.naming import TOOLS
from micro_agi_kernel.panels import Excerpt, PanelTool, ToolCommit
from micro_agi_kernel.registry import Registry, Snapshot, Version
from micro_agi_kernel.registry.differences import entry_difference
from micro_agi_kernel.registry.uses import UseCounter, Uses
from micro_agi_kernel.tool_tests import names_of_tests
from micro_agi_kernel.values import minute_of, shorten

MAX_TOOLS = 50
"""What a person looks through; words narrow it."""
MAX_COMMITS = 10
"""Of one tool: few have more."""
MAX_LINES = 200
"""Of a source, and of what a commit changed: more than nearly all tools have."""
MAX_LISTED = 20
"""Modules, imports or calls of a tool."""
MAX_TEXT = 120
"""Characters of a query, a title, a subject."""
MAX_DESCRIPTION = 1_000
"""Characters."""
ROOM = 200_000
"""Characters of all sources and changes together. As HTML, escaped and coloured, they are about twice that."""
MAX_COMPARED = 1_000_000
"""See registry.differences: here for one commit of hundreds."""


def registry_panel(registry: Registry, snapshot: Snapshot, uses: UseCounter, query: str) -> RegistryShown:
    """The tools of `snapshot` that have the words of `query`, the best first. Blocks. Raises RegistryError."""
    heads, total = snapshot.search(query, TOOLS, MAX_TOOLS)
    entries = list(snapshot.several(head.id for head in heads))
    tools: list[PanelTool] = []
    room = ROOM
    for place, entry in enumerate(entries):
        share = _Share(room // (len(entries) - place))
        given = share.left
        tools.append(_tool(registry, snapshot, entry, uses.of(entry.id), share))
        room -= given - share.left
    return RegistryShown(shorten(query, MAX_TEXT), total, tuple(tools))


class _Share:
    """The characters that one tool may still take; what it leaves is for the next ones."""

    def __init__(self, left: int) -> None:
        self.left = left

    def excerpt(self, text: str, part: int = 1) -> Excerpt:
        """The first lines of `text` for which there is room, or a `part`-th of the room."""
        lines = text.removesuffix("\n").split("\n") if text else []
        room = self.left // part
        kept: list[str] = []
        for line in lines[:MAX_LINES]:
            room -= len(line) + 1
            if room < 0:
                self.left -= self.left // part  # what comes next is not looked at for the rest of a line
                break
            kept.append(line)
        else:
            self.left -= self.left // part - room
        return Excerpt("\n".join(kept), len(lines) - len(kept))


def _tool(registry: Registry, snapshot: Snapshot, entry: Entry, uses: Uses, share: _Share) -> PanelTool:
    versions = list(registry.versions(MAX_COMMITS + 1, id=entry.id, start=snapshot.commit))
    return PanelTool(
        entry.id,
        shorten(entry.text("title") or entry.text("comment"), MAX_TEXT),
        shorten(entry.description, MAX_DESCRIPTION),
        _first_few(entry.modules),
        _first_few(entry.imports),
        _first_few(entry.calls),
        len(names_of_tests(entry)),
        uses.calls,
        uses.failed,
        share.excerpt(entry.source or "", part=2),
        tuple(_commit(registry, entry, version, share) for version in versions[:MAX_COMMITS]),
        len(versions) > MAX_COMMITS,
    )


def _commit(registry: Registry, entry: Entry, version: Version, share: _Share) -> ToolCommit:
    after = registry.snapshot(version.commit)
    before = registry.snapshot(version.parents[0]) if version.parents else None
    was, is_there = before is not None and before.has(entry.id), after.has(entry.id)
    diff = Excerpt(missing=1)
    if share.left:  # comparing is what takes time
        diff = share.excerpt(entry_difference(registry, entry.id, before, after, most=MAX_COMPARED))
    return ToolCommit(
        version.number,
        version.commit,
        minute_of(version.time),
        action_between(was, is_there),
        shorten(version.actor, MAX_TEXT),
        shorten(version.subject, MAX_TEXT),
        shorten(version.said_by_agent.get("Tests", ""), MAX_TEXT),
        diff,
    )


def _first_few(texts: Iterable[str]) -> tuple[str, ...]:
    """The first few; a mark says that there are more."""
    first = [shorten(text, MAX_TEXT) for text in islice(texts, MAX_LISTED + 1)]
    return tuple(first if len(first) <= MAX_LISTED else [*first[:MAX_LISTED], "…"])
