"""What a hostile server can do to a request: waste its own time."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
import zlib
from collections.abc import Sequence
from typing import Any

import httpcore
import pytest
from hostile_server import HostileServer, Peer, drip, redirect, response
from http_kit import Names, Network, fetch, refusal

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.request import HttpLimits


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"plain", mtime=0)),
        ("X-GZIP", gzip.compress(b"pl", mtime=0) + gzip.compress(b"ain", mtime=0)),
        ("deflate", zlib.compress(b"plain")),
        ("deflate", zlib.compress(b"plain", wbits=-zlib.MAX_WBITS)),
        ("identity", b"plain"),
    ],
)
async def test_packed_answers_are_unpacked(server: HostileServer, encoding: str, packed: bytes) -> None:
    server.routes["/"] = response(packed, content_encoding=encoding)
    answer = await fetch(server.url("/"))
    assert answer["body"] == "plain"
    assert ("Content-Encoding" in answer["headers"]) == (encoding == "identity")


async def test_an_encoding_that_was_not_asked_for_stays(server: HostileServer) -> None:
    server.routes["/"] = response(b"\x0b\x02\x80plain\x03", content_encoding="br")
    answer = await fetch(server.url("/"))
    assert (answer["body"], answer["headers"]["Content-Encoding"]) == (b"\x0b\x02\x80plain\x03", "br")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_does_not_go_off(server: HostileServer, encoding: str) -> None:
    pack = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(64)) + pack.flush()
    server.routes["/"] = response(bomb, content_encoding=encoding)
    tracemalloc.start()
    try:
        refused = await refusal(server.url("/"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    assert (refused.kind, str(refused)) == (
        ErrorKind.INVALID,
        "the answer's body is larger than 4194304 bytes: ask for less, or read it with stream = true",
    )


@pytest.mark.parametrize(
    "packed",
    [b"no gzip at all", gzip.compress(b"x" * 999)[:-9], b"\x1f\x8b", gzip.compress(b"", mtime=0) * 500],
    ids=["other", "cut", "begun", "members"],
)
async def test_broken_gzip_is_an_error(server: HostileServer, packed: bytes) -> None:
    server.routes["/"] = response(packed, content_encoding="gzip")
    refused = await refusal(server.url("/"))
    assert refused.kind is ErrorKind.INTERNAL
    assert "broken" in str(refused)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_without_end_is_cut_off(server: HostileServer, announced: bool) -> None:
    async def flood(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 9000000000\r\n\r\n" if announced else b"\r\n"))
        while True:
            await peer.send(bytes(1 << 16))

    server.routes["/"] = flood
    refused = await refusal(server.url("/"))
    assert "larger than 4194304 bytes" in str(refused)
    await server.quiet.wait()


async def test_a_body_at_the_limit_passes(server: HostileServer) -> None:
    http = GuardedHttp(resolver=Names(), limits=HttpLimits(response_body=1000))
    server.routes.update({"/at": response(b"x" * 1000), "/above": response(b"x" * 1001)})
    server.routes["/packed"] = response(gzip.compress(b"x" * 1001), content_encoding="gzip")
    assert len((await fetch(server.url("/at"), http=http))["body"]) == 1000
    for path in ("/above", "/packed"):
        assert "larger than 1000 bytes" in str(await refusal(server.url(path), http=http))


async def test_a_body_in_crumbs_leaves_time_for_others(server: HostileServer) -> None:
    async def crumbs(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.send(b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n")

    server.routes["/"] = crumbs
    turns = 0
    fetching = asyncio.create_task(fetch(server.url("/")))
    while not fetching.done():
        turns += 1
        await asyncio.sleep(0)
    assert fetching.result()["body"] == "x" * 5_000
    assert turns > 5_000


async def test_a_drip_is_cut_off_by_the_total_time(server: HostileServer) -> None:
    server.routes["/"] = drip(b"HTTP/1.1 200 OK\r\n\r\n")
    refused = await refusal(server.url("/"), timeout=0.2)
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)
    assert str(refused) == f"no complete answer from http://127.0.0.1:{server.port} in 0.2 s"
    await server.quiet.wait()


async def test_the_total_time_holds_over_redirects_too(server: HostileServer) -> None:
    async def slow(peer: Peer) -> None:
        await asyncio.sleep(0.1)
        await peer.send(redirect("/"))

    server.routes["/"] = slow
    assert (await refusal(server.url("/"), timeout=0.25)).kind is ErrorKind.INTERNAL


async def test_a_name_that_never_resolves_times_out() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    refused = await refusal("http://example.com/", http=GuardedHttp(resolver=never), timeout=0.05)
    assert refused.kind is ErrorKind.INTERNAL


@pytest.mark.parametrize("line", [b"X-Filler: " + b"y" * 1000 + b"\r\n", b"y" * 1000], ids=["many", "one"])
async def test_endless_headers_are_cut_off(server: HostileServer, line: bytes) -> None:
    async def headers(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(line * 50)

    server.routes["/"] = headers
    assert (await refusal(server.url("/"))).kind is ErrorKind.INTERNAL
    await server.quiet.wait()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
)
async def test_a_broken_answer_is_an_error(server: HostileServer, raw: bytes) -> None:
    server.routes["/"] = raw
    refused = await refusal(server.url("/"))
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)
    assert str(refused).startswith(f"no answer from http://127.0.0.1:{server.port}: ")


async def test_bytes_beyond_the_announced_body_are_left_out(server: HostileServer) -> None:
    server.routes["/"] = response(b"right", content_length="5") + b"HTTP/1.1 200 OK\r\n\r\nsmuggled"
    assert (await fetch(server.url("/")))["body"] == "right"


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = await refusal(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)


async def test_cancelling_closes_the_connection(server: HostileServer) -> None:
    server.routes["/"] = lambda peer: peer.gone()
    task = asyncio.create_task(fetch(server.url("/")))
    await server.busy.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.quiet.wait()


async def test_a_request_waits_for_its_turn(server: HostileServer) -> None:
    most = 0

    async def counted(peer: Peer) -> None:
        nonlocal most
        most = max(most, server.open)
        await asyncio.sleep(0.01)
        await peer.send(response())

    server.routes["/"] = counted
    http = GuardedHttp(resolver=Names(), limits=HttpLimits(concurrent=3))
    await asyncio.gather(*(fetch(server.url("/"), http=http) for _ in range(9)))
    assert (len(server.requests), most) == (9, 3)


class Recorder(Network):
    """Leads to the server, and counts the bytes that came from it, and the most that came at once."""

    def __init__(self, server: HostileServer) -> None:
        super().__init__(server)
        self.bytes = self.most = 0

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(*args, **options)
        read = stream.read

        async def counted(*args: Any) -> bytes:
            data = await read(*args)
            self.bytes += len(data)
            self.most = max(self.most, len(data))
            return data

        stream.read = counted  # type: ignore[method-assign]
        return stream


ENDLESS = {
    "informational": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "blank lines": (b"", b"\r\n"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "chunk extensions": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"e" * 8_000 + b"\r\nx\r\n"),
    "one extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"e" * 1_000),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "gzip of nothing": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff",
        b"\0\0\0\xff\xff" * 1_000,  # stored blocks of no bytes
    ),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_an_endless_answer_is_cut_off_after_few_bytes(server: HostileServer, kind: str) -> None:
    begin, more = ENDLESS[kind]

    async def flood(peer: Peer) -> None:
        await peer.send(begin)
        while True:
            await peer.send(more * (1 + 4_000 // len(more)))

    server.routes["/"] = flood
    network = Recorder(server)
    http = GuardedHttp(resolver=Names(), network=network, limits=HttpLimits(response_body=100_000))
    refused = await refusal(server.url("/"), http=http)
    assert refused.kind is ErrorKind.INTERNAL
    assert network.bytes < 3 * 100_000 + 70_000
    await server.quiet.wait()


async def test_a_flood_of_heads_comes_in_small_pieces(server: HostileServer) -> None:
    server.routes["/"] = b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000 + response(b"at last")
    network = Recorder(server)
    http = GuardedHttp(resolver=Names(), network=network)
    assert (await fetch(server.url("/"), http=http))["body"] == "at last"
    assert network.most <= 4_096
    server.routes["/"] = b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000 + response(b"too late")
    assert "too many bytes" in str(await refusal(server.url("/"), http=http))


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
async def test_a_drip_is_cut_off_wherever_it_drips(server: HostileServer, begin: bytes) -> None:
    server.routes["/"] = drip(begin)
    refused = await refusal(server.url("/"), timeout=0.2)
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)
    await server.quiet.wait()


async def test_a_bomb_in_a_bomb_is_unpacked_once(server: HostileServer) -> None:
    inner = gzip.compress(bytes(1 << 20))
    server.routes["/"] = response(gzip.compress(inner), content_encoding="gzip")
    assert (await fetch(server.url("/")))["body"] == inner
    server.routes["/"] = response(gzip.compress(inner), content_encoding="gzip, gzip")
    answer = await fetch(server.url("/"))
    assert answer["headers"]["Content-Encoding"] == "gzip, gzip" and answer["body"] == gzip.compress(inner)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
async def test_packed_answers_may_come_in_crumbs(server: HostileServer, encoding: str) -> None:
    wbits = {"gzip": 31, "deflate": 15, "raw": -15}[encoding]
    packed = zlib.compress(b"plain" * 100, wbits=wbits) * (2 if encoding == "gzip" else 1)

    async def crumbs(peer: Peer) -> None:
        name = "gzip" if encoding == "gzip" else "deflate"
        await peer.send(f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\n\r\n".encode())
        for byte in packed:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)

    server.routes["/"] = crumbs
    assert (await fetch(server.url("/")))["body"] == "plain" * (200 if encoding == "gzip" else 100)
