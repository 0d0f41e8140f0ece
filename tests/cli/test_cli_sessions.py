"""`micro-agi sessions`: what a person can do with the logs of earlier sessions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from model_server import ModelServer, calls, failure, text

from micro_agi_kernel import cut_turns
from micro_agi_kernel.entries import AGENT, Changeset, Entry, EntryId, Operation
from micro_agi_kernel.frontends.cli.main import main
from micro_agi_kernel.registry import CommitMessage, Person, Registry, commits

Cli = Callable[..., Result]
PROMPTS = ("what is there?", "and *now*?")


@pytest.fixture(scope="session")
def log(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a session of two turns, of which the second fails."""
    home = tmp_path_factory.mktemp("recorded")
    script = [calls(("registry_list", {"limit": 1})), text("A <b>lot</b>.", "\n"), failure(400, "no more")]
    with ModelServer(script) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICRO_AGI_HOME", str(home))
        patch.setenv("OPENAI_API_KEY", "anything-at-all")
        patch.setenv("OPENAI_BASE_URL", server.url)
        assert CliRunner().invoke(main, ["ask", "--registry", str(seed), *PROMPTS]).exit_code == 1
    [path] = (home / "sessions").iterdir()
    return path


@pytest.fixture
def recorded(log: Path, seeded: Path) -> str:
    """The id of the session; its log is in the data folder."""
    (seeded.parent / "sessions").mkdir()
    shutil.copy(log, seeded.parent / "sessions")
    return log.stem


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_list(cli: Cli, recorded: str, home: Path) -> None:
    row = cli("sessions", "list").stdout.rstrip("\n").split("\t")
    assert row[0] == recorded and row[2:] == ["2", "gpt-5.1", "240", PROMPTS[0]]
    assert row[1].replace("-", "").replace(" ", "T").replace(":", "")[:15] == recorded[:15]
    [session] = as_json(cli("sessions", "list", "--json"))
    tokens = {"prompt": 200, "completion": 40, "cached": 0, "reasoning": 0}
    assert session.pop("time").startswith(row[1][:10])
    assert session == {"id": recorded, "prompt": PROMPTS[0], "cells": 2, "models": ["gpt-5.1"], "tokens": tokens}
    (home / "sessions" / "broken.jsonl").write_text("x")
    (home / "sessions" / "folder.jsonl").mkdir()
    listed = cli("sessions", "list")
    assert listed.stdout.count("\n") == 1 and listed.stderr.startswith("not usable: ")
    assert listed.stderr.count("\n") == 1


def test_list_without_sessions(cli: Cli) -> None:
    assert cli("sessions", "list").stdout == ""
    assert as_json(cli("sessions", "list", "--json")) == []


def test_show(cli: Cli, recorded: str) -> None:
    shown = cli("sessions", "show", recorded).stdout
    head, tail = shown.split(f"> {PROMPTS[1]}\n")
    assert head.startswith(f"> {PROMPTS[0]}\n  [registry_list] ok\nA <b>lot</b>.\n")
    assert "Error: " in tail.splitlines()[-1] and "no more" in tail.splitlines()[-1]
    session = as_json(cli("sessions", "show", recorded, "--json"))
    assert session["id"] == recorded and [turn["prompt"] for turn in session["turns"]] == [*PROMPTS]
    first, second = session["turns"]
    assert (first["cell"], first["status"], first["steps"], first["tokens"]["prompt"]) == (1, "ok", 2, 200)
    assert [event["event"] for event in first["events"]][-2:] == ["UsageReport", "TurnFinished"]
    assert second["status"] == "error"


def test_what_commands_answered_is_shown_as_it_was(cli: Cli, seeded: Path) -> None:
    live = cli("ask", "%log 2", "%tools").stdout
    [path] = (seeded.parent / "sessions").iterdir()
    assert cli("sessions", "show", path.stem).stdout == live and "\n-------  -----" in live
    assert cli("sessions", "export", path.stem, "tables.ipynb").exit_code == 0
    first, second = (cell.outputs[0].data for cell in nbformat.read("tables.ipynb", 4).cells[:2])
    assert first["text/plain"].startswith("version  commit") and first["text/markdown"].startswith("| version |")
    assert second["text/plain"] in live


