"""`micro-agi registry`: the JSON shapes of the contract, and paths that hold something else."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_registry_kit import git, push, write
from click.testing import Result

from micro_agi_kernel.entries import Entry, EntryId, Operation
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.values import Json

SOURCE = "return {handler = function() return 1 end}\n"


def greet(registry: Path, **meta: Json) -> None:
    """Put the tool app.generated:greet into the registry, as Ada does."""
    id = EntryId.parse("app.generated:greet")
    entry = Entry(id, "function.lua", {"type": "tool", **meta}, {"source": SOURCE, "modules": ["time"]})
    with Registry.open(registry) as opened:
        write(opened, Operation("create", id, entry), actor="user:ada")


def test_init_makes_the_registry_and_is_harmless_when_repeated(cli: Callable[..., Result], home: Path) -> None:
    for words in (["init"], ["init"], ["path"]):
        assert cli("registry", *words).stdout == f"{home / 'registry.git'}\n"
    assert len(json.loads(cli("registry", "log", "--json").stdout)) == 1


def test_a_relative_path_is_printed_in_full(cli: Callable[..., Result]) -> None:
    assert cli("registry", "init", "--registry", "here").stdout == f"{Path.cwd() / 'here'}\n"


@pytest.mark.parametrize("name", ["with space", "new\nline", "esc\x1b[31m", "ünï", "-dash", "a;b$(c)'\"", "x.git"])
def test_odd_names_of_a_registry(cli: Callable[..., Result], home: Path, name: str) -> None:
    assert cli("registry", "init", f"--registry={name}").exit_code == 0
    assert cli("registry", "path", "--registry", name).stdout == f"{Path.cwd() / name}\n"
    assert "app:demo" in cli("registry", "list", f"--registry={name}").stdout
    assert not home.exists()


@pytest.mark.parametrize(
    "words", [["registry", "init"], ["registry", "list", "--json"], ["ask", "hi"], ["call", "app:x"]]
)
def test_a_path_that_holds_something_else_is_one_line(cli: Callable[..., Result], words: list[str]) -> None:
    Path("file").write_text("not a registry")
    Path("folder").mkdir()
    Path("folder", "file").write_text("not a registry")
    Path("dangling").symlink_to("nowhere")
    git("init", "-q", "work")
    lines = {
        "file": "not a registry: file is not a Git repository",
        "folder": "not a registry: folder is not a Git repository",
        "file/below": "cannot make a registry at file/below: ",
        "dangling": "no registry at dangling: run `micro-agi registry init --registry dangling`",
        "work": "not a registry: work is a work tree, not a bare repository",
        "x" * 300: "cannot make a registry at xxx",
        "/dev/null": "not a registry: /dev/null is not a Git repository",
        "~nosuchuser/registry": "registry names ~nosuchuser/registry, and there is no such home folder",
    }
    for path, line in lines.items():
        result = cli(*words, "--registry", path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: {line}")
    assert Path("file").read_text() == Path("folder", "file").read_text() == "not a registry"


def test_a_data_folder_that_cannot_be_made_is_one_line_that_names_the_way_out(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("no folder")
    way_out = "set MICRO_AGI_HOME to a folder that can be written, or name a registry by --registry"
    for home, line in (
        ("file", f"the data folder file is a file: {way_out}"),
        ("file/below", f"cannot make a registry at file/below/registry.git: Not a directory: {way_out}"),
    ):
        monkeypatch.setenv("MICRO_AGI_HOME", home)
        assert cli("registry", "list").stderr == f"Error: {line}\n"
        assert "MICRO_AGI_HOME" not in cli("registry", "list", "--registry", "file/registry.git").stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
def test_a_path_that_may_not_be_read_or_written_is_one_line(cli: Callable[..., Result]) -> None:
    Path("closed").mkdir()
    for mode in (0o000, 0o500):
        Path("closed").chmod(mode)
        result = cli("registry", "init", "--registry", "closed/registry.git")
        assert result.exit_code == 1 and "Permission denied" in result.stderr
    Path("closed").chmod(0o700)


def test_an_empty_folder_and_an_empty_bare_repository_become_registries(cli: Callable[..., Result]) -> None:
    Path("empty").mkdir()
    git("init", "-q", "--bare", "bare.git")
    for path in ("empty", "bare.git"):
        assert "app:demo" in cli("registry", "list", "--registry", path).stdout
        assert "Actor: service:installer" in git("log", "main", folder=path)


@pytest.mark.parametrize("by_variable", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        ["registry", "list", "--json"],
        ["registry", "export", "folder"],
        ["registry", "path"],
        ["docs", "search", "time"],
        ["models"],
        ["call", "app.tools:registry_list"],
        ["ask", "hi"],
    ],
    ids=lambda words: " ".join(words),
)
def test_of_a_named_registry_that_was_not_there_it_is_said_that_it_was_made(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: list[str], by_variable: bool
) -> None:
    named = [] if by_variable else ["--registry", "nope/backup.git"]
    if by_variable:
        monkeypatch.setenv("MICRO_AGI_REGISTRY", "nope/backup.git")
    made = cli(*words, *named)
    line = "there was no registry at nope/backup.git: it was made now, from the seed\n"
    assert (made.exit_code, made.stderr) == (0, line)
    shutil.rmtree("folder", ignore_errors=True)
    assert cli(*words, *named).stderr == ""


@pytest.mark.parametrize("words", [["registry", "init", "--registry", "new.git"], ["registry", "list"]])
def test_nothing_is_said_where_init_makes_it_or_it_is_the_default_one(
    cli: Callable[..., Result], words: list[str]
) -> None:
    assert cli(*words).stderr == ""


def test_list_as_json(cli: Callable[..., Result], seeded: Path) -> None:
    greet(seeded, comment="Says \x1b[1mhello")
    rows = json.loads(cli("registry", "list", "--json").stdout)
    head = git("rev-parse", "main", folder=seeded).strip()
    assert next(row for row in rows if row["id"] == "app.generated:greet") == {
        "id": "app.generated:greet",
        "kind": "function.lua",
        "type": "tool",
        "title": "",
        "comment": "Says \x1b[1mhello",
        "modules": ["time"],
        "commit": head,
    }
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), key=lambda id: id.split(":"))
    shown = cli("registry", "list").stdout
    assert "app.generated:greet\tfunction.lua\ttool\tSays ␛[1mhello\n" in shown
    assert len(shown.splitlines()) == len(rows)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--namespace", "app.tools", "--query", "DOC search"], ["app.tools:doc_search"]),
        (["--kind", "security.policy", "--query", "tools"], ["app:deny_tools_ns"]),
        (["--type", "agent.gen1"], ["app:dev_assistant"]),
        (["--namespace", "app.t"], []),
    ],
)
@pytest.mark.usefixtures("seeded")
def test_list_finds(cli: Callable[..., Result], options: list[str], ids: list[str]) -> None:
    found = json.loads(cli("registry", "list", "--json", *options).stdout)
    assert [row["id"] for row in found if row["id"] != "app:allow_modules"] == ids


def test_show(cli: Callable[..., Result], seeded: Path) -> None:
    greet(seeded)
    first = json.loads(cli("registry", "show", "app.generated:greet", "--json").stdout)
    assert list(first) == ["id", "kind", "meta", "data", "commit"]
    assert first["data"]["source"] == SOURCE
    assert re.fullmatch("[0-9a-f]{40}", first["commit"])
    text = cli("registry", "show", "app.generated:greet").stdout
    assert text.startswith("id: app.generated:greet\nkind: function.lua\n") and text.endswith(f"---\n{SOURCE}")
    push(seeded, {"app/generated/greet.lua": b"return 2\n"})
    assert json.loads(cli("registry", "show", "app.generated:greet", "--json").stdout)["data"]["source"] == "return 2\n"
    for rev in (first["commit"], first["commit"][:12], "v2", "main~1"):
        assert json.loads(cli("registry", "show", "app.generated:greet", "--at", rev, "--json").stdout) == first
    for rev, line in (("v1", "not found: app.generated:greet"), ("nope", "no such revision: 'nope'")):
        result = cli("registry", "show", "app.generated:greet", "--at", rev)
        assert result.exit_code == 1 and result.stderr.startswith(f"Error: {line}")


def test_log(cli: Callable[..., Result], seeded: Path) -> None:
    greet(seeded)
    push(seeded, {"app/generated/greet.lua": b"return 2\n"})
    rows = json.loads(cli("registry", "log", "--json").stdout)
    assert [(row["version"], row["actor"]) for row in rows] == [
        (3, "user:ada@example.org"),
        (2, "user:ada"),
        (1, "service:installer"),
    ]
    assert [row["commit"] for row in rows] == git("rev-list", "main", folder=seeded).split()
    assert list(rows[1]) == ["version", "commit", "time", "actor", "subject", "operations", "trailers"]
    assert rows[1]["operations"] == [{"action": "create", "id": "app.generated:greet"}]
    assert rows[0]["operations"] == [{"action": "update", "id": "app.generated:greet"}]
    assert rows[1]["trailers"]["Actor"] == "user:ada"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", rows[1]["time"])
    assert len(json.loads(cli("registry", "log", "--limit", "2", "--json").stdout)) == 2
    assert len(cli("registry", "log", "app.generated:greet").stdout.splitlines()) == 2
    nothing = cli("registry", "log", "app.generated:nope")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert nothing.stderr == "no commit changed app.generated:nope\n"


def test_verify(cli: Callable[..., Result], seeded: Path) -> None:
    result = cli("registry", "verify")
    assert result.exit_code == 0
    assert all(re.fullmatch(r"(ok|warn) [\w ]+: .+", line) for line in result.stdout.splitlines())
    push(seeded, {"app/generated/broken.yaml": b"kind: function.lua\ndata:\n  source: file://broken.lua\n"})
    result = cli("registry", "verify", "--json")
    document = json.loads(result.stdout)
    assert list(document) == ["ok", "findings"]
    finding = next(finding for finding in document["findings"] if "broken" in finding["message"])
    assert set(finding) <= {"status", "check", "message", "commit", "id"}
    assert document["ok"] is not any(finding["status"] == "fail" for finding in document["findings"])
    assert result.exit_code == (0 if document["ok"] else 1)


def test_a_broken_entry_costs_nothing_but_itself(cli: Callable[..., Result], seeded: Path) -> None:
    push(seeded, {"app/generated/broken.yaml": b"kind: [\x1b[31m"})
    result = cli("registry", "list")
    assert result.exit_code == 0 and "app:demo" in result.stdout and "broken" not in result.stdout
    assert result.stderr.startswith("not readable: app/generated/broken.yaml: ") and "\x1b" not in result.stderr
    assert json.loads(cli("registry", "list", "--json").stdout)
    assert cli("registry", "show", "app.generated:broken").exit_code == 1
