"""What a kill or a power cut can do to the files of a repository, found without opening it.

Everything here reads files only: no ref has to name a commit and no object has to be whole for it.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from micro_agi_kernel.registry.layout import BRANCH, ID
from micro_agi_kernel.registry.lock import FOLDER, LOOSE, STALE_SECONDS, ordinary_files
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.sidecar import FILE as INDEX
from micro_agi_kernel.registry.sidecar_file import is_damage

ABANDONED_SECONDS = 3_600.0
"""Age from which a half-written pack or object is nobody's work any more."""

ABANDONED = ("tmp_*", "pack/tmp*", "pack/.tmp-*", "[0-9a-f][0-9a-f]/tmp_*")
"""Half-written packs and objects, below `objects`."""

Kind = Literal["config", "HEAD", "packed-refs", "lock", "abandoned", "pack", "pack index", "object", "branch", "index"]

_CHUNK = 1 << 20
_ID = re.compile(ID.encode())
_PACKED_REFS = re.compile(rf"(#[^\n]*\n|\^?{ID}( refs/[^\0\n]+)?\n)*".encode())


@dataclass(frozen=True, slots=True)
class Damage:
    """One file that is not as a sound writer leaves it."""

    kind: Kind
    file: Path
    what: str

    @property
    def is_harmless(self) -> bool:
        """Whether nothing is lost by it: a next writer clears it away, or Git's own clean-up."""
        return self.kind in ("lock", "abandoned")


def find_damage(repository: Path) -> Iterator[Damage]:
    """All damage of the bare repository at `repository`; nothing where none of ours lies. Reads every object file."""
    if not is_ours(repository):
        return
    if _config_reason(repository):
        yield Damage("config", repository / "config", _config_reason(repository))
    head = _content(repository / "HEAD").rstrip()
    if not (head.startswith(b"ref: refs/") or _ID.fullmatch(head)):
        yield Damage("HEAD", repository / "HEAD", _looks(head))
    packed = _content(repository / "packed-refs")
    if not _PACKED_REFS.fullmatch(packed):
        yield Damage("packed-refs", repository / "packed-refs", _looks(packed))
    yield from _left_behind(repository)
    yield from _packs(repository / "objects" / "pack")
    for file in sorted(ordinary_files(repository / "objects", LOOSE)):
        if re.fullmatch(r"[0-9a-f]{38}", file.name) and (reason := _object_reason(file)):
            yield Damage("object", file, reason)
    if reason := _branch_reason(repository, packed):
        yield Damage("branch", repository / BRANCH, reason)
    if reason := _index_reason(repository / FOLDER / INDEX):
        yield Damage("index", repository / FOLDER / INDEX, reason)


def is_ours(repository: Path) -> bool:
    """Whether a registry lies there, as far as damaged files can tell."""
    try:
        if not all((repository / name).is_dir() for name in ("objects", "refs")) or (repository / ".git").exists():
            return False
        return (repository / FOLDER).is_dir() if _config_reason(repository) else _is_bare(repository)
    except OSError:
        return False


def _is_bare(repository: Path) -> bool:
    from dulwich.config import ConfigFile

    return ConfigFile.from_path(str(repository / "config")).get_boolean(b"core", b"bare", default=False) is True


def _config_reason(repository: Path) -> str:
    """What is wrong with the config, or nothing."""
    from dulwich.config import ConfigFile

    content = _content(repository / "config")
    try:
        _is_bare(repository)
        sound = ConfigFile.from_path(str(repository / "config")).has_section((b"core",))
    except (OSError, ValueError, KeyError):
        sound = False
    return "" if sound and b"\0" not in content else _looks(content)


def _left_behind(repository: Path) -> Iterator[Damage]:
    """Locks, packs and objects of writers that died; a git command at work may own what is younger."""
    objects = repository / "objects"
    folders = [repository, *(Path(folder) for folder, _, _ in os.walk(repository / "refs"))]
    locks = [file for folder in folders for file in ordinary_files(folder, "*.lock")]
    locks += ordinary_files(objects, f"{LOOSE}.lock", "info/*.lock", "pack/*.lock")
    for file in sorted(locks):
        if _age(file) > STALE_SECONDS:
            yield Damage("lock", file, "left by a writer that died")
    for file in sorted(ordinary_files(objects, *ABANDONED)):
        if _age(file) > ABANDONED_SECONDS:
            yield Damage("abandoned", file, "never finished by a writer that died")


