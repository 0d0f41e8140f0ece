"""Keys that tests plant, and a search for them in all that a run left: they stand nowhere but where allowed."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

ENVIRONMENT = {"THEIR_SERVICE_API_KEY": "planted-in-the-environment-5f0c"}
"""What every test, and every process that it starts, finds there as a person's own key for something else."""

PLANTED = (*ENVIRONMENT.values(), "sk-planted-0123456789abcdef", "sk-canary-5d41402abc", "their-0123456789abcdef")

ALLOWED: dict[str, str] = {}
"""Patterns of paths below a test's folder, each with the reason why a key may stand there."""

_KEY = re.compile(b"|".join(re.escape(key.encode()) for key in PLANTED))
_LARGEST = 64 << 20
_PIECE = 16 << 10
_LOOSE = re.compile(r".*/objects/([0-9a-f]{2}/[0-9a-f]{38})")


def search(folder: Path) -> list[str]:
    """The files below `folder` in which a planted key stands, Git's objects unpacked; each object is read once."""
    seen: set[str] = set()
    return [where for where, content in _contents(folder, seen) if _KEY.search(content) and not _is_allowed(where)]


def _is_allowed(where: str) -> bool:
    return any(re.search(pattern, where) for pattern in ALLOWED)


def _contents(folder: Path, seen: set[str]) -> Iterator[tuple[str, bytes]]:
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.endswith("current")]  # pytest's links to the newest
        for name in files:
            path = f"{above}/{name}"
            loose = _LOOSE.fullmatch(path)
            if name.endswith(".idx") or (loose and loose[1] in seen):
                continue
            try:
                if not os.path.isfile(path) or os.path.islink(path) or os.path.getsize(path) > _LARGEST:
                    continue
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:  # a test took the right to read it, or a process that ends removes it
                continue
            if loose:
                seen.add(loose[1])
                content = _unpacked(content)
            elif name.endswith(".pack"):
                content = _objects(content)
            yield path, content


def _unpacked(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, _LARGEST)
    except zlib.error:  # a test damaged it
        return content


def _objects(pack: bytes) -> bytes:
    """What the objects of a pack hold, up to where it is damaged; of a delta that is what its base has not."""
    found: list[bytes] = []
    at = 12
    try:
        while at < len(pack) - 20:
            kind = pack[at] >> 4 & 7
            at = _after_number(pack, at) + 20 * (kind == 7)
            at = _after_number(pack, at) if kind == 6 else at
            unpacker = zlib.decompressobj()
            while not unpacker.eof and at < len(pack):  # a test may have cut it
                found.append(unpacker.decompress(pack[at : at + _PIECE]))
                at = min(at + _PIECE, len(pack)) - len(unpacker.unused_data)
    except (zlib.error, IndexError):
        pass
    return b"".join(found)


def _after_number(pack: bytes, at: int) -> int:
    while pack[at] & 0x80:
        at += 1
    return at + 1
