"""What of http_client runs in threads: look-ups that hang keep neither others waiting nor the process alive."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from http_kit import LOOPBACK, Network, service_call

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.call import MAX_LOOKUPS
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.threads import Threads


class HangingNames:
    """getaddrinfo, with names that hang until `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []
        self.hanging = threading.Semaphore(0)

    def __call__(self, host: str, port: int, **options: Any) -> Any:
        self.asked.append(host)
        if host.startswith("hang"):
            self.hanging.release()
            self.release.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingNames]:
    names = HangingNames()
    monkeypatch.setattr("micro_agi_kernel.host.http.guarded.socket.getaddrinfo", names)
    yield names
    names.release.set()


async def test_names_that_hang_leave_other_calls_their_turn(names: HangingNames) -> None:
    http = GuardedHttp(network=Network())
    async with service_call(http, LOOPBACK) as greedy, service_call(http, LOOPBACK) as other:
        for _ in range(3):  # once the time of a request is over, the next one may begin, but its look-up goes on
            hanging = [{"method": "GET", "url": f"http://hang{n}.example/", "timeout": 0.05} for n in range(16)]
            answers = await greedy.request("http.batch", {"requests": hanging})
            assert {answer["error"]["kind"] for answer in answers} == {"INTERNAL"}
        assert len(names.asked) == MAX_LOOKUPS
        with pytest.raises(Refused, match="nobody there"):
            await other.request("http.request", {"method": "GET", "url": "http://fine.example/"})
        names.release.set()
        with pytest.raises(Refused, match="nobody there") as caught:
            await greedy.request("http.request", {"method": "GET", "url": "http://fine.example/"})
    assert caught.value.kind is ErrorKind.INTERNAL


async def test_a_function_keeps_its_turn_until_it_ends() -> None:
    threads, release = Threads("test", 1), threading.Event()
    first = asyncio.create_task(threads.run(release.wait))
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.create_task(threads.run(lambda: threading.current_thread().daemon))
    with pytest.raises(asyncio.CancelledError):
        await first
    waiting = asyncio.create_task(threads.run(lambda: pytest.fail("was cancelled")))
    await asyncio.sleep(0.01)
    assert not second.done()
    waiting.cancel()
    release.set()
    assert await second is True
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


def test_a_look_up_that_hangs_keeps_no_process_alive() -> None:
    code = """
import asyncio, socket, time
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
async def allows(action, resource, method=""): pass
async def main():
    try:
        await GuardedHttp().request({"method": "GET", "url": "http://a.example/", "timeout": 0.05}, allows)
    except Refused as refused:
        print(refused)
socket.getaddrinfo = lambda *args, **options: time.sleep(1000)
asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "no complete answer from http://a.example in 0.05 s\n"
    assert ran.stderr == ""
