"""The repository of a registry: made, opened, and refused in one line when it is something else or damaged."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from registry_kit import create, fsck, git, plant, tool, write

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry import Registry


def test_create_makes_a_bare_repository_that_git_takes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "registry.git"
    with Registry.create(path) as registry:
        assert registry.is_empty and registry.snapshot().ids() == [] and registry.snapshot().number == 0
        with pytest.raises(RegistryError, match="is empty"):
            registry.head()
    assert path.stat().st_mode & 0o777 == 0o700 and list(path.parent.iterdir()) == [path]
    assert git(path, "rev-parse", "--is-bare-repository") == "true"
    assert git(path, "config", "gc.auto") == "0"
    assert git(path, "symbolic-ref", "HEAD") == "refs/heads/main"
    fsck(path)
    with Registry.create(path) as again:
        plant(again, tool("x"))
    with Registry.create(path) as third:
        assert third.snapshot().number == 1


def test_what_is_no_registry_is_refused_in_one_line(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "work")
    git(tmp_path, "init", "-q", "--bare", "-b", "master", "foreign")
    git(tmp_path / "work", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path / "work", "push", "-q", "../foreign", "main:master")
    git(tmp_path, "clone", "-q", "--bare", "work", "other")
    git(tmp_path, "init", "-q", "--bare", "sha256", "--object-format=sha256")
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "broken").mkdir()
    for folder in ("objects", "refs"):
        (tmp_path / "broken" / folder).mkdir()
    (tmp_path / "broken" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "broken" / "config").write_bytes(b"[core\x00")
    expected = {
        "work": "is a work tree",
        "work/.git": "not a bare repository",
        "foreign": "branches but no main",
        "other": "main has no registry.yaml",
        "sha256": "extensions of Git",
        "file": "not a Git repository",
        "full": "not a Git repository",
        "broken": "config",
        "dangling": "no registry at",
    }
    for name, message in expected.items():
        for make in (Registry.open, Registry.create):
            with pytest.raises(RegistryError, match=message) as error:
                make(tmp_path / name)
            assert "\n" not in str(error.value)
    with pytest.raises(RegistryError, match=r"no registry at .* run `micro-agi registry init`"):
        Registry.open(tmp_path / "missing")
    assert not (tmp_path / "missing").exists() and list((tmp_path / "full").iterdir()) == [tmp_path / "full" / "x"]


MEND = "run `micro-agi registry verify --repair`"


@pytest.mark.parametrize("fetched", [False, True])
@pytest.mark.parametrize("loss", ["empty", "gone"])
def test_a_branch_that_is_lost_is_said_to_be_damage(registry: Registry, loss: str, fetched: bool) -> None:
    head = write(registry, create(tool("x"))).commit
    if fetched:
        git(registry.path, "update-ref", "refs/remotes/origin/main", head)
    branch = registry.path / "refs" / "heads" / "main"
    if loss == "empty":
        branch.write_bytes(b"")
    else:
        branch.unlink()
    for make in (Registry.open, Registry.create):
        with pytest.raises(RegistryError, match=f"^damaged registry: .* main (of .* )?is {loss}: {MEND}$"):
            make(registry.path)


def test_an_empty_branch_is_damage_where_nothing_was_written_yet(tmp_path: Path) -> None:
    path = tmp_path / "r.git"
    Registry.create(path).close()
    (path / "refs" / "heads" / "main").write_bytes(b"")
    with pytest.raises(RegistryError, match=f"main of .* is empty: {MEND}$"):
        Registry.open(path)


def test_create_on_a_path_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RegistryError, match="cannot make a registry"):
        Registry.create(tmp_path / "file" / "r.git")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to become nobody")
def test_not_readable_and_not_writable(tmp_path: Path) -> None:
    path = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    with Registry.create(path / "r.git") as registry:
        plant(registry)
    script = """
import os, sys
from pathlib import Path
from micro_agi_kernel.registry import Registry
import registry_kit as kit
import dulwich.config, dulwich.object_store, dulwich.refs, sqlite3, yaml
os.setuid(65534)
try:
    with Registry.open(Path(sys.argv[1])) as registry:
        print(registry.snapshot().number)
        kit.write(registry, kit.create(kit.tool("x")))
except Exception as error:
    print(type(error).__name__, error)
"""
    try:
        path.chmod(0o755)
        for mode, expected in (
            (0o700, "RegistryError cannot read the registry"),
            (0o755, "cannot write to the registry"),
        ):
            (path / "r.git").chmod(mode)
            done = subprocess.run(
                [sys.executable, "-c", script, path / "r.git"],
                cwd=Path(__file__).parent,
                capture_output=True,
                text=True,
                check=True,
            )
            assert expected in done.stdout and "Permission denied" in done.stdout
        assert done.stdout.startswith("1\n")
    finally:
        subprocess.run(["rm", "-rf", path], check=True)


def test_an_empty_folder_becomes_a_registry(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with Registry.create(tmp_path / "r") as registry:
        assert registry.is_empty


def test_nothing_is_left_open(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Registry.create(tmp_path / "r.git") as registry:
            plant(registry, *(tool(f"x{n}") for n in range(120)))  # enough for a pack
            assert list((registry.path / "objects" / "pack").glob("*.pack"))
            assert len(registry.snapshot().entries()) == 120
        del registry
        gc.collect()
