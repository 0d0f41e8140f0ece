"""`micro-agi docs`, `models` and `doctor`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from model_server import ModelServer

from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.frontends.cli import doctor, installed
from micro_agi_kernel.frontends.jupyter.spec import install_kernelspec
from micro_agi_kernel.sandbox import pool
from micro_agi_kernel.sandbox.workers import StartedWorkers


def test_docs_search(cli: Callable[..., Result]) -> None:
    shown = cli("docs", "search", "time zone").stdout
    assert "lua/core/time  time\n    " in shown
    [first, *_] = json.loads(cli("docs", "search", "base64 encode", "--json").stdout)
    assert list(first) == ["path", "title", "excerpt"]
    assert first["path"] == "lua/data/base64"
    for query in ("", '"', "qqqqqqq"):
        nothing = cli("docs", "search", query)
        assert (nothing.exit_code, nothing.stdout) == (0, "")
        assert nothing.stderr.startswith("nothing found for ")
        assert json.loads(cli("docs", "search", query, "--json").stdout) == []


def test_docs_show(cli: Callable[..., Result]) -> None:
    page = cli("docs", "show", "lua/core/time").stdout
    assert page.startswith("# time\n")
    assert json.loads(cli("docs", "show", "lua/core/time", "--json").stdout)["content"].strip() == page.strip()
    for path in ("core/tim", "../../etc/passwd", "", "lua/core/time\0"):
        result = cli("docs", "show", path)
        assert (result.exit_code, result.stdout) == (1, "") and result.stderr.startswith("Error: not found:")


def test_models_without_a_key(cli: Callable[..., Result]) -> None:
    *rows, reason = cli("models").stdout.splitlines()
    assert [row.split("\t")[:2] for row in rows] == [["*", "demo"], ["", "gpt-4.1-nano"], ["", "gpt-5.1"]]
    assert reason.startswith("running the offline demo model, since gpt-5.1 needs a key: set OPENAI_API_KEY")
    document = json.loads(cli("models", "--json").stdout)
    assert list(document) == ["models", "runs", "reason", "problems"]
    assert (document["runs"], document["reason"], document["problems"]) == ("demo", reason, [])
    assert list(document["models"][0]) == ["name", "title", "classes", "window", "runs", "obstacle"]
    assert [model["runs"] for model in document["models"]] == [True, False, False]


def test_models_with_a_key_and_with_a_setting(cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    assert json.loads(cli("models", "--json").stdout)["runs"] == "gpt-5.1"
    monkeypatch.setenv("MICRO_AGI_MODEL", "fast")
    result = cli("models")
    assert result.stdout.splitlines()[-1] == "gpt-4.1-nano: the setting `model` names 'fast'"
    assert "sk-planted" not in result.output
    monkeypatch.setenv("MICRO_AGI_MODEL", "nope")
    result, document = cli("models"), json.loads(cli("models", "--json").stdout)
    assert result.exit_code == 1 and result.stderr.startswith("Error: no model or class is called 'nope': there are ")
    assert [row.split("\t")[:2] for row in result.stdout.splitlines()] == [
        ["", model["name"]] for model in document["models"]
    ]
    assert (document["runs"], f"Error: {document['reason']}\n") == (None, result.stderr)


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter looks for kernels in a folder of the test only."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "path"))
    for name in ("SYSTEM_JUPYTER_PATH", "ENV_JUPYTER_PATH"):
        monkeypatch.setattr(f"jupyter_core.paths.{name}", [str(tmp_path / name.lower())])
    return tmp_path / "jupyter" / "kernels" / "micro-agi"


def examine(cli: Callable[..., Result], *options: str) -> dict[str, tuple[str, str]]:
    """What the doctor says of each part: status and detail."""
    plain = cli("doctor", *options)
    result = cli("doctor", "--json", *options)
    lines = json.loads(result.stdout)
    told = "".join(f"{line['status']:4} {line['what']}: {line['detail']}\n" for line in lines)
    # Two processes may differ by a page, and so by a MiB when it is rounded.
    assert re.sub(r"\d+ MiB", "n MiB", told) == re.sub(r"\d+ MiB", "n MiB", plain.stdout)
    assert plain.exit_code == result.exit_code == any(line["status"] == "fail" for line in lines)
    return {line["what"]: (line["status"], line["detail"]) for line in lines}


@pytest.fixture
def of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor looks at nothing that takes a second: libraries, the jail, servers."""
    monkeypatch.setattr(installed, "lines", lambda: iter(()))
    monkeypatch.setattr(doctor, "_sandbox", lambda settings: iter(()))
    monkeypatch.setattr(doctor, "_servers", lambda settings: iter(()))


