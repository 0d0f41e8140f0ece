"""A registry as a folder of files, in its own layout: what the seed is, what an export writes and an import reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from micro_agi_kernel.entries import Entry, EntryId, from_files, source_file, to_files
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.layout import FLAT, FORMAT_CONTENT, FORMAT_FILE, read_format
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.tree_entries import Problem

MAX_FILES = 500_000
"""Files of one folder: twice what a hundred thousand Lua entries and their pages need."""
MAX_FILE = 16 << 20
"""Bytes of one file; those of an entry are held to less (MAX_FILE_BYTES)."""
MAX_BYTES = 512 << 20
"""Bytes of all files that are read together: they are held in memory."""

_NOT_OURS = frozenset({"node_modules", "__pycache__"})
"""Folders of other programs, in which nobody keeps entries."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds."""

    entries: tuple[Entry, ...]
    """Sorted by id."""
    files: dict[str, bytes]
    """Pages, files of somebody's own and `registry.yaml`, by path."""


class Reader:
    """Reads files of a stranger's folder: within bounds, and nothing that lies elsewhere."""

    def __init__(self) -> None:
        self._left = MAX_BYTES

    def read(self, file: Path, within: Path) -> bytes:
        """The content of an ordinary file below `within`, to where no link leads out. Raises EntryError."""
        try:
            real = file.resolve()
            if not real.is_relative_to(within.resolve()):
                raise EntryError(f"{file}: lies outside of {within}")
            if not real.is_file():
                raise EntryError(f"{file}: {'not an ordinary file' if real.exists() else 'there is no such file'}")
            with real.open("rb") as opened:
                content = opened.read(MAX_FILE + 1)
        except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL byte; RuntimeError: links in a circle
            raise EntryError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if len(content) > MAX_FILE:
            raise EntryError(f"{file}: larger than {MAX_FILE} bytes")
        self._left -= len(content)
        if self._left < 0:
            raise EntryError(f"{file}: with it more than {MAX_BYTES} bytes are to be read at once")
        return content


def files_below(folder: Path) -> Iterator[str]:
    """The files of a folder, sorted, by their path in it. Links to folders are not followed.

    What begins with a dot, `.git` above all, is left out. Raises EntryError.
    """
    count = 0
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NOT_OURS)
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(place, name).relative_to(folder).as_posix()
                count += 1
                if count > MAX_FILES:
                    raise EntryError(f"{folder}: more than {MAX_FILES} files")


def read_folder(folder: Path) -> Contents:
    """The entries and other files of a folder in a registry's layout (`app/**`, `docs/**`, `registry.yaml`).

    Raises EntryError that names the file for what cannot lie where it does (see `Layout.why_stray`), and for a
    broken entry, and RegistryError for a `registry.yaml` of another version.
    """
    reader = Reader()
    return read_files(folder, {path: reader.read(folder / path, folder) for path in files_below(folder)})


def read_files(folder: Path, found: dict[str, bytes]) -> Contents:
    """As `read_folder`, from what was read already; `folder` is for the error lines."""
    layout = read_format(found[FORMAT_FILE]) if FORMAT_FILE in found else FLAT
    entries: dict[EntryId, dict[str, bytes]] = {}
    files: dict[str, bytes] = {}
    for path, content in found.items():
        if (id := layout.entry_id(path)) is not None:
            entries.setdefault(id, {})[path.rpartition("/")[2]] = content
        elif path == FORMAT_FILE or not (reason := layout.why_stray(path)):
            files[path] = content
        else:
            raise EntryError(f"{folder / path}: {reason}")
    places = ((id, folder / layout.folder(id)) for id in sorted(entries))
    return Contents(tuple(_entry(place, id, entries[id]) for id, place in places), files)


def _entry(place: Path, id: EntryId, files: dict[str, bytes]) -> Entry:
    lua = source_file(id)
    if f"{id.name}.yaml" not in files:
        raise EntryError(f"{place / lua}: a Lua source without an entry's YAML beside it")
    try:
        entry = from_files(id, files)
    except EntryError as error:
        raise EntryError(f"{place}/{error}") from error
    if lua in files and (entry.source or "").encode() != files[lua]:
        raise EntryError(f"{place / lua}: the entry beside it does not name it as its source")
    return entry


def write_folder(snapshot: Snapshot, folder: Path) -> tuple[int, list[Problem]]:
    """Write every entry and other file of `snapshot` into `folder`, which is empty or not there yet, sharding nothing.

    Gives the number of files, and what was left out since it cannot be read or written. Raises RegistryError.
    """
    left_out = [problem for problem in snapshot.problems() if not snapshot.is_folder(problem.path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RegistryError(f"{folder} is not empty: choose another folder")
        count = sum(_write(folder / path, content, left_out) for path, content in _files_of(snapshot, left_out))
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise RegistryError(f"cannot write to {folder}: {getattr(error, 'strerror', None) or error}") from error
    return count, left_out


def _write(file: Path, content: bytes, left_out: list[Problem]) -> bool:
    """Write a new file: never over what is there, since two names may be one on this file system."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as opened:
            opened.write(content)
    except FileExistsError:
        left_out.append(Problem(str(file), "this file system takes its name for that of another file", None))
        return False
    return True


def _files_of(snapshot: Snapshot, left_out: list[Problem]) -> Iterator[tuple[str, bytes]]:
    """The files of an export; what cannot be one is added to `left_out`."""
    yield FORMAT_FILE, FORMAT_CONTENT
    for namespace in snapshot.namespaces():
        for entry in snapshot.entries(namespace):
            try:
                files = to_files(entry)
            except EntryError as error:
                left_out.append(Problem(FLAT.entry_path(entry.id), str(error), namespace, entry.id))
                continue
            yield from ((f"{FLAT.folder(entry.id)}/{name}", content) for name, content in files.items())
    named = {problem.path for problem in left_out}
    for path in snapshot.files():
        if path == FORMAT_FILE:
            continue
        if not (reason := snapshot.layout.why_stray(path)):
            yield path, snapshot.file(path) or b""
        elif clean(path, MAX_PATH) not in named:
            left_out.append(Problem(path, reason, None))


def _unreadable(error: OSError) -> None:
    raise EntryError(f"{error.filename}: cannot be read: {error.strerror}") from error