def killed_log(folder: Path) -> Path:
    """A log that ends within a call of create_tool: only the registry knows what became of it."""
    lines = [
        {"kind": "Session", "format": 1, "session": "s1", "time": "2026-01-02T03:04:05+00:00"},
        {"kind": "Prompt", "cell": 3, "text": "make it", "time": f"{datetime.now(UTC).isoformat()}"},
        {"kind": "ToolStarted", "call_id": "c", "name": "create_tool", "arguments": "{}"},
    ]
    path = folder / "killed.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_a_session_that_was_killed_says_what_it_wrote(cli: Cli, seeded: Path, tmp_path: Path) -> None:
    path = killed_log(tmp_path)
    no = "  note: the registry has no commit of this cell\nCut: the log ends here\n"
    assert cli("sessions", "show", str(path)).stdout.endswith(no)
    with Registry.open(seeded) as registry:
        for session, cell in (("s1", 2), ("s2", 3), ("s1", 3)):
            entry = Entry(
                EntryId("app.generated", f"made_in_{session}_{cell}"), "library.lua", {}, {"source": "return 1"}
            )
            message, ann = CommitMessage(AGENT, session=session, cell=cell), Person("Ann", "ann@example.com")
            changeset = Changeset((Operation("create", entry.id, entry),))
            made = registry.commit(changeset, message, author=ann, committer=ann, base=registry.snapshot())
    said = f"the registry has what this cell wrote before the log ended: {made.commit[:12]} ({made.subject})"
    assert f"  note: {said}\nCut: " in cli("sessions", "show", str(path)).stdout
    [turn] = as_json(cli("sessions", "show", str(path), "--json"))["turns"]
    assert turn["status"] == "cut" and turn["events"][-1] == {"event": "Notice", "text": said}
    assert cli("sessions", "export", str(path), "killed.ipynb").exit_code == 0
    assert made.commit[:12] in Path("killed.ipynb").read_text()
    published = {"kind": "EntryPublished", "commit": made.commit, "subject": made.subject, "operations": []}
    path.write_text(f"{path.read_text()}{json.dumps(published)}")
    assert "note: the registry has no other commit of this cell" in cli("sessions", "show", str(path)).stdout


