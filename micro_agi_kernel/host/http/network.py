"""The connection of one request: to the checked addresses only, and with a bound on what a server can pour into it.

httpcore reads as much as it can get and parses all of it before anybody looks. So this network hands it small
pieces until the answer's head is complete, and counts every byte.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from micro_agi_kernel.host.http.addresses import Address

MAX_ATTEMPTS = 4
"""Addresses of one name that are tried: enough for two families, too few to scan with."""
MAX_HEAD = 64 * 1024
"""Bytes until the head of the answer is complete; whatever says "100 Continue" before it counts too."""

_HEAD_PIECE = 4 * 1024
"""Full of the smallest answers (240 times "100") it takes 1.5 ms to parse; the kernel has more to do."""
_BODY_PIECE = 64 * 1024
_FRAMING = 64 * 1024


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever the host's name stands for by now."""

    def __init__(self, network: httpcore.AsyncNetworkBackend, addresses: list[Address], seconds: float) -> None:
        """`addresses` may be empty when only a Unix socket is connected to; `seconds` are for all of them."""
        self._network = network
        self._addresses = addresses[:MAX_ATTEMPTS]
        self._seconds = seconds
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._meter = _Meter()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        for address in self._addresses:
            try:
                self._stream = await self._network.connect_tcp(str(address), port, self._seconds / len(self._addresses))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _MeteredStream(self._stream, self._meter)
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self._stream = await self._network.connect_unix_socket(path, self._seconds)
        return _MeteredStream(self._stream, self._meter)

    def expect_body(self, size: int) -> None:
        """From here on a body of at most `size` bytes may come, and as much again to wrap it in."""
        self._meter.left = 2 * size + _FRAMING
        self._meter.piece = _BODY_PIECE

    async def close(self) -> None:
        """Close the socket; httpcore leaves it open when a TLS handshake is cancelled."""
        if self._stream is not None:
            await self._stream.aclose()


class _Meter:
    """How much may still come over one connection, and how much of it at once."""

    def __init__(self) -> None:
        self.left = MAX_HEAD
        self.piece = _HEAD_PIECE


class _MeteredStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, meter: _Meter) -> None:
        self._stream = stream
        self._meter = meter

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(min(max_bytes, self._meter.piece), timeout)
        self._meter.left -= len(data)
        if self._meter.left < 0:
            raise httpcore.RemoteProtocolError("too many bytes around the answer's body")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _MeteredStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._meter)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
