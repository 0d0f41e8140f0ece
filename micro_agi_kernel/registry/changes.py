"""Changesets as the registry sees them: what they write, what they must not meet, how two states differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import Changeset, EntryId, FileChange, Operation, source_file, to_files
from micro_agi_kernel.errors import Conflict, EntryError, ErrorKind, Refused, RegistryError
from micro_agi_kernel.registry.layout import FORMAT_FILE, Layout, check_file_path, format_content, read_format
from micro_agi_kernel.registry.snapshot import Snapshot

if TYPE_CHECKING:
    from micro_agi_kernel.registry.objects import Written
    from micro_agi_kernel.registry.trees import Node


def changeset_between(before: Snapshot, after: Snapshot) -> Changeset:
    """What turns `before` into `after`; `changeset_between(current, old)` restores an old state.

    An entry that is broken in `after`, and a stray file whose path could not be checked out everywhere, are left
    as they are: nothing that is not sound is brought back, and nothing sound lost for it. `registry.yaml` says
    where the entries lie now, so it is no part of a state.
    """
    changed, paths = before.changes_to(after)
    operations: list[Operation] = []
    for _, id in changed:
        with suppress(EntryError):
            operations += operation_between(before, after, id)
    return Changeset(tuple(operations), tuple(FileChange(p, after.file(p)) for p in paths if _is_restored(p)))


def operation_between(before: Snapshot, after: Snapshot, id: EntryId) -> list[Operation]:
    """The operation, if one is needed, that turns an entry of `before` into what it is in `after`.

    Raises EntryError when it is broken in `after`.
    """
    entry = after.get(id)
    if same_entry(before, after, id):
        return []
    if entry is None:
        return [Operation("delete", id)]
    return [Operation("update" if before.has(id) else "create", id, entry)]


def same_entry(one: Snapshot, other: Snapshot, id: EntryId) -> bool:
    """Whether both hold the same entry, however its files are written, or both none."""
    if one.nodes(id) == other.nodes(id):
        return True
    try:
        entries = one.get(id), other.get(id)
    except EntryError:
        return False
    # As text, where true is not 1; the order of keys says nothing.
    texts = [json.dumps(entry.as_json(), sort_keys=True) if entry is not None else None for entry in entries]
    return texts[0] == texts[1]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a changeset writes, wherever the tree that it goes to keeps its entries."""

    entries: Mapping[EntryId, Mapping[str, bytes]]
    """The files of each entry by name; none where it is deleted."""
    files: Mapping[str, bytes | None]
    """The files that are no entry, by path; None removes."""

    def paths(self, layout: Layout) -> dict[str, bytes | None]:
        """All of it by path, sorted, so that each folder is read once; None removes."""
        written = dict(self.files)
        for id, files in self.entries.items():
            written[layout.entry_path(id)] = files.get(f"{id.name}.yaml")
            written[layout.source_path(id)] = files.get(source_file(id))
        return dict(sorted(written.items()))


def contents(changeset: Changeset) -> Contents:
    """What a changeset writes. Raises Refused or EntryError for a malformed one."""
    entries: dict[EntryId, Mapping[str, bytes]] = {}
    for operation in changeset.operations:
        id = operation.id
        EntryId.parse(str(id))
        if id in entries:
            raise Refused(ErrorKind.INVALID, f"{id} stands twice in one changeset")
        if (operation.entry is None) != (operation.action == "delete") or (
            operation.entry and operation.entry.id != id
        ):
            raise Refused(ErrorKind.INVALID, f"malformed operation: {operation.action} of {id}")
        entries[id] = to_files(operation.entry) if operation.entry else {}
    files: dict[str, bytes | None] = {}
    for file in changeset.files:
        check_file_path(file.path)
        if file.path in files:
            raise Refused(ErrorKind.INVALID, f"{file.path} stands twice in one changeset")
        files[file.path] = file.content
    return Contents(entries, files)


def check_layout(changeset: Changeset, head: Snapshot) -> None:
    """Raise RegistryError unless `registry.yaml` stays readable, and goes on saying where the entries lie."""
    for file in changeset.files:
        if file.path == FORMAT_FILE and read_format(file.content or b"") != head.layout:
            raise RegistryError(f"{FORMAT_FILE} says where the entries lie: what is sharded changes with them only")


def sharded(namespace: str, head: Snapshot) -> Written:
    """What puts the entries of a namespace into its shards, by path; nothing when they are there already.

    Files of it that are no entry's stay where they are. Raises RegistryError when something is in the way.
    """
    old = head.layout
    if namespace in old.sharded:
        return {}
    new = Layout(old.sharded | {namespace})
    for folder in new.folders(namespace):
        if head.is_folder(folder) is not None:  # what lies in it would become entries that nobody checked
            raise RegistryError(f"cannot shard {namespace}: {folder} lies where a shard belongs; remove it")
    written: dict[str, bytes | Node | None] = {FORMAT_FILE: format_content(new)}
    for id in head.ids(namespace):
        yaml, lua = head.nodes(id)
        written[old.entry_path(id)] = written[old.source_path(id)] = None
        written[new.entry_path(id)], written[new.source_path(id)] = yaml, lua
    return written


def check_conflicts(changeset: Changeset, base: Snapshot, head: Snapshot) -> None:
    """Raise Conflict if another writer changed what the changeset touches."""
    if base.commit == head.commit:
        return
    for operation in changeset.operations:
        if base.nodes(operation.id) != head.nodes(operation.id):
            raise Conflict(f"{operation.id} was changed by another writer: read it again")
    for file in changeset.files:
        if base.file(file.path) != head.file(file.path):
            raise Conflict(f"{file.path} was changed by another writer: read it again")


def check_existence(operations: Iterable[Operation], head: Snapshot) -> None:
    """Raise Refused for a create of what exists, or an update or delete of what does not."""
    for operation in sorted(operations, key=lambda operation: head.layout.folder(operation.id)):
        exists = head.has(operation.id)
        if operation.action == "create" and exists:
            raise Refused(ErrorKind.ALREADY_EXISTS, f"already exists: {operation.id}")
        if operation.action != "create" and not exists:
            raise Refused(ErrorKind.NOT_FOUND, f"not found: {operation.id}")


def check_twins(written: Iterable[str], head: Snapshot, seen: dict[str, tuple[str, bool]] | None = None) -> None:
    """Raise Refused where a new path differs from another in case only, or meets a file where it needs a folder.

    On a file system that ignores case, such a repository could not be checked out. `seen`, handed from one call to
    the next, lets the paths of both meet; a path that was refused leaves nothing in it.
    """
    seen = {} if seen is None else seen
    for path in written:
        parts = path.split("/")
        added: dict[str, tuple[str, bool]] = {}
        for end in range(1, len(parts) + 1):
            part, is_file = "/".join(parts[:end]), end == len(parts)
            if part.lower() not in seen:
                added[part.lower()] = part, is_file
                twin, twin_is_folder = head.twin(part), head.is_folder(part)
            else:
                twin, twin_is_file = seen[part.lower()]
                twin_is_folder = not twin_is_file
            if twin != part or twin_is_folder is is_file:
                raise Refused(ErrorKind.INVALID, f"{path} cannot stand beside {twin}")
        seen.update(added)


def _is_restored(path: str) -> bool:
    if path == FORMAT_FILE:
        return False
    try:
        check_file_path(path)
    except EntryError:
        return False
    return True
