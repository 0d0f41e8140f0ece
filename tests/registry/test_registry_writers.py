"""Many writers, killed writers, stale locks, a repack beside a writer: nothing acknowledged is ever lost."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from registry_kit import create, fsck, git, plant, rounds, tool, update, write

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import Conflict, RegistryError
from micro_agi_kernel.registry import Registry, lock, store, storing
from micro_agi_kernel.registry.care import upkeep
from micro_agi_kernel.registry.objects import Objects

HERE = Path(__file__).parent

WRITER = """
import sys
from pathlib import Path
import registry_kit as kit
from micro_agi_kernel.registry import Registry, lock
lock.STALE_SECONDS = 0.2
with Registry.open(Path(sys.argv[1])) as registry:
    registry.snapshot().ids()
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(sys.argv[3])):
        version = kit.write(registry, kit.create(kit.tool(f"{sys.argv[2]}_{n}")))
        print(version.commit, flush=True)
"""


def start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    """A process that writes `count` entries once it reads a line, and prints each commit."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path, name, str(count)],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_keep_every_commit_and_a_repack_disturbs_nobody(registry: Registry) -> None:
    writers, count = rounds(2, 4), rounds(25, 250)
    processes = [start(registry.path, f"w{n}", count) for n in range(writers)]
    for process in processes:
        go(process)
    for _ in range(rounds(2, 10)):
        git(registry.path, "gc", "-q")
        git(registry.path, "pack-refs", "--all")
        upkeep.pack(registry.path)
    acknowledged = [line for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0] * writers
    assert len(set(acknowledged)) == writers * count
    assert len(registry.snapshot().entries()) == writers * count
    assert registry.snapshot().number == writers * count + 1
    assert set(git(registry.path, "rev-list", "main").split()) > set(acknowledged)
    fsck(registry.path)


def test_a_killed_writer_loses_nothing_and_blocks_nobody(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "STALE_SECONDS", 0.2)
    chance = random.Random(7)
    acknowledged: list[str] = []
    for n in range(rounds(5, 100)):
        process = start(registry.path, f"k{n}", 1_000)
        go(process)
        if n % 4 == 1:
            git(registry.path, "gc", "-q")
        time.sleep(chance.uniform(0.0, 0.06))
        process.send_signal(signal.SIGKILL)
        acknowledged += [line for line in process.communicate()[0].split("\n") if len(line) == 40]
        acknowledged.append(write(registry, create(tool(f"after_{n}"))).commit)
    line = set(git(registry.path, "rev-list", "main").split())
    assert line > set(acknowledged)
    assert registry.snapshot().number == len(registry.snapshot().entries()) + 1 == len(line)
    fsck(registry.path)


def leave_behind(registry: Registry, *, age: float) -> list[Path]:
    """The files of a writer that died `age` seconds ago, and its mark in the lock."""
    left = [
        registry.path / "refs" / "heads" / "main.lock",
        registry.path / "objects" / "ab" / ("c" * 38 + ".lock"),
        registry.path / "objects" / "tmp_obj_0123456789abcdef_0",
        registry.path / "objects" / "pack" / "tmp_pack_0123456789abcdef_1",
    ]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
        os.utime(file, (time.time() - age, time.time() - age))
    (registry.path / lock.FOLDER / "lock").write_bytes(b"1")
    return left


def test_stale_locks_of_a_dead_writer_are_removed(registry: Registry) -> None:
    left = leave_behind(registry, age=60)
    write(registry, create(tool("x")))
    assert not any(file.exists() for file in left)
    assert (registry.path / lock.FOLDER / "lock").read_bytes() == b"0"


def test_young_locks_are_waited_for(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "STALE_SECONDS", 0.4)
    left = leave_behind(registry, age=0)
    left[0].unlink()
    write(registry, create(tool("x")))  # nothing of it is in the way: it stays, and so does the mark
    assert left[1].exists() and (registry.path / lock.FOLDER / "lock").read_bytes() == b"1"
    left = leave_behind(registry, age=0)
    write(registry, create(tool("y")))  # the branch's lock is in the way until it is old enough
    assert not left[0].exists()


def test_a_lock_of_a_living_git_is_never_removed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "TRIES", 3)
    monkeypatch.setattr(store, "PATIENT", 0)
    foreign = registry.path / "refs" / "heads" / "main.lock"
    foreign.write_bytes(b"")
    young = time.time() - lock.FORGOTTEN_SECONDS + 60
    os.utime(foreign, (young, young))
    head = registry.head()
    with pytest.raises(RegistryError, match=r"main\.lock: if none is running, `micro-agi registry verify --repair`"):
        write(registry, create(tool("x")))
    assert foreign.exists() and registry.head() == head
    foreign.unlink()
    write(registry, create(tool("x")))


def test_a_lock_that_a_killed_git_left_is_broken_once_it_is_old(registry: Registry) -> None:
    foreign = registry.path / "refs" / "heads" / "main.lock"
    foreign.write_bytes(b"")
    old = time.time() - lock.FORGOTTEN_SECONDS - 1
    os.utime(foreign, (old, old))
    with lock.WriteLock(registry.path) as held:
        held.sweep()
        assert foreign.exists()  # no writer of ours died, and nobody has waited for it
    version = write(registry, create(tool("x")))
    assert registry.head() == version.commit and not foreign.exists()