def test_what_a_killed_session_wrote_is_found_below_a_commit_of_a_slow_clock(
    cli: Cli, seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = killed_log(tmp_path)
    with Registry.open(seeded) as registry:
        for cell, time in ((3, datetime.now(UTC)), (0, datetime(2020, 1, 1, tzinfo=UTC))):
            entry = Entry(EntryId("app.generated", f"made_{cell}"), "library.lua", {}, {"source": "return 1"})
            message, ann = CommitMessage(AGENT, session="s1", cell=cell), Person("Ann", "ann@example.com")
            changeset = Changeset((Operation("create", entry.id, entry),))
            monkeypatch.setattr(commits, "time", SimpleNamespace(time=time.timestamp))
            registry.commit(changeset, message, author=ann, committer=ann, base=registry.snapshot())
    assert "before the log ended: " in cli("sessions", "show", str(path)).stdout
    monkeypatch.setattr(cut_turns, "OLDER", 0)
    assert "note: " not in cli("sessions", "show", str(path)).stdout, "there may be one below"


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "soon"]
)
def test_a_cut_turn_of_any_time_is_shown(cli: Cli, seeded: Path, tmp_path: Path, time: str) -> None:
    path = tmp_path / "theirs.jsonl"
    lines = [
        {"kind": "Session", "format": 1, "session": "s1"},
        {"kind": "Prompt", "cell": 3, "text": "x", "time": time},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert cli("sessions", "show", str(path)).stdout.endswith("Cut: the log ends here\n")
    assert cli("sessions", "export", str(path), "x.ipynb").exit_code == 0


def test_a_hostile_log_is_shown_without_its_escapes(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "theirs.jsonl"
    lines = [
        {"kind": "Session", "format": 1, "session": "\x1b[2J", "time": "\x1b[2J"},
        {"kind": "Prompt", "text": "\x1b[31m hi \u202e"},
        {"kind": "ToolOutput", "call_id": "c", "text": "\x1b]0;title\x07\r\n  [tool] ok"},
        {"kind": "ToolFinished", "call_id": "c", "name": "\x1b[1m\n", "status": "error", "summary": "\x9b31m"},
        {"kind": "TextDelta", "text": "<img src=x onerror=alert(1)> ![](http://evil/x.png)\x1b[0m"},
        {"kind": "TurnFinished", "status": "error", "error": "\x1b[31m\nx", "error_name": "\x1b"},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    shown = cli("sessions", "show", str(path)).stdout
    assert "\x1b" not in shown and "\x9b" not in shown and "  | ␛]0;title" in shown
    assert cli("sessions", "export", str(path), "x.ipynb").exit_code == 0
    markdown = nbformat.read("x.ipynb", 4).cells[0].outputs[0].data["text/markdown"]
    assert "<img" not in markdown and "![" not in markdown and "\x1b" not in Path("x.ipynb").read_text()


def test_export(cli: Cli, recorded: str, home: Path) -> None:
    assert cli("sessions", "export", recorded, "a.ipynb").stderr == "wrote a.ipynb\n"
    notebook = nbformat.read("a.ipynb", 4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "micro-agi"
    assert [cell.source for cell in notebook.cells] == [*PROMPTS]
    first, second = notebook.cells
    [output] = first.outputs
    assert output.data["text/plain"].startswith("  [registry_list] ok\nA <b>lot</b>.")
    assert output.data["text/markdown"].startswith("```\n  [registry_list] ok\n```\n\nA ")
    assert output.metadata.micro_agi.session == recorded and first.execution_count == 1
    assert [out.output_type for out in second.outputs][-1] == "error" and "no more" in second.outputs[-1].evalue
    assert cli("sessions", "export", recorded, "a.jsonl").exit_code == 0
    assert Path("a.jsonl").read_bytes() == (home / "sessions" / f"{recorded}.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("show", "nothing"), 1, "there is no session log 'nothing': `micro-agi sessions list` shows those"),
        (("export", "ID", "there.jsonl"), 1, "there.jsonl is there already: name another file"),
        (("export", "ID", "no/folder.ipynb"), 1, "cannot write no/folder.ipynb: No such file or directory"),
        (("export", "ID", "x.txt"), 2, "its name ends in .ipynb or .jsonl"),
    ],
)
def test_mistakes(cli: Cli, recorded: str, arguments: tuple[str, ...], code: int, line: str) -> None:
    Path("there.jsonl").touch()
    result = cli("sessions", *(recorded if word == "ID" else word for word in arguments))
    assert result.exit_code == code and line in result.stderr


def test_replay(cli: Cli, recorded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("sessions", "export", recorded, "log.jsonl")
    for named in (recorded, "log.jsonl"):
        replayed = cli("ask", "--model", f"replay:{named}", PROMPTS[0])
        assert replayed.stdout.startswith("  [registry_list] ok\nA <b>lot</b>.\n")
    assert "recorded 'what is there?', came 'x'" in cli("ask", "--model", f"replay:{recorded}", "x").stderr
    monkeypatch.setenv("MICRO_AGI_MODEL", f"replay:{recorded}")
    listed = as_json(cli("models", "--json"))
    assert listed["runs"] == f"replay:{recorded}"
    monkeypatch.setenv("MICRO_AGI_MODEL", "replay:nothing")
    [replay] = [model for model in as_json(cli("models", "--json"))["models"] if model["runs"]]
    assert replay["obstacle"].startswith("there is no session log 'nothing'")
