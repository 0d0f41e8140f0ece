"""Bodies read piece by piece: in order, within their bounds, and closed with the call however it ends."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress
from typing import Any

import pytest
from hostile_server import HostileServer, Peer, drip, response
from http_kit import LOOPBACK, Names, service_call

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.request import HttpLimits

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def client(**limits: Any) -> GuardedHttp:
    return GuardedHttp(resolver=Names(), limits=HttpLimits(**limits))


async def opened(host: Any, url: str, **options: Any) -> Any:
    return await host.request("http.open", {"method": "GET", "url": url, **options})


async def read_all(host: Any, stream: int, **size: int) -> bytes:
    found = b""
    while data := await host.request("http.read", {"stream": stream, **size}):
        found += data
    return found


async def test_a_stream_gives_its_body_in_pieces(server: HostileServer) -> None:
    server.routes["/"] = response(bytes(range(256)) * 1_000, set_cookie="a=b")
    async with service_call(client(), LOOPBACK) as host:
        answer = await opened(host, server.url("/"))
        assert answer == {
            "status_code": 200,
            "headers": {"Content-Length": "256000", "Set-Cookie": "a=b"},
            "cookies": {"a": "b"},
            "url": server.url("/"),
            "stream": 1,
            "size": 256_000,
        }
        first = await host.request("http.read", {"stream": 1, "size": 10})
        assert first == bytes(range(10))
        assert first + await read_all(host, 1, size=100_000) == bytes(range(256)) * 1_000
        with pytest.raises(Refused, match="the stream is closed") as caught:
            await host.request("http.read", {"stream": 1})
        assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INTERNAL, False)


async def test_a_read_takes_what_is_there_and_waits_for_no_more(server: HostileServer) -> None:
    go_on = asyncio.Event()

    async def in_two_parts(peer: Peer) -> None:
        await peer.send(CHUNKED + b"2\r\nab\r\n1\r\nc\r\n")
        await go_on.wait()
        await peer.send(b"1\r\nd\r\n0\r\n\r\n")

    server.routes["/"] = in_two_parts
    async with service_call(client(), LOOPBACK) as host:
        answer = await opened(host, server.url("/"))
        assert answer["size"] == -1
        found = b""
        while len(found) < 3:
            found += await host.request("http.read", {"stream": 1, "size": 100})
        assert found == b"abc"
        go_on.set()
        assert await read_all(host, 1) == b"d"


async def test_a_read_takes_along_what_comes_soon(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(peer: Peer) -> None:
        await peer.send(CHUNKED)
        for _ in range(10):
            await peer.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.005)
        await peer.gone()

    monkeypatch.setattr("micro_agi_kernel.host.http.stream._GATHER", 20.0)
    server.routes["/"] = slowly
    async with service_call(client(), LOOPBACK) as host:
        await opened(host, server.url("/"))
        assert await host.request("http.read", {"stream": 1, "size": 10}) == b"x" * 10


async def test_crumbs_cost_few_reads(server: HostileServer) -> None:
    server.routes["/"] = CHUNKED + b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n"
    async with service_call(client(), LOOPBACK) as host:
        await opened(host, server.url("/"))
        reads, found = 0, b""
        while data := await host.request("http.read", {"stream": 1}):
            reads, found = reads + 1, found + data
    assert found == b"x" * 5_000
    assert reads < 500


async def test_reads_at_the_same_time_lose_nothing(server: HostileServer) -> None:
    server.routes["/"] = response(b"".join(b"%06d" % n for n in range(2_000)))
    async with service_call(client(), LOOPBACK) as host:
        await opened(host, server.url("/"))
        reads = [host.request("http.read", {"stream": 1, "size": 600}) for _ in range(20)]
        parts = await asyncio.gather(*reads)
        assert b"".join(parts) + await read_all(host, 1) == b"".join(b"%06d" % n for n in range(2_000))


async def test_a_packed_body_is_unpacked_on_the_way(server: HostileServer) -> None:
    server.routes["/"] = response(gzip.compress(b"plain" * 50_000), content_encoding="gzip")
    async with service_call(client(), LOOPBACK) as host:
        answer = await opened(host, server.url("/"))
        assert (answer["size"], answer["headers"]) == (-1, {})
        assert await read_all(host, 1) == b"plain" * 50_000


@pytest.mark.parametrize("limits", [{"stream_body": 1_000}, {}])
async def test_a_stream_has_a_bound(server: HostileServer, limits: dict[str, int]) -> None:
    server.routes["/"] = response(gzip.compress(bytes(1 << 20)), content_encoding="gzip")
    async with service_call(client(**limits), LOOPBACK) as host:
        await opened(host, server.url("/"), **({} if limits else {"max_response_body": 1_000}))
        for _ in range(2):  # and it does not look like an end afterwards
            with pytest.raises(Refused, match="larger than 1000 bytes"):
                await read_all(host, 1)


async def test_all_streams_of_a_call_have_one_together(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micro_agi_kernel.host.http.call.MAX_STREAMED", 1_500)
    server.routes["/"] = response(bytes(1_000))
    async with service_call(client(), LOOPBACK) as host:
        for _ in range(2):
            await opened(host, server.url("/"))
        assert len(await read_all(host, 1)) == 1_000
        for refused in (read_all(host, 2), opened(host, server.url("/"))):
            with pytest.raises(Refused, match="the streams of one call give at most 1500 bytes"):
                await refused


async def test_a_body_that_breaks_off_is_an_error_after_what_came(server: HostileServer) -> None:
    server.routes["/"] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"
    async with service_call(client(), LOOPBACK) as host:
        await opened(host, server.url("/"))
        assert await host.request("http.read", {"stream": 1}) == b"short"
        for _ in range(2):
            with pytest.raises(Refused, match="no answer from") as caught:
                await host.request("http.read", {"stream": 1})
            assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INTERNAL, True)


async def test_the_time_of_a_stream_is_counted_from_its_beginning(server: HostileServer) -> None:
    server.routes["/"] = drip(b"HTTP/1.1 200 OK\r\n\r\n")
    async with service_call(client(), LOOPBACK) as host:
        await opened(host, server.url("/"), timeout=0.3)
        with pytest.raises(Refused, match=r"no complete answer from .* in 0\.3 s"):
            await read_all(host, 1)
        await server.quiet.wait()


async def test_a_call_has_few_streams_at_once(server: HostileServer) -> None:
    server.routes["/"] = lambda peer: waiting(peer)
    async with service_call(client(concurrent=1), LOOPBACK) as host:
        asked = [opened(host, server.url("/")) for _ in range(12)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Refused)]
        assert len(refused) == 4
        assert all("8 streams open: close one first" in str(refusal) for refusal in refused)
        assert server.open == 8
        for _ in range(2):
            await host.request("http.close", {"stream": 1})
        await opened(host, server.url("/"))
    await server.quiet.wait()


async def waiting(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\nx")
    await peer.gone()


@pytest.mark.parametrize("end", ["value", "error", "cancelled"])
async def test_what_a_call_left_open_is_closed_at_its_end(server: HostileServer, end: str) -> None:
    server.routes["/"] = waiting

    async def call() -> None:
        async with service_call(client(), LOOPBACK) as host:
            for number in (1, 2, 3):
                await opened(host, server.url("/"))
                assert await host.request("http.read", {"stream": number}) == b"x"
            assert server.open == 3
            if end == "error":
                raise KeyError("a bug")
            if end == "cancelled":
                asyncio.current_task().cancel()  # type: ignore[union-attr]
                await asyncio.sleep(1)

    with suppress(KeyError, asyncio.CancelledError):
        await asyncio.create_task(call())
    await server.quiet.wait()


async def test_a_read_under_way_ends_with_its_stream(server: HostileServer) -> None:
    server.routes["/"] = waiting
    async with service_call(client(), LOOPBACK) as host:
        await opened(host, server.url("/"))
        assert await host.request("http.read", {"stream": 1}) == b"x"
        reading = asyncio.create_task(host.request("http.read", {"stream": 1}))
        await asyncio.sleep(0)
        await host.request("http.close", {"stream": 1})
        await server.quiet.wait()
        with pytest.raises(Refused, match="the stream is closed"):
            await reading


async def test_opening_that_is_cancelled_leaves_nothing(server: HostileServer) -> None:
    server.routes["/"] = lambda peer: peer.gone()
    async with service_call(client(), LOOPBACK) as host:
        for _ in range(10):  # were one counted as open for ever, the ninth would be refused
            server.busy.clear()
            opening = asyncio.create_task(opened(host, server.url("/")))
            await server.busy.wait()
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await server.quiet.wait()


async def test_streams_belong_to_their_call(server: HostileServer) -> None:
    server.routes["/"] = waiting
    async with service_call(client(), LOOPBACK) as one, service_call(client(), LOOPBACK) as other:
        await opened(one, server.url("/"))
        for op in ("http.read", "http.close"):
            with suppress(Refused):
                await other.request(op, {"stream": 1})
        assert await one.request("http.read", {"stream": 1}) == b"x"
