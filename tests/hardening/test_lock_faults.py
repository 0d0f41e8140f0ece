"""What a lock does when the system refuses: one line, nothing left open, and a commit that is there is told as one."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry import CommitMessage, Person, Registry, Version, lock
from micro_agi_kernel.registry.layout import FORMAT_CONTENT, FORMAT_FILE
from micro_agi_kernel.registry.objects import Objects
from micro_agi_kernel.registry.sidecar_file import Lease

ADA = Person("Ada", "ada@example.org")


def write(registry: Registry, name: str) -> Version:
    id = EntryId("app.generated", name)
    format = () if registry.objects.head() else (FileChange(FORMAT_FILE, FORMAT_CONTENT),)
    change = Changeset((Operation("create", id, Entry(id, "registry.entry", {}, {})),), format)
    message = CommitMessage("service:agent")
    return registry.commit(change, message, author=ADA, committer=ADA, base=registry.snapshot())


def refused(number: int) -> Any:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry.create(tmp_path / "r.git") as registry:
        monkeypatch.setattr(fcntl, "flock", refused(errno.ENOLCK))
        before = open_files()
        with pytest.raises(RegistryError, match=r"^cannot write to the registry .*: No locks available$"):
            write(registry, "a")
        with pytest.raises(OSError, match="No locks"):
            Lease(tmp_path / "index.sqlite")
        assert open_files() == before
        monkeypatch.undo()
        write(registry, "a")


def test_a_mark_that_cannot_be_written_is_no_failure_of_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lock.WriteLock._mark

    def mark(self: lock.WriteLock, state: bytes) -> None:
        if state == lock._CLEAN:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, state)

    with Registry.create(tmp_path / "r.git") as registry:
        monkeypatch.setattr(lock.WriteLock, "_mark", mark)
        made = write(registry, "a")
        monkeypatch.undo()
        assert registry.head() == made.commit
        assert write(registry, "b").commit == registry.head()


def test_the_branchs_lock_that_a_failed_write_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk dulwich cannot write it, nor then close it, and leaves it."""
    path = tmp_path / "r.git"
    left = path / "refs" / "heads" / "main.lock"

    def swap(self: Objects, old: str | None, new: str) -> bool:
        left.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with Registry.create(path) as registry:
        write(registry, "a")
        with monkeypatch.context() as patch:
            patch.setattr(Objects, "swap_head", swap)
            with pytest.raises(RegistryError, match="No space left on device"):
                write(registry, "b")
            with pytest.raises(RegistryError, match=r"^cannot write to the registry .*: No space left on device$"):
                registry.forward(registry.head(), registry.snapshot())
        monkeypatch.setattr(lock, "STALE_SECONDS", 0.0)
        write(registry, "b")
        assert not left.exists()


def test_too_many_open_files_are_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry.create(tmp_path / "r.git") as registry:
        commit = write(registry, "a").commit
        monkeypatch.setattr(registry.objects._store, "get_raw", refused(errno.EMFILE))
        with pytest.raises(RegistryError, match=r"^cannot read object .*: Too many open files$"):
            registry.objects.blob(commit)
