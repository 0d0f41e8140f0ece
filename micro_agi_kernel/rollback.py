"""Going back: undoing what one commit did, and bringing back an old state; each is one new commit.

Nothing is taken out of the history: what was undone can be brought back the same way. `registry.yaml` is left
alone, since it says where the entries lie now and not what they are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from micro_agi_kernel.entries import Changeset, EntryId, FileChange, Operation
from micro_agi_kernel.errors import Conflict, EntryError, ErrorKind, Refused, RegistryError
from micro_agi_kernel.interfaces import CallContext, Published, Publisher
from micro_agi_kernel.registry import Registry, Snapshot, Version, changeset_between, operation_between, same_entry
from micro_agi_kernel.registry.layout import FORMAT_FILE
from micro_agi_kernel.values import short_commit

MAX_TRIES = 5
"""How often it is looked again when another writer changed one of the entries meanwhile."""

SHOWN = 3
"""Entries in a conflict, and later commits of each, that its line names."""


_REVERTS, _RESTORES = "Reverts", "Restores the state of"
_GOING_BACK = re.compile(rf"({_REVERTS}|{_RESTORES}) [0-9a-f]{{7,40}}\b")


def going_back_of(body: str) -> str:
    """What the body of such a commit begins with: `Reverts 0123456789ab`; "" for that of another."""
    found = _GOING_BACK.match(body)
    return found[0] if found is not None else ""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What became of it."""

    published: Published | None
    """The new commit; None when nothing differed."""
    changeset: Changeset
    summary: str
    """One line for a person: what the commit does, or why there is none."""
    left: tuple[str, ...] = ()
    """Entries that cannot be brought back, as lines that say why."""

    @property
    def lines(self) -> Iterator[str]:
        """All of it for a person: the commit and the summary, each step, and what was left."""
        done = self.published
        yield f"commit {short_commit(done.commit)} (version {done.version}): {self.summary}" if done else self.summary
        yield from self.steps
        yield from self.left

    @property
    def steps(self) -> Iterator[str]:
        """What became of each entry and each file."""
        yield from (f"{operation.action} {operation.id}" for operation in self.changeset.operations)
        yield from (f"file {file.path}" for file in self.changeset.files)


@dataclass(frozen=True, slots=True)
class _Plan:
    base: Snapshot
    """What the changeset was made for."""
    changeset: Changeset
    body: str
    nothing: str
    """The summary, when the changeset is empty."""
    left: tuple[str, ...] = ()


async def revert(
    registry: Registry, publisher: Publisher, context: CallContext, rev: str, id: EntryId | None = None
) -> RolledBack:
    """Undo what the commit `rev` did, to `id` only if given: what it changed becomes again what its parent had.

    A merge is undone as what it brought to the branch. Raises Conflict, with the later commits, when an entry is
    no longer as the commit left it; Refused, EntryError or RegistryError with one line else. Nothing is half done.
    """
    return await _carry_out(publisher, context, lambda: _reverting(registry, rev, id))


async def restore(
    registry: Registry, publisher: Publisher, context: CallContext, rev: str, id: EntryId | None = None
) -> RolledBack:
    """Bring back what the registry held at `rev`, or `id` as it was there, whatever came later. Raises as `revert`."""
    return await _carry_out(publisher, context, lambda: _restoring(registry, rev, id))


async def _carry_out(publisher: Publisher, context: CallContext, make: Callable[[], _Plan]) -> RolledBack:
    for _ in range(MAX_TRIES):
        plan = await asyncio.to_thread(make)
        if plan.changeset == Changeset(()):
            return RolledBack(None, plan.changeset, plan.nothing, plan.left)
        try:
            done = await publisher.publish(plan.changeset, context, base=plan.base.commit, body=plan.body)
        except Conflict:
            continue  # another writer was faster: what is to be done may be something else now
        return RolledBack(done, plan.changeset, plan.body, plan.left)
    raise Conflict("the registry changes faster than it can be brought back; try again")


