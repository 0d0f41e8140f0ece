"""The two ways to the server: standard streams, and HTTP, which it guards against whoever should not be there."""

from __future__ import annotations

import asyncio
import hmac
import io
import logging
import os
import socket
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import anyio
import uvicorn
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from micro_agi_kernel.errors import ErrorKind, Refused, SettingsError
from micro_agi_kernel.frontends.mcp.server import ToolServer
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.values import is_loopback
from micro_agi_kernel.workspace import Workspace

PATH = "/mcp"

SESSIONS = 256
"""Clients over HTTP that are connected at once."""
BODY = 4 * MIB
"""Bytes of one request."""
_CONNECTIONS = 512
HEADERS = 10.0
"""Seconds for the headers of a request."""
WHOLE = 60.0
"""Seconds for its body from then on."""
_SHUTDOWN = 2
"""Seconds for answers under way when the server ends."""


Say = Callable[[str], None]
"""Shows the person of this server a line: not on stdout, which may be the protocol's."""


async def serve_stdio(workspace: Workspace, name: str, say: Say) -> None:
    """Serve the program at the other end of stdin and stdout until it hangs up; nothing else is written there.

    `name` is what policies call it, "" leaves that to the program. Raises OSError when the streams fail,
    Refused at a line that is too long.
    """
    _show_logs(say)
    server = ToolServer(workspace, name, say)
    try:
        async with server.watching(), stdio_server(_stdin()) as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
    except BaseExceptionGroup as group:  # of the SDK's tasks
        raise _of_streams(group) or group from None


class _Lines(io.TextIOWrapper):
    """Lines of a client, none so long that it takes all memory."""

    def readline(self, _: int = -1, /) -> str:  # type: ignore[override]
        line = super().readline(BODY + 1)
        if len(line) > BODY:
            raise Refused(ErrorKind.INVALID, f"the client sent a line of more than {BODY // MIB} MiB")
        return line


def _stdin() -> anyio.AsyncFile[str]:
    """stdin for us alone, as the SDK has it: what we start finds nothing there."""
    wire = os.dup(sys.stdin.fileno())  # never closed: a thread may still read it at the end
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    return anyio.wrap_file(_Lines(open(wire, "rb", closefd=False), encoding="utf-8", errors="replace"))


def _of_streams(error: BaseException) -> OSError | Refused | None:
    """What a group of errors holds of the streams, if anything."""
    if isinstance(error, OSError | Refused):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for each in inner if (found := _of_streams(each))), None)


async def serve_http(workspace: Workspace, name: str, host: str, port: int, token: str | None, say: Say) -> None:
    """Serve over HTTP until the process is told to end, and say where; `name` as above, port 0 is any that is free.

    Raises SettingsError when it cannot listen there.
    """
    _show_logs(say)
    listening = _listen(host, port)
    server = ToolServer(workspace, name, say)
    shown = f"[{host}]" if ":" in host else host
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        host=host,
        max_request_body_size=BODY,
        max_sessions=SESSIONS,
        transport_security=_names_of_here(shown) if is_loopback(host) else None,
    )
    config = uvicorn.Config(
        Guard(app, token, is_local=is_loopback(host)),
        http=_Timely,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN,
    )
    with listening:
        async with server.watching():
            say(f"listening at http://{shown}:{listening.getsockname()[1]}{PATH}")
            await uvicorn.Server(config).serve(sockets=[listening])


class _Timely(H11Protocol):
    """Drops a connection whose request takes too long to come: uvicorn lets it have one of the places for ever, and
    the Guard sees it only when all its headers are there."""

    _late: asyncio.TimerHandle
    _receiving: object = None
    """The cycle of the request whose body has its time already."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def on_response_complete(self) -> None:
        self._late.cancel()
        self._await_headers()
        super().on_response_complete()  # may go on with a request that is there

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is None or self.cycle.response_complete:
            return
        if not self.cycle.more_body:
            self._late.cancel()
        elif self.cycle is not self._receiving:
            self._receiving = self.cycle
            self._late.cancel()
            self._late = self.loop.call_later(WHOLE, self.transport.close)

    def _await_headers(self) -> None:
        self._late = self.loop.call_later(HEADERS, self.timeout_keep_alive_handler)


class _Logs(logging.Handler):
    """Shows what the libraries log as lines of ours: it may hold what a client sent."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info is not None else None
        # A stream that was open when the server was told to end, and a request whose body did not come whole.
        if not isinstance(error, asyncio.CancelledError | ClientDisconnect):
            self._say(self.format(record))


def _show_logs(say: Say) -> None:
    for name in ("mcp", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [_Logs(say)]
        logger.propagate = False


def _names_of_here(host: str) -> TransportSecuritySettings:
    """What a server that only this machine reaches may be called: by itself the SDK sees to that at 127.0.0.1 alone."""
    names = {"127.0.0.1", "localhost", "[::1]", host}
    origins = [f"http://{name}:*" for name in names]
    return TransportSecuritySettings(allowed_hosts=[f"{name}:*" for name in names], allowed_origins=origins)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise SettingsError(f"cannot listen at {host}, port {port}: {error.strerror or error}") from error


class Guard:
    """Turns requests away before anything reads them: without the token 401, from a web page of elsewhere 403.

    A page's Origin must be this machine's, or the server's own where others may connect. The Host of a server that
    only this machine reaches is checked by the SDK, so that no page can point a name of its own at it.
    """

    def __init__(self, app: ASGIApp, token: str | None, *, is_local: bool) -> None:
        self._app = app
        self._token = token.encode() if token else None
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := self._refusal(Headers(scope=scope))):
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        origins = headers.getlist("origin")
        if any(not self._is_ours(origin, headers.get("host", "")) for origin in origins):
            return JSONResponse({"error": "this origin is not served"}, 403)
        if self._token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
            if scheme.lower() != "bearer" or not same:
                said = {"error": "a bearer token is needed: see docs/mcp.md"}
                return JSONResponse(said, 401, {"WWW-Authenticate": "Bearer"})
        return None

    def _is_ours(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        return is_loopback(parts.hostname or "") or (not self._is_local and bool(host) and parts.netloc == host)
