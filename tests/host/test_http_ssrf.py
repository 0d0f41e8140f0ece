"""The list of URLs that lead to private places: refused in every way to ask for them, and nothing is connected."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from conformance_kit import vectors
from hostile_server import HostileServer, redirect
from http_kit import PUBLIC, Network, Policies, service_call

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.values import Value


def urls() -> list[str]:
    found = [case["url"] for case in vectors("ssrf_urls.jsonl")]
    assert len(found) == 228
    return found


class Resolver:
    """Knows one public name; gives `answer` for all others. What the C library takes for an address never gets here."""

    def __init__(self, answer: str) -> None:
        self.asked: set[str] = set()
        self._answer = answer

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if host == "start.example":
            return [PUBLIC]
        assert re.fullmatch(r"[a-z0-9_.-]+", host), f"{host!r} is no name"
        with pytest.raises(OSError):
            socket.inet_aton(host)
        self.asked.add(host)
        return [self._answer] if self._answer else []


Ask = Callable[[GuardedHttp, dict[str, Value]], Awaitable[Any]]

WAYS: dict[str, Ask] = {
    "request": lambda http, request: http.request(request, Policies()),
    "open": lambda http, request: http.open(request, Policies(), 1 << 20),
}


@pytest.mark.parametrize("answer", ["169.254.169.254", ""], ids=["names-mean-metadata", "names-unknown"])
@pytest.mark.parametrize("way", WAYS)
async def test_when_a_tool_asks_for_them(way: str, answer: str) -> None:
    network, resolver = Network(), Resolver(answer)
    http = GuardedHttp(resolver=resolver, network=network)
    kinds: dict[str, ErrorKind] = {}
    for url in urls():
        with pytest.raises(Refused) as caught:
            await WAYS[way](http, {"method": "GET", "url": url})
        kinds[url] = caught.value.kind
    assert network.asked == []
    assert {"localhost", "metadata.google.internal", "instance-data", "169.254.169.254.nip.io"} <= resolver.asked
    assert kinds["http://169.254.169.254/latest/meta-data/"] is ErrorKind.PERMISSION_DENIED
    assert kinds["http://localhost"] is (ErrorKind.PERMISSION_DENIED if answer else ErrorKind.INTERNAL)
    assert kinds["file:///etc/passwd"] is ErrorKind.INVALID


@pytest.mark.parametrize("way", WAYS)
async def test_when_a_server_redirects_to_them(way: str, server: HostileServer) -> None:
    network, resolver = Network(server), Resolver("169.254.169.254")
    http = GuardedHttp(resolver=resolver, network=network)
    server.routes["/127.0.0.1/"] = redirect("http://localhost/")  # http:/127.0.0.1/ is a path, as in a browser
    for url in urls():
        server.routes["/"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + url.encode() + b"\r\n\r\n"
        with pytest.raises(Refused):
            await WAYS[way](http, {"method": "GET", "url": "http://start.example/"})
    assert set(network.asked) == {PUBLIC}
    assert "metadata.google.internal" in resolver.asked


async def test_when_a_batch_asks_for_them() -> None:
    network, resolver = Network(), Resolver("169.254.169.254")
    async with service_call(GuardedHttp(resolver=resolver, network=network)) as host:
        for start in range(0, 228, 16):
            asked: list[Value] = [{"method": "GET", "url": url} for url in urls()[start : start + 16]]
            answers = await host.request("http.batch", {"requests": asked})
            assert all(set(answer) == {"error"} for answer in answers)
    assert network.asked == []
    assert "metadata.google.internal" in resolver.asked
