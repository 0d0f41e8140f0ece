"""The MCP server: the registry's tools for other programs' agents, and word to them when the tools change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from mcp.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ServerEvent, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    EmptyResult,
    InputRequiredResult,
    ListToolsResult,
    NotificationParams,
    PaginatedRequestParams,
    SetLevelRequestParams,
)

from micro_agi_kernel import __version__
from micro_agi_kernel.arguments import preload_checks
from micro_agi_kernel.errors import CallError, ErrorKind, Refused, RegistryError
from micro_agi_kernel.frontends.mcp import fixed
from micro_agi_kernel.frontends.mcp.asking import Context
from micro_agi_kernel.frontends.mcp.calls import Calls
from micro_agi_kernel.frontends.mcp.catalog import Catalog
from micro_agi_kernel.frontends.mcp.clients import Client, Clients
from micro_agi_kernel.frontends.mcp.content import error_result, text_content, value_text
from micro_agi_kernel.frontends.mcp.names import LIST_TOOLS
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.values import Json, shorten
from micro_agi_kernel.workspace import Workspace

PAGE = 500
"""Tools in one answer to tools/list."""

LOOKS = 0.5
"""Seconds between two looks at the branch, which is one small file."""

LISTENERS = 512
"""Connections that are told of changes."""

INSTRUCTIONS = (
    "Tools from a Micro AGI registry, each a commit that passed its policies; calls run in a sandbox. Tools may be"
    " made or changed while you are connected: list_tools says which there are now, call_tool calls one by its name."
    " No tool needs to be loaded first."
)


class ToolServer(Server[dict[str, Any]]):
    """Serves the tools of one workspace to any number of clients. `run` it, or make an HTTP app of it."""

    def __init__(self, workspace: Workspace, given: str, say: Callable[[str], None]) -> None:
        """`given`: what policies call whoever connects, "" leaves that to the client; `say` shows the person a line."""
        self._workspace = workspace
        self._catalog = Catalog(workspace)
        self._clients = Clients(given)
        self._bus = InMemorySubscriptionBus()
        self._look_now = asyncio.Event()
        self._calls = Calls(workspace, self._look_now.set, say)
        self._told: set[int] = set()
        super().__init__(
            "micro-agi",
            version=__version__,
            title="Micro AGI",
            instructions=INSTRUCTIONS,
            get_tool_input_schema=lambda _: None,  # no header stands for an argument
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_subscriptions_listen=ListenHandler(self._bus, max_subscriptions=LISTENERS),
        )
        self.add_request_handler("logging/setLevel", SetLevelRequestParams, self._set_level)
        self.add_notification_handler("notifications/initialized", NotificationParams, self._initialized)

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """What a client is told first; that the list of tools may change among it."""
        options = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While the body runs, clients are told when tools change, whoever changed them."""
        await asyncio.to_thread(preload_checks)
        head = await asyncio.to_thread(self._workspace.registry.head)
        watch = asyncio.create_task(self._watch(head))
        try:
            yield
        finally:
            watch.cancel()
            try:
                await asyncio.wait({watch})
            finally:  # also when we are cancelled
                await self._calls.close()

    async def _watch(self, seen: str) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOKS)
            self._look_now.clear()
            with contextlib.suppress(RegistryError):  # a call will say what is wrong with it
                head = await asyncio.to_thread(self._workspace.registry.head)
                if head == seen:
                    continue
                before, seen = seen, head
                if await asyncio.to_thread(self._catalog.changed, before, head):
                    await self._bus.publish(ToolsListChanged())

    async def _list(self, ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        cursor = params.cursor if params is not None else None
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
            raise MCPError(INVALID_PARAMS, "no cursor of this server")
        start = int(cursor or 0)
        client = self._clients.of(ctx)
        tools = [*fixed.TOOLS.values(), *await asyncio.to_thread(self._catalog.tools, client.actor)]
        more = str(start + PAGE) if len(tools) > start + PAGE else None
        return ListToolsResult(tools=tools[start : start + PAGE], next_cursor=more, ttl_ms=0, cache_scope="private")

    async def _call(self, ctx: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        client = self._clients.of(ctx)
        if params.request_state is not None:
            return await self._calls.go_on(ctx, client, params)
        name, arguments = params.name, params.arguments or {}
        if name in fixed.TOOLS:
            try:
                return await self._call_fixed(ctx, client, name, arguments)
            except Refused as refusal:
                return error_result(refusal.as_error())
        entry = await asyncio.to_thread(self._catalog.get, client.actor, name)
        if entry is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {_shown(name)}")
        return await self._calls.call(ctx, client, name, entry, arguments)

    async def _call_fixed(
        self, ctx: Context, client: Client, name: str, arguments: dict[str, Json]
    ) -> CallToolResult | InputRequiredResult:
        given = await asyncio.to_thread(fixed.checked, name, arguments)
        if name == LIST_TOOLS:
            tools = await asyncio.to_thread(self._catalog.tools, client.actor)
            return CallToolResult(content=[text_content(value_text(fixed.listed(tools, **given)))])
        entry = await asyncio.to_thread(self._catalog.get, client.actor, given["name"])
        if entry is None:
            line = f"there is no tool {_shown(given['name'])}: {LIST_TOOLS} says which there are"
            return error_result(CallError(ErrorKind.NOT_FOUND, line))
        return await self._calls.call(ctx, client, given["name"], entry, given.get("arguments", {}))

    async def _set_level(self, ctx: Context, params: SetLevelRequestParams) -> EmptyResult:
        self._clients.of(ctx).level = params.level
        return EmptyResult()

    async def _initialized(self, ctx: Context, _: NotificationParams | None) -> None:
        """Tell the client of changes for as long as it is connected: then the SDK cancels this."""
        connection = id(ctx.session.client_params)
        if connection in self._told or len(self._told) >= LISTENERS:
            return
        self._told.add(connection)
        news = asyncio.Event()

        def hear(_: ServerEvent) -> None:
            news.set()

        unsubscribe = self._bus.subscribe(hear)
        try:
            while True:
                await news.wait()
                news.clear()
                await ctx.session.send_tool_list_changed()
        finally:
            unsubscribe()
            self._told.discard(connection)


def _shown(name: str) -> str:
    return shorten(one_line(name))
