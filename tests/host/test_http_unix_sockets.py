"""Unix sockets: closed unless a policy names the path, and left behind when a redirect leads away."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator

import pytest
from hostile_server import HostileServer, redirect, response
from http_kit import Names, Network, Policies

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.values import Value


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder whose name is short: a path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        yield os.path.realpath(folder)


@pytest.fixture
async def daemon(folder: str) -> AsyncIterator[tuple[str, HostileServer]]:
    """The path of a socket, and the server behind it."""
    server = HostileServer(0)
    server.routes["/info"] = response(b"daemon")
    async with await asyncio.start_unix_server(server.answer, f"{folder}/daemon.sock"):
        yield f"{folder}/daemon.sock", server


def asking(path: str, url: str = "http://daemon/info") -> dict[str, Value]:
    return {"method": "GET", "url": url, "unix_socket": path}


async def test_a_socket_needs_a_policy(daemon: tuple[str, HostileServer]) -> None:
    path, server = daemon
    network, policies = Network(), Policies("/run/other.sock", "http://daemon/info")
    with pytest.raises(Refused) as caught:
        await GuardedHttp(resolver=Names(), network=network).request(asking(path), policies)
    assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    assert str(caught.value) == f"policy denied: http_client.unix_socket on {path}"
    assert (network.asked, server.requests) == ([], [])


async def test_a_policy_opens_it_and_no_name_is_resolved(daemon: tuple[str, HostileServer]) -> None:
    path, server = daemon
    names, network, policies = Names(), Network(), Policies(path)
    answer = await GuardedHttp(resolver=names, network=network).request(asking(path), policies)
    assert (answer["body"], answer["url"]) == ("daemon", "http://daemon/info")
    assert server.requests[0].headers["host"] == "daemon"
    assert (names.asked, network.asked) == ([], [path])
    assert policies.asked == [
        ("http_client.request", "http://daemon/info"),
        ("http_client.unix_socket", path),
    ]


async def test_a_policy_on_the_url_still_counts(daemon: tuple[str, HostileServer]) -> None:
    path, server = daemon
    policies = Policies(path, denied=lambda url: url.endswith("/info"))
    with pytest.raises(Refused, match=r"policy denied: http_client\.request on http://daemon/info"):
        await GuardedHttp(resolver=Names()).request(asking(path), policies)
    assert server.requests == []


async def test_a_redirect_elsewhere_leaves_the_socket(daemon: tuple[str, HostileServer]) -> None:
    path, server = daemon
    network, policies = Network(), Policies(path)
    http = GuardedHttp(resolver=Names(), network=network)
    server.routes["/"] = redirect("/info")
    assert (await http.request(asking(path, "http://daemon/"), policies))["body"] == "daemon"
    server.routes["/"] = redirect("http://127.0.0.1/info")
    with pytest.raises(Refused, match=r"policy denied: http_client\.private_ip on 127\.0\.0\.1"):
        await http.request(asking(path, "http://daemon/"), policies)
    assert network.asked == [path] * 3


async def test_nobody_listens_there(folder: str) -> None:
    open(f"{folder}/file", "x").close()  # noqa: ASYNC230
    for path in (f"{folder}/absent", f"{folder}/file"):
        with pytest.raises(Refused) as caught:
            await GuardedHttp(resolver=Names()).request(asking(path), Policies(path))
        assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INTERNAL, True)
