"""`micro-agi registry remote`, `pull` and `push`, as a person uses them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from micro_agi_kernel import tool_page

Cli = Callable[..., Result]

TOOL = """\
kind: function.lua
meta: {type: tool, comment: A test, input_schema: {type: object}}
data: {source: 'file://x.lua', method: handler}
"""
FILES = {
    "app/generated/x.yaml": TOOL,
    "app/generated/x.lua": "return { handler = function() return 1 end }",
    "app/mine.yaml": "kind: registry.entry\n",
    "docs/mine.md": "# Mine\n",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "hub.git")
    return tmp_path / "hub.git"


def write_by_hand(hub: Path, files: dict[str, str]) -> str:
    """What somebody else pushes there; the commit."""
    work = hub.parent / "work"
    git(hub.parent, "clone", "-q", str(hub), str(work))
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(content)
    git(work, "add", "-A")
    git(work, "-c", "user.name=Eve", "-c", "user.email=eve@example.com", "commit", "-q", "-m", "by hand")
    git(work, "push", "-q")
    return git(hub, "rev-parse", "main")


def test_sharing(cli: Cli, hub: Path) -> None:
    assert cli("registry", "remote").stderr == "no remote: `micro-agi registry remote ADDRESS` sets it\n"
    assert "the registry has no remote" in cli("registry", "pull").stderr
    assert cli("registry", "remote", str(hub)).stdout == f"{hub}\n"
    assert json.loads(cli("registry", "remote", "--json").stdout) == {"remote": str(hub)}
    assert cli("registry", "pull").stderr == "hub.git is empty: `micro-agi registry push` fills it\n"
    pushed, head = cli("registry", "push"), git(hub, "rev-parse", "main")
    assert (pushed.exit_code, pushed.stdout) == (0, f"hub.git is at {head[:12]}\n")

    theirs = write_by_hand(hub, FILES)
    assert cli("registry", "push").stdout == f"hub.git is at {theirs[:12]}\n", "it has all of ours"
    pulled = cli("registry", "pull")
    assert pulled.exit_code == 0 and pulled.stdout.splitlines() == [
        "waits create app:mine: registry.entry outside of app.generated: a person decides",
        f"  see it: `micro-agi registry show app:mine --at {theirs[:12]}`",
        "taken create app.generated:x",
        "waits create docs/mine.md: outside of app.generated: a person decides",
    ]
    assert pulled.stderr == "2 changes to decide about, for example with `micro-agi registry pull --reject app:mine`\n"
    shown = cli("registry", "show", "app:mine", "--at", theirs[:12])
    assert shown.exit_code == 0 and "registry.entry" in shown.stdout
    assert "first decide about 2 changes from hub.git" in cli("registry", "push").stderr

    document = json.loads(cli("registry", "pull", "--json").stdout)
    assert document["theirs"] == theirs and document["taken"] == document["conflicts"] == document["refused"] == []
    why = "outside of app.generated: a person decides"
    assert document["waiting"] == [
        {"action": "create", "id": "app:mine", "why": f"registry.entry {why}", "theirs": theirs},
        {"action": "create", "path": "docs/mine.md", "why": why, "theirs": theirs},
    ]
    decided = cli("registry", "pull", "--accept", "app:mine", "--reject", "docs/mine.md")
    assert decided.stdout.splitlines() == ["taken create app:mine", "left create docs/mine.md"]
    assert decided.stderr == "nothing of hub.git is missing here\n"
    log = json.loads(cli("registry", "log", "--json", "--limit", "1").stdout)[0]
    assert log["subject"] == "Merge 1 entry from hub.git" and log["actor"].startswith("user:")
    assert json.loads(cli("registry", "push", "--json").stdout) == {"remote": "hub.git", "commit": log["commit"]}


def test_a_session_of_one_turn_says_what_became_of_it(
    cli: Cli, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("registry", "remote", str(hub))
    monkeypatch.setenv("MICRO_AGI_SYNC_PUSH_AFTER_COMMIT", "1")
    done = cli("ask", "--model", "demo", "what time is it?")
    assert done.exit_code == 0 and "sharing" not in done.stderr
    assert "app/generated/current_time_utc.lua" in git(hub, "ls-tree", "-r", "--name-only", "main")
    os.rename(hub, tmp_path / "away.git")
    monkeypatch.setenv("MICRO_AGI_SYNC_PULL_AT_START", "1")
    done = cli("ask", "--model", "demo", "what time is it?")
    assert done.exit_code == 0 and "the registry was not shared: cannot fetch from hub.git" in done.stdout + done.stderr


def test_what_cannot_be_done(cli: Cli, hub: Path, tmp_path: Path) -> None:
    cli("registry", "remote", str(hub))
    assert cli("registry", "pull", "--accept", "app:x", "--reject", "app:x").exit_code == 2
    assert cli("registry", "remote", str(hub), "--remove").exit_code == 2
    nothing = cli("registry", "pull", "--accept", "all")
    assert nothing.stderr.startswith("Error: nothing to decide yet: ")
    for address in ("https://ann:hunter2@example.com/x", "ext::sh -c id", "http://example.com/x", "x.git"):
        refused = cli("registry", "remote", "--", address)
        assert refused.exit_code == 1 and "hunter2" not in refused.stderr
    os.rename(hub, tmp_path / "away.git")
    offline = cli("registry", "pull")
    assert offline.exit_code == 1 and offline.stderr.startswith("Error: cannot fetch from hub.git: ")
    assert cli("registry", "remote", "--remove").stderr.startswith("no remote: ")


def test_what_a_line_says_to_run_is_about_the_registry_that_was_named(cli: Cli, seeded: Path, hub: Path) -> None:
    def hint(command: str, *words: str) -> None:
        result = cli(*words, "--registry", "../my own.git")
        assert f"`micro-agi {command} --registry '../my own.git'`" in result.stdout + result.stderr

    seeded.rename("../my own.git")
    hint("registry remote ADDRESS", "registry", "remote")
    hint("registry remote URL", "registry", "push")
    cli("registry", "remote", str(hub), "--registry", "../my own.git")
    hint("registry pull", "registry", "pull", "--accept", "all")  # nothing to decide yet
    hint("registry push", "registry", "pull")
    cli("registry", "push", "--registry", "../my own.git")
    theirs = write_by_hand(hub, FILES)
    hint(f"registry show app:mine --at {theirs[:12]}", "registry", "pull")
    hint("registry pull --reject app:mine", "registry", "pull")
    Path("mine.yaml").write_text("version: '1.0'\nnamespace: app.own\nentries: [{name: x, kind: registry.entry}]\n")
    cli("registry", "import", "mine.yaml", "--registry", "../my own.git")
    hint("registry pull", "registry", "push")  # first decide


def test_so_is_what_the_page_of_a_tool_says(cli: Cli, seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_page, "MAX_ROWS", 0)
    shown = cli("ask", "%tool registry_list", "--registry", str(seeded)).stdout
    assert f"Older ones: micro-agi registry log app.tools:registry_list --registry {seeded}\n" in shown
