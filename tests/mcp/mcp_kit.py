"""The MCP server as a process, a registry with tools for it, and the SDK's own client."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Implementation, TextContent

from micro_agi_kernel.entries import Action, Changeset, Entry, EntryId, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.workspace import Workspace

# A suite that runs in the background hands on that Ctrl-C is ignored.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
MAIN = "from micro_agi_kernel.frontends.cli.main import main; main(prog_name='micro-agi')"
COMMAND = [sys.executable, "-c", f"{HEARS_CTRL_C}; {MAIN}", "mcp"]
TOKEN = "a-token-of-the-tests-0123456789"
SECONDS = 30
MODES = ("legacy", "auto")
"""The protocol with a handshake, up to 2025-11-25, and the one without, since 2026-07-28."""


def environment(home: Path) -> dict[str, str]:
    """What a process of the server finds: a registry of its own, and the token."""
    return {**os.environ, "MICRO_AGI_HOME": str(home), "TOKEN_OF_TEST": TOKEN}


def tool(id: str, body: str, **more: Any) -> Entry:
    """A tool whose handler has the Lua `body`; what is not data of an entry is meta."""
    data: dict[str, Any] = {"source": f"return {{handler = function(input)\n{body}\nend}}"}
    data |= {key: more.pop(key) for key in ("modules", "calls") if key in more}
    meta = {"type": "tool", "comment": "A test", "input_schema": {"type": "object"}, **more}
    return Entry(EntryId.parse(id), "function.lua", meta, data)


def policy(name: str, effect: str, actor: str, resource: str) -> Entry:
    """A policy about what one client calls."""
    conditions = [{"field": "actor.id", "operator": "eq", "value": actor}]
    body: Any = {"actions": ["tool.call"], "resources": resource, "effect": effect, "conditions": conditions}
    return Entry(EntryId("app", name), "security.policy", {}, {"policy": body, "groups": ["mcp_security"]})


@contextlib.asynccontextmanager
async def workspace(home: Path) -> AsyncIterator[Workspace]:
    """The registry as another process has it: this one."""
    house = Workspace(load_settings(registry=str(home / "registry.git")))
    try:
        yield house
    finally:
        await house.close()


async def write(house: Workspace, action: Action, *entries: Entry) -> str:
    """Write entries as a person does; the commit."""
    operations = tuple(Operation(action, entry.id, entry if action != "delete" else None) for entry in entries)
    return (await house.publishing.publish(Changeset(operations), CallContext("user:ada"))).commit


class HttpServer:
    """`micro-agi mcp --http` as a process. `url` is where it listens, `said` the line that said so."""

    def __init__(self, home: Path, *arguments: str, program: Sequence[str] = COMMAND) -> None:
        command = [*program, "--http", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, env=environment(home), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline().decode()
        self.url = self.said.split()[-1]

    def end(self) -> str:
        """End it; what it said on stderr."""
        self.process.terminate()
        return self.process.communicate(timeout=SECONDS)[1].decode()


@contextlib.asynccontextmanager
async def client(
    url: str, mode: str, name: str = "tests", token: str = TOKEN, **callbacks: Any
) -> AsyncIterator[Client]:
    """The SDK's client, connected over HTTP."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS) as http:
        transport = streamable_http_client(url, http_client=http)
        info = Implementation(name=name, version="1")
        async with Client(transport, mode=mode, client_info=info, **callbacks) as connected:  # type: ignore[arg-type]
            yield connected


def text_of(result: CallToolResult) -> str:
    """The first piece of content, which is the value."""
    first = result.content[0]
    assert isinstance(first, TextContent)
    return first.text


def with_log(level: str = "info") -> Mapping[str, Any]:
    """What asks for logs in the newer protocol; the older one sends them unasked."""
    return {"io.modelcontextprotocol/logLevel": level}
