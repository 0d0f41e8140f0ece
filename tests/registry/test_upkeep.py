"""Upkeep: packing beside whoever reads and writes loses nothing; namespaces that have grown are sharded."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from registry_kit import create, fsck, git, plant, tool, write

from micro_agi_kernel.entries import Changeset, EntryId, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.frontends.cli.main import main
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.registry import Registry, Upkeep, audit, snapshot
from micro_agi_kernel.registry.care import upkeep
from micro_agi_kernel.registry.care.upkeep import pack
from micro_agi_kernel.registry.commits import new_commit
from micro_agi_kernel.registry.storing import NewObject
from micro_agi_kernel.workspace import Workspace

COMMITS = 12


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upkeep") / "registry.git"
    with Registry.create(path) as registry:
        plant(registry)
        for n in range(COMMITS):
            write(registry, create(tool(f"t{n}")))
    return path


@pytest.fixture
def busy(written: Path, tmp_path: Path) -> Iterator[Registry]:
    """A registry whose objects are all loose."""
    shutil.copytree(written, tmp_path / "registry.git")
    with Registry.open(tmp_path / "registry.git") as registry:
        yield registry


@pytest.fixture(params=["git", "old git", "no git"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "no git":
        monkeypatch.setattr(upkeep.shutil, "which", lambda name: None)
    if request.param == "old git":
        unknown = subprocess.CompletedProcess[bytes]([], 129, b"", b"error: unknown option `geometric=2'")
        monkeypatch.setattr(upkeep, "run_git", lambda *arguments: unknown)
    return str(request.param)


def loose(registry: Registry) -> int:
    return int(git(registry.path, "count-objects").split()[0])


def test_loose_objects_become_a_pack(busy: Registry, way: str) -> None:
    there, entries = loose(busy), busy.snapshot().entries()
    packed = pack(busy.path)
    assert packed is not None and (packed.objects, packed.packs, packed.abandoned) == (there, 1, 0)
    assert loose(busy) == 0 and packed.after < packed.before / 3
    assert busy.snapshot().entries() == entries
    with Registry.open(busy.path) as fresh:
        assert fresh.snapshot().entries() == entries and fresh.snapshot().number == COMMITS + 1
    write(busy, create(tool("more")))
    fsck(busy.path)


@pytest.mark.parametrize("size", [1, 120])
def test_what_no_commit_names_yet_is_kept(busy: Registry, way: str, size: int) -> None:
    """Packing meets a writer between its objects (loose, or one pack) and its branch."""
    head = busy.snapshot()
    made: list[NewObject] = []
    tree = busy.objects.new_tree(head.tree, {f"docs/{n}.md": b"%d" % n for n in range(size)}, made)
    made.append(commit := new_commit(tree, [head.commit], "A <a@b>", "A <a@b>", b"new\n"))
    busy.objects.write(made)
    for _ in range(2):
        pack(busy.path)
    assert busy.objects.swap_head(head.commit, commit.id)
    assert len(busy.snapshot().files("docs/")) == size
    fsck(busy.path)


def test_packs_are_rolled_up(busy: Registry) -> None:
    for n in range(5):
        write(busy, create(*(tool(f"round_{n}_{m}") for m in range(60))))
    packed = pack(busy.path)
    assert packed is not None and packed.packs == 1
    assert len(busy.snapshot().entries()) == COMMITS + 300


def test_one_packs_at_a_time(busy: Registry) -> None:
    with upkeep._alone(busy.path) as alone:
        assert alone and pack(busy.path) is None
    assert pack(busy.path) is not None


def test_it_starts_by_itself_and_nobody_waits(busy: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def slow(path: Path) -> None:
        begun.set()
        go_on.wait(30)
        pack(path)
        done.set()

    monkeypatch.setattr(upkeep, "pack", slow)
    keeper = Upkeep(busy.path)
    (busy.path / "objects" / "17").mkdir(exist_ok=True)
    few = len(list((busy.path / "objects" / "17").iterdir()))
    monkeypatch.setattr(upkeep, "MOST_LOOSE", 256 * few)
    keeper.start_if_due()
    assert not begun.is_set() and keeper._one.acquire(blocking=False)
    keeper._one.release()
    (busy.path / "objects" / "17" / ("0" * 38)).write_bytes(b"")  # damaged, and of no commit
    keeper.start_if_due()
    assert begun.wait(30)
    keeper.start_if_due()  # not a second time
    write(busy, create(tool("meanwhile")))
    (busy.path / "objects" / "17" / ("0" * 38)).unlink()
    go_on.set()
    assert done.wait(30) and loose(busy) == 0
    assert keeper._one.acquire(timeout=30)


def test_a_damaged_object_is_left_where_it_is(busy: Registry, way: str) -> None:
    blob = git(busy.path, "rev-parse", "main:app/generated/t3.yaml")
    file = busy.path / "objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    file.write_bytes(b"")
    there = loose(busy)
    if way == "git":  # which packs the others
        pack(busy.path)
        assert loose(busy) == 1
    else:
        with pytest.raises(RegistryError, match=r"cannot be packed \(.+\): run `micro-agi registry verify`") as error:
            pack(busy.path)
        assert "\n" not in str(error.value) and loose(busy) == there
    assert file.exists() and busy.snapshot().get(EntryId("app.generated", "t4")) == tool("t4")


def test_what_was_interrupted_is_removed_when_it_is_old(busy: Registry) -> None:
    objects = busy.path / "objects"
    names = ("tmp_obj_1", "pack/tmp_pack_AbCdEf", "pack/.tmp-77-pack-ab.pack", "17/tmp_obj_x", "pack/tmp_idx_1")
    (objects / "17").mkdir(exist_ok=True)
    for age, removed in ((60, 0), (7_200, len(names))):
        for name in names:
            (objects / name).write_bytes(b"x")
            os.utime(objects / name, (time.time() - age, time.time() - age))
        packed = pack(busy.path)
        assert packed is not None and packed.abandoned == removed
    assert not any((objects / name).exists() for name in names)


async def test_a_namespace_that_grew_is_sharded_after_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "SHARD_ABOVE", 3)
    workspace = Workspace(load_settings(registry=str(tmp_path / "registry.git")))
    try:
        start = workspace.registry.snapshot()
        for n in range(5):
            made = tool(f"t{n}", "return {handler = print}", comment="A test", input_schema={"type": "object"})
            changeset = Changeset((Operation("create", made.id, made),))
            await workspace.publishing.publish(changeset, CallContext())
        now = workspace.registry.snapshot()
        assert now.layout.sharded == {"app.generated"} and now.problems() == []
        assert [v.subject for v in workspace.registry.versions(3)] == [
            "Create app.generated:t4",
            "Change registry.yaml",
            "Create app.generated:t3",
        ]
        assert workspace.registry.version("main~1").actor == "service:installer"
        assert len(now.ids()) == len(start.ids()) + 5
        assert {f.status for f in audit(workspace.registry) if f.check in ("trailers", "entries")} == {"ok"}
    finally:
        await workspace.close()


def test_gc_says_in_one_line_what_it_did(busy: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(snapshot, "SHARD_ABOVE", 3)
    run = CliRunner().invoke(main, ["registry", "gc", "--registry", str(busy.path)])
    assert run.exit_code == 0 and run.stdout.count("\n") == 1
    assert run.stdout.startswith("packed ") and "; packs: 1; " in run.stdout
    assert run.stdout.endswith("; sharded app.generated\n")
    run = CliRunner().invoke(main, ["registry", "gc", "--json", "--registry", str(busy.path)])
    assert run.exit_code == 0 and '"objects": 0' in run.stdout and '"sharded": []' in run.stdout
    fsck(busy.path)
