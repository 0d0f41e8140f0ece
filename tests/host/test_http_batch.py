"""Several requests in one question: at the same time, each checked, the answers in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hostile_server import HostileServer, Peer, response
from http_kit import LOOPBACK, Names, service_call

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp


def gets(*urls: str) -> dict[str, Any]:
    return {"requests": [{"method": "GET", "url": url} for url in urls]}


async def test_they_are_under_way_together_and_come_in_order(server: HostileServer) -> None:
    together = asyncio.Barrier(8)
    most = 0

    async def meet(peer: Peer) -> None:
        nonlocal most
        most = max(most, server.open)
        await together.wait()
        await peer.send(response(server.requests[-1].path.encode()))

    server.routes["/"] = meet
    async with service_call(GuardedHttp(resolver=Names()), LOOPBACK) as host:
        answers = await host.request("http.batch", gets(*(server.url(f"/?{n}") for n in range(16))))
    assert [answer["response"]["url"] for answer in answers] == [server.url(f"/?{n}") for n in range(16)]
    assert most == 8


async def test_one_that_fails_leaves_the_others(server: HostileServer) -> None:
    server.routes["/"] = response(b"here")
    asked = gets(server.url("/"), "http://10.0.0.1/", "nonsense", server.url("/"))
    asked["requests"] += [{"method": "GET", "url": server.url("/"), "stream": True}, "no table"]
    async with service_call(GuardedHttp(resolver=Names()), LOOPBACK) as host:
        answers = await host.request("http.batch", asked)
    found = [answer["response"]["body"] if "response" in answer else answer["error"]["kind"] for answer in answers]
    assert found == ["here", "PERMISSION_DENIED", "INVALID", "here", "INVALID", "INVALID"]
    assert answers[1]["error"]["message"].startswith("policy denied: http_client.private_ip on 10.0.0.1")


@pytest.mark.parametrize("requests", [[], [{}] * 17, {}, None, "x"])
async def test_a_batch_has_a_bound(requests: Any) -> None:
    async with service_call(GuardedHttp(resolver=Names())) as host:
        with pytest.raises(Refused, match="requests must be a list of 1 to 16") as caught:
            await host.request("http.batch", {"requests": requests})
    assert caught.value.kind is ErrorKind.INVALID


async def test_its_bodies_have_a_bound_together(server: HostileServer) -> None:
    server.routes["/"] = response(b"x" * (3 << 20))
    async with service_call(GuardedHttp(resolver=Names()), LOOPBACK) as host:
        answers = await host.request("http.batch", gets(server.url("/"), server.url("/")))
    assert sorted("response" in answer for answer in answers) == [False, True]
    assert any("more than 4194304 bytes" in answer.get("error", {}).get("message", "") for answer in answers)


async def test_cancelling_it_ends_them_all(server: HostileServer) -> None:
    arrived = asyncio.Barrier(5)

    async def hang(peer: Peer) -> None:
        await arrived.wait()
        await peer.gone()

    server.routes["/"] = hang
    async with service_call(GuardedHttp(resolver=Names()), LOOPBACK) as host:
        batch = asyncio.create_task(host.request("http.batch", gets(*[server.url("/")] * 4)))
        await arrived.wait()
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        await server.quiet.wait()


async def test_a_call_leaves_turns_for_others(server: HostileServer) -> None:
    server.routes["/hang"] = lambda peer: peer.gone()
    server.routes["/"] = response(b"here")
    http = GuardedHttp(resolver=Names())
    async with service_call(http, LOOPBACK) as greedy, service_call(http, LOOPBACK) as other:
        asked = [asyncio.create_task(greedy.request("http.batch", gets(*[server.url("/hang")] * 16))) for _ in range(3)]
        await server.busy.wait()
        answer = await other.request("http.request", {"method": "GET", "url": server.url("/")})
        assert answer["body"] == "here"
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
