"""Damaged objects and hostile trees: one line, never a traceback, never a walk without end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from registry_kit import create, git, tool, write

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry import Registry, audit, objects


def loose(registry: Registry, id: str) -> Path:
    return registry.path / "objects" / id[:2] / id[2:]


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "missing", "other"])
@pytest.mark.parametrize("what", ["commit", "tree", "blob"])
def test_a_damaged_object_is_one_line(registry: Registry, damage: str, what: str) -> None:
    write(registry, create(tool("x", "return 1 -- something longer than a few bytes, to be cut in the middle")))
    spec = {"commit": "main", "tree": "main:app/generated", "blob": "main:app/generated/x.yaml"}[what]
    file = loose(registry, git(registry.path, "rev-parse", spec))
    content = file.read_bytes()
    file.chmod(0o644)
    other = loose(registry, git(registry.path, "rev-parse", "main:registry.yaml")).read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        damaged = {"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"\xff" * 40, "other": other}
        file.write_bytes(damaged[damage])
    with pytest.raises((RegistryError, EntryError)) as error, Registry.open(registry.path) as again:
        again.snapshot().get(EntryId.parse("app.generated:x"))
        [*again.snapshot().ids(), *again.versions()]
        raise EntryError("read as if nothing had happened")
    assert "as if nothing" not in str(error.value) and "\n" not in str(error.value)
    if what != "commit":  # without the newest commit there is nothing to audit
        assert "fail" in {finding.status for finding in audit(registry)}


@pytest.mark.parametrize("content", ["nonsense", "0" * 39, "ref: refs/heads/other", ""])
def test_a_damaged_branch_is_one_line(registry: Registry, content: str) -> None:
    (registry.path / "refs" / "heads" / "main").write_text(content)
    with pytest.raises(RegistryError) as error, Registry.open(registry.path) as again:
        again.head()
    assert "\n" not in str(error.value)


def tree(registry: Registry, *lines: tuple[str, str, str]) -> str:
    """A tree made of (mode, id, name), whatever they are."""
    raw = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(id) for mode, id, name in lines)
    return git(registry.path, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)


def point_main_at(registry: Registry, root: str) -> None:
    commit = git(registry.path, "commit-tree", root, "-p", "main", "-m", "hostile")
    git(registry.path, "update-ref", "refs/heads/main", commit)


def format_line(registry: Registry) -> tuple[str, str, str]:
    return "100644", git(registry.path, "rev-parse", "main:registry.yaml"), "registry.yaml"


def test_a_hostile_tree_is_listed_not_followed(registry: Registry) -> None:
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin="kind: security.policy\n")
    inner = tree(registry, ("100644", blob, ".."), ("100644", blob, "a/b.yaml"), ("100644", blob, "\x1b[2J.yaml"))
    app = tree(
        registry,
        ("120000", blob, "link.yaml"),
        ("160000", "1" * 40, "module.yaml"),
        ("40000", inner, "x.yaml"),
        ("40000", inner, "sub"),
        ("100644", blob, "fine.yaml"),
    )
    root = tree(
        registry, ("40000", inner, ".git"), ("40000", app, "app"), ("160000", "1" * 40, "mod"), format_line(registry)
    )
    point_main_at(registry, root)
    snapshot = registry.snapshot()
    assert [str(entry.id) for entry in snapshot.entries()] == ["app:fine"]
    problems = snapshot.problems()
    assert {p.path for p in problems} >= {".git", "mod", "app/link.yaml", "app/module.yaml", "app/x.yaml", "app/sub/.."}
    assert all("\x1b" not in p.path + p.reason and "\n" not in p.reason for p in problems)
    for name in ("link", "module", "x"):
        with pytest.raises(EntryError, match="not an ordinary file"):
            snapshot.get(EntryId.parse(f"app:{name}"))
    assert {"fail", "warn"} <= {finding.status for finding in audit(registry)}


@pytest.mark.parametrize("folder", ["app", "docs"])
def test_a_tree_bomb_ends(registry: Registry, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Forty trees, each holding the one below twice: a trillion paths."""
    monkeypatch.setattr(objects, "MAX_FOLDERS", 2_000)
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin="kind: x\n")
    level = tree(registry, ("100644", blob, "x.yaml"))
    for _ in range(40):
        level = tree(registry, ("40000", level, "a"), ("40000", level, "b"))
    point_main_at(registry, tree(registry, ("40000", level, folder), format_line(registry)))
    snapshot = registry.snapshot()
    with pytest.raises(RegistryError, match="more than 2000 folders"):
        snapshot.files()
    if folder == "app":
        with pytest.raises(RegistryError, match="more than 2000 folders"):
            snapshot.ids()
    write(registry, create(tool("x")))  # the folder of the generated tools is as sound as ever
    assert registry.snapshot().get(EntryId.parse("app.generated:x")) is not None


def test_a_very_deep_tree_ends(registry: Registry) -> None:
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin="x")
    level = tree(registry, ("100644", blob, "x.md"))
    for _ in range(400):
        level = tree(registry, ("40000", level, "d"))
    point_main_at(registry, tree(registry, ("40000", level, "docs"), format_line(registry)))
    with pytest.raises(RegistryError, match="deeper"):
        registry.snapshot().files("docs/")
    assert registry.snapshot().ids() == []


def test_hostile_commits_are_read_leniently(registry: Registry) -> None:
    root = registry.snapshot().tree
    people = ["x <y> 99999999999 +9999", "nobody", "\x1b[31mred <a@b> 1 +0000", "x <y> 1 +0530", " <> 0 -0000"]
    for author in people:
        raw = f"tree {root}\nparent {registry.head()}\nauthor {author}\ncommitter {author}\n\nmessage \x1b[0m\x00\n"
        commit = git(registry.path, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
        git(registry.path, "update-ref", "refs/heads/main", commit)
    versions = list(registry.versions())
    assert len(versions) == len(people) + 1
    for version in versions:
        assert "\x1b" not in version.subject + version.actor and version.time.isoformat()


def test_a_commit_whose_tree_is_no_id(registry: Registry) -> None:
    raw = "tree ../../../etc/passwd\nauthor a <b> 1 +0000\ncommitter a <b> 1 +0000\n\nx\n"
    commit = git(registry.path, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    (registry.path / "refs" / "heads" / "main").write_text(f"{commit}\n")
    with pytest.raises(RegistryError, match="damaged"):
        registry.snapshot()


def test_an_object_that_claims_to_be_huge(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_OBJECT", 10_000)
    git(registry.path, "config", "core.bigFileThreshold", "1g")
    blob = git(registry.path, "hash-object", "-w", "--stdin", stdin="#" * 100_000)
    app = tree(registry, ("100644", blob, "big.yaml"))
    point_main_at(registry, tree(registry, ("40000", app, "app"), format_line(registry)))
    with Registry.open(registry.path) as again, pytest.raises((RegistryError, EntryError)) as error:
        again.snapshot().get(EntryId.parse("app:big"))
    assert "\n" not in str(error.value) and os.fspath(registry.path) not in str(error.value)
