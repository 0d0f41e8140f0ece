"""What all commands have in common: words, exit codes, streams, signals, speed of the start."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pexpect
import pytest
from cli_kit import COMMAND, SECONDS, publish
from click.testing import Result

from micro_agi_kernel import __version__
from micro_agi_kernel.frontends.cli.main import COMMANDS, main

HEAVY = ("yaml", "dulwich", "lupa", "httpx", "httpcore", "openai", "tiktoken", "jsonschema", "rich", "platformdirs")
JUPYTER = ("ipykernel", "jupyter_client", "zmq", "tornado", "markdown_it")


def test_version_is_one_line(cli: Callable[..., Result]) -> None:
    assert cli("--version").stdout == f"micro-agi {__version__}\n"


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        found.append((name,))
        if isinstance(command, click.Group):
            below = {found: command.get_command(context, found) for found in command.list_commands(context)}
            found += [(name, each) for each, one in below.items() if one is not None and not one.hidden]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_says_what_it_does(cli: Callable[..., Result], home: Path, words: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        shown = cli(*words, flag).stdout
        assert shown.startswith(f"Usage: main {' '.join(words)}".rstrip())
    text = shown.split("\n\n")[1].strip()
    assert text[0].isupper() and "  " not in text.replace("\n  ", " ")
    assert "..." not in shown.partition("Commands:")[2], "a short help is cut"
    assert not home.exists()


def test_the_commands_of_the_contract_are_there() -> None:
    assert [" ".join(words) for words in commands()[1:]] == [
        "demo", "ask", "eval", "call", "mcp", "registry",
        *(
            f"registry {name}"
            for name in (
                *("init", "list", "show", "log", "diff", "blame", "trust", "revert", "restore", "verify"),
                *("import", "export", "pull", "push", "remote", "gc", "path"),
            )
        ),
        "docs", "docs search", "docs show", "models",
        "sessions", "sessions export", "sessions list", "sessions show",
        "doctor", "install", "uninstall", "lab", "console",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["--nonsense"],
        ["ask"],
        ["ask", ""],
        ["ask", "-"],
        ["ask", "--model", "", "hi"],
        ["eval"],
        ["eval", "missing.lua"],
        ["eval", "."],
        ["eval", "-", "--input", "{"],
        ["eval", "-", "--input", '{"a": NaN}'],
        ["eval", "-", "--input", "1e999"],
        ["eval", "-", "--input", '"\\ud800"'],
        ["eval", "-", "--input", "[" * 100_000],
        ["eval", "-", "--timeout", "0"],
        ["eval", "-", "--timeout", "inf"],
        ["eval", "-", "--memory", "1.5"],
        ["eval", "-", "--memory", "99999999999999999999"],
        ["call"],
        ["call", "app.tools:registry_list", "--input", "nonsense"],
        ["registry"],
        ["registry", "nonsense"],
        ["registry", "list", "--registry", ""],
        ["registry", "log", "--limit", "0"],
        ["docs"],
        ["docs", "search"],
        ["install", "--user", "--sys-prefix"],
        ["install", "--prefix", ""],
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_wrong_usage_is_exit_code_2_and_touches_nothing(
    cli: Callable[..., Result], home: Path, words: list[str]
) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr.startswith("Usage: ")
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["aks"], "No such command 'aks'. Did you mean 'ask'?"),
        (["registry", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["registry", "check-pus"], "No such command 'check-pus'."),
        (["zzz"], "No such command 'zzz'."),
    ],
)
def test_of_a_misspelt_command_the_nearest_is_named(cli: Callable[..., Result], words: list[str], said: str) -> None:
    result = cli(*words)
    assert result.exit_code == 2 and result.stderr.endswith(f"\nError: {said}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["registry", "list", "--namespace", "app.generatd"], "no entries found: `micro-agi registry list` shows all"),
        (["registry", "list", "--query", "zzz"], "no entries found: `micro-agi registry list` shows all"),
        (["registry", "trust"], "nothing is trusted"),
        (["sessions", "list"], "no sessions"),
    ],
)
def test_where_there_is_nothing_a_line_on_stderr_says_so(
    cli: Callable[..., Result], words: list[str], said: str
) -> None:
    found = cli(*words)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", f"{said}\n")
    found = cli(*words, "--json")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["ask", "--help"], ["registry", "list", "--help"]])
def test_help_and_version_import_nothing_heavy(words: list[str]) -> None:
    code = f"""
