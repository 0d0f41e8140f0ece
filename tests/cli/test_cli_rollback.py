"""`micro-agi registry revert` and `restore`, and the same in a cell of `micro-agi ask`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_kit import publish
from click.testing import CliRunner, Result

from micro_agi_kernel.entries import Changeset, EntryId, Operation
from micro_agi_kernel.frontends.cli.main import main
from micro_agi_kernel.registry import CommitMessage, Person, Registry

SOURCE = "return {handler = function() return 1 end}\n"
CLOCK = EntryId("app.generated", "clock")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a tool in its second version, and another in its third."""
    home = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICRO_AGI_HOME", str(home))
        publish("app.generated:clock", SOURCE)
        publish("app.generated:other", SOURCE)
    return home / "registry.git"


@pytest.fixture
def registry(prepared: Path, home: Path) -> Iterator[Registry]:
    shutil.copytree(prepared, home / "registry.git")
    with Registry.open(home / "registry.git") as registry:
        yield registry


def test_revert_and_restore_print_the_commit_and_what_it_does(cli: Callable[..., Result], registry: Registry) -> None:
    made = registry.resolve("v2")
    out = cli("registry", "revert", "v2").stdout.splitlines()
    assert out == [
        f"commit {registry.head()[:12]} (version 4): Reverts {made[:12]}: Create app.generated:clock",
        "delete app.generated:clock",
    ]
    again = cli("registry", "revert", made)
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout.startswith(f"nothing to revert: all that {made[:12]} (Create app.generated:clock) changed is")
    out = cli("registry", "restore", "v3", "app.generated:clock").stdout.splitlines()
    assert out[1:] == ["create app.generated:clock"] and registry.snapshot().has(CLOCK)
    version = registry.version("main")
    assert version.number == 5 and version.actor == f"user:{version.author.name}"


def test_as_json(cli: Callable[..., Result], registry: Registry) -> None:
    done = json.loads(cli("registry", "restore", "v1", "--json").stdout)
    assert done == {
        "commit": registry.head(),
        "version": 4,
        "operations": [
            {"action": "delete", "id": "app.generated:clock"},
            {"action": "delete", "id": "app.generated:other"},
        ],
        "files": [],
    }
    nothing = cli("registry", "restore", "v1", "--json")
    assert json.loads(nothing.stdout) == {"commit": None, "version": None, "operations": [], "files": []}
    assert nothing.stderr.startswith("nothing to restore: everything is as it was in")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["revert", "v1"], " is the first commit: there is nothing before it to go back to"),
        (["revert", "v2", "app.generated:other"], " did not change app.generated:other"),
        (["revert", "v3", "app.generated"], "is no entry app.generated; `micro-agi registry list` shows what there is"),
        (["revert", "nothing"], "no such revision: 'nothing' (a commit, main, main~2 or v3)"),
        (["restore", "v2", "app:x"], " (version 2) nor now"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    cli: Callable[..., Result], registry: Registry, words: list[str], line: str
) -> None:
    head = registry.head()
    result = cli("registry", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"{line}\n") and registry.head() == head


def test_a_conflict_names_the_later_commit(cli: Callable[..., Result], registry: Registry) -> None:
    clock = registry.snapshot().get(CLOCK)
    assert clock is not None
    changed = Operation("update", CLOCK, replace(clock, meta={**clock.meta, "comment": "Another"}))
    ann = Person("Ann", "ann@example.com")
    base, message = registry.snapshot(), CommitMessage("user:ann")
    later = registry.commit(Changeset((changed,)), message, author=ann, committer=ann, base=base).commit
    result = cli("registry", "revert", "v2")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"app.generated:clock was changed later by {later[:12]} (Update app.generated:clock)" in result.stderr
    assert registry.head() == later


def test_notices_are_shown_when_it_fails_too(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micro_agi_kernel.workspace.choose_registry", lambda settings: (settings.registry_path, "look"))
    result = CliRunner().invoke(main, ["registry", "revert", "v99"])
    assert (result.exit_code, result.stderr) == (
        1,
        "look\nError: no such revision: 'v99' (a commit, main, main~2 or v3)\n",
    )


def test_a_cell_of_ask(cli: Callable[..., Result], registry: Registry) -> None:
    out = cli("ask", "%revert v2", "%help").stdout
    assert "v4: Reverts" in out and ": Create app.generated:clock\n" in out and "- %revert REV [ID]: " in out
    assert not registry.snapshot().has(CLOCK)
    wrong = cli("ask", "%revert v99")
    assert (wrong.exit_code, wrong.stderr) == (1, "Error: no such revision: 'v99' (a commit, main, main~2 or v3)\n")
