"""One MCP server: started when it is needed, listed, called; each within a time, whatever the server does."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from micro_agi_kernel import __version__
from micro_agi_kernel.errors import ErrorKind, MicroAgiError, Refused
from micro_agi_kernel.imports import importing
from micro_agi_kernel.logs.keys import Keys
from micro_agi_kernel.mcp_client.by_address import address
from micro_agi_kernel.mcp_client.by_program import program
from micro_agi_kernel.mcp_client.definitions import ListedByServer, Offer, read_offer
from micro_agi_kernel.mcp_client.keys import hidden, keys_of, line
from micro_agi_kernel.mcp_client.watch import WHOLE, Watch
from micro_agi_kernel.mcp_settings import INSTALL, McpServer
from micro_agi_kernel.values import many, shorten

if TYPE_CHECKING:
    from mcp.client.client import Client
    from mcp.shared.exceptions import MCPError
    from mcp_types import CallToolRequest, ListToolsRequest

START_SECONDS = 15.0
"""For a server to start and list its tools; the SDK tries one handshake for 10 s, then the older one."""

LIST_SECONDS = 5.0
"""For a list that has changed."""

CLOSE_SECONDS = 3.0

MAX_PAGES = 20
MAX_LISTED = 1_000
"""Tools of a server that are looked at; further ones are not asked for."""

_Given = TypeVar("_Given")

_NOT_OF_IT = "answers with what is not of the protocol"
_INVALID, _NO_METHOD, _CLOSED = -32602, -32601, -32000
"""Codes of JSON-RPC's and of the SDK's errors."""


@dataclass(slots=True)
class _Live:
    """A connection."""

    client: Client
    watch: Watch


class Connection:
    """A server that the person named. All of it runs on one event loop.

    What leaves here, answers, tools and lines, holds none of the server's keys.
    """

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.offer = Offer({})
        """As it was listed last; it stays when the server ends."""
        self.problem = ""
        """Why it is not there, or no longer; empty: it is, or it was not needed yet."""
        self.tried = False
        """It was started once, with whatever success."""
        self._keys = Keys()
        self._live: _Live | None = None
        self._starting: asyncio.Task[_Live] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._work: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def namespace(self) -> str:
        return self.server.namespace

    @property
    def state(self) -> str:
        """How it is, in a few words for people."""
        if self.problem:
            return self.problem
        if self._there is None:
            return "ended: the next call starts it again" if self.tried else "is not started yet"
        return f"offers {many(len(self.offer.entries), 'tool')}"

    @property
    def _there(self) -> _Live | None:
        """The connection, if the server has not ended; what is left of one that has is put away beside."""
        return self._live if self._live is not None and not self._live.watch.ended.is_set() else None

    def start(self) -> asyncio.Task[_Live]:
        """Begin to start it, unless that has begun; nobody need wait."""
        if self._starting is None:
            self._starting = self._begin(self._started())
            self._starting.add_done_callback(self._was_started)
        return self._starting

    async def call(self, tool: str, arguments: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        """The result of `tools/call`, as it came. Raises Refused when there is none within `seconds`."""
        return await self._within(seconds, f"time limit of {seconds:g} s", self._call(tool, arguments))

    async def list_again(self) -> None:
        """Ask for the tools again, if the server said that they are others now, however often it did."""
        live = self._there
        if live is None or not live.watch.list_changed:
            return
        live.watch.list_changed = False
        with suppress(Refused):  # the old list stands
            work = _offered_now(live.client, self.server, self._keys)
            self.offer = await self._within(LIST_SECONDS, f"no list of its tools within {LIST_SECONDS:g} s", work)

    async def close(self) -> None:
        """End the server and all that was under way; harmless when repeated."""
        self._closed = True
        for work in self._work:
            work.cancel()
        if self._live is not None:
            self._live.watch.end("was closed")
        for _ in range(2):  # first as the protocol has it, then at once
            if self._serving:
                await asyncio.wait(self._serving, timeout=CLOSE_SECONDS)
            for task in self._serving:
                task.cancel()
        if self._work:
            await asyncio.wait(self._work, timeout=CLOSE_SECONDS)

    async def _call(self, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        live = self._there
        if live is None:
            live = await asyncio.shield(self.start())
        import mcp_types
        from mcp.shared.exceptions import MCPError

        parameters = mcp_types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        request = mcp_types.CallToolRequest(params=parameters)
        try:  # not call_tool, which holds the answer to a schema of the server's own, however long that takes
            result = await _result(live.client, request)
        except MCPError as error:
            if not _is_closed(error):
                raise
            why = f"{self.namespace} {live.watch.why or 'ended'} while it was called"
            raise Refused(ErrorKind.UNAVAILABLE, why, retryable=True) from error
        return await asyncio.to_thread(hidden, self._keys, result)

    async def _within(self, seconds: float, late: str, work: Coroutine[Any, Any, _Given]) -> _Given:
        """What `work` gives. Whoever waits is free at once when the time is over, or when they are cancelled: what the
        SDK then still says to the server is said beside."""
        task = self._begin(work)
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            task.cancel()
        if not task.done():
            raise Refused(ErrorKind.TIMEOUT, f"{self.namespace}: {late}")
        if task.cancelled():  # by `close`
            raise Refused(ErrorKind.CANCELED, f"{self.namespace} was closed")
        try:
            return task.result()
        except MicroAgiError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Refused:
        """What a call, or a list, failed of."""
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            return Refused(ErrorKind.UNKNOWN, f"{self.namespace} answered with what is not of the protocol")
        if not isinstance(error, MCPError):
            return Refused(ErrorKind.UNAVAILABLE, f"{self.namespace} {_said(error, self._keys)}", retryable=True)
        kinds = {_INVALID: ErrorKind.INVALID, _NO_METHOD: ErrorKind.NOT_FOUND}
        why = _refusal(error, self._keys, "refused the call", 500)
        return Refused(kinds.get(error.error.code, ErrorKind.UNKNOWN), f"{self.namespace} {why}")

    async def _started(self) -> _Live:
        """A connection whose tools are listed. Raises Refused."""
        if (live := self._there) is not None:
            return live
        if self._closed:
            raise Refused(ErrorKind.UNAVAILABLE, f"{self.namespace} was closed")
        ready: asyncio.Future[_Live] = asyncio.get_running_loop().create_future()
        self._keys.learn(keys_of(self.server))
        watch = Watch(self._keys)
        serving = asyncio.create_task(self._serve(watch, ready))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        try:
            await asyncio.wait({ready}, timeout=START_SECONDS)
        except asyncio.CancelledError:
            serving.cancel()
            raise
        if not ready.done():
            watch.end(f"did not answer within {START_SECONDS:g} s")
            serving.cancel()
            raise Refused(ErrorKind.UNAVAILABLE, f"{self.namespace} {watch.why}", retryable=True)
        return ready.result()

    def _was_started(self, start: asyncio.Task[_Live]) -> None:
        self.tried = True
        self._starting = None
        if start.cancelled():
            return
        error = start.exception()
        self.problem = "" if error is None else str(error).removeprefix(f"{self.namespace} ")

    async def _serve(self, watch: Watch, ready: asyncio.Future[_Live]) -> None:
        """Hold a connection open, in one task as the SDK's scopes demand, until the server ends or is ended."""
        live: _Live | None = None
        try:
            await asyncio.to_thread(_load)
            from mcp.client.client import Client
            from mcp_types import Implementation

            about = Implementation(name="micro-agi", version=__version__)
            transport = (program if self.server.command else address)(self.server, watch)
            async with Client(transport, cache=None, client_info=about) as client:
                self.offer = await _offered_now(client, self.server, self._keys)
                live = self._live = _Live(client, watch)
                if not ready.done():
                    ready.set_result(live)
                await watch.ended.wait()
        except Exception as error:  # a group, or one: whatever a server can bring about
            watch.end(_said(error, self._keys, watch.status))
        finally:
            watch.end("ended")
            if live is not None and self._live is live:
                self._live = None
                self.problem = watch.why
            if not ready.done():
                check = "run its command by itself to see why" if self.server.command else "check its url"
                why = f"ended before it answered: {check}" if watch.why == "ended" else watch.why
                refused = Refused(ErrorKind.UNAVAILABLE, f"{self.namespace} {why}", retryable=True)
                ready.set_exception(refused)
                ready.exception()  # nobody may be left to ask

    def _begin(self, work: Coroutine[Any, Any, _Given]) -> asyncio.Task[_Given]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._is_done)
        return task

    def _is_done(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits has it, and nobody else need


def _load() -> None:
    """Import the SDK's client. Blocks for half a second. Raises Refused where it is not installed."""
    with importing:
        try:
            import mcp.client.client
            import mcp.client.streamable_http  # noqa: F401
        except ImportError as error:
            raise Refused(ErrorKind.UNAVAILABLE, f"needs the package mcp: {INSTALL}") from error
    for name in ("mcp", "client"):  # its own log repeats what a server says, to standard error
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


async def _result(client: Client, request: CallToolRequest | ListToolsRequest) -> dict[str, Any]:
    """The result as it came: the SDK sees to the rest of the protocol."""
    from pydantic import TypeAdapter

    as_it_is: Any = TypeAdapter(dict[str, Any])
    judged: dict[str, Any] = await client.session.send_request(request, as_it_is)
    whole: dict[str, Any] = judged.get(WHOLE, judged)
    return whole


async def _offered_now(client: Client, server: McpServer, keys: Keys) -> Offer:
    """What the server offers now."""
    from mcp_types import ListToolsRequest, PaginatedRequestParams

    found: list[Any] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await _result(client, ListToolsRequest(params=PaginatedRequestParams(cursor=cursor) if cursor else None))
        if not isinstance(page["tools"], list):
            raise Refused(ErrorKind.UNKNOWN, _NOT_OF_IT)
        found += page["tools"]
        cursor = page.get("nextCursor")
        if not cursor or len(found) >= MAX_LISTED:
            break
    return _callable(client, await asyncio.to_thread(_read, server, found[:MAX_LISTED], keys))


def _read(server: McpServer, tools: list[Any], keys: Keys) -> Offer:
    return read_offer(server, map(ListedByServer.of, hidden(keys, tools)))


def _callable(client: Client, offer: Offer) -> Offer:
    """What of `offer` the SDK can call: by the newest protocol a schema may have it send arguments as headers too."""
    from mcp_types import ListToolsResult, Tool

    schemas: Any = {str(entry.data["tool"]): entry.meta["input_schema"] for entry in offer.entries.values()}
    listed = ListToolsResult(tools=[Tool(name=name, input_schema=schema) for name, schema in schemas.items()])
    # It has to know the schemas, and nothing public tells it of a list that it did not judge.
    kept = {tool.name for tool in client.session._absorb_tool_listing(listed, complete=True).tools}
    if not (odd := schemas.keys() - kept):
        return offer
    why = shorten(f"left out, as headers that their schemas ask for cannot be sent: {', '.join(sorted(odd))}", 200)
    entries = {id: entry for id, entry in offer.entries.items() if entry.data["tool"] in kept}
    return Offer(entries, (*offer.left_out, why))


def _is_closed(error: MCPError) -> bool:
    """Whether it is the SDK's word for a connection that ended: a server may have that code for anything."""
    return error.error.code == _CLOSED and error.error.message == "Connection closed"


def _refusal(error: MCPError, keys: Keys, refuses: str, most: int) -> str:
    """What the server said, or the SDK of it, after the words that it `refuses`."""
    said = error.error.message
    if said.startswith(("Failed to parse", "Unexpected content type")):  # with a piece of it, and so of a key
        return _NOT_OF_IT
    if redirect := re.match(r"Redirect to (.*?) not followed", said, re.S):  # the SDK advises to follow it
        return f"wants to send us to {line(keys, redirect[1], 200)}; that redirect is not followed"
    return f"{refuses}: {line(keys, said, most)}"


def _said(error: BaseException, keys: Keys, status: int = 0) -> str:
    """Why a server is not there, in words for a person; `status` is of its last answer by HTTP."""
    from mcp.shared.exceptions import MCPError
    from pydantic import ValidationError

    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MicroAgiError):
        return str(error)
    if status in (401, 403):
        return f"refuses the key (HTTP status {status}): check api_key_env"
    if status:
        return f"answers with HTTP status {status}: check its url"
    if isinstance(error, MCPError):
        return "ended" if _is_closed(error) else _refusal(error, keys, "refuses", 300)
    if isinstance(error, ValidationError):
        return _NOT_OF_IT
    verb = "used" if isinstance(error, RuntimeError) else "reached"
    return f"cannot be {verb}: {line(keys, str(error), 300) or type(error).__name__}"