def _packs(folder: Path) -> Iterator[Damage]:
    """Packs and their indexes, checked by the sums that end them; one that is still being put there is let be."""
    for index in sorted(ordinary_files(folder, "pack-*.idx")):
        if not index.with_suffix(".pack").exists() and _age(index) > STALE_SECONDS:
            yield Damage("pack index", index, "there is no pack beside it")
    for pack in sorted(ordinary_files(folder, "pack-*.pack")):
        index = pack.with_suffix(".idx")
        sum, sum_in_index = _sums(pack), _sums(index)
        if not pack.exists():
            continue  # a repack has just removed it
        if sum is None:
            yield Damage("pack", pack, _looks(_content(pack, 64), "it is cut short, or its content has changed"))
        elif not index.exists():
            if _age(pack) > STALE_SECONDS:
                yield Damage("pack index", index, "it is missing")
        elif sum_in_index is None or sum_in_index[0] != sum[1]:
            yield Damage("pack index", index, _looks(_content(index, 64), "it is not that of its pack"))


def _sums(file: Path) -> tuple[bytes, bytes] | None:
    """The last two SHA-1s of a file: in an index, that of the pack and its own. None unless the last one is right."""
    try:
        left = file.stat().st_size - 20
        found = hashlib.sha1(usedforsecurity=False)
        tail = b""
        with file.open("rb") as stream:
            while left > 0 and (chunk := stream.read(min(left, _CHUNK))):
                found.update(chunk)
                left -= len(chunk)
                tail = (tail + chunk)[-20:]
            end = stream.read(20)
    except OSError:
        return None
    return (tail, end) if end == found.digest() else None


def _object_reason(file: Path) -> str:
    """What is wrong with a loose object, or nothing."""
    from micro_agi_kernel.registry.objects import MAX_OBJECT

    sum, size = hashlib.sha1(usedforsecurity=False), 0
    unpack = zlib.decompressobj()
    first = b""
    try:
        with file.open("rb") as stream:
            while data := (unpack.unconsumed_tail or stream.read(_CHUNK)):
                first = first or data[:64]
                text = unpack.decompress(data, _CHUNK)
                sum.update(text)
                size += len(text)
                if size > MAX_OBJECT + 64:  # which no one reads, see Objects
                    return f"larger than {MAX_OBJECT} bytes"
    except FileNotFoundError:
        return ""  # a repack has just put it into a pack
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except zlib.error:
        return _looks(first)
    if not unpack.eof:
        return _looks(first, "it is cut short")
    return "" if sum.hexdigest() == file.parent.name + file.name else "its content has another id"


def _branch_reason(repository: Path, packed: bytes) -> str:
    """Why the branch names nothing, or nothing."""
    content = _content(repository / BRANCH).strip()
    if not content and not (repository / BRANCH).exists():
        if re.search(rf"(?m)^{ID} {BRANCH}$".encode(), packed):
            return ""
        if not any(ordinary_files(repository / "objects", LOOSE, "pack/*.pack")):
            return ""  # a registry that has just been made
        return "it is missing"
    return "" if _ID.fullmatch(content) and content.strip(b"0") else _looks(content)


def _index_reason(file: Path) -> str:
    """What SQLite finds wrong with the sidecar, or nothing."""
    import sqlite3

    if not file.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [(said,)] = connection.execute("PRAGMA quick_check(1)")
    except sqlite3.Error as error:  # where nothing may be written beside it, it cannot be looked at either
        return clean(str(error)) if is_damage(error) else ""
    return "" if said == "ok" else clean(str(said))


def _looks(content: bytes, otherwise: str = "it holds something else") -> str:
    if not content:
        return "it is empty"
    return otherwise if content.strip(b"\0") else "it holds zeros only"


def _content(file: Path, limit: int = 1 << 26) -> bytes:
    """What a file holds; nothing when it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(limit)
    except OSError:
        return b""


def _age(file: Path) -> float:
    """Seconds since a file was written; -1 when it is gone."""
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return -1.0


def shown(repository: Path, file: Path) -> str:
    """A file's path inside of the repository, for a line."""
    return clean(file.relative_to(repository).as_posix(), 500)
