"""Import: entries and pages from files of a person's, written as one commit by that person.

What the files may look like is read by `registry/files/`; here it is put into the words of this project where the
reference says the same otherwise, compared with what stands, and published.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from micro_agi_kernel.checks import NotTested, Rounds, resulting
from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation
from micro_agi_kernel.errors import EntryError, Refused, RegistryError
from micro_agi_kernel.interfaces import CallContext, Published
from micro_agi_kernel.lua_entries import LUA_KINDS
from micro_agi_kernel.policy.policies import POLICY_KINDS
from micro_agi_kernel.publishing import CHANGE_TEST_SECONDS
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.registry.files.definitions import read_definitions, read_tree
from micro_agi_kernel.registry.files.folders import Contents, read_folder
from micro_agi_kernel.registry.layout import FORMAT_FILE
from micro_agi_kernel.values import Json
from micro_agi_kernel.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Import:
    """What an import came to. It wrote all or nothing; `published` is None where nothing differed, or on a refusal."""

    changeset: Changeset
    unchanged: int
    """Entries and pages that stand so already."""
    published: Published | None = None
    refused: tuple[tuple[EntryId, str], ...] = ()
    """Entries that do not pass the checks of their kind."""


async def import_path(workspace: Workspace, path: Path) -> Import:
    """Create or update every entry and page that `path` holds, in one commit; nothing is ever deleted.

    `path` is a definition file, a project's folder with `_index.yaml` files in it, or a folder in a registry's
    layout. Raises EntryError and RegistryError, with the file and what is wrong with it, Conflict when another
    writer changed one of the entries meanwhile.
    """
    contents = await asyncio.to_thread(_read, path)
    snapshot = await asyncio.to_thread(workspace.registry.snapshot)
    done = Import(*await asyncio.to_thread(_differences, contents, snapshot))
    if not done.changeset.operations and not done.changeset.files:
        return done
    context = CallContext(f"user:{workspace.person.name}", workspace.hear)
    try:
        published = await workspace.publishing.publish(
            done.changeset, context, base=snapshot.commit, body=f"Imported from {path.name or 'a folder'}."
        )
    except NotTested:
        raise
    except Refused:
        refused = await _refusals(workspace, done.changeset)
        if not refused:
            raise
        return replace(done, refused=refused)
    return replace(done, published=published)


async def _refusals(workspace: Workspace, changeset: Changeset) -> tuple[tuple[EntryId, str], ...]:
    """Every entry that the checks refuse, where publishing stopped at the first: a person mends all at once."""
    entries = [operation.entry for operation in changeset.operations if operation.entry is not None]
    snapshot = await asyncio.to_thread(workspace.registry.snapshot)
    state, rounds = resulting(changeset.operations, snapshot), Rounds(CHANGE_TEST_SECONDS)
    found = (await workspace.checks.all(entries, snapshot, state, rounds)).refusals
    faults = {id: refusal for id, refusal in found.items() if not isinstance(refusal, NotTested)}
    return tuple((id, str(refusal).removeprefix(f"{id}: ")) for id, refusal in faults.items())


def _read(path: Path) -> Contents:
    if not path.is_dir():
        entries = read_definitions(path)
    elif (path / FORMAT_FILE).exists():
        return read_folder(path)
    else:
        entries = read_tree(path)
    twice = [id for id, count in Counter(entry.id for entry in entries).items() if count > 1]
    if twice:
        raise EntryError(f"{path}: {twice[0]} stands there twice")
    return Contents(tuple(_in_our_words(entry) for entry in sorted(entries, key=lambda entry: entry.id)), {})


def _differences(contents: Contents, snapshot: Snapshot) -> tuple[Changeset, int]:
    """What makes `snapshot` hold `contents`, and how much of it stands already."""
    operations = [
        Operation("update" if snapshot.has(entry.id) else "create", entry.id, entry)
        for entry in contents.entries
        if _standing(entry.id, snapshot) != entry
    ]
    # How a registry lays out its files is its own affair: an export is flat whatever it was before.
    pages = {path: content for path, content in contents.files.items() if path != FORMAT_FILE}
    files = [FileChange(path, content) for path, content in pages.items() if snapshot.file(path) != content]
    same = len(contents.entries) + len(pages) - len(operations) - len(files)
    return Changeset(tuple(operations), tuple(files)), same


def _standing(id: EntryId, snapshot: Snapshot) -> Entry | None:
    try:
        return snapshot.get(id)
    except (EntryError, RegistryError):  # broken, or an object of it is lost: the import mends it
        return None


def _in_our_words(entry: Entry) -> Entry:
    """`entry` as this project spells it, where the reference allows more than one spelling."""
    if entry.kind in LUA_KINDS:
        return replace(entry, meta=_schema_as_table(entry), data=_ids_in_full(entry))
    if entry.kind in POLICY_KINDS and isinstance(groups := entry.data.get("groups"), list):
        # A group belongs to the namespace of its policy, which need not be said.
        own = f"{entry.id.namespace}:"
        bare: list[Json] = [group.removeprefix(own) if isinstance(group, str) else group for group in groups]
        return replace(entry, data={**entry.data, "groups": bare})
    return entry


def _schema_as_table(entry: Entry) -> Mapping[str, Json]:
    """The meta of an entry with its input schema as a mapping, where it was JSON text."""
    schema = entry.meta.get("input_schema")
    if not isinstance(schema, str):
        return entry.meta
    try:
        return {**entry.meta, "input_schema": json.loads(schema)}
    except (ValueError, RecursionError):
        return entry.meta  # the checks of its kind say what is wrong


def _ids_in_full(entry: Entry) -> Mapping[str, Json]:
    """The data of a Lua entry with the namespace in `imports` and `calls`: a bare name is one of the entry's own."""

    def full(id: Json) -> Json:
        return f"{entry.id.namespace}:{id}" if isinstance(id, str) and ":" not in id else id

    data = dict(entry.data)
    imports, calls = data.get("imports"), data.get("calls")
    if isinstance(imports, dict):
        data["imports"] = {alias: full(id) for alias, id in imports.items()}
    if isinstance(calls, list):
        data["calls"] = [full(id) for id in calls]
    return data
