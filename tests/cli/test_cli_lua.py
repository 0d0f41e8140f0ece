"""`micro-agi eval` and `micro-agi call`: Lua in the jail, from the command line."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_kit import publish
from click.testing import Result

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_runs(cli: Callable[..., Result], home: Path) -> None:
    arguments = ["eval", str(EXAMPLES / "hello.lua"), "--modules", "time", "--input", '{"name": "Ada"}']
    printed, _, result = cli(*arguments).stdout.partition("\n")
    assert printed == "working ..."
    assert json.loads(result)["greeting"] == "Hello, Ada"
    document = json.loads(cli(*arguments, "--json").stdout)
    assert list(document) == ["ok", "result", "output", "ms"]
    assert document["ok"] is True and document["ms"] > 0
    assert (document["result"]["greeting"], document["output"]) == ("Hello, Ada", "working ...\n")
    assert not home.exists(), "eval opens no registry"


def test_the_example_of_work_side_by_side_runs(cli: Callable[..., Result]) -> None:
    result = cli("eval", str(EXAMPLES / "side_by_side.lua"), "--modules", "time")
    steps, _, rest = result.stdout.partition("[8/8] ")
    assert steps.count("\n") == 7 and '"word": "another"' in rest and rest.endswith("\n8 words\n")


@pytest.mark.parametrize(
    ("source", "options", "shown", "result"),
    [
        ("return 'text'", [], "text\n", "text"),
        ("return {1, 2}", [], "[\n  1,\n  2\n]\n", [1, 2]),
        ("", [], "", None),
        ("return {handler = function(input) return input end}", ["--input", '{"ä": [1, null]}'], None, {"ä": [1]}),
        ("return {handler = function(input) return type(input) end}", [], "table\n", "table"),
        ("return {go = function(input) return input + 1 end}", ["--method", "go", "--input", "41"], "42\n", 42),
        ("return {handler = 1, x = 2}", ["--method", "go"], None, {"handler": 1, "x": 2}),
        ("return '\\255'", [], None, {"base64": "/w==", "note": "binary data, not UTF-8 text"}),
    ],
)
def test_results(cli: Callable[..., Result], source: str, options: list[str], shown: str | None, result: Any) -> None:
    plain = cli("eval", "-", *options, input=source)
    assert plain.exit_code == 0 and plain.stderr == ""
    if shown is not None:
        assert plain.stdout == shown
    document = json.loads(cli("eval", "-", *options, "--json", input=source).stdout)
    assert document["result"] == result


@pytest.mark.parametrize(
    ("source", "options", "kind", "message"),
    [
        ("while true do end", ["--timeout", "0.2"], "TIMEOUT", "time limit of 0.2 s reached at stdin:1"),
        (
            "local t = {} while true do t[#t + 1] = ('x'):rep(9999) .. #t end",
            ["--memory", "8"],
            "MEMORY_LIMIT",
            "8 MiB",
        ),
        ("while true do print(('x'):rep(99999)) end", [], "OUTPUT_LIMIT", "output limit of 10 MiB reached"),
        ("local x = 1\nlocal y = = 2", [], "SYNTAX", "stdin:2: unexpected symbol near '='"),
        ("return 1\0", [], "SYNTAX", "stdin:1"),
        ("\n\nerror('boom')", [], "UNKNOWN", "stdin:3: boom"),
        (
            "return {handler = function() return nil, errors.new({kind = errors.NOT_FOUND, message = 'gone'}) end}",
            [],
            "NOT_FOUND",
            "gone",
        ),
        (
            "require('nope')",
            ["--modules", "nope"],
            "NOT_FOUND",
            "no module 'nope' here; there are: base64, crypto, expr, hash, ",
        ),
        ("require('registry')", ["--modules", "registry"], "NOT_FOUND", "no module 'registry' here"),
        ("require('time')", [], None, "time"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_failures_have_a_kind_and_exit_code_1(
    cli: Callable[..., Result], source: str, options: list[str], kind: str | None, message: str
) -> None:
    plain = cli("eval", "-", *options, input=source)
    result = cli("eval", "-", *options, "--json", input=source)
    assert plain.exit_code == result.exit_code == 1
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert list(document) == ["ok", "error", "output"] and document["ok"] is False
    assert kind in (None, document["error"]["kind"])
    assert message in document["error"]["message"]
    assert plain.stderr.startswith(f"{document['error']['kind']}: ") and message in plain.stderr


@pytest.mark.parametrize(
    ("options", "source", "advice"),
    [
        ([], "return require('time')", "say --modules time"),
        (["--modules", "json"], "return require('time')", "say --modules json,time"),
        ([], "return require('hash.sha256')", 'say --modules hash and write require("hash").sha256'),
        ([], "return require('nothing')", "there are: base64, "),
    ],
)
def test_a_module_that_was_not_named(cli: Callable[..., Result], options: list[str], source: str, advice: str) -> None:
    assert f"is not available here: {advice}" in cli("eval", "-", *options, input=source).stderr


def test_a_tool_that_asks_the_host_too_often_is_ended(cli: Callable[..., Result]) -> None:
    source = """
    local http = require("http_client")
    for n = 1, 2000 do
        local _, err = http.get("http://127.0.0.1:1/")
        assert(err:kind() == errors.PERMISSION_DENIED)
    end
    """
    document = json.loads(cli("eval", "-", "--modules", "http_client", "--json", input=source).stdout)
    assert document["error"]["kind"] == "CALL_LIMIT"
    assert "1,000" in document["error"]["message"] or "1000" in document["error"]["message"]


def test_a_program_that_dies_is_crashed(start: Callable[..., Any]) -> None:
    Path("loop.lua").write_text("print('begun') while true do end")
    command = start("eval", "loop.lua", "--json", "--timeout", "25")
    _kill_busiest_child(command.process.pid)
    out, err = command.process.communicate(timeout=30)
    assert json.loads(out)["error"]["kind"] == "CRASHED"
    assert (command.process.returncode, err) == (1, b"")


def _kill_busiest_child(parent: int) -> None:
    """Kill the process below `parent` that computes: the one in which the program runs."""
    import psutil

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for process in psutil.Process(parent).children(recursive=True):
            times = process.cpu_times()
            if times.user > 0.5:
                process.kill()
                return
        time.sleep(0.05)
    raise AssertionError("no process computes")


def test_ctrl_c_with_json_still_prints_one_document(start: Callable[..., Any]) -> None:
    Path("loop.lua").write_text("print('begun') while true do end")
    command = start("eval", "loop.lua", "--json")
    _wait_for_children(command.process.pid)
    code, out, err = command.signal(signal.SIGINT)
    assert (code, err) == (130, "interrupted\n")
    document = json.loads(out)
    assert document["error"] == {"kind": "CANCELED", "message": "interrupted"}


def _wait_for_children(parent: int) -> None:
    import psutil

    deadline = time.monotonic() + 20
    while not psutil.Process(parent).children() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_what_a_program_prints_cannot_act_on_the_terminal(cli: Callable[..., Result]) -> None:
    source = r"print('\27[31mred\7 \226\128\174evil \194\155x') error('\27]0;title\7')"
    result = cli("eval", "-", input=source)
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(result.output)
    assert "␛[31mred␇" in result.stdout and "␛]0;title␇" in result.stderr


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'return "\xff"', "x.lua: not UTF-8 text"),
        (b"--" + b"x" * (1 << 20), "x.lua: larger than 1048576 bytes, which no tool may be"),
    ],
)
def test_a_file_that_is_no_source(cli: Callable[..., Result], content: bytes, line: str) -> None:
    Path("x.lua").write_bytes(content)
    result = cli("eval", "x.lua")
    assert (result.exit_code, result.stderr) == (1, f"Error: {line}\n")
    assert cli("eval", "-", input=content).stderr == f"Error: {line.replace('x.lua', 'stdin')}\n"


def test_the_settings_limit_a_program(cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRO_AGI_SANDBOX_TIMEOUT", "0.1")
    assert "time limit of 0.1 s" in cli("eval", "-", input="while true do end").stderr
    assert "time limit of 0.2 s" in cli("eval", "-", "--timeout", "0.2", input="while true do end").stderr


def test_call_prints_the_result_of_an_entry(cli: Callable[..., Result]) -> None:
    shown = json.loads(cli("call", "app.tools:registry_list", "--input", '{"namespace": "app.tools"}').stdout)
    assert {entry["id"] for entry in shown["entries"]} >= {"app.tools:create_tool", "app.tools:doc_search"}
    document = json.loads(cli("call", "app.tools:doc_search", "--input", '{"path": "lua/core/time"}', "--json").stdout)
    assert list(document) == ["ok", "result", "output", "ms"]
    assert document["result"]["path"] == "lua/core/time"


def test_a_refusal_of_a_built_in_tool_fails_the_command(cli: Callable[..., Result]) -> None:
    arguments = ["call", "app.tools:registry_read", "--input", '{"id": "app.generated:nope"}']
    plain, document = cli(*arguments), cli(*arguments, "--json")
    assert (plain.exit_code, document.exit_code) == (1, 1)
    said = json.loads(plain.stdout)["error"]
    assert "app.generated:nope" in said and plain.stderr == f"{said}\n"
    assert json.loads(document.stdout)["result"] == json.loads(plain.stdout)
    assert json.loads(document.stdout)["ok"] is False and json.loads(document.stdout)["error"]["message"] == said
    assert cli("eval", "-", input="return {error = 'a value like any other'}").exit_code == 0


def test_a_commit_of_a_call_says_how_it_came(cli: Callable[..., Result]) -> None:
    tool = {"name": "one", "description": "One", "source": "return {handler = function() return 1 end}"}
    wish = json.dumps({**tool, "input_schema": {"type": "object", "properties": {}}})
    assert cli("call", "create_tool", "--input", wish).exit_code == 0
    versions = json.loads(cli("registry", "log", "app.generated:one", "--json").stdout)
    assert versions[0]["actor"] == "service:agent"
    assert versions[0]["trailers"]["Prompt"] == "micro-agi call create_tool"
    assert "Session" not in versions[0]["trailers"]


def test_call_offers_to_go_back(cli: Callable[..., Result]) -> None:
    id = "app.generated:worker"
    publish(id, "return {handler = function() return 1 end}")
    assert cli("call", id).stdout == "1\n"
    publish(id, "return {handler = function() error('boom') end}", action="update")
    result = cli("call", id, "--json")
    line = rf"{id} fails since commit (\w+) changed it, and worked before: `%revert \1 {id}` undoes that\n"
    assert re.fullmatch(line, result.stderr)
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)


def test_call_streams_what_an_entry_prints(cli: Callable[..., Result]) -> None:
    publish("app.generated:greet", "return {handler = function(i) print('\\27[1m', i.name) return nil, 'bad' end}")
    result = cli("call", "app.generated:greet", "--input", '{"name": "Ada"}')
    assert (result.exit_code, result.stdout, result.stderr) == (1, "␛[1m\tAda\n", "UNKNOWN: bad\n")
    document = json.loads(cli("call", "app.generated:greet", "--json").stdout)
    assert document == {"ok": False, "error": {"kind": "UNKNOWN", "message": "bad"}, "output": "\x1b[1m\tnil\n"}


@pytest.mark.parametrize(
    ("id", "line"),
    [
        ("nope", "Error: there is no entry nope; `micro-agi registry list` shows what there is"),
        ("app.generated:nope", "NOT_FOUND: not found: app.generated:nope"),
        ("app:demo", "INVALID: not callable: app:demo has the kind registry.entry, not function.lua"),
        ("../x:y", "Error: bad namespace in '../x:y'"),
    ],
)
def test_call_of_what_cannot_be_called(cli: Callable[..., Result], id: str, line: str) -> None:
    result = cli("call", id)
    assert (result.exit_code, result.stdout) == (1, "") and result.stderr.startswith(line)
    if not line.startswith("Error: "):
        assert json.loads(cli("call", id, "--json").stdout)["error"]["kind"] == line.partition(":")[0]


def test_what_a_program_displays_is_shown_as_text(cli: Callable[..., Result]) -> None:
    source = """print("a") progress(1, 2, "half") display({["text/markdown"] = "*b*"})
    display({["image/png"] = "\\x89PNG\\r\\n\\x1a\\n"}) return 1"""
    text = "a\n[1/2] half\n*b*\n<image/png, 8 bytes>\n"
    assert cli("eval", "-", input=source).stdout == text + "1\n"
    document = json.loads(cli("eval", "-", "--json", input=source).stdout)
    assert (document["result"], document["output"]) == (1, text)
