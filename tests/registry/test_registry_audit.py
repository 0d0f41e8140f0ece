"""The audit names each commit that lies, each file that is none of ours, and each object that is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_kit import AGENT, ANN, create, delete, git, push, thing, tool, update, write

from micro_agi_kernel.entries import Changeset, FileChange
from micro_agi_kernel.registry import CommitMessage, Finding, Registry, Step, audit


def findings(registry: Registry, status: str) -> list[Finding]:
    return [finding for finding in audit(registry) if finding.status == status]


def test_a_sound_registry(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(tool("x"), tool("y")))
    write(registry, Changeset(update(tool("x", "return 2")).operations, (FileChange("docs/a.md", b"a"),)))
    write(registry, delete("app.generated:y"))
    push(registry, tmp_path, {"docs/b.md": b"b", "app/x.yaml": b"kind: x\n"}, "No trailers here")
    assert [(finding.status, finding.check) for finding in audit(registry)] == [
        ("ok", "objects"),
        ("ok", "entries"),
        ("ok", "index"),
        ("ok", "trailers"),
    ]


def test_an_empty_registry(empty: Registry) -> None:
    assert [finding.status for finding in audit(empty)] == ["ok", "warn"]


def test_trailers_that_lie(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(tool("x"), tool("y")))
    said = "Create app.generated:a\n\nCreate: app.generated:a\nDelete: app.generated:x\nFile: docs/no.md\nActor: {}"
    changes = {"app/generated/x.lua": b"return 2\n", "app/generated/y.lua": b"return 2\n", "docs/s\x1bp.md": b"x"}
    commit = push(registry, tmp_path, changes, said.format("service:agent"))
    expected = [
        f"{commit[:12]} claims to create app.generated:a, which it does not",
        f"{commit[:12]} claims to delete app.generated:x, which it does not",
        f"{commit[:12]} changes app.generated:y without saying so",
        f"{commit[:12]} claims to change docs/no.md, which it does not",
        f"{commit[:12]} changes docs/sp.md without saying so",
    ]
    failed = findings(registry, "fail")
    assert [finding.message for finding in failed] == expected
    assert {finding.commit for finding in failed} == {commit} and str(failed[0].id) == "app.generated:a"
    person = push(registry, tmp_path, {"app/generated/y.lua": b"return 3\n"}, "x\n\nActor: user:Bob")
    warned = findings(registry, "warn")
    assert [finding.message for finding in warned] == [f"{person[:12]} changes app.generated:y without saying so"]


def test_files_that_are_no_entries(registry: Registry, tmp_path: Path) -> None:
    files = {"README.md": b"x", "stray.yml": b"x", "app/bad.yaml": b"[", "docs/fine.md": b"x"}
    push(registry, tmp_path, files)
    assert [finding.message for finding in findings(registry, "warn")] == [
        "stray.yml: not a file of an entry, nor of docs/"
    ]
    failed = findings(registry, "fail")
    assert [str(finding.id) for finding in failed] == ["app:bad"]
    assert failed[0].message.startswith("app/bad.yaml: broken YAML at line")


def test_a_crowded_namespace_is_pointed_out(registry: Registry) -> None:
    write(registry, create(*(thing(f"app:e{n}") for n in range(501))))
    assert [finding.message[:18] for finding in findings(registry, "warn")] == ["501 entries in app"]


@pytest.mark.parametrize("with_git", [True, False])
def test_objects_are_checked_with_and_without_git(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, with_git: bool
) -> None:
    write(registry, create(tool("x", "return 'old'")))
    old = git(registry.path, "rev-parse", "main:app/generated/x.lua")
    write(registry, update(tool("x", "return 'new'")))
    if not with_git:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    sound = [finding for finding in audit(registry) if finding.check == "objects"]
    assert [finding.status for finding in sound] == ["ok"] and ("not on PATH" in sound[0].message) is not with_git
    (registry.path / "objects" / old[:2] / old[2:]).unlink()  # only the history needs it
    with Registry.open(registry.path) as again:
        damaged = findings(again, "fail")
    assert damaged and all(finding.check == "objects" for finding in damaged) and old in str(damaged)


def test_git_is_not_led_astray_by_the_environment(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_CONFIG_GLOBAL"):
        monkeypatch.setenv(name, "/nowhere")
    assert findings(registry, "fail") == []


def test_every_commit_is_judged(registry: Registry, tmp_path: Path) -> None:
    write(registry, create(tool("x")))
    push(registry, tmp_path, {"app/generated/x.lua": b"return 9\n", "app/y.yaml": b"kind: z\n"})
    base = registry.snapshot()
    registry.commit(delete("app:y"), CommitMessage("service:agent"), author=AGENT, committer=ANN, base=base)
    steps: list[Step] = []

    def judge(step: Step) -> Iterator[Finding]:
        steps.append(step)
        yield step.finding("warn", "policies", "looked at", None)

    said = [finding.message for finding in audit(registry, judge) if finding.check == "policies"]
    assert said == [f"{step.commit[:12]} looked at" for step in steps]
    pairs = [
        (step.before.number, step.after.number, [(action, str(id)) for action, id in step.operations]) for step in steps
    ]
    assert pairs == [
        (0, 1, []),
        (1, 2, [("create", "app.generated:x")]),
        (2, 3, [("create", "app:y"), ("update", "app.generated:x")]),
        (3, 4, [("delete", "app:y")]),
    ]
