"""A web server on loopback that misbehaves as told: raw bytes out, requests kept for inspection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peer:
    """One connection, after its request was read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client hangs up."""
        while await self.reader.read(1024):
            pass


Route = bytes | Callable[[Peer], Awaitable[None]]
"""What a path answers: bytes as they are, or a function that writes as it likes; then the server hangs up."""


@dataclass(frozen=True)
class Seen:
    """One request, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HostileServer:
    port: int
    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    open: int = 0
    """Connections under way."""
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    """Set from the first request on."""
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no connection is open, after the first."""

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.quiet.clear()
        try:
            seen = await _read_request(reader)
            self.requests.append(seen)
            self.busy.set()
            route = self.routes[seen.path.partition("?")[0]]
            if isinstance(route, bytes):
                writer.write(route)
                await writer.drain()
            else:
                await route(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, which is its right
        finally:
            writer.close()
            self.open -= 1
            if not self.open:
                self.quiet.set()


async def _read_request(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, headers, body)


@asynccontextmanager
async def hostile_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[HostileServer]:
    server = HostileServer(0)
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        if server.open:
            await server.quiet.wait()
        await listening.wait_closed()


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A well-formed answer; `content_type="text/plain"` becomes Content-Type."""
    fields = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return response(status=status, location=location)


def drip(begin: bytes) -> Route:
    """An answer that begins with `begin` and goes on a byte at a time, for ever."""

    async def answer(peer: Peer) -> None:
        await peer.send(begin)
        while True:
            await peer.send(b"1")
            await asyncio.sleep(0.05)

    return answer
