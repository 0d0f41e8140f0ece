"""The words of `micro-agi mcp`: wrong ones are one line, and a token never stands among them."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mcp_types import CallToolResult

from micro_agi_kernel.agent.context import BoundTool
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.frontends.cli.main import main
from micro_agi_kernel.frontends.mcp import calls
from micro_agi_kernel.frontends.mcp.content import Displays, plain_schema, result_of, value_text
from micro_agi_kernel.frontends.mcp.names import unique_names
from micro_agi_kernel.interfaces import CallOutcome
from micro_agi_kernel.messages import TOOL_NAME_LENGTH, ToolSpec


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path))
    monkeypatch.setenv("SHORT", "short")

    def command(*arguments: str) -> Result:
        return CliRunner(catch_exceptions=False).invoke(main, ["mcp", *arguments])

    monkeypatch.chdir(tmp_path)
    return command


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--http", "--host", "0.0.0.0"], 2, "others can reach 0.0.0.0: give the server a token"),
        (["--http", "--host", "[::]"], 2, "others can reach ::"),
        (["--http", "--host", "127.1", "--port", "1"], 2, "others can reach 127.1"),
        (["--http", "--port", "x"], 2, "'x' is not a valid integer"),
        (["--http", "--port", "70000"], 2, "70000 is not in the range"),
        (["--token-env", "SHORT"], 2, "are for --http"),
        (["--port", "1"], 2, "are for --http"),
        (["--http", "--token-env", "SHORT"], 1, "the variable SHORT holds no token: 16 to"),
        (["--http", "--token-env", "NOT_SET"], 1, "the variable NOT_SET holds no token"),
        (["--as", "service:agent"], 2, "a-z, 0-9"),
        (["--as", "Ada"], 2, "a-z, 0-9"),
        (["--http", "--host", "192.0.2.1", "--port", "0", "--token-env", "LONG"], 1, "cannot listen at 192.0.2.1"),
        (["--at", "v99"], 1, "v99"),
    ],
)
def test_wrong_words_are_one_line(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    monkeypatch.setenv("LONG", "0123456789abcdef")
    result = run(*arguments)
    assert result.exit_code == code and said in result.stderr, result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert "short" not in result.stderr and "0123456789abcdef" not in result.stderr


def test_without_the_library_a_line_says_what_to_install(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "micro_agi_kernel.frontends.cli.mcp.find_spec", lambda name: None if name == "mcp" else found(name)
    )
    result = run()
    assert result.exit_code == 1 and "pip install 'micro-agi-kernel[mcp]'" in result.stderr


def bound(id: str, name: str) -> BoundTool:
    return BoundTool(EntryId.parse(id), ToolSpec(name, "", {}), False, {})


def test_names_are_valid_and_unique_and_no_new_tool_takes_one() -> None:
    tools = [
        bound("app.tools:search", "search"),
        bound("app.generated:search", "search"),  # as a person's tool
        bound("app.generated:aaa", "zzz"),  # says that it is called as the next
        bound("app.generated:zzz", "zzz"),
        bound("app.generated:list_tools", "list_tools"),
        bound("app.x:call_tool", "call_tool"),
        bound("app:" + "y" * 100, "y" * 64),
        bound("app:" + "y" * 101, "y" * 64),
        bound("app:" + "y" * 102, "y" * 64),
    ]
    names = {str(tool.id): name for name, tool in unique_names(tools).items()}
    assert len(names) == len(tools)
    assert names["app.tools:search"] == "search" and names["app.generated:search"] == "app_generated_search"
    assert names["app.generated:zzz"] == "zzz" and names["app.generated:aaa"] == "app_generated_aaa"
    assert names["app.generated:list_tools"] == "app_generated_list_tools"
    for name in names.values():
        assert len(name) <= TOOL_NAME_LENGTH and name.replace("_", "").replace("-", "").isalnum() and name.isascii()


def test_a_tool_whose_every_name_is_taken_still_gets_one() -> None:
    """Whoever names tools after all that it could be called must not take the list from every client."""
    digest = hashlib.sha256(b"app.generated:sum_up").hexdigest()
    taken = ["app_generated_sum_up", f"app_generated_sum_up_{digest[:16]}", digest, f"{digest[:40]}_2"]
    person, late = bound("app.t:sum_up", "sum_up"), bound("app.generated:sum_up", "sum_up")
    others = [bound(f"app.generated:{name}", name) for name in taken]
    names = {str(tool.id): name for name, tool in unique_names([person, late, *others]).items()}
    assert [names[str(tool.id)] for tool in (person, *others)] == ["sum_up", *taken]
    assert len(names) == len(taken) + 2 and len(names["app.generated:sum_up"]) <= TOOL_NAME_LENGTH


def test_texts_and_schemas_of_tools_hide_nothing() -> None:
    hidden = {"type": "object", "description": "a\u202eb", "properties": {"x": {"title": "\x1b[1m", "enum": ["\t"]}}}
    assert plain_schema(hidden) == {
        "type": "object",
        "description": "a\ufffdb",
        "properties": {"x": {"title": "␛[1m", "enum": ["\t"]}},
    }
    for hiding in (
        {"properties": {"a\u202eb": {}}},
        {"properties": {"a\x1b[31m": {}}},
        {"enum": ["\x1b]0;owned\x07"]},
        {"default": {"a": [{"b": "\r\x9b"}]}},
    ):
        assert plain_schema({"type": "object", **hiding}) == {"type": "object"}
    for unusable in (
        {"properties": 5},
        {"properties": {"a": 5}},
        {"required": "x"},
        {"required": None},
        {"$schema": 5},
    ):
        assert plain_schema({"type": "object", **unusable}) == {"type": "object"}  # type: ignore[dict-item]
    assert plain_schema({"type": "object", "enum": ["x" * 70_000]}) == {"type": "object"}
    assert value_text({"a": "\u202e\x1b\u2028é"}) == '{"a":"\\u202e\\u001b\\u2028é"}'
    assert value_text("\x1b[1m") == "␛[1m"


async def test_of_too_many_calls_the_next_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "OPEN", 0)
    nothing: Any = None
    result = await calls.Calls(nothing, nothing, nothing).call(nothing, nothing, "x", nothing, {})
    assert isinstance(result, CallToolResult) and result.is_error and "RATE_LIMITED" in str(result.content)


def test_displays_are_bounded() -> None:
    displays = Displays()
    png: Any = {"image/png": b"\x89PNG\r\n\x1a\n" + bytes(3 << 20)}
    displays.add(png)
    displays.add({**png, "text/plain": "too much"})
    displays.add({"text/html": "<b>no</b>"})
    for _ in range(20):
        displays.add({"text/plain": "x" * 100_000})
    result = result_of(CallOutcome(value=None), displays)
    kinds = [piece.type for piece in result.content]
    assert kinds == ["text", "image", *["text"] * 16]
    texts = [piece.text for piece in result.content if piece.type == "text"]
    assert texts[:2] == ["null", "too much"] and "<b>" not in texts[2] and texts[-1] == "7 more displays are left out"
    assert sum(map(len, texts)) < 300_000
