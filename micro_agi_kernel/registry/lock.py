"""The writers' lock: one commit at a time per registry, across processes.

The file `micro-agi/lock` in the repository is locked by the operating system, so the lock ends with its
holder, however that ends. Its first byte is "1" while a commit is being written: a holder that finds it so
knows that the last one died, and removes the files that it left; the `.lock` files among them would block Git for ever.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from pathlib import Path
from types import TracebackType

from micro_agi_kernel.errors import RegistryError

FOLDER = "micro-agi"
STALE_SECONDS = 10.0
"""Age from which a left-over `.lock` is removed: a git command at work may own a younger one."""
WAIT_SECONDS = 60.0
"""How long to wait for other writers; each holds the lock for milliseconds."""

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
            self._fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise RegistryError(f"cannot write to the registry {self._repository}: {error.strerror}") from error
        try:
            self._acquire()
            self._died = os.read(self._fd, 1) == _DIRTY
            self._mark(_DIRTY)
            self.sweep()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if not self._leftovers:
                self._mark(_CLEAN)
        finally:
            os.close(self._fd)  # which unlocks

    def sweep(self) -> None:
        """Remove what a writer that died left behind, if it is old enough; else it stays for the next sweep."""
        if not self._died:
            return
        objects = self._repository / "objects"
        self._leftovers = False
        for file in (
            self._repository / "refs" / "heads" / "main.lock",
            *objects.glob("[0-9a-f][0-9a-f]/*.lock"),
            *objects.glob("tmp_obj_*"),
            *objects.glob("pack/tmp_pack_????????????????_?"),  # ours; those of git have shorter names
        ):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > STALE_SECONDS:
                    file.unlink()
                else:
                    self._leftovers = True

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
