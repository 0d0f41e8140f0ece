"""Changesets as the registry sees them: what they write, what they must not meet, how two states differ."""

from __future__ import annotations

from collections.abc import Iterable

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation, to_files
from micro_agi_kernel.errors import Conflict, EntryError, ErrorKind, Refused
from micro_agi_kernel.registry import layout
from micro_agi_kernel.registry.snapshot import Snapshot


def changeset_between(before: Snapshot, after: Snapshot) -> Changeset:
    """What turns `before` into `after`; `changeset_between(current, old)` restores an old state.

    An entry that is broken in `after` counts as absent there, and a stray file whose path could not be
    checked out everywhere is left as it is: a restored state holds nothing that is not sound.
    """
    operations: list[Operation] = []
    changed, paths = before.changes_to(after)
    for _, id in changed:
        entry = _readable(after, id)
        if entry is not None:
            operations.append(Operation("update" if before.has(id) else "create", id, entry))
        elif before.has(id):
            operations.append(Operation("delete", id))
    return Changeset(tuple(operations), tuple(FileChange(p, after.file(p)) for p in paths if _is_safe(p)))


def contents(changeset: Changeset) -> dict[str, bytes | None]:
    """What a changeset writes, by path; None removes. Raises Refused or EntryError for a malformed one."""
    if not changeset.operations and not changeset.files:
        raise Refused(ErrorKind.INVALID, "nothing to change")
    written: dict[str, bytes | None] = {}
    for operation in changeset.operations:
        id = operation.id
        EntryId.parse(str(id))
        if layout.entry_path(id) in written:
            raise Refused(ErrorKind.INVALID, f"{id} stands twice in one changeset")
        if (operation.entry is None) != (operation.action == "delete") or (
            operation.entry and operation.entry.id != id
        ):
            raise Refused(ErrorKind.INVALID, f"malformed operation: {operation.action} of {id}")
        files = to_files(operation.entry) if operation.entry else {}
        folder = layout.folder_of(id.namespace)
        written[layout.entry_path(id)] = written[layout.source_path(id)] = None
        written.update({f"{folder}/{name}": content for name, content in files.items()})
    for file in changeset.files:
        layout.check_file_path(file.path)
        if file.path in written:
            raise Refused(ErrorKind.INVALID, f"{file.path} stands twice in one changeset")
        if file.path == layout.FORMAT_FILE:
            layout.check_format(file.content or b"")
        written[file.path] = file.content
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
    for operation in operations:
        exists = head.has(operation.id)
        if operation.action == "create" and exists:
            raise Refused(ErrorKind.ALREADY_EXISTS, f"already exists: {operation.id}")
        if operation.action != "create" and not exists:
            raise Refused(ErrorKind.NOT_FOUND, f"not found: {operation.id}")


def check_twins(written: Iterable[str], head: Snapshot) -> None:
    """Raise Refused where a new path differs from another in case only, or meets a file where it needs a folder.

    On a file system that ignores case, such a repository could not be checked out.
    """
    seen: dict[str, tuple[str, bool]] = {}
    for path in written:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            part, is_file = "/".join(parts[:end]), end == len(parts)
            if part.lower() not in seen:
                seen[part.lower()] = part, is_file
                twin, twin_is_folder = head.twin(part), head.is_folder(part)
            else:
                twin, twin_is_file = seen[part.lower()]
                twin_is_folder = not twin_is_file
            if twin != part or twin_is_folder is is_file:
                raise Refused(ErrorKind.INVALID, f"{path} cannot stand beside {twin}")


def _readable(snapshot: Snapshot, id: EntryId) -> Entry | None:
    try:
        return snapshot.get(id)
    except EntryError:
        return None


def _is_safe(path: str) -> bool:
    try:
        layout.check_file_path(path)
    except EntryError:
        return False
    return True
