"""Upkeep: loose objects are gathered into packs in time, beside readers and writers, and none is ever removed.

With the git program: `git repack --geometric=2 -d`, which rolls all loose objects, referred to or not, and the packs
that are small beside them into one new pack, and removes what is in it elsewhere. An object that a writer has just
stored, and no commit names yet, is therefore kept, however the two meet; `git gc` would need `--prune=never` for that,
and `--prune=now` would destroy the commit being written. Its cost follows what is new, not what the registry holds.
Without it, or before git 2.32: dulwich's packing of loose objects, which makes no deltas.

The writers' lock is not taken: packing lasts seconds, and a cell shall not wait for it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.care.damage import ABANDONED, ABANDONED_SECONDS
from micro_agi_kernel.registry.git_program import run_git
from micro_agi_kernel.registry.lock import FOLDER, LOOSE, ordinary_files, try_lock
from micro_agi_kernel.registry.message import clean

MOST_LOOSE = 2_000
"""Loose objects from which on they are packed: about 300 commits, 2 to 14 MB, a second or two of work."""

_SAMPLE = "17"
"""The one of the 256 folders of loose objects that is counted, as git does: hashes are spread evenly."""

_UNKNOWN_OPTION = 129


@dataclass(frozen=True, slots=True)
class Packed:
    """What one round of upkeep did."""

    objects: int
    """Loose objects that are in a pack now."""
    packs: int
    """Packs that there are now."""
    before: int
    """Bytes on disk of all objects."""
    after: int
    abandoned: int
    """Files removed that writers which died had not finished."""


class Upkeep:
    """Packs one registry by itself, in a thread, when many loose objects have gathered."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._left = 0
        self._one = Lock()

    def start_if_due(self) -> None:
        """Called after a commit; looks at one folder, and never waits for the packing."""
        if _estimate(self._repository) > max(MOST_LOOSE, 2 * self._left) and self._one.acquire(blocking=False):
            # Nobody waits for it: a process may end meanwhile, and the git that it started goes on.
            Thread(target=self._run, name="registry upkeep", daemon=True).start()

    def _run(self) -> None:
        try:
            with suppress(RegistryError, OSError):  # `registry gc` and `registry verify` say what is wrong
                pack(self._repository)
            self._left = _estimate(self._repository)
        finally:
            self._one.release()


def pack(repository: Path) -> Packed | None:
    """Pack the loose objects; None when another process is at it. Raises RegistryError when it fails."""
    objects = repository / "objects"
    with _alone(repository) as alone:
        if not alone:
            return None
        loose, before = count_loose(objects), _size(objects)
        abandoned = _sweep(objects)
        if loose or _count_packs(objects) > 1:
            _pack(repository)
        left, packs = count_loose(objects), _count_packs(objects)
        return Packed(max(0, loose - left), packs, before, _size(objects), abandoned)


def _pack(repository: Path) -> None:
    if shutil.which("git") is not None:
        done = run_git(repository, "repack", "--geometric=2", "-d", "-l", "-q")
        if done.returncode == 0:
            return
        if done.returncode != _UNKNOWN_OPTION:
            why = clean(done.stderr.decode(errors="replace")) or f"git repack ended with {done.returncode}"
            raise RegistryError(f"the registry cannot be packed ({why}): run `micro-agi registry verify`")
    from dulwich.object_store import DiskObjectStore

    store = DiskObjectStore(repository / "objects", fsync_object_files=True)
    try:
        store.pack_loose_objects()
    except Exception as error:  # whatever a damaged object makes dulwich raise; nothing was removed yet
        reason = clean(str(error)) or type(error).__name__
        raise RegistryError(f"the registry cannot be packed ({reason}): run `micro-agi registry verify`") from error
    finally:
        store.close()


@contextmanager
def _alone(repository: Path) -> Iterator[bool]:
    """Whether no other process, or thread, packs this registry now; then none begins before the end."""
    try:
        fd = os.open(repository / FOLDER / "upkeep", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RegistryError(f"cannot write to the registry {repository}: {error.strerror}") from error
    try:
        yield try_lock(fd)
    finally:
        os.close(fd)  # which unlocks


def _estimate(repository: Path) -> int:
    """About how many loose objects there are."""
    try:
        return 256 * len(os.listdir(repository / "objects" / _SAMPLE))
    except OSError:
        return 0


def count_loose(objects: Path) -> int:
    """How many objects lie loose."""
    return sum(1 for file in ordinary_files(objects, LOOSE) if len(file.name) == 38)


def _count_packs(objects: Path) -> int:
    return sum(1 for _ in ordinary_files(objects, "pack/pack-*.pack"))


def _size(objects: Path) -> int:
    """Bytes that the files take on the disk; those that a writer or git moves meanwhile may be missed."""
    total = 0
    for file in ordinary_files(objects, "*/*"):
        with suppress(OSError):
            stat = file.stat()
            total += getattr(stat, "st_blocks", 0) * 512 or stat.st_size
    return total


def _sweep(objects: Path) -> int:
    """Remove what a pack or an object that was interrupted has left; a program at work writes to a younger one."""
    removed = 0
    for file in ordinary_files(objects, *ABANDONED):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()
                removed += 1
    return removed