def test_a_branch_moved_by_a_push_is_noticed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone who does not know our lock moves the branch between our read of it and our swap."""
    with Registry.open(registry.path) as other:
        objects = registry.objects
        swap, moved = objects.swap_head, []

        def swap_late(old: str | None, new: str) -> bool:
            if not moved:
                commit = git(registry.path, "commit-tree", f"{old}^{{tree}}", "-p", str(old), "-m", "pushed")
                git(registry.path, "update-ref", "refs/heads/main", commit)
                moved.append(commit)
            return swap(old, new)

        monkeypatch.setattr(objects, "swap_head", swap_late)
        version = write(registry, create(tool("x")))
        assert version.parents == (moved[0],) and other.head() == version.commit and version.number == 3


def test_a_held_lock_is_reported(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    with lock.WriteLock(registry.path), pytest.raises(RegistryError, match="has held the lock"):
        write(registry, create(tool("x")))
    write(registry, create(tool("x")))


@pytest.mark.parametrize("where", ["write", "swap_head"])
def test_an_interrupt_leaves_no_half_commit(registry: Registry, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    head = registry.head()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registry.objects, where, interrupt)
        write(registry, create(tool("x")))
    assert registry.head() == head
    write(registry, create(tool("x")))
    fsck(registry.path)


def test_a_full_disk_is_one_line(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry.objects, "write", full)
    with pytest.raises(RegistryError, match=r"cannot write to the registry .*: No space left on device"):
        write(registry, create(tool("x")))


SEEDER = """
import sys
from pathlib import Path
import registry_kit as kit
from micro_agi_kernel.errors import Conflict
from micro_agi_kernel.registry import Registry
sys.stdin.readline()
with Registry.create(Path(sys.argv[1])) as registry:
    base = registry.snapshot()
    try:
        if not base.commit:
            kit.plant(registry, kit.tool("seed"))
    except Conflict:
        print("second")
    assert len(registry.snapshot().entries()) == 1
"""


def test_many_processes_may_make_the_same_registry(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "registry.git"
    processes = [
        subprocess.Popen([sys.executable, "-c", SEEDER, path], cwd=HERE, stdin=subprocess.PIPE, text=True)
        for _ in range(rounds(3, 12))
    ]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * len(processes)
    assert list(path.parent.iterdir()) == [path]
    with Registry.open(path) as registry:
        assert registry.snapshot().number == 1


@pytest.mark.parametrize("look", ["other_branches", "lost_history"])
def test_the_first_commit_may_come_while_a_registry_is_opened(
    empty: Registry, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    def look_late(objects: Objects) -> bool:
        if empty.is_empty:
            plant(empty, tool("x"))
        return True

    monkeypatch.setattr(Objects, look, look_late)
    with Registry.open(empty.path) as registry:
        assert registry.snapshot().number == 1


def test_the_second_seed_is_a_conflict(empty: Registry) -> None:
    base = empty.snapshot()
    plant(empty, tool("x"))
    with pytest.raises(Conflict):
        write(empty, create(tool("x")), base=base)
    assert empty.snapshot().number == 1


def test_a_large_changeset_is_one_pack(registry: Registry) -> None:
    loose = git(registry.path, "count-objects")
    write(registry, create(*(tool(f"t{n}", f"return {n}") for n in range(rounds(300, 1_000)))))
    assert git(registry.path, "count-objects") == loose
    assert len(list((registry.path / "objects" / "pack").glob("*.pack"))) == 1
    write(registry, update(tool("t7", "return 'new'")))
    assert registry.snapshot().get(EntryId.parse("app.generated:t7")).source == "return 'new'"  # type: ignore[union-attr]
    fsck(registry.path)


def test_a_loose_object_that_a_power_cut_left_empty_is_written_again(registry: Registry) -> None:
    write(registry, create(tool("x", "return 'same'")))
    blob = git(registry.path, "rev-parse", "main:app/generated/x.lua")
    file = registry.path / "objects" / blob[:2] / blob[2:]
    for damage in (b"", file.read_bytes()[:10]):
        file.unlink()
        file.write_bytes(damage)
        write(registry, create(tool(f"y{len(damage)}", "return 'same'")))
        fsck(registry.path)


@pytest.mark.parametrize("count", [1, 60])
def test_the_branch_moves_when_all_is_on_the_disk(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Loose or as a pack: each file is synced before it gets its name, its folder after, the branch comes last."""
    steps: list[str] = []
    swap, sync, replace = registry.objects.swap_head, os.fsync, os.replace

    def swap_head(old: str | None, new: str) -> bool:
        steps.append("swap")
        return swap(old, new)

    def seen_sync(fd: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync")
        sync(fd)

    def seen_replace(old: str, new: str) -> None:
        steps.append("replace" if "/objects/" in os.fsdecode(new) else "branch")
        replace(old, new)

    monkeypatch.setattr(registry.objects, "swap_head", swap_head)
    monkeypatch.setattr(os, "fsync", seen_sync)
    monkeypatch.setattr(os, "replace", seen_replace)
    write(registry, create(*(tool(f"t{n}", f"return {n}") for n in range(count))))
    stored, moved = steps[: steps.index("swap")], steps[steps.index("swap") + 1 :]
    files = 2 if count > 1 else 6
    assert stored[: 2 * files] == ["sync"] * files + ["replace"] * files
    assert stored[2 * files :] and set(stored[2 * files :]) == {"folder"}
    assert moved[:3] == ["sync", "branch", "folder"]


def test_packs_that_a_repack_removed_are_forgotten(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "PACK_FROM", 0)
    made = [write(registry, create(tool(f"t{n}"))).commit for n in range(4)]
    with Registry.open(registry.path) as other:
        assert other.head() == made[-1]
        git(registry.path, "gc", "-q")
        for commit in made:
            assert other.resolve(commit[:9]) == other.resolve(commit) == commit
        assert len(other.snapshot().entries()) == 4
