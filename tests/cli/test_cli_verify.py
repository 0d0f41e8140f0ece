"""`micro-agi registry verify`: its lines, its JSON and its exit code, also where a registry cannot be opened."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_kit import SECONDS
from cli_registry_kit import git, write
from click.testing import Result

from micro_agi_kernel.entries import Entry, EntryId, Operation
from micro_agi_kernel.frontends.cli.registry import care
from micro_agi_kernel.registry import Registry

Cli = Callable[..., Result]


def lines(result: Result) -> list[str]:
    found = result.stdout.splitlines()
    assert all(re.fullmatch(r"(ok|warn|fail) [\w ]+: .+", line) for line in found) and result.stderr == ""
    return found


def test_a_sound_registry(cli: Cli, seeded: Path) -> None:
    result = cli("registry", "verify")
    assert result.exit_code == 0
    assert [line.partition(":")[0] for line in lines(result)] == [
        f"ok {check}" for check in ("files", "objects", "entries", "index", "trailers", "policies", "models", "sources")
    ]
    assert cli("registry", "verify", "--repair").exit_code == 0


def test_a_registry_that_is_not_there_is_not_called_sound(cli: Cli) -> None:
    result = cli("registry", "verify", "--registry", "nope/backup.git")
    line = "fail registry: there was no registry at nope/backup.git: it was made now, from the seed"
    assert (result.exit_code, [found for found in lines(result) if not found.startswith("ok ")]) == (1, [line])


@pytest.mark.parametrize("is_sound", [True, False])
def test_a_reader_that_leaves_changes_no_verdict(start: Callable[..., Any], seeded: Path, is_sound: bool) -> None:
    if not is_sound:
        (seeded / "HEAD").write_bytes(b"")
    reader, writer = os.pipe()
    os.close(reader)
    command = start("registry", "verify", stdout=writer)
    os.close(writer)
    _, err = command.process.communicate(timeout=SECONDS)
    assert (command.process.returncode, err) == (0 if is_sound else 1, b"")


def test_findings_as_json_name_commit_and_id(cli: Cli, seeded: Path) -> None:
    said = "commit refs/heads/main\ncommitter Bob <bob@example.com> 1700000000 +0000\ndata 1\nx\n"
    stream = said + "from refs/heads/main^0\nM 100644 inline app/generated/broken.yaml\ndata 7\nkind: [\n"
    git("fast-import", "--quiet", folder=seeded, stdin=stream)
    id = EntryId.parse("app:x")
    with Registry.open(seeded) as registry:
        forged = write(registry, Operation("create", id, Entry(id, "registry.entry"))).commit
    result = cli("registry", "verify", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1 and list(document) == ["ok", "findings"] and document["ok"] is False
    failed = [finding for finding in document["findings"] if finding["status"] == "fail"]
    assert {finding["check"]: finding.get("id") for finding in failed} == {
        "entries": "app.generated:broken",
        "policies": "app:x",
    }
    assert {finding["commit"] for finding in failed if "commit" in finding} == {forged}
    assert all(set(finding) <= {"status", "check", "message", "commit", "id"} for finding in document["findings"])


@pytest.mark.parametrize("name", ["HEAD", "config", "refs/heads/main"])
def test_what_a_power_cut_emptied(cli: Cli, seeded: Path, name: str) -> None:
    head = git("rev-parse", "main", folder=seeded)
    (seeded / name).write_bytes(b"")
    broken = cli("registry", "verify")
    assert broken.exit_code == 1 and f"fail files: {name}: it is empty" in lines(broken)
    other = cli("registry", "list")  # works, or is one line
    assert other.exit_code == 0 or other.stderr.count("\n") == 1
    mended = cli("registry", "verify", "--repair")
    assert mended.exit_code == 0
    assert any(line.startswith("ok repair: ") and name in line for line in lines(mended))
    assert git("rev-parse", "main", folder=seeded) == head


def test_a_lock_that_was_left(cli: Cli, seeded: Path) -> None:
    lock = seeded / "refs" / "heads" / "main.lock"
    lock.write_bytes(b"")
    os.utime(lock, (time.time() - 60, time.time() - 60))
    assert "warn files: refs/heads/main.lock: left by a writer that died" in lines(cli("registry", "verify"))
    assert "ok repair: removed refs/heads/main.lock (left by a writer that died)" in lines(
        cli("registry", "verify", "--repair")
    )


def test_the_first_commit_is_gone_for_good(cli: Cli, seeded: Path) -> None:
    head = git("rev-parse", "main", folder=seeded).strip()
    for file in (seeded / "objects").rglob("*"):
        if file.is_file():
            file.unlink()
    result = cli("registry", "verify", "--repair")
    assert result.exit_code == 1 and any(head in line for line in lines(result) if line.startswith("fail"))
    document = json.loads(cli("registry", "verify", "--json").stdout)
    assert not document["ok"] and document["findings"][-1]["check"] == "registry"


@pytest.mark.parametrize("words", [["doctor"], ["ask", "hi"], ["registry", "list"], ["registry", "verify"]])
def test_the_hint_names_the_registry_that_is_broken(cli: Cli, seeded: Path, words: list[str]) -> None:
    for file in (seeded / "objects").rglob("*"):
        if file.is_file():
            file.unlink()
    broken = seeded.rename("my broken.git")
    hint = "run `micro-agi registry verify --repair%s`"
    for named, more in ((["--registry", broken.name], f" --registry '{broken.name}'"), ([], "")):
        if not named:
            broken.rename(seeded)  # now it is the default one
        result = cli(*words, *named)
        assert result.exit_code == 1 and hint % more in result.stdout + result.stderr


def test_where_a_person_looks_there_is_a_bar(cli: Cli, seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with care._progress() as progress:
            progress("commits", 3, 10)
            progress("objects", 0, 0)
            time.sleep(0.2)
    assert "objects" in terminal.getvalue()
