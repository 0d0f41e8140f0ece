"""What the person at an MCP client approves: who is said to ask and to answer, and how many questions one may leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from documents_kit import ROOT, read_blocks
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_kit import MODES, SECONDS, HttpServer, client, policy, text_of, tool, workspace, write
from mcp_types import ElicitResult

from micro_agi_kernel.exchange import import_path
from micro_agi_kernel.frontends.mcp import calls
from micro_agi_kernel.frontends.mcp.clients import SIDE_BY_SIDE, Clients
from micro_agi_kernel.frontends.mcp.server import ToolServer
from micro_agi_kernel.frontends.mcp.telling import Teller

YES = ElicitResult(action="accept", content={"answer": "yes"})


async def test_commit_and_question_name_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may give the answer itself, so that it is not said to be the person's of this machine."""
    monkeypatch.setenv("MICRO_AGI_PROFILE", "guarded")
    monkeypatch.setenv("MICRO_AGI_SANDBOX_REQUIRE", "limits")
    asked = list[str]()

    async def elicit(_: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return YES

    server = HttpServer(tmp_path)
    try:
        async with client(server.url, "legacy", "evil", elicitation_callback=elicit) as it:
            made: dict[str, Any] = {"name": "pwn", "description": "d", "input_schema": {"type": "object"}}
            made |= {"source": "return {handler = function() return 1 end}", "tests": [{"input": {}, "expect": 1}]}
            done = await it.call_tool("create_tool", made)
            assert not done.is_error and '"created":true' in text_of(done), text_of(done)
            assert text_of(await it.call_tool("pwn", {})) == "1"
            assert "mcp:unproven:evil asks for tool.load on app.generated:pwn (policy guarded:ask_load)" in asked[1]
            # What only gives our own agent a tool is not served, and clients are told that they need nothing of it.
            tools = {tool.name: tool for tool in (await it.list_tools()).tools}
            assert "load_tool" not in tools and "load_tool" in (tools["call_tool"].description or "")
            with pytest.raises(MCPError, match="Unknown tool"):
                await it.call_tool("load_tool", {"id": "app.generated:pwn"})
    finally:
        assert "Traceback" not in server.end()
    async with workspace(tmp_path) as house:
        trailers = house.registry.version("main").trailers
    assert trailers["Policy"] == "asked (guarded:ask_write), approved by mcp:unproven:evil"


def context(name: str, protocol: str) -> Any:
    """The context of a request, as far as clients are told apart by it."""

    class Some:
        pass

    ctx, ctx.session, params = Some(), Some(), Some()  # type: ignore[attr-defined]
    params.client_info = Some()  # type: ignore[attr-defined]
    params.client_info.name = name  # type: ignore[attr-defined]
    ctx.session.client_params, ctx.protocol_version = params, protocol  # type: ignore[attr-defined]
    return ctx


def test_requests_of_one_name_share_their_places_where_there_are_no_connections() -> None:
    known = Clients("")
    requests = [context(name, "2026-07-28") for name in ("one", "one", "two")]
    first, second, other = (known.of(request) for request in requests)
    assert first is not second and first.slots is second.slots and other.slots is not first.slots
    assert first.slots._value == SIDE_BY_SIDE
    connections = [context("one", "2025-11-25") for _ in range(2)]
    older, newer = (known.of(connection) for connection in connections)
    assert older.slots is not newer.slots and older.slots is not first.slots


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_was_approved_waits_for_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    """While a person is asked the others have the place; then there are no more at once than without a question."""
    monkeypatch.setattr(calls, "AT_ONCE", 1)
    asked, printed = asyncio.Barrier(3), list[str]()
    monkeypatch.setattr(Teller, "__call__", lambda _, output: printed.append(output.text))

    async def elicit(_: Any, __: Any) -> ElicitResult:
        await asked.wait()
        return YES

    slow = tool("app.t:slow", "print('begins') require('time').sleep('200ms') print('ends')", modules=["time"])
    async with workspace(tmp_path) as house:
        await write(house, "create", slow, policy("ask_slow", "ask", "mcp:ann", "app.t:slow"))
        server = ToolServer(house, "ann", printed.append)

        async def call() -> None:
            async with Client(server, mode=mode, elicitation_callback=elicit) as it:
                assert text_of(await it.call_tool("slow", {})) == "null"

        async with server.watching(), asyncio.timeout(SECONDS):
            await asyncio.gather(*(call() for _ in range(3)))
    assert [line.strip() for line in printed] == ["begins", "ends"] * 3


async def test_the_policies_of_the_page_can_be_imported(tmp_path: Path) -> None:
    blocks = [source for kind, source in read_blocks(ROOT / "docs/mcp.md") if kind == "yaml"]
    assert len(blocks) == 2
    async with workspace(tmp_path) as house:
        for number, block in enumerate(blocks):
            file = tmp_path / f"{number}.yaml"
            file.write_text(block)
            done = await import_path(house, file)
            assert done.published is not None and not done.refused
