"""The guarded HTTP client: the only way from a tool to the network, and it ends where the policies say.

A request is asked for, its host resolved once, every address checked, and the connection made to one of the
checked addresses, so that a name cannot change its meaning in between; TLS still verifies the name. Each
redirect goes through the same gate again. Every request has a connection of its own: nothing is kept, neither
sockets nor cookies.

What it does not promise: a public server may relay to a private one, and a policy on a URL sees its
normal form, not what a server makes of it.

Import this module when the first request comes: it loads httpx.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Protocol, TypeAlias

import httpcore

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.arguments import invalid
from micro_agi_kernel.host.http.addresses import Address, reach
from micro_agi_kernel.host.http.answer import body_value
from micro_agi_kernel.host.http.exchange import Answer, exchange
from micro_agi_kernel.host.http.failures import network_failure, too_late
from micro_agi_kernel.host.http.network import CheckedNetwork
from micro_agi_kernel.host.http.request import DEFAULT_LIMITS, HttpLimits, HttpRequest, parse_request
from micro_agi_kernel.host.http.stream import HttpStream
from micro_agi_kernel.host.http.threads import Threads
from micro_agi_kernel.host.http.url import Target
from micro_agi_kernel.values import Value

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to the texts of its addresses; raises OSError when there are none."""

_MAX_LOOKUPS = 32
"""Look-ups of names under way at once. One that hangs outlives its request: only the system can end it."""


class Allows(Protocol):
    """Asks the policies whether the tool may do an action on a resource; raises Refused unless it may.

    `method` is what the request that it may send does there, see `HttpRequest.does`.
    """

    def __call__(self, action: str, resource: str, method: str = "") -> Awaitable[None]: ...


