"""What is shown of tools and their history, as data: `registry_panel.py` and `%diff` make it, each front end draws it.

All text in it was written by others, and is hostile until it is escaped for the place where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from micro_agi_kernel.entries import EntryId


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text."""

    text: str = ""
    missing: int = 0
    """Lines that follow and are left out, at least so many."""


@dataclass(frozen=True, slots=True)
class ToolCommit:
    """A commit, as far as it concerns one tool."""

    number: int
    """Of the version: 12 is v12."""
    commit: str
    time: str
    """`2026-03-01 12:30`, as its author's clock had it."""
    action: str
    """"create", "update" or "delete"; "" when the commit does not say."""
    actor: str
    subject: str
    tests: str
    """What the commit of an agent says of its tests; "" for another's, which may say anything: it is not known."""
    diff: Excerpt
    """See registry.differences.Difference."""


@dataclass(frozen=True, slots=True)
class PanelTool:
    """A tool of the registry."""

    id: EntryId
    title: str
    """Or its comment, when it has no title."""
    description: str
    modules: tuple[str, ...]
    imports: tuple[str, ...]
    calls: tuple[str, ...]
    """Entries that it may call."""
    tests: int
    """Those that live with it."""
    used: int
    """Calls of it on this machine."""
    failed: int
    """Of these, those that ended with an error."""
    source: Excerpt
    commits: tuple[ToolCommit, ...]
    """Newest first."""
    has_older: bool
    """There are more commits than these."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one entry, or of one file that is none, between two revisions."""

    action: str
    """"create", "update" or "delete"."""
    name: str
    """An entry's id, or a path."""
    diff: str
    """See registry.differences.Difference."""
