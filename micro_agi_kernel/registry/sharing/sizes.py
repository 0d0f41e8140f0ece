"""How large the objects are that somebody else brings: asked before any of them is read."""

from __future__ import annotations

from pathlib import Path

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.git_program import ask_git
from micro_agi_kernel.registry.message import clean

MAX_OBJECT_BYTES = 16 << 20
"""Bytes of anything. An entry's file may have less; a larger one can be looked at, and refused."""


def check_sizes(
    repository: Path, new: str, known: str, *, pushed: Path | None = None, file_bytes: int = MAX_OBJECT_BYTES
) -> None:
    """Raise RegistryError when an object that leads to `new`, and not to `known`, is larger than it may be.

    `known` is a revision, or `--branches`. `pushed` is as in `run_git`; `file_bytes` is the most of a file.
    """
    listed = ask_git(repository, "rev-list", "--objects", new, "--not", known, "--", pushed=pushed)
    asked = "--batch-check=%(objecttype) %(objectsize) %(rest)"
    sizes = ask_git(repository, "cat-file", asked, stdin=listed.encode(errors="surrogateescape"), pushed=pushed)
    for line in sizes.rstrip("\n").split("\n") if listed else ():
        kind, size, path = (*line.split(" ", 2), "", "")[:3]
        most = file_bytes if kind == "blob" else MAX_OBJECT_BYTES
        if not size.isdigit() or int(size) > most:
            raise RegistryError(f"{clean(path) or kind}: {clean(size)} bytes, at most {most} are allowed")