import sys
from micro_agi_kernel.frontends.cli.main import main
main({words!r}, standalone_mode=False)
print(*(name for name in {(*HEAVY, *JUPYTER)!r} if name in sys.modules), file=sys.stderr)
print("asyncio" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, needs_asyncio = done.stderr.splitlines()
    assert heavy == ""
    if words == ["--version"]:
        assert needs_asyncio == "False", "no subcommand is imported"


@pytest.mark.parametrize("words", [["registry", "list"], ["models"], ["ask", "hi"], ["call", "app:x"]])
def test_a_bad_setting_is_one_line(
    cli: Callable[..., Result], home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    config = Path("config.toml")
    monkeypatch.setenv("MICRO_AGI_CONFIG", str(config))
    assert "which does not exist" in cli(*words).stderr
    for content, line in (
        (b"model = ", "cannot read the config file config.toml: "),
        (b"\xff", "cannot read the config file config.toml: "),
        (b"colour = 'red'", "unknown setting 'colour' (config file"),
        (b"registry = 3", "registry is a text, not 3 (config file"),
        (b'registry = "a\\u0000b"', "cannot make a registry at "),
        (b'registry = "~nosuchuser/x"', "registry names ~nosuchuser/x, and there is no such home folder"),
    ):
        config.write_bytes(content)
        result = cli(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: {line}")
    assert not home.exists()


def test_an_error_line_cannot_act_on_the_terminal(cli: Callable[..., Result]) -> None:
    Path("bell\x07\nline").write_text("no registry")
    result = cli("models", "--registry", "bell\x07\nline")
    assert result.stderr == "Error: not a registry: bell␇ line is not a Git repository\n"


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_streams_are_no_failure(home: Path, closed: int) -> None:
    script = 'exec "$@" ' + ("<&-" if closed == 0 else f"{closed}>&-")
    for words in (["eval", "-"], ["registry", "list"], ["registry", "show", "app:nope"]):
        command = ["sh", "-c", script, "sh", *COMMAND, *words]
        done = subprocess.run(command, capture_output=True, input=b"", timeout=SECONDS)
        assert done.returncode == (1 if "app:nope" in words else 0)
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["registry", "list"],
        ["registry", "log", "--json"],
        ["registry", "blame", "app.tools:create_tool"],
        ["ask", "hi"],
        ["ask", "--json", "hi"],
        ["eval", "-"],
    ],
    ids=" ".join,
)
def test_a_reader_that_leaves_is_no_failure(start: Callable[..., Any], words: list[str]) -> None:
    Path("print.lua").write_text("while true do print(('x'):rep(1000)) end")
    reader, writer = os.pipe()
    os.close(reader)
    with Path("print.lua").open() as source:
        command = start(*words, stdout=writer, stdin=source)
    os.close(writer)
    _, err = command.process.communicate(timeout=SECONDS)
    assert err == b""
    assert command.process.returncode == 0


@pytest.mark.parametrize("words", [["eval", "loop.lua"], ["call", "app.generated:loop"]], ids=" ".join)
def test_ctrl_c_ends_a_call_and_all_its_processes(start: Callable[..., Any], words: list[str]) -> None:
    loop = "print('begun') while true do end"
    Path("loop.lua").write_text(loop)
    if words[0] == "call":
        publish("app.generated:loop", f"return {{ handler = function() {loop} end }}")
    command = start(*words)
    assert command.line() == "begun\n"
    assert command.signal(signal.SIGINT) == (130, "", "interrupted\n")


def test_on_a_terminal_lists_are_tables_and_json_is_indented_and_inert(home: Path) -> None:
    def shown(*words: str) -> str:
        output, code = pexpect.run(
            shlex.join([*COMMAND, *words]), withexitstatus=True, env={**os.environ, "TERM": "dumb", "COLUMNS": "100"}
        )
        assert code == 0
        return bytes(output).decode()

    header, *rows = shown("registry", "list").splitlines()
    assert header.split() == ["id", "kind", "type", "comment"]
    assert any(row.startswith("app:demo ") and "registry.entry" in row for row in rows)
    Path("print.lua").write_text(r"print('\27[31m \194\155 \127 \226\128\174 ä')")
    document = shown("eval", "print.lua", "--json")
    assert '\r\n  "ok": true,\r\n' in document
    assert r'"output": "\u001b[31m \u009b \u007f \u202e ä\n"' in document
