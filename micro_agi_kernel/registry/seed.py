"""The seed: a folder of files in the registry's own layout, as the changeset that creates them all."""

from __future__ import annotations

from pathlib import Path

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation, from_files, source_file
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.registry import layout


def seed_changeset(folder: Path) -> Changeset:
    """A changeset that creates every entry and page under `folder` (`app/**`, `docs/**`, `registry.yaml`).

    Files whose name begins with a dot are skipped. Raises EntryError that names the file for whatever is no
    entry, no page and not `registry.yaml`, and for a broken entry.
    """
    paths = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    found = {path: (folder / path).read_bytes() for path in paths if not Path(path).name.startswith(".")}
    if not found:
        raise EntryError(f"no seed at {folder}")
    files = {path: content for path, content in found.items() if layout.entry_id(path) is None}
    for path in files:
        if path != layout.FORMAT_FILE and not path.startswith(f"{layout.DOCS}/"):
            raise EntryError(f"{folder / path}: neither an entry nor a page nor {layout.FORMAT_FILE}")
        layout.check_file_path(path)
    files.setdefault(layout.FORMAT_FILE, layout.FORMAT_CONTENT)
    ids = sorted({id for path in found if (id := layout.entry_id(path)) is not None})
    operations = (Operation("create", id, _entry(folder, id, found)) for id in ids)
    return Changeset(tuple(operations), tuple(FileChange(path, content) for path, content in sorted(files.items())))


def _entry(folder: Path, id: EntryId, found: dict[str, bytes]) -> Entry:
    files = {f"{id.name}.yaml": layout.entry_path(id), source_file(id): layout.source_path(id)}
    contents = {name: found[path] for name, path in files.items() if path in found}
    if f"{id.name}.yaml" not in contents:
        raise EntryError(f"{folder / layout.source_path(id)}: a Lua source without an entry's YAML beside it")
    try:
        entry = from_files(id, contents)
    except EntryError as error:
        raise EntryError(f"{folder / layout.folder_of(id.namespace)}/{error}") from error
    if source_file(id) in contents and entry.source is None:
        raise EntryError(f"{folder / layout.source_path(id)}: the entry beside it does not name it as its source")
    return entry
