"""The audit of the newest entries, each read anew from Git, and of the sidecar, which must say the same as Git does."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from micro_agi_kernel.entries import Action, EntryId
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.care.objects import Finding, Progress
from micro_agi_kernel.registry.layout import CROWDED
from micro_agi_kernel.registry.sidecar_file import open_file, writing
from micro_agi_kernel.registry.sidecar_query import CommitRows
from micro_agi_kernel.registry.sidecar_update import Update
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.store import Registry

MAX_LINES = 20
"""Differences between the sidecar and Git that are named one by one."""


def check_entries(registry: Registry, head: Snapshot, progress: Progress) -> Iterator[Finding]:
    """Read every entry of `head` from Git's objects, into rows of our own; then compare those with the sidecar's."""

    def tick(done: int, total: int) -> None:
        progress("entries", done, total)

    # In a file and not in memory, of which a hundred thousand entries would take hundreds of MiB.
    with (
        tempfile.TemporaryDirectory(prefix="micro-agi-") as folder,
        closing(open_file(Path(folder) / "index.sqlite")) as connection,
    ):
        with writing(connection):
            Update(connection, registry.tree_entries, registry.history, {}, tick).step(1, "", head.tree)
        fresh = CommitRows(connection, registry.tree_entries, 1, whole=False)
        yield from _problems(head, fresh)
        yield from _differences(registry, head, fresh)


def _problems(head: Snapshot, fresh: CommitRows) -> Iterator[Finding]:
    problems = sorted(fresh.problems(head.layout), key=lambda problem: problem.path)
    for problem in problems:
        yield Finding("fail" if problem.id else "warn", "entries", f"{problem.path}: {problem.reason}", id=problem.id)
    ids = fresh.ids()
    for namespace, count in Counter(id.namespace for id in ids).items():
        if count > CROWDED and namespace not in head.layout.sharded:
            yield Finding("warn", "entries", f"{count} entries in {namespace}: commits there get slow above {CROWDED}")
    if not any(problem.id for problem in problems):
        yield Finding("ok", "entries", f"{len(ids)} entries read")


def _differences(registry: Registry, head: Snapshot, fresh: CommitRows) -> Iterator[Finding]:
    """Where the sidecar says something else of the newest commit than Git does."""
    try:
        wrong = registry.history.sidecar.ask(head.commit, head.tree, lambda kept: _compare(kept, fresh))
    except RegistryError as error:
        yield Finding("fail", "index", f"{error}: --repair makes it anew")
        return
    if wrong is None:
        yield Finding("warn", "index", "it cannot be written or read, so everything is looked up without it")
        return
    for id in wrong[:MAX_LINES]:
        yield Finding("fail", "index", f"it says something else of {id} than Git does: --repair makes it anew", id=id)
    if len(wrong) > MAX_LINES:
        yield Finding("fail", "index", f"and of {len(wrong) - MAX_LINES} entries more")
    if not wrong:
        yield Finding("ok", "index", "it says of every entry, as it stands now, what Git says")


class IndexedChanges:
    """What the sidecar says of each commit, compared with what it did, while the history is walked anyway."""

    def __init__(self, registry: Registry, head: Snapshot) -> None:
        self._wrong: set[EntryId] = set()
        # Of entries that cannot be read it may name more commits: those that changed what keeps them from it.
        self._kept: dict[str, dict[EntryId, bool]] | None = None
        with suppress(RegistryError):  # which `check_entries` has said
            self._kept = registry.history.sidecar.ask(head.commit, head.tree, _by_commit)

    def compare(self, commit: str, operations: Iterable[tuple[Action, EntryId]]) -> None:
        """Look at one commit, which did this."""
        if self._kept is not None:
            kept = self._kept.get(commit, {})
            did = {id for _, id in operations}
            self._wrong |= did - kept.keys()
            self._wrong |= {id for id, is_readable in kept.items() if is_readable} - did

    def findings(self) -> Iterator[Finding]:
        """The outcome, once every commit was compared that can be."""
        for id in sorted(self._wrong)[:MAX_LINES]:
            what = f"it names other commits than Git does that changed {id}: --repair makes it anew"
            yield Finding("fail", "index", what, id=id)
        if len(self._wrong) > MAX_LINES:
            yield Finding("fail", "index", f"and that changed {len(self._wrong) - MAX_LINES} entries more")


def _by_commit(kept: CommitRows) -> dict[str, dict[EntryId, bool]] | None:
    if not kept.whole:
        return None
    found: dict[str, dict[EntryId, bool]] = {}
    for commit, id, is_readable in kept.changes():
        found.setdefault(commit, {})[id] = is_readable
    return found


def _compare(kept: CommitRows, fresh: CommitRows) -> list[EntryId] | None:
    """The entries of which two sets of rows differ; None when `kept` does not come from the file."""
    if not kept.whole:
        return None
    wrong: list[EntryId] = []
    # Both are sorted by id: a row that only one of them has stands alone in its group.
    rows = merge(kept.rows(), fresh.rows(), key=itemgetter(0, 1))
    for (namespace, name), group in groupby(rows, key=itemgetter(0, 1)):
        states = list(group)
        # What a damaged object keeps from being read now, the sidecar may have read before.
        if not any(state[-2] for state in states) and (len(states) < 2 or _seen(states[0]) != _seen(states[1])):
            wrong.append(EntryId(namespace, name))
    return wrong


def _seen(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as it is compared: in a document, the order of keys says nothing."""
    *columns, document = row
    try:
        return (*columns, json.loads(document) if document else None)
    except (ValueError, RecursionError):
        return row
