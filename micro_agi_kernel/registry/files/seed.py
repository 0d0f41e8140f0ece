"""The seed: a folder of files in the registry's own layout, as the changeset that creates them all."""

from __future__ import annotations

from pathlib import Path

from micro_agi_kernel.entries import Changeset, FileChange, Operation
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.registry.files.folders import files_below, read_files
from micro_agi_kernel.registry.layout import FORMAT_CONTENT, FORMAT_FILE


def seed_changeset(folder: Path) -> Changeset:
    """A changeset that creates every entry and other file under `folder` (`app/**`, `docs/**`, `registry.yaml`).

    Files whose name begins with a dot are skipped. Raises EntryError as `read_folder` does.
    """
    # It is our own, so links are followed: there are installers that install links.
    found = {path: (folder / path).read_bytes() for path in (files_below(folder) if folder.is_dir() else ())}
    if not found:
        raise EntryError(f"no seed at {folder}")
    contents = read_files(folder, {FORMAT_FILE: FORMAT_CONTENT, **found})
    return Changeset(
        tuple(Operation("create", entry.id, entry) for entry in contents.entries),
        tuple(FileChange(path, content) for path, content in sorted(contents.files.items())),
    )
