"""Versions: the commits on the first-parent line of the branch, numbered from 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import AGENT, Action, EntryId, action_between
from micro_agi_kernel.registry.message import clean, parse_message
from micro_agi_kernel.registry.sidecar import Sidecar

if TYPE_CHECKING:
    from micro_agi_kernel.registry.commits import CommitObject
    from micro_agi_kernel.registry.tree_entries import TreeEntries


SERVICE_EMAIL = "noreply@micro-agi.invalid"
"""Git wants an address of every author; this one can belong to nobody (RFC 2606)."""


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address as Git keeps them."""

    name: str
    email: str

    @classmethod
    def of_service(cls, actor: str) -> Person:
        """The author of what no person wrote: `service:agent`, `service:installer`."""
        return cls(actor, SERVICE_EMAIL)

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
    operations: tuple[tuple[Action, EntryId], ...]
    """From the trailers; of a commit without `Actor:`, from what it really changed."""
    files: tuple[str, ...]
    """Files that are no entry, likewise."""
    trailers: Mapping[str, str]
    """All other trailers."""
    body: str
    """What stands between the subject and the trailers."""

    @property
    def said_by_agent(self) -> Mapping[str, str]:
        """The trailers of a commit by an agent; a person's commit may say anything, and gives nothing."""
        return self.trailers if self.actor == AGENT else {}


class History:
    """The first-parent line, and the sidecar that remembers what changed along it."""

    def __init__(self, tree_entries: TreeEntries, repository: Path) -> None:
        self._tree_entries = tree_entries
        self._numbers: dict[str, int] = {}
        self.sidecar = Sidecar(repository, tree_entries, self)

    def number(self, commit: str) -> int:
        """1 for the first commit of the first-parent line that `commit` ends, and so on."""
        line: list[str] = []
        base = 0
        for found in self.line(commit):
            base = self._numbers.get(found.id) or self.sidecar.number(found.id) or 0
            if base:
                break
            line.append(found.id)
        self._numbers.update((id, number) for number, id in enumerate(reversed(line), base + 1))
        return base + len(line)

    def line(self, commit: str) -> Iterator[CommitObject]:
        """`commit`, its first parent, and so on to the first."""
        while commit:
            found = self._tree_entries.objects.commit(commit)
            yield found
            commit = found.parents[0] if found.parents else ""

    def tree(self, commit: str) -> str:
        """The tree of a commit; "" stands for none."""
        return self._tree_entries.objects.commit(commit).tree if commit else ""

    def before(self, commit: CommitObject) -> str:
        """The tree that a commit of the line changed: that of its first parent; "" for the very first."""
        return self.tree(commit.parents[0] if commit.parents else "")

    def version(self, commit: CommitObject, number: int = 0) -> Version:
        """What a commit says about itself; `number` is its number, if that is known."""
        said = parse_message(commit.message)
        author = Person(commit.author, commit.email)
        operations, files = said.operations, said.files
        if said.actor is None:
            operations, files = self.changes(self.before(commit), commit.tree)
        return Version(
            number or self.number(commit.id),
            commit.id,
            commit.parents,
            commit.time,
            author,
            said.actor or f"user:{author.name}",
            said.subject,
            operations,
            files,
            said.trailers,
            said.body,
        )

    def versions(self, start: str, id: EntryId | None) -> Iterator[Version]:
        """Versions from `start` back; with `id`, only those that changed that entry."""
        if not start:
            return
        if id is None:
            number = self.number(start)
            for commit in self.line(start):
                yield self.version(commit, number)
                number -= 1
            return
        known = self.sidecar.ask(start, self.tree(start), lambda state: state.changing(id) if state.whole else None)
        if known is not None:
            for number, found in known:
                yield self.version(self._tree_entries.objects.commit(found), number)
            return
        for commit in self.line(start):
            if self._touches(commit, id):
                yield self.version(commit)

    def named(self, head: str, number: int) -> str | None:
        """The commit on the first-parent line of `head` that has a number, if there is one."""
        back = self.number(head) - number
        if back > 0 and self.sidecar.number(head) is not None:
            found = self.sidecar.ask(head, self.tree(head), lambda state: state.commit(number))
            if found is not None:
                return found
        return next(islice(self.line(head), back, None)).id if back >= 0 else None

    def changes(
        self, old: str, new: str, *, skip: str = ""
    ) -> tuple[tuple[tuple[Action, EntryId], ...], tuple[str, ...]]:
        """What differs between two trees: operations on entries, and paths of files that are no entry; sorted.

        `skip` names a folder of the root that is left out. An entry that only lies elsewhere, since its namespace
        was sharded, does not differ.
        """
        before, after = self._tree_entries.layout(old), self._tree_entries.layout(new)
        ids: set[EntryId] = set()
        files: set[str] = set()
        for path, was, now in self._tree_entries.objects.changed(old, new, skip):
            for layout, node in ((before, was), (after, now)):
                if node is not None:
                    id = layout.entry_id(path)
                    if id is None:
                        files.add(path)
                    else:
                        ids.add(id)
        # Another layout alone makes entries of strays, and strays of entries, without a file being touched.
        for namespace in before.sharded ^ after.sharded:
            for folder in (f for tree in (old, new) for f in self._tree_entries.namespace(tree, namespace)):
                ids.update(EntryId(namespace, name) for name in folder.entries)
        operations: list[tuple[Action, EntryId]] = []
        for id in sorted(ids, key=lambda id: (after.folder(id), id)):  # each folder is read once
            one, other = self._tree_entries.files(old, id), self._tree_entries.files(new, id)
            if one[0] is None and other[0] is None:  # a source without its YAML is a file as any other
                sources = ((before, one[1]), (after, other[1]))
                files.update(layout.source_path(id) for layout, node in sources if node is not None)
            elif one != other:
                operations.append((action_between(one[0] is not None, other[0] is not None), id))
        operations.sort(key=itemgetter(1))
        return tuple(operations), tuple(sorted(files))

    def last_changes(self, commit: str, ids: set[EntryId]) -> dict[EntryId, str]:
        """For each of `ids`, the newest commit from `commit` back that changed it."""
        found: dict[EntryId, str] = {}
        for step in self.line(commit):
            for _, id in self.changes(self.before(step), step.tree)[0]:
                if id in ids:
                    found.setdefault(id, step.id)
            if len(found) == len(ids):
                break
        return found

    def _touches(self, commit: CommitObject, id: EntryId) -> bool:
        now, was = self._tree_entries.files(commit.tree, id), self._tree_entries.files(self.before(commit), id)
        return now != was and (now[0] or was[0]) is not None  # a source alone is no entry
