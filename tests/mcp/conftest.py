"""One registry and one server over HTTP for all tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_kit import HttpServer, policy, tool, workspace, write

BANNED = "mcp:unproven:banned"
SHY = "mcp:unproven:shy"

ENTRIES = [
    tool("app.t:echo", "return input", title="Echo\x1b[31m \u202eohce"),
    tool("app.t:fails", "error('it broke')"),
    tool("app.t:says", "print('one') progress(1, 2, 'half') print('two') return {ok = true}"),
    tool("app.t:shows", "display({['text/plain'] = 'seen'}) display({['application/json'] = {1}}) return 'text\\27'"),
    tool("app.t:spins", "print('spinning') while true do end"),
    tool("app.t:long", "return string.rep('x', 200000)"),
    tool("app.t:echo2", "return 2", llm_alias="echo"),
    tool(
        "app.t:through",
        "return require('funcs').call('app.t:echo', {by = 'through'})",
        modules=["funcs"],
        calls=["app.t:echo"],
    ),
    tool(
        "app.t:sums",
        "return input.a + input.b",
        input_schema={
            "type": "object",
            "properties": {name: {"type": "integer"} for name in "ab"},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    ),
    policy("ban_echo", "deny", BANNED, "app.t:echo"),
    policy("ask_echo", "ask", SHY, "app.t:echo"),
]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose registry holds ENTRIES."""
    path = tmp_path_factory.mktemp("mcp")

    async def fill() -> None:
        async with workspace(path) as house:
            await write(house, "create", *ENTRIES)

    asyncio.run(fill())
    return path


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[HttpServer]:
    """A server that wants the token."""
    started = HttpServer(home, "--token-env", "TOKEN_OF_TEST")
    yield started
    assert "Traceback" not in started.end()
