"""The guarded HTTP client: the only way from a tool to the network, and it ends where the policies say.

It answers the host operation "http.request". A request is asked for, its host resolved once, every
address checked, and the connection made to one of the checked addresses, so that a name cannot change
its meaning in between; TLS still verifies the name. Each redirect goes through the same gate again.
Every request has a connection of its own: nothing is kept, neither sockets nor cookies.

What it does not promise: a public server may relay to a private one, and a policy on a URL sees its
normal form, not what a server makes of it.

Import this module when the first request comes: it loads httpx.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeAlias

import httpcore
import httpx

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.addresses import Address, reach
from micro_agi_kernel.host.http_request import DEFAULT_LIMITS, HttpLimits, HttpRequest, Target, parse_request
from micro_agi_kernel.values import Value, shorten

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to the texts of its addresses; raises OSError when there are none."""

Allows: TypeAlias = Callable[[str, str], "Awaitable[bool] | bool"]
"""Action and resource to whether the policies allow it for the tool that asks."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_ATTEMPTS = 4
"""Addresses of one name that are tried: enough for two families, too few to scan with."""
_MAX_MEMBERS = 64
"""Gzip members in one body; each costs a copy of what follows it."""
_SMALL = 64
"""Bytes of a chunk that costs more to take apart than to carry."""
_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class GuardedHttp:
    """Sends requests for tools. One for the whole session; safe to use concurrently."""

    def __init__(
        self,
        *,
        resolver: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
        limits: HttpLimits = DEFAULT_LIMITS,
    ) -> None:
        self._resolver = resolver or self._resolve_by_system
        self._network = network or httpcore.AnyIOBackend()
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.concurrent)
        self._tls: ssl.SSLContext | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def request(self, payload: Value, allows: Allows) -> Value:
        """Send the request that `payload` describes and return the last answer.

        payload: {method, url, headers? = {name: text or list}, query? = {name: text, number, boolean or
        list}, body? = text or bytes, timeout? = seconds}.
        Returns {status_code, headers = {Name: text}, body = text, or bytes where it is not UTF-8, url}.

        `allows` is asked `http_client.request` on the URL, and `http_client.private_ip` on each address
        that is not public; for every redirect again. Raises Refused: INVALID (arguments, sizes, redirects),
        PERMISSION_DENIED, or INTERNAL as in the reference's table (name, connection, broken answer, time),
        which says whether to try again. Cancelling closes the connection.
        """
        request = parse_request(payload, self._limits)
        try:
            async with asyncio.timeout(request.seconds), self._slots:
                return await self._follow(request, allows)
        except TimeoutError as error:
            raise Refused(
                ErrorKind.INTERNAL,
                f"no complete answer from {request.target.origin} in {request.seconds:g} s",
                retryable=True,
            ) from error

    async def close(self) -> None:
        """Give back the threads that resolve names; harmless when repeated. Requests end with their tasks."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _follow(self, request: HttpRequest, allows: Allows) -> Value:
        for _ in range(self._limits.redirects + 1):
            if not await _ask(allows, "http_client.request", str(request.target)):
                raise _denied("http_client.request", str(request.target))
            addresses = await self._checked_addresses(request.target, allows)
            answer = await self._send(request, addresses)
            location = answer.header("location")
            if answer.status not in _REDIRECTS or location is None:
                return _as_value(answer, request.target)
            request = request.redirected(answer.status, location)
        raise Refused(ErrorKind.INVALID, f"stopped after {self._limits.redirects} redirects, before {request.target}")

    async def _checked_addresses(self, target: Target, allows: Allows) -> list[Address]:
        """The addresses of `target`, every one of them public or allowed: one that is not spoils all."""
        addresses = [target.address] if target.address is not None else await self._resolve(target)
        for address in addresses:
            where = str(address) if target.address is not None else f"{address}, the address of {target.host}"
            match reach(address):
                case "never":
                    raise Refused(
                        ErrorKind.PERMISSION_DENIED,
                        f"http_client never connects to {where}: it names no single machine, or hides another address",
                    )
                case "private":
                    if not await _ask(allows, "http_client.private_ip", str(address)):
                        raise _denied("http_client.private_ip", where)
        return addresses

    async def _resolve(self, target: Target) -> list[Address]:
        try:
            answers = await self._resolver(target.host, target.port)
            addresses = [ip_address(answer) for answer in dict.fromkeys(answers)]
        except (OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise _network_failure(f"cannot resolve the host {target.host}") from error
        if not addresses:
            raise _network_failure(f"cannot resolve the host {target.host}")
        return addresses

    async def _resolve_by_system(self, host: str, port: int) -> list[str]:
        # Threads of its own: names that hang would otherwise keep every asyncio.to_thread waiting.
        if self._threads is None:
            self._threads = ThreadPoolExecutor(8, thread_name_prefix="resolve")
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(answer[4][0]) for answer in found]

    async def _send(self, request: HttpRequest, addresses: list[Address]) -> _Answer:
        """One request over one new connection. Redirects come back as they are, without their body."""
        target = request.target
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        headers = [("host", target.authority.encode()), *request.headers, ("connection", b"close")]
        if target.scheme == "https" and self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        checked = _CheckedNetwork(self._network, addresses[:_MAX_ATTEMPTS], request.seconds)
        connection = httpcore.AsyncHTTPConnection(url.origin, ssl_context=self._tls, network_backend=checked)
        try:
            async with (
                connection,
                connection.stream(request.method, url, headers=_encoded(headers), content=request.body) as response,
            ):
                received = [(name.decode("latin-1"), _readable(value)) for name, value in response.headers]
                redirect = response.status in _REDIRECTS and any(name.lower() == "location" for name, _ in received)
                body = b"" if redirect else await self._read(response)
        except httpcore.LocalProtocolError as error:
            raise Refused(ErrorKind.INVALID, f"the request cannot be sent: {error}") from error
        except (httpcore.NetworkError, httpcore.RemoteProtocolError, httpcore.TimeoutException) as error:
            raise _failed(target, error) from error
        finally:
            await checked.close()
        return self._unpacked(_Answer(response.status, received, body))

    async def _read(self, response: httpcore.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_stream():
            # Ten thousand chunks of a byte may arrive at once; the kernel has other things to do as well.
            if len(chunk) < _SMALL:
                await asyncio.sleep(0)
            body += chunk
            if len(body) > self._limits.response_body:
                raise self._too_large()
        return bytes(body)

    def _unpacked(self, answer: _Answer) -> _Answer:
        """The answer without its gzip or deflate; an encoding that was not asked for stays as it is."""
        window = _WINDOW.get((answer.header("content-encoding") or "").strip().lower())
        if window is None or not answer.body:
            return answer
        try:
            body = _inflate(answer.body, window, self._limits.response_body)
        except zlib.error as error:
            raise _network_failure(f"the answer is broken: {error}") from error
        if len(body) > self._limits.response_body:
            raise self._too_large()
        described = ("content-encoding", "content-length")
        kept = [(name, value) for name, value in answer.headers if name.lower() not in described]
        return _Answer(answer.status, kept, body)

    def _too_large(self) -> Refused:
        return Refused(ErrorKind.INVALID, f"the answer's body is larger than {self._limits.response_body} bytes")


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever the host's name stands for by now."""

    def __init__(self, network: httpcore.AsyncNetworkBackend, addresses: list[Address], seconds: float) -> None:
        self._network = network
        self._addresses = addresses
        self._share = seconds / len(addresses)
        self._stream: httpcore.AsyncNetworkStream | None = None

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
                self._stream = await self._network.connect_tcp(str(address), port, self._share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return self._stream
        raise failure

    async def close(self) -> None:
        """Close the socket; httpcore leaves it open when a TLS handshake is cancelled."""
        if self._stream is not None:
            await self._stream.aclose()


async def _ask(allows: Allows, action: str, resource: str) -> bool:
    answer = allows(action, resource)
    return (await answer if inspect.isawaitable(answer) else answer) is True


def _inflate(packed: bytes, window: int, limit: int) -> bytes:
    """`packed` unpacked, at most limit + 1 bytes of it. Raises zlib.error when it is broken or cut short.

    "deflate" means zlib's format, but servers also send it bare; gzip may come in several members.
    """
    unpacker = zlib.decompressobj(window)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error:
        if window != zlib.MAX_WBITS:
            raise
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        body = unpacker.decompress(packed, limit + 1)
    members = 1
    while unpacker.eof and len(body) <= limit and unpacker.unused_data.startswith(b"\x1f\x8b"):
        members += 1
        if members > _MAX_MEMBERS:
            raise zlib.error(f"more than {_MAX_MEMBERS} gzip members")
        packed = unpacker.unused_data
        unpacker = zlib.decompressobj(window)
        body += unpacker.decompress(packed, limit + 1 - len(body))
    if not unpacker.eof and len(body) <= limit:
        raise zlib.error("it ends before its compressed body does")
    return body


def _as_value(answer: _Answer, target: Target) -> Value:
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        key = "-".join(part.capitalize() for part in name.split("-"))
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    try:
        body: Value = answer.body.decode()
    except UnicodeDecodeError:
        body = answer.body
    return {"status_code": answer.status, "headers": {**headers}, "body": body, "url": str(target)}


def _encoded(headers: Iterable[tuple[str, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.title().encode("ascii"), value) for name, value in headers]


def _readable(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _denied(action: str, resource: str) -> Refused:
    return Refused(ErrorKind.PERMISSION_DENIED, f"policy denied: {action} on {resource}")


def _network_failure(message: str, *, retryable: bool = True) -> Refused:
    return Refused(ErrorKind.INTERNAL, message, retryable=retryable)


def _failed(target: Target, error: Exception) -> Refused:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = re.sub(r"\s+", " ", str(cause)).strip() or type(cause).__name__
    untrusted = isinstance(cause, ssl.SSLCertVerificationError)
    return _network_failure(f"no answer from {target.origin}: {shorten(reason, 200)}", retryable=not untrusted)
