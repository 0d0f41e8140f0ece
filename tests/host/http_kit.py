"""What the tests of http_client share: a network, names and policies that record what they were asked."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpcore
import pytest
from hostile_server import HostileServer

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http_client import HttpService
from micro_agi_kernel.host.service import Grant, Host
from micro_agi_kernel.interfaces import CallContext

LOOPBACK = "127.0.0.1"

PUBLIC = "93.184.215.14"
"""Some public address. Nothing here ever connects to it: `Network` leads every connection to loopback."""


class Network(httpcore.AsyncNetworkBackend):
    """Records which addresses are asked for, and leads to a server on loopback instead, if there is one."""

    def __init__(self, server: HostileServer | None = None, broken: Iterable[str] = ()) -> None:
        self.asked: list[str] = []
        self._server = server
        self._broken = set(broken)

    async def connect_tcp(self, host: str, port: int, *rest: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        if self._server is None or host in self._broken:
            raise httpcore.ConnectError("nobody there")
        return await httpcore.AnyIOBackend().connect_tcp(LOOPBACK, self._server.port)

    async def connect_unix_socket(self, path: str, *rest: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self.asked.append(path)
        return await httpcore.AnyIOBackend().connect_unix_socket(path)


class Names:
    """A resolver that knows a few names; each may have a list of answers to give one after the other."""

    def __init__(self, **answers: list[str]) -> None:
        self.asked: list[str] = []
        self._answers = {name.replace("_", "."): answers for name, answers in answers.items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        known = self._answers.get(host)
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return (known.pop(0) if len(known) > 1 else known[0]).split()


class Policies:
    """Allows every request, and of what only a policy opens just the resources that are named."""

    def __init__(self, *opened: str, denied: Callable[[str], bool] = lambda url: False) -> None:
        self.asked: list[tuple[str, str]] = []
        self._opened = opened
        self._denied = denied

    async def __call__(self, action: str, resource: str, method: str = "") -> None:
        self.check(action, resource)

    def check(self, action: str, resource: str) -> None:
        self.asked.append((action, resource))
        if self._denied(resource) if action == "http_client.request" else resource not in self._opened:
            raise Refused(ErrorKind.PERMISSION_DENIED, f"policy denied: {action} on {resource}", retryable=False)


async def fetch(url: str, method: str = "GET", *, http: GuardedHttp | None = None, **options: Any) -> dict[str, Any]:
    """The answer of a request that the policies allow, to loopback too."""
    request = {"method": method, "url": url, **options}
    return await (http or GuardedHttp(resolver=Names())).request(request, Policies(LOOPBACK))


async def refusal(url: str, *, http: GuardedHttp | None = None, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await fetch(url, http=http, **options)
    return caught.value


@asynccontextmanager
async def service_call(http: GuardedHttp, *opened: str) -> AsyncIterator[Any]:
    """The host as one call of a tool reaches it, whose policies open the resources `opened`."""
    policies = Policies(*opened)

    def check(tool: Entry, action: str, resource: str, method: str) -> None:
        policies.check(action, resource)

    service = HttpService(check)
    service._client = http
    entry = Entry(EntryId("app.generated", "fetch"), "function.lua")
    async with Host([service]).for_call(Grant(entry, frozenset({"http_client"}), CallContext())) as host:
        yield host
    assert not service._calls, "what belongs to a call ends with it"