def test_a_healthy_installation(cli: Callable[..., Result], home: Path, jupyter: Path) -> None:
    install_kernelspec(user=True)
    found = examine(cli)
    assert found["version"][0] == "ok" and sys.executable in found["version"][1]
    assert found["kernel"] == ("ok", str(jupyter))
    assert found["settings"][0] == "ok" and found["settings"][1].startswith(f"data in {home}, config file ")
    assert found["registry"][0] == "ok" and str(home / "registry.git") in found["registry"][1]
    assert found["model"][0] == "warn" and "set OPENAI_API_KEY" in found["model"][1]
    assert "dulwich" in found["libraries"][1] and sys.platform in found["system"][1].lower()
    assert found["git"][1].startswith("git version ") and "/git)" in found["git"][1]
    assert found["sessions"] == ("ok", f"{home / 'sessions'}, 0 logs, 0.0 MiB")
    assert found["index"][0] == "ok" and "main at " in found["registry"][1]
    assert found["keys"] == ("ok", "OPENAI_API_KEY is not set, OPENAI_BASE_URL is not set")
    assert [what for what in found if what.startswith("setting ")] == []
    layers = {what.removeprefix("sandbox, ") for what in found if what.startswith("sandbox, ")}
    assert layers >= {"landlock", "seccomp", "rlimits"}


CONFIG = """
profile = "guarded"
model = "planted-in-a-setting"
docs.remote = "https://me:planted-user@example.com/docs?key=planted-query"
[mcp.servers.web]
url = "https://example.com/planted-path?key=planted-too"
api_key_env = "WEB_KEY"
"""


