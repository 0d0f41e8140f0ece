"""`micro-agi registry log`, `show`, `diff` and `blame`: what became of an entry, its end included."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_registry_kit import ADA, git, push, write
from click.testing import Result

from micro_agi_kernel.entries import Entry, EntryId, FileChange, Operation
from micro_agi_kernel.frontends.cli.registry import history
from micro_agi_kernel.registry import CommitMessage, Registry
from micro_agi_kernel.registry.layout import FORMAT_FILE

SOURCE = "local a = 1\nlocal b = 2\nreturn a + b\n"
X = EntryId.parse("app.generated:x")
Y = EntryId.parse("app:y")


def tool(source: str) -> Entry:
    return Entry(X, "function.lua", {"comment": "Adds"}, {"source": source})


def thing(text: str) -> Entry:
    return Entry(Y, "registry.entry", {}, {"a": text})


@pytest.fixture
def registry(seeded: Path) -> Iterator[Registry]:
    """v1 is the seed, v2 creates two entries and a page, v3 changes all, v4 deletes one, by different actors."""
    create = Operation("create", X, tool(SOURCE)), Operation("create", Y, thing("1")), FileChange("docs/a.md", b"one\n")
    update = (
        Operation("update", X, tool(SOURCE.replace("2", "3\x1b[31m"))),
        Operation("update", Y, thing("2")),
        FileChange("docs/a.md", b"two"),
    )
    with Registry.open(seeded) as registry:
        write(registry, *create)
        write(registry, *update, actor="user:ada")
        write(registry, Operation("delete", Y))
        yield registry


def test_diff_by_entry(cli: Callable[..., Result], registry: Registry) -> None:
    assert cli("registry", "diff", "v2", "v3").stdout == (
        "Update app:y\n--- y.yaml\n+++ y.yaml\n@@ -1,3 +1,3 @@\n kind: registry.entry\n data:\n-  a: '1'\n+  a: '2'\n\n"
        "Update app.generated:x\n--- x.lua\n+++ x.lua\n@@ -1,3 +1,3 @@\n local a = 1\n"
        "-local b = 2\n+local b = 3␛[31m\n return a + b\n\n"
        "Update docs/a.md\n--- a.md\n+++ a.md\n@@ -1 +1 @@\n-one\n+two\n\\ No newline at end of file\n\n"
    )
    rows = json.loads(cli("registry", "diff", "v2", "--json").stdout)
    assert [list(row) for row in rows] == [["action", "id", "diff"]] * 2 + [["action", "file", "diff"]]
    assert [row["action"] for row in rows] == ["delete", "update", "update"]
    assert rows[0]["diff"].startswith("--- y.yaml\n+++ /dev/null\n@@ -1,3 +0,0 @@\n")
    back = json.loads(cli("registry", "diff", "main", "v1", "--json").stdout)
    assert [(row["action"], row.get("id")) for row in back] == [("delete", "app.generated:x"), ("delete", None)]
    assert "Create app.generated:x\n--- /dev/null\n+++ x.lua\n" in cli("registry", "diff", "v2^", "v2").stdout
    same = cli("registry", "diff", "v3", "main~1")
    assert (same.stdout, same.stderr) == ("", "nothing differs between v3 and main~1\n")
    assert json.loads(cli("registry", "diff", "main", "--json").stdout) == []
    assert "no such revision: 'v9'" in cli("registry", "diff", "v9").stderr


def test_diff_does_not_tell_of_sharding_but_of_what_is_broken(cli: Callable[..., Result], registry: Registry) -> None:
    registry.shard("app.generated", CommitMessage("service:installer"), author=ADA, committer=ADA)
    assert [row.get("file") for row in json.loads(cli("registry", "diff", "v4", "v5", "--json").stdout)] == [
        FORMAT_FILE
    ]
    push(registry.path, {"app/bad.yaml": b"kind: [\xff", "app/large.yaml": b"x\n" * 2_100})
    push(registry.path, {"app/large.yaml": b"y\n" * 2_100})
    rows = json.loads(cli("registry", "diff", "v5", "v6", "--json").stdout)
    assert [(row["action"], row["id"]) for row in rows] == [("create", "app:bad"), ("create", "app:large")]
    assert "+kind: [\ufffd\n\\ No newline" in rows[0]["diff"]
    assert "2100 lines before, 2100 after: too many" in cli("registry", "diff", "v6").stdout


def test_a_terminal_gets_colours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    long = "+" + "x" * 200 + " [red]"
    history._print_coloured("Create a:b", ["@@ -1 +1 @@", long, "-y", " z"])
    shown = capsys.readouterr().out
    assert shown.startswith("\x1b[1mCreate a:b\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n")
    assert f"\x1b[32m{long}\x1b[0m\n\x1b[31m-y\x1b[0m\n z\n" in shown


def test_log_of_an_entry(cli: Callable[..., Result], registry: Registry) -> None:
    rows = [line.split("\t") for line in cli("registry", "log", "app:y").stdout.splitlines()]
    assert [(row[0], row[3], row[4]) for row in rows] == [
        ("v4", "service:agent", "delete"),
        ("v3", "user:ada", "update"),
        ("v2", "service:agent", "create"),
    ]
    short = cli("registry", "log", "app:y", "--limit", "2")
    assert len(short.stdout.splitlines()) == 2 and short.stderr == "there are older ones: --limit 10\n"
    assert cli("registry", "log", "--limit", "4").stderr == ""
    assert [line.split("\t")[0] for line in cli("registry", "log").stdout.splitlines()] == ["v4", "v3", "v2", "v1"]
    nothing = cli("registry", "log", "app:nope")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "no commit changed app:nope\n")


def test_a_commit_that_lies_about_an_entry_is_not_believed(cli: Callable[..., Result], registry: Registry) -> None:
    said = "By hand\n\nDelete: app.generated:x\nActor: service:agent\n"
    push(registry.path, {"app/generated/x.lua": b"return 5\n"}, said)
    assert cli("registry", "log", "app.generated:x").stdout.splitlines()[0].split("\t")[4:] == ["update", "By hand"]


def test_show_says_where_an_entry_can_be_seen(cli: Callable[..., Result], registry: Registry) -> None:
    deleted = registry.resolve("v4")[:12]
    line = f"deleted by {deleted}: `micro-agi registry show app:y --at {deleted}^` shows what it was)\n"
    for words in (("show",), ("blame",)):
        gone = cli("registry", *words, "app:y")
        assert (gone.exit_code, gone.stderr) == (1, f"Error: not found: app:y ({line}")
    assert cli("registry", "show", "app:y", "--at", f"{deleted}^").stdout.startswith("id: app:y\n")
    created = registry.resolve("v2")[:12]
    assert cli("registry", "show", "app:y", "--at", "v1").stderr == (
        f"Error: not found: app:y (created later, by {created})\n"
    )
    assert cli("registry", "show", "app:no").stderr == (
        "Error: not found: app:no (`micro-agi registry list` shows what there is)\n"
    )


def test_blame(cli: Callable[..., Result], registry: Registry) -> None:
    registry.shard("app.generated", CommitMessage("service:installer"), author=ADA, committer=ADA)
    rows = json.loads(cli("registry", "blame", "app.generated:x", "--json").stdout)
    assert [list(row) for row in rows] == [["line", "text", "commit", "version", "actor", "time"]] * 3
    assert [(row["line"], row["text"], row["version"], row["actor"]) for row in rows] == [
        (1, "local a = 1", 2, "service:agent"),
        (2, "local b = 3\x1b[31m", 3, "user:ada"),
        (3, "return a + b", 2, "service:agent"),
    ]
    assert [row["commit"] for row in rows][:2] == [registry.resolve("v2"), registry.resolve("v3")]
    text = cli("registry", "blame", "app.generated:x").stdout.splitlines()
    assert text[0].startswith(f"{registry.resolve('v2')[:12]} 2") and text[0].endswith("service:agent 1 local a = 1")
    assert text[1].endswith("user:ada      2 local b = 3␛[31m")
    write(registry, Operation("create", Y, thing("1")))
    yaml = json.loads(cli("registry", "blame", "app:y", "--json").stdout)
    assert [(row["text"], row["version"]) for row in yaml] == [
        ("kind: registry.entry", 6),
        ("data:", 6),
        ("  a: '1'", 6),
    ]


def test_blame_of_a_merged_line_has_no_number(cli: Callable[..., Result], registry: Registry) -> None:
    side = push(registry.path, {"app/generated/x.lua": b"return 5\n"})
    main = registry.resolve("v4")
    git("update-ref", "refs/heads/main", main, folder=registry.path)
    tree = git("rev-parse", f"{side}^{{tree}}", folder=registry.path).strip()
    merged = git("commit-tree", tree, "-p", main, "-p", side, "-m", "Merge", folder=registry.path).strip()
    git("update-ref", "refs/heads/main", merged, folder=registry.path)
    (row,) = json.loads(cli("registry", "blame", "app.generated:x", "--json").stdout)
    assert (row["commit"], row["version"], row["actor"]) == (side, None, "user:ada@example.org")


def test_blame_needs_git_and_nobodys_configuration(
    cli: Callable[..., Result], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cli("registry", "blame", "app.generated:x").stdout
    (registry.path / "ignored").write_text(registry.resolve("v3"))
    git("config", "blame.ignoreRevsFile", str(registry.path / "ignored"), folder=registry.path)
    git("config", "diff.lua.textconv", f"touch {registry.path}/ran; cat", folder=registry.path)
    (registry.path / "info").mkdir(exist_ok=True)
    (registry.path / "info" / "attributes").write_text("*.lua diff=lua\n")
    git("replace", registry.resolve("v3"), registry.resolve("v2"), folder=registry.path)
    assert cli("registry", "blame", "app.generated:x").stdout == before
    assert not (registry.path / "ran").exists()
    monkeypatch.setenv("PATH", os.devnull)
    result = cli("registry", "blame", "app.generated:x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: blame asks git, which is not on PATH: `micro-agi registry log app.generated:x` does without\n"
    )
