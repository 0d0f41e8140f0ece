"""What the tests of MCP servers share: servers that are named, and what they noted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from micro_agi_kernel.interfaces import CallContext, CallOutcome, Limits
from micro_agi_kernel.mcp_client.servers import McpServers
from micro_agi_kernel.mcp_settings import McpServer

HERE = Path(__file__).parent
SDK = McpServer("sums", (sys.executable, str(HERE / "sdk_server.py")))


def raw(way: str, notes: Path | None = None, **more: Any) -> McpServer:
    """A server that misbehaves that way: see raw_server.py."""
    command = (sys.executable, "-I", "-S", str(HERE / "raw_server.py"), way, *([str(notes)] if notes else []))
    return McpServer("raw", command, **more)


def noted(notes: Path, word: str) -> list[str]:
    """What a server noted behind `word`, in order."""
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]


async def until(there: Callable[[], object]) -> None:
    """Wait for what another process does."""
    for _ in range(2_000):
        if there():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


def alive(notes: Path) -> list[int]:
    """The processes that noted their number and run, or are no longer asked for their end."""
    pids = [int(pid) for pid in noted(notes, "pid")]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


class Open:
    """Servers without a conversation."""

    def __init__(self, servers: McpServers) -> None:
        self.servers = servers
        self.shown: list[object] = []

    async def call(self, name: str, **arguments: Any) -> CallOutcome:
        entry = self.servers.named(name)
        assert entry is not None, self.servers.states
        return await self.servers.call(entry, arguments, CallContext(on_output=self.shown.append))

    async def failure(self, name: str, **arguments: Any) -> str:
        """The line of a call that fails."""
        outcome = await self.call(name, **arguments)
        assert outcome.error is not None, outcome.value
        return outcome.error.message


@asynccontextmanager
async def serving(*named: McpServer, seconds: float = 20.0) -> AsyncIterator[Open]:
    """Servers that no policy is about."""
    servers = McpServers(named, lambda entry, context: [], lambda: Limits(seconds=seconds))
    try:
        yield Open(servers)
    finally:
        await servers.close()