def test_the_doctor_says_what_is_set_and_where_and_shows_no_key(
    cli: Callable[..., Result], home: Path, jupyter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    monkeypatch.setenv("MICRO_AGI_CONFIG", str(config))
    monkeypatch.setenv("OPENAI_API_KEY", "planted-in-a-setting")
    monkeypatch.setenv("MICRO_AGI_SANDBOX_TIMEOUT", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(doctor, "_servers", lambda settings: iter(()))  # nobody is asked
    made = f"warn registry: there was no registry at {home / 'other.git'}: it was made now, from the seed\n"
    assert made in cli("doctor", "--registry", str(home / "other.git")).stdout
    found = examine(cli, "--registry", str(home / "other.git"))
    assert {what.removeprefix("setting "): line[1] for what, line in found.items() if what.startswith("setting ")} == {
        "model": '"***" (config file, model)',
        "registry": f'"{home / "other.git"}" (argument registry)',
        "profile": '"guarded" (config file, profile)',
        "sandbox.require": '"full" (profile)',
        "sandbox.timeout": "60.0 (environment, MICRO_AGI_SANDBOX_TIMEOUT)",
        "docs.remote": '"https://example.com/docs" (config file, docs.remote)',
        "render.color": "false (environment, NO_COLOR)",
    }
    assert "web (example.com, WEB_KEY is not set)" in found["mcp"][1]
    assert found["git"][0] == "warn" and "none on PATH" in found["git"][1]
    assert found["keys"] == ("ok", "OPENAI_API_KEY is set, OPENAI_BASE_URL is not set")
    assert "planted" not in str(found)


MISPLACED = """
model = "sk-planted-in-a-model-1"
[mcp.servers.a]
command = ["API_KEY=planted1 npx foo"]
[mcp.servers.b]
command = ["/opt/planted/prog", "--key", "planted2"]
[mcp.servers.c]
url = "https://example.com/"
api_key_env = "ghp_planted3"
"""


@pytest.mark.usefixtures("of_the_settings")
def test_the_doctor_shows_no_key_that_was_put_in_the_wrong_place(
    cli: Callable[..., Result], jupyter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    monkeypatch.setenv("MICRO_AGI_CONFIG", str(config))
    config.write_text(MISPLACED)
    found = examine(cli)
    hidden = "*** (not in capitals: it may be a key)"
    assert f"servers: a (API_KEY), b (prog), c (example.com, {hidden} is not set)" in found["mcp"][1]
    assert found["setting model"] == ("ok", '"***" (config file, model)')
    assert "planted" not in str(found)
    config.write_text("")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    for address in ("planted-key-123", "htp://example.com/?key=planted", "http://exam ple/#planted"):
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        found = examine(cli)
        assert found["model"][0] == "fail" and found["model"][1].startswith("OPENAI_BASE_URL is no http(s) address")
        assert "planted" not in str(found)
    for text in ('profile = "planted1234567890"', 'sandbox.timeout = ["planted1234567890"]'):
        config.write_text(text)
        found = examine(cli)
        assert found["settings"][0] == "fail" and "planted" not in str(found)
    config.write_text('registry = "https://planted@example.com/r.git"')
    found = examine(cli)
    assert found["registry"] == ("fail", "registry is a path, no address and no key") and "planted" not in str(found)
    config.write_text("[signing]\nkey = '''-----BEGIN OPENSSH PRIVATE KEY-----\nplanted\n-----END'''")
    found = examine(cli)
    assert found["setting signing.key"] == ("ok", '"***" (config file, signing.key)') and "planted" not in str(found)
    with pytest.raises(SettingsError, match=r"^signing\.key is a path, no address and no key$"):
        print(load_settings().signing_key)


@pytest.mark.parametrize("said", [r"git version \377\033[31m", "git version " + "x" * 10_000])
def test_whatever_git_says_is_a_short_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    [line] = [line for line in installed.lines() if line.what == "git"]
    assert line.status == "ok" and line.detail.startswith("git version ") and len(line.detail) < 200 + len(str(program))
    assert "\x1b" not in line.detail and "\n" not in line.detail


def test_a_kernelspec_that_is_nested_too_deeply_cannot_be_read(jupyter: Path) -> None:
    install_kernelspec(user=True)
    (jupyter / "kernel.json").write_text("[" * 100_000)
    [line] = [line for line in installed.lines() if line.what == "kernel"]
    assert line.status == "fail" and "kernel.json cannot be read" in line.detail


def test_the_doctor_finds_a_library_that_is_too_old_or_gone(
    cli: Callable[..., Result], jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed.metadata, "requires", lambda name: ["rich>=99", "gone>=1", 'mcp>=99; extra == "mcp"'])
    whole = cli("doctor").stdout
    assert "warn libraries: gone is missing: micro-agi-kernel needs gone>=1: run `pip install" in whole
    assert re.search(r"warn libraries: rich \S+ is installed, and micro-agi-kernel needs rich>=99: run", whole)
    assert "needs mcp" not in whole


def test_a_missing_layer_is_a_warning_or_a_failure_where_all_are_required(
    cli: Callable[..., Result], jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_new_workers", StartedWorkers)  # as on a system that cannot fork them
    status, detail = examine(cli)["sandbox, pdeathsig"]
    assert (status, detail) == ("warn", "this process was started, not forked; it ends with its pipe")
    monkeypatch.setenv("MICRO_AGI_SANDBOX_REQUIRE", "full")
    found = examine(cli)
    assert (found["sandbox, pdeathsig"][0], found["sandbox, seccomp"][0]) == ("fail", "ok")


def test_the_kernel_is_not_registered_or_its_python_is_gone(cli: Callable[..., Result], jupyter: Path) -> None:
    assert examine(cli)["kernel"] == ("warn", "not registered with Jupyter: run `micro-agi install`")
    install_kernelspec(user=True)
    spec = json.loads((jupyter / "kernel.json").read_text())
    spec["argv"][0] = "/nowhere/python"
    (jupyter / "kernel.json").write_text(json.dumps(spec))
    assert examine(cli)["kernel"][0] == "fail" and "/nowhere/python" in examine(cli)["kernel"][1]
    (jupyter / "kernel.json").write_text("[]")
    assert examine(cli)["kernel"][0] == "fail"


def test_what_is_broken_is_a_line_and_the_rest_is_examined(
    cli: Callable[..., Result], home: Path, jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "file").write_text("")
    found = examine(cli, "--registry", str(home / "file"))
    assert found["registry"] == ("fail", f"not a registry: {home / 'file'} is not a Git repository")
    assert "model" not in found and "sandbox, seccomp" in found
    monkeypatch.setenv("MICRO_AGI_MODEL", "nope")
    assert examine(cli)["model"][0] == "fail"
    monkeypatch.setenv("MICRO_AGI_MODEL", "gpt-5.1")
    assert examine(cli)["model"] == (
        "fail",
        "gpt-5.1 needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL for a local server",
    )
    monkeypatch.setenv("MICRO_AGI_CONFIG", str(home / "nope.toml"))
    assert examine(cli)["settings"] == ("fail", f"MICRO_AGI_CONFIG names {home / 'nope.toml'}, which does not exist")


@pytest.mark.usefixtures("of_the_settings")
def test_folders_that_cannot_be_written_are_no_ok(
    cli: Callable[..., Result], home: Path, seeded: Path, jupyter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, access = home / "sessions", os.access
    refused: set[Path] = set()

    def answers(path: str | Path, mode: int) -> bool:
        """As for somebody who is not root, whom every folder lets in."""
        return access(path, mode) and Path(path) not in refused

    monkeypatch.setattr(os, "access", answers)
    refused.add(home)
    assert examine(cli)["sessions"] == ("warn", f"{home} cannot be read and written: no log is kept")
    refused.clear()
    sessions.write_text("")
    assert examine(cli)["sessions"] == ("warn", f"{sessions} is no folder: no log is kept")
    sessions.unlink()
    sessions.mkdir(mode=0o750)
    assert examine(cli)["sessions"] == ("warn", f"others can read the logs: run `chmod 700 {sessions}`")
    sessions.chmod(0o700)
    assert examine(cli)["sessions"] == ("ok", f"{sessions}, 0 logs, 0.0 MiB")
    refused.add(sessions)
    assert examine(cli)["sessions"] == ("warn", f"{sessions} cannot be read and written: no log is kept")
    for place in (seeded, *(seeded / name for name in ("objects", "refs", "micro-agi"))):
        refused = {place}
        assert examine(cli)["registry"] == ("fail", f"{place} cannot be read and written: no tool can be kept")


def test_the_models_server_is_asked(cli: Callable[..., Result], jupyter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    with ModelServer([]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        status, detail = examine(cli)["model"]
        monkeypatch.setenv("MICRO_AGI_MODEL", "gpt-4.1-nano")
        unknown = examine(cli)["model"]
        monkeypatch.delenv("MICRO_AGI_MODEL")
    assert (status, detail) == ("ok", f"gpt-5.1: the agent's model; {server.url} answers")
    assert unknown[0] == "warn" and "has no 'gpt-4.1-nano'; it has scripted, gpt-5.1: describe one" in unknown[1]
    status, detail = examine(cli)["model"]  # the server is gone
    assert status == "fail" and detail.startswith(f"gpt-5.1: the agent's model; no answer from {server.url} (")
    assert "sk-planted" not in detail


def test_install_and_uninstall(cli: Callable[..., Result], jupyter: Path, tmp_path: Path) -> None:
    assert cli("install", "--user").stdout == f"installed in {jupyter}\n"
    elsewhere = tmp_path / "elsewhere"
    assert cli("install", "--prefix", str(elsewhere)).stdout.strip().startswith(f"installed in {elsewhere}")
    assert cli("uninstall").stdout == f"removed {jupyter}\n"
    again = cli("uninstall")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "nothing to remove\n")
