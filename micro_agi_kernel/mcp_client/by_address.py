"""The way to an MCP server at an address: streamable HTTP, without proxies, compression and answers that do not end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from micro_agi_kernel.mcp_client.keys import key_for, line
from micro_agi_kernel.mcp_client.watch import MAX_MESSAGE, MAX_SAID, TOO_LONG, TOO_MUCH, Watch
from micro_agi_kernel.mcp_settings import McpServer

if TYPE_CHECKING:
    import httpx2

    from micro_agi_kernel.mcp_client.watch import Streams

MAX_REQUESTS = 20
"""Streams that the SDK may open for one message of ours: it reconnects as often as a server has it do so."""


@asynccontextmanager
async def address(server: McpServer, watch: Watch) -> AsyncIterator[Streams]:
    """The transport to `server` for the SDK's client. Raises SettingsError when its key is none."""
    import anyio
    import httpx2
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.message import SessionMessage

    headers = {"accept-encoding": "identity"}
    if server.api_key_env:
        headers["authorization"] = f"Bearer {key_for(server)}"
    timeout = httpx2.Timeout(10.0, read=300.0)
    transport = _bounded(httpx2.AsyncHTTPTransport(trust_env=False), watch)
    async with httpx2.AsyncClient(headers=headers, timeout=timeout, transport=transport, trust_env=False) as client:
        opened = streamable_http_client(server.url, http_client=client, max_sse_event_size=MAX_MESSAGE)
        async with opened as (said, write_stream):
            heard, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)

            async def listen() -> None:
                with heard, contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    async for item in said:
                        if not watch.heard(0):
                            return
                        if not isinstance(item, Exception) and watch.passes(item.message):
                            await heard.send(item)
                watch.end("")  # whoever closed it says why

            task = asyncio.create_task(listen())
            try:
                yield read_stream, write_stream
            finally:
                task.cancel()
                heard.close()
                read_stream.close()
                await asyncio.gather(task, return_exceptions=True)


def _wrong_with(headers: Mapping[str, str]) -> str:
    """Why an answer with these headers is not read; "": it is."""
    if headers.get("content-encoding", "identity") != "identity":
        return "sent an answer that is compressed, though none was asked for"
    kind, _, form = "".join(headers.get("content-type", "").lower().replace('"', "").split()).partition(";")
    if "event-stream" in kind and "charset" in form and form not in ("charset=utf-8", "charset=utf8"):
        return "sent an answer that is not in UTF-8"  # JSON is, and what is counted has to be what is read
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:19]) > MAX_MESSAGE:
        return TOO_LONG
    return ""


def _bounded(below: httpx2.AsyncBaseTransport, watch: Watch) -> httpx2.AsyncBaseTransport:
    """`below`, with an end to what one answer, and all answers to a message of ours, may hold."""
    import httpx2

    def read(lines: bytearray) -> None:
        if not watch.may_be_read(lines):
            raise httpx2.ReadError("the answer has too many parts")

    class Body(httpx2.AsyncByteStream):
        def __init__(self, stream: httpx2.AsyncByteStream) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size, begun = 0, bytearray()
            async for chunk in self._stream:
                size += len(chunk)
                if size > MAX_SAID or not watch.heard(len(chunk), 0):
                    watch.end(TOO_MUCH)
                    raise httpx2.ReadError("the answer is too long")
                end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
                begun += chunk[:end] if end else chunk
                if end:
                    read(begun)
                    begun = bytearray(chunk[end:])
                yield chunk
            read(begun)

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Bounded(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            says = request.method == "POST"
            if not says:
                watch.requests += 1
                if watch.requests > MAX_REQUESTS:
                    return httpx2.Response(405)
            elif "method" in json.loads(await request.aread()):  # else it answers the server
                watch.asked()
            try:
                response = await below.handle_async_request(request)
            except httpx2.TransportError as error:
                if says:  # the SDK goes on without the stream that a GET would open
                    watch.end(f"cannot be reached: {line(watch.keys, str(error), 300) or type(error).__name__}")
                raise
            if says:  # to a GET, 405 is as good an answer as any
                watch.status = response.status_code if response.status_code >= 400 else 0
            if wrong := _wrong_with(response.headers):
                await response.aclose()
                watch.end(wrong)
                raise httpx2.RemoteProtocolError(wrong)
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = Body(response.stream)
            return response

        async def aclose(self) -> None:
            await below.aclose()

    return Bounded()
