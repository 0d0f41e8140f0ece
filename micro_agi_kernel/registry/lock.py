"""The writers' lock: one commit at a time per registry, across processes.

The file `micro-agi/lock` in the repository is locked by the operating system, so the lock ends with its
holder, however that ends. Its first byte is "1" while a commit is being written: a holder that finds it so
knows that the last one died or failed, and removes the files that it left; the `.lock` files among them would block Git
for ever.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType

from micro_agi_kernel.errors import MicroAgiError, RegistryError

FOLDER = "micro-agi"
STALE_SECONDS = 10.0
"""Age from which a left-over `.lock` is removed: a git command at work may own a younger one."""
FORGOTTEN_SECONDS = 300.0
"""Age from which the branch's lock is nobody's, even if no writer of ours died: a killed `git push` leaves one too. A
git holds it for milliseconds, or as long as a person's `reference-transaction` hook takes. Nobody waits so long."""
WAIT_SECONDS = 60.0
"""How long to wait for other writers; each holds the lock for milliseconds."""

LOOSE = "[0-9a-f][0-9a-f]/*"
"""What holds one object, and what lies beside these, below `objects`."""

_CLEAN, _DIRTY = b"0", b"1"


class WriteLock:
    """Context manager that holds the lock; entering raises RegistryError when it cannot be had."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._fd = -1
        self._died = False
        self._leftovers = False

    def __enter__(self) -> WriteLock:
        file = self._repository / FOLDER / "lock"
        try:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            self._fd = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                self._acquire()
                self._died = os.read(self._fd, 1) == _DIRTY
                self._mark(_DIRTY)
                self.sweep()
            except BaseException:
                os.close(self._fd)
                raise
        except OSError as error:
            raise RegistryError(f"cannot write to the registry {self._repository}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # What was refused left nothing; what the disk or a signal broke off may have.
        broke_off = error is not None and (not isinstance(error, MicroAgiError) or isinstance(error.__cause__, OSError))
        try:
            if not broke_off and not self._leftovers:
                with contextlib.suppress(OSError):  # what was written, was; the next holder only looks for leftovers
                    self._mark(_CLEAN)
        finally:
            os.close(self._fd)  # which unlocks

    def sweep(self) -> None:
        """Remove what a writer that died left behind, if it is old enough; else it stays for the next sweep."""
        if not self._died:
            return
        self._leftovers = False
        # The packs' names are ours; those of git are shorter.
        ours = (f"{LOOSE}.lock", "tmp_obj_*", "pack/tmp_pack_????????????????_?")
        for file in (
            *ordinary_files(self._repository / "refs", "heads/main.lock"),
            *ordinary_files(self._repository / "objects", *ours),
        ):
            if not _removed(file, STALE_SECONDS):
                self._leftovers = True

    def break_branch_lock(self) -> None:
        """Remove the branch's lock, whoever left it, if it is so old that nobody can be at work behind it."""
        for file in ordinary_files(self._repository / "refs", "heads/main.lock"):
            _removed(file, FORGOTTEN_SECONDS)

    def _mark(self, state: bytes) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, state)

    def _acquire(self) -> None:
        # Polled, not blocking: a holder that was stopped must not stop us for ever.
        end = time.monotonic() + WAIT_SECONDS
        while not try_lock(self._fd):
            if time.monotonic() > end:
                raise RegistryError(f"another process has held the lock of {self._repository} for {WAIT_SECONDS:.0f} s")
            time.sleep(random.uniform(0.001, 0.01))


def _removed(file: Path, age: float) -> bool:
    """Remove a file that is older than `age` seconds. Whether it is gone."""
    try:
        if time.time() - file.stat().st_mtime <= age:
            return False
        file.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def ordinary_files(folder: Path, *patterns: str) -> Iterator[Path]:
    """The ordinary files in `folder` whose name, or folder and name, fits a pattern, each once.

    No link is followed: somebody may have put one here that leads to files which are none of the repository's.
    """
    by_folder = {pattern.rpartition("/")[0] for pattern in patterns}
    for inside in _entries(folder):
        if inside.is_file(follow_symlinks=False):
            if any(fnmatchcase(inside.name, pattern) for pattern in patterns):
                yield folder / inside.name
        elif inside.is_dir(follow_symlinks=False) and any(fnmatchcase(inside.name, each) for each in by_folder):
            for file in _entries(folder / inside.name):
                name = f"{inside.name}/{file.name}"
                if file.is_file(follow_symlinks=False) and any(fnmatchcase(name, pattern) for pattern in patterns):
                    yield folder / name


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds; nothing where it is gone, cannot be read, or is a link."""
    try:
        with os.scandir(folder) as found:
            return [] if folder.is_symlink() else list(found)
    except OSError:
        return []


if sys.platform == "win32":
    import msvcrt

    def try_lock(fd: int) -> bool:
        """Lock an open file for as long as it is open; False when another process, or open file, has it locked."""
        os.lseek(fd, 1, os.SEEK_SET)  # the byte after the dirty byte, which must stay readable
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(fd: int) -> bool:
        """Lock an open file for as long as it is open; False when another process, or open file, has it locked."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