def _reverting(registry: Registry, rev: str, id: EntryId | None) -> _Plan:
    version, now = registry.version(rev), registry.snapshot()
    named = f"{short_commit(version.commit)} ({version.subject})"
    if not version.parents:
        raise Refused(ErrorKind.INVALID, f"{named} is the first commit: there is nothing before it to go back to")
    before, after = registry.snapshot(version.parents[0]), registry.snapshot(version.commit)
    ids, paths = _changed(before, after)
    if id is not None:
        if id not in ids:
            raise Refused(ErrorKind.NOT_FOUND, f"{named} did not change {id}")
        ids, paths = [id], []
    elif not ids and not paths:
        raise Refused(ErrorKind.INVALID, f"{named} changed no entry and no page")
    ids = [id for id in ids if not same_entry(now, before, id)]
    paths = [path for path in paths if now.file(path) != before.file(path)]
    _check_untouched(registry, now, after, ids, paths)
    operations = [operation for id in ids for operation in _operation(now, before, id)]
    files = tuple(FileChange(path, before.file(path)) for path in paths)
    return _Plan(
        now,
        Changeset(tuple(operations), files),
        f"{_REVERTS} {short_commit(version.commit)}: {version.subject}",
        f"nothing to revert: all that {named} changed is as it was before",
    )


def _restoring(registry: Registry, rev: str, id: EntryId | None) -> _Plan:
    wanted, now = registry.snapshot(rev), registry.snapshot()
    named = f"{short_commit(wanted.commit)}{_number(registry, wanted)}"
    left: tuple[str, ...] = ()
    if id is None:
        changeset = changeset_between(now, wanted)
        left = tuple(_unreadable(now, wanted))
    elif now.has(id) or wanted.has(id):
        changeset = Changeset(tuple(_operation(now, wanted, id)))
    else:
        raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}, neither in {named} nor now")
    what = "everything" if id is None else str(id)
    body = f"{_RESTORES} {named}"
    return _Plan(now, changeset, body, f"nothing to restore: {what} is as it was in {named}", left)


def _changed(before: Snapshot, after: Snapshot) -> tuple[list[EntryId], list[str]]:
    """The entries and the files that really differ."""
    operations, paths = before.changes_to(after)
    ids = [id for _, id in operations if not same_entry(before, after, id)]
    return ids, [path for path in paths if path != FORMAT_FILE]


def _operation(now: Snapshot, wanted: Snapshot, id: EntryId) -> list[Operation]:
    try:
        return operation_between(now, wanted, id)
    except EntryError as error:
        raise EntryError(f"{id} cannot be brought back as it was in {short_commit(wanted.commit)}: {error}") from error


def _unreadable(now: Snapshot, wanted: Snapshot) -> Iterator[str]:
    """Lines about the entries that differ and were broken in the wanted state."""
    for _, id in now.changes_to(wanted)[0]:
        try:
            wanted.get(id)
        except EntryError:
            yield f"left as it is: {id}, which cannot be read in {short_commit(wanted.commit)}"


def _check_untouched(
    registry: Registry, now: Snapshot, after: Snapshot, ids: Iterable[EntryId], paths: Iterable[str]
) -> None:
    """Raise Conflict unless all of these are now as they were in `after`."""
    touched = [
        *(_touched(id, _later(registry, id, after)) for id in ids if not same_entry(now, after, id)),
        *(_touched(p, _later_file(registry, p, after)) for p in paths if now.file(p) != after.file(p)),
    ]
    if touched:
        more = f"; and {len(touched) - SHOWN} more" if len(touched) > SHOWN else ""
        raise Conflict(
            f"cannot revert {short_commit(after.commit)}: {'; '.join(touched[:SHOWN])}{more} "
            "(revert the later commit first, or restore what you want back)"
        )


def _touched(what: EntryId | str, later: Iterator[Version]) -> str:
    versions = list(islice(later, SHOWN + 1))
    named = [f"{short_commit(version.commit)} ({version.subject})" for version in versions[:SHOWN]]
    return f"{what} was changed later by {', '.join(named)}{' and others' if len(versions) > SHOWN else ''}"


def _later(registry: Registry, id: EntryId, after: Snapshot) -> Iterator[Version]:
    """The commits that changed an entry since it was as in `after`, newest first."""
    for version in registry.versions(id=id):
        if same_entry(registry.snapshot(version.commit), after, id):
            return
        yield version


def _later_file(registry: Registry, path: str, after: Snapshot) -> Iterator[Version]:
    """The same for a file that is no entry."""
    for version in registry.versions():
        content = registry.snapshot(version.commit).file(path)
        if content == after.file(path):
            return
        if not version.parents or registry.snapshot(version.parents[0]).file(path) != content:
            yield version


def _number(registry: Registry, snapshot: Snapshot) -> str:
    """ " (version 12)"; nothing for a commit that is no version of this registry's own line."""
    try:
        known = registry.resolve(f"v{snapshot.number}") == snapshot.commit
    except RegistryError:
        known = False
    return f" (version {snapshot.number})" if known else ""
