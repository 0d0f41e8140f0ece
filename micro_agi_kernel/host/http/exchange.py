"""One request and its answer over one new connection; the body may stay on the wire until somebody wants it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, aclosing

import httpcore

from micro_agi_kernel.host.arguments import invalid
from micro_agi_kernel.host.http.answer import Head, Unpacker
from micro_agi_kernel.host.http.failures import network_failure
from micro_agi_kernel.host.http.network import CheckedNetwork
from micro_agi_kernel.host.http.request import HttpRequest
from micro_agi_kernel.host.http.url import Target
from micro_agi_kernel.values import shorten

_SMALL = 64
"""Bytes of a chunk that costs more to take apart than to carry."""
_BODILESS = (204, 304)


class Answer:
    """An answer whose head has come. Whoever has it reads its body to the end, or closes it."""

    def __init__(
        self, head: Head, request: HttpRequest, pieces: AsyncGenerator[bytes, None], connection: AsyncExitStack
    ) -> None:
        self.head = head
        self.request = request
        self.size = head.length()
        self._pieces = pieces
        self._connection = connection

    async def read(self) -> bytes:
        """The next piece of the body; empty at its end. Raises Refused: broken, or larger than allowed."""
        with _failures_of(self.request.target):
            return await anext(self._pieces, b"")

    async def read_all(self) -> bytes:
        """The whole body; hangs up."""
        body = bytearray()
        try:
            while piece := await self.read():
                body += piece
        finally:
            await self.aclose()
        return bytes(body)

    async def aclose(self) -> None:
        """Hang up; harmless when repeated."""
        await self._connection.aclose()


async def exchange(
    request: HttpRequest, network: CheckedNetwork, tls: ssl.SSLContext | None, limit: int, advice: str
) -> Answer:
    """Send `request` and wait for the head of its answer, whose body may have `limit` bytes, unpacked.

    `advice` says what to do about a larger one. A redirect comes back as it is. Raises Refused; whatever happens,
    nothing stays open but the Answer.
    """
    target = request.target
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    fields = [("host", target.authority.encode()), *request.headers, ("connection", b"close")]
    headers = [(name.title().encode("ascii"), value) for name, value in fields]
    extensions = {"sni_hostname": request.tls.server_name} if request.tls.server_name else {}
    async with AsyncExitStack() as opened:
        opened.push_async_callback(network.close)
        socket = request.unix_socket or None
        connection = httpcore.AsyncHTTPConnection(url.origin, ssl_context=tls, uds=socket, network_backend=network)
        with _failures_of(target):
            await opened.enter_async_context(connection)
            response = await opened.enter_async_context(
                connection.stream(request.method, url, headers=headers, content=request.body, extensions=extensions)
            )
        network.expect_body(limit)
        head = Head.of(response.status, response.headers)
        unpacker = None
        if Unpacker.knows(head.encoding()) and request.method != "HEAD" and head.status not in _BODILESS:
            head, unpacker = head.unpacked(), Unpacker(head.encoding())
        pieces = _pieces(response, unpacker, limit, advice)
        opened.push_async_callback(pieces.aclose)
        return Answer(head, request, pieces, opened.pop_all())


async def _pieces(
    response: httpcore.Response, unpacker: Unpacker | None, limit: int, advice: str
) -> AsyncGenerator[bytes, None]:
    """The body, unpacked. Raises Refused, with `advice`, when it has more than `limit` bytes."""
    size = 0
    async with aclosing(_unpacked(response, unpacker)) as pieces:
        async for piece in pieces:
            size += len(piece)
            if size > limit:
                raise invalid(f"the answer's body is larger than {limit} bytes: {advice}")
            yield piece


async def _unpacked(response: httpcore.Response, unpacker: Unpacker | None) -> AsyncGenerator[bytes, None]:
    async for chunk in response.aiter_stream():
        # Ten thousand chunks of a byte may arrive at once; the kernel has other things to do as well.
        if len(chunk) < _SMALL:
            await asyncio.sleep(0)
        if unpacker is None:
            yield chunk
        else:
            for piece in unpacker.feed(chunk):
                yield piece
    if unpacker is not None:
        for piece in unpacker.finish():
            yield piece


@contextlib.contextmanager
def _failures_of(target: Target) -> Iterator[None]:
    """Turns what went wrong on the network or with the server into Refused."""
    try:
        yield
    except httpcore.LocalProtocolError as error:
        raise invalid(f"the request cannot be sent: {error}") from error
    except zlib.error as error:
        raise network_failure(f"the answer is broken: {error}") from error
    # httpcore lets OSError through, and so what TLS finds wrong after the handshake, when it reads or writes.
    except (OSError, httpcore.NetworkError, httpcore.RemoteProtocolError, httpcore.TimeoutException) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = re.sub(r"\s+", " ", str(cause)).strip() or type(cause).__name__
        untrusted = isinstance(cause, ssl.SSLCertVerificationError)
        raise network_failure(
            f"no answer from {target.origin}: {shorten(reason, 200)}", retryable=not untrusted
        ) from error