class GuardedHttp:
    """Sends requests for tools. One for the whole session; safe to use concurrently."""

    def __init__(
        self,
        *,
        resolver: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
        limits: HttpLimits = DEFAULT_LIMITS,
    ) -> None:
        self._resolver = resolver
        self._network = network or httpcore.AnyIOBackend()
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.concurrent)
        self._tls: ssl.SSLContext | None = None
        self._lookups = Threads("http look-up", _MAX_LOOKUPS)
        self._work = Threads("http request", 1)  # one: several would keep the event loop from its turn

    async def request(
        self, payload: Mapping[str, Value], allows: Allows, lookups: asyncio.Semaphore | None = None
    ) -> dict[str, Value]:
        """Send the request that `payload` describes and return the last answer.

        payload: {method, url, headers?, query?, form?, cookies? = {name: text, number, boolean or list}, body? =
        text or bytes, files? = [{name, content, filename?, content_type?}], auth? = {user, pass?}, timeout? =
        seconds, max_response_body? = bytes, redirects? = count, tls? = {cert?, key?, ca?, server_name?,
        insecure_skip_verify?}, unix_socket? = path}.
        Returns {status_code, headers = {Name: text}, cookies = {name: text}, body = text, or bytes where it is
        not UTF-8, url}.

        `allows` is asked `http_client.request` on the URL, `http_client.private_ip` on each address that is not
        public, and where the request wants them `http_client.insecure_tls` on the URL and
        `http_client.unix_socket` on the path; for every redirect again. Raises Refused: INVALID (arguments,
        sizes, redirects), PERMISSION_DENIED, or INTERNAL as in the reference's table (name, connection, broken
        answer, time), which says whether to try again. Cancelling closes the connection.

        `lookups` are the caller's turns for names: requests that share them leave the others theirs.
        """
        request = await self._work.run(partial(parse_request, payload, self._limits))
        limit, advice = self._limits.response_body, "ask for less, or read it with stream = true"
        async with (
            _network_time(request) as clock,
            self._last_answer(request, allows, lookups, clock, limit, advice) as answer,
        ):
            body = await answer.read_all()
        return {**answer.head.as_value(str(answer.request.target)), "body": body_value(body)}

    async def open(
        self, payload: Mapping[str, Value], allows: Allows, most: int, lookups: asyncio.Semaphore | None = None
    ) -> HttpStream:
        """The same, but the body is still to be read: at most `most` bytes, and in what is left of the time."""
        request = await self._work.run(partial(parse_request, payload, self._limits))
        limit = min(most, self._limits.stream_body)
        async with (
            _network_time(request) as clock,
            self._last_answer(request, allows, lookups, clock, limit, "ask for less") as answer,
        ):
            return HttpStream(answer, deadline=clock.when() or 0.0)

    @contextlib.asynccontextmanager
    async def _last_answer(
        self,
        request: HttpRequest,
        allows: Allows,
        lookups: asyncio.Semaphore | None,
        clock: asyncio.Timeout,
        limit: int,
        advice: str,
    ) -> AsyncIterator[Answer]:
        """The answer at the end of the redirects; inside the block the request has its turn on the network."""
        if request.max_body is not None:
            limit = min(limit, request.max_body)
        for _ in range(request.redirects + 1):
            with _stopped(clock):
                await _require(request, allows)
            addresses: list[Address] = []
            if not request.unix_socket:
                addresses = await self._addresses(request.target, lookups)
                await _require_addresses(request.target, addresses, allows, clock)
            tls = await self._tls_context(request)
            async with self._slot(clock):
                network = CheckedNetwork(self._network, addresses, request.seconds)
                answer = await exchange(request, network, tls, limit, advice)
                location = answer.head.location() if request.redirects else None
                if location is None:
                    yield answer
                    return
                await answer.aclose()
            request = request.redirected(answer.head.status, location)
        raise invalid(f"stopped after {request.redirects} redirects, before {request.target}")

    @contextlib.asynccontextmanager
    async def _slot(self, clock: asyncio.Timeout) -> AsyncIterator[None]:
        """A turn on the network. An open stream has none: it costs a socket and the piece that is read."""
        with _stopped(clock):
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def _addresses(self, target: Target, lookups: asyncio.Semaphore | None) -> list[Address]:
        if target.address is not None:
            return [target.address]
        try:
            if self._resolver is not None:
                answers = await self._resolver(target.host, target.port)
            else:
                turns = () if lookups is None else (lookups,)
                answers = await self._lookups.run(partial(_resolve_by_system, target.host, target.port), *turns)
            addresses = [ip_address(answer) for answer in dict.fromkeys(answers)]
        except (OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise network_failure(f"cannot resolve the host {target.host}") from error
        if not addresses:
            raise network_failure(f"cannot resolve the host {target.host}")
        return addresses

    async def _tls_context(self, request: HttpRequest) -> ssl.SSLContext | None:
        """What TLS needs; made in a thread, since that reads files, and kept when the request says nothing of it."""
        if request.target.scheme != "https":
            return None
        if request.tls.usual:
            self._tls = self._tls or await self._work.run(request.tls.context)
            return self._tls
        return await self._work.run(request.tls.context)


@contextlib.asynccontextmanager
async def _network_time(request: HttpRequest) -> AsyncIterator[asyncio.Timeout]:
    """The time that `request` has on the network. Raises Refused when it is over."""
    try:
        async with asyncio.timeout(request.seconds) as clock:
            yield clock
    except TimeoutError as error:
        raise too_late(request.target.origin, request.seconds) from error


@contextlib.contextmanager
def _stopped(clock: asyncio.Timeout) -> Iterator[None]:
    """The clock stands still for what is not the network's doing: reading the policies, waiting for a turn."""
    now = asyncio.get_running_loop().time
    left = (clock.when() or 0.0) - now()
    clock.reschedule(None)
    try:
        yield
    finally:
        clock.reschedule(now() + left)


def _resolve_by_system(host: str, port: int) -> list[str]:
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _require_addresses(target: Target, addresses: list[Address], allows: Allows, clock: asyncio.Timeout) -> None:
    """Every address of `target` must be public or allowed: one that is not spoils all."""
    for address in addresses:
        whose = "" if target.address is not None else f"; {address} is the address of {target.host}"
        match reach(address):
            case "never":
                why = f"http_client never connects to {address}: it names no single machine, or hides another address"
                raise Refused(ErrorKind.PERMISSION_DENIED, f"{why}{whose}", retryable=False)
            case "private":
                try:
                    with _stopped(clock):
                        await allows("http_client.private_ip", str(address))
                except Refused as refused:
                    raise Refused(refused.kind, f"{refused}{whose}", retryable=refused.retryable) from refused


async def _require(request: HttpRequest, allows: Allows) -> None:
    """Ask for all that can be asked before the name is resolved."""
    url = str(request.target)
    await allows("http_client.request", url, request.does)
    if request.unix_socket:
        await allows("http_client.unix_socket", request.unix_socket)
    if request.tls.insecure and request.target.scheme == "https":
        await allows("http_client.insecure_tls", url)
