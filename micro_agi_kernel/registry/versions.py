"""Versions: the commits on the first-parent line of the branch, numbered from 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import Action, EntryId
from micro_agi_kernel.registry import layout
from micro_agi_kernel.registry.message import clean, parse_message

if TYPE_CHECKING:
    from micro_agi_kernel.registry.index import Index
    from micro_agi_kernel.registry.objects import CommitObject


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address as Git keeps them."""

    name: str
    email: str

    def line(self) -> str:
        """`Name <email>`, with nothing in it that would break the line of a commit."""
        name, email = (clean(text).replace("<", "").replace(">", "").strip() for text in (self.name, self.email))
        return f"{name or 'unknown'} <{''.join(email.split())}>"


@dataclass(frozen=True, slots=True)
class Version:
    """One commit, and what it says about itself. Its trailers are claims of whoever wrote it."""

    number: int
    """Running number on the first-parent line; a local convenience, 0 when it was not asked for."""
    commit: str
    parents: tuple[str, ...]
    time: datetime
    author: Person
    actor: str
    """The `Actor:` trailer; without one "user:<author>"."""
    subject: str
    body: str
    operations: tuple[tuple[Action, EntryId], ...]
    """From the trailers; of a commit without `Actor:`, from what it really changed."""
    files: tuple[str, ...]
    """Files that are no entry, likewise."""
    trailers: Mapping[str, str]
    """All other trailers."""


class History:
    """The first-parent line, read once and continued as the branch grows."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._numbers: dict[str, int] = {}

    def number(self, commit: str) -> int:
        """1 for the first commit of the first-parent line that `commit` ends, and so on."""
        line: list[str] = []
        for found in self.line(commit):
            if found.id in self._numbers:
                break
            line.append(found.id)
        base = self._numbers[found.id] if line[-1:] != [found.id] else 0
        for number, id in enumerate(reversed(line), base + 1):
            self._numbers[id] = number
        return self._numbers[commit]

    def line(self, commit: str) -> Iterator[CommitObject]:
        """`commit`, its first parent, and so on to the first."""
        while commit:
            found = self._index.objects.commit(commit)
            yield found
            commit = found.parents[0] if found.parents else ""

    def tree(self, commit: str) -> str:
        """The tree of a commit; "" stands for none."""
        return self._index.objects.commit(commit).tree if commit else ""

    def version(self, commit: CommitObject) -> Version:
        said = parse_message(commit.message)
        author = Person(commit.author, commit.email)
        operations, files = said.operations, said.files
        if said.actor is None:
            operations, files = self.changes(self.tree(commit.parents[0] if commit.parents else ""), commit.tree)
        return Version(
            self.number(commit.id),
            commit.id,
            commit.parents,
            commit.time,
            author,
            said.actor or f"user:{author.name}",
            said.subject,
            said.body,
            operations,
            files,
            said.trailers,
        )

    def versions(self, start: str, id: EntryId | None) -> Iterator[Version]:
        """Versions from `start` back; with `id`, only those that changed that entry."""
        for commit in self.line(start):
            if id is None or self._touches(commit, id):
                yield self.version(commit)

    def changes(self, old: str, new: str) -> tuple[tuple[tuple[Action, EntryId], ...], tuple[str, ...]]:
        """What differs between two trees: operations on entries, and paths of files that are no entry; sorted."""
        ids: set[EntryId] = set()
        files: set[str] = set()
        for path, _, _ in self._index.objects.changed(old, new):
            if (id := layout.entry_id(path)) is None:
                files.add(path)
            else:
                ids.add(id)
        operations: list[tuple[Action, EntryId]] = []
        for id in sorted(ids):
            was, now = (self._index.files(tree, id)[0] is not None for tree in (old, new))
            if was or now:
                operations.append(("update" if was and now else "create" if now else "delete", id))
            else:
                files.add(layout.source_path(id))
        return tuple(operations), tuple(sorted(files))

    def last_changes(self, commit: str, ids: set[EntryId]) -> dict[EntryId, str]:
        """For each of `ids`, the newest commit from `commit` back that changed it."""
        found: dict[EntryId, str] = {}
        for step in self.line(commit):
            parent = step.parents[0] if step.parents else ""
            for path, _, _ in self._index.objects.changed(self.tree(parent), step.tree):
                if (id := layout.entry_id(path)) in ids and id is not None:
                    found.setdefault(id, step.id)
            if len(found) == len(ids):
                break
        return found

    def _touches(self, commit: CommitObject, id: EntryId) -> bool:
        parent = self.tree(commit.parents[0]) if commit.parents else ""
        return self._index.files(commit.tree, id) != self._index.files(parent, id)
