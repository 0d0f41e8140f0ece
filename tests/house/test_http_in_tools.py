"""http_client from a tool in its jail to a server and back: streams, batches, and what is left when a call ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from house_kit import ALLOW_LOOPBACK, House, create, tool

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.settings import SandboxSettings

TOOL = """
local http_client = require("http_client")

local function lines(url)
  local response, err = http_client.get(url, {stream = true})
  if err then return nil, err end
  local scanner, found = response.stream:scanner("lines"), {}
  while scanner:scan() do found[#found + 1] = scanner:text() end
  return found, scanner:err()
end

local function batch(url)
  local requests = {}
  for n = 1, 4 do requests[n] = {"GET", url, {query = {n = n}}} end
  requests[5] = {"GET", "http://10.0.0.1/"}
  local responses, failed = http_client.request_batch(requests)
  local found = {}
  for n, response in ipairs(responses) do found[n] = response and response.body or failed[n]:kind() end
  return found
end

local function leave_open(url, how)
  local streams = {}
  for n = 1, 3 do streams[n] = assert(http_client.get(url, {stream = true})).stream end
  print(streams[1]:read())
  if how == "error" then error("on purpose") end
  if how == "busy" then while true do end end
  if how == "wait" then streams[1]:read() end
  return "done"
end

return {handler = function(input)
  if input.lines then return lines(input.lines) end
  if input.batch then return batch(input.batch) end
  return leave_open(input.open, input.how)
end}
"""


@dataclass
class Site:
    """A server: `/lines` are two and a half, `/meet` answers once four visitors are there, all else never ends."""

    url: str = ""
    open: int = 0
    three: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while three or more connections are open."""
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    meeting: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(4))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.quiet.clear()
        if self.open == 3:
            self.three.set()
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # a visitor may leave at any time
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            await self.serve(path, reader, writer)
        writer.close()
        self.open -= 1
        if not self.open:
            self.quiet.set()

    async def serve(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        if path == "/lines":
            writer.write(b"one\r\ntw")
            await asyncio.sleep(0.02)
            writer.write(b"o\nhalf")
        elif path.startswith("/meet"):
            await self.meeting.wait()
            writer.write(path.encode())
        else:
            writer.write(b"begun")
            await reader.read()


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with await asyncio.start_server(site.answer, "127.0.0.1", 0) as server:
        site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield site


def opened(house: House) -> House:
    """With the tool, and the policy that opens loopback to it."""
    house.write(*create(tool("fetch", TOOL, modules=["http_client"]), ALLOW_LOOPBACK))
    return house


@pytest.fixture
def fetching(house: House) -> House:
    return opened(house)


async def test_a_tool_scans_a_stream(fetching: House, site: Site) -> None:
    outcome = await fetching.run("app.generated:fetch", {"lines": f"{site.url}/lines"})
    assert outcome.value == ["one", "two", "half"], outcome.error


async def test_a_stream_needs_the_policy_too(house: House, site: Site) -> None:
    house.write(*create(tool("fetch", TOOL, modules=["http_client"])))
    outcome = await house.run("app.generated:fetch", {"lines": f"{site.url}/lines"})
    assert outcome.error is not None and outcome.error.kind is ErrorKind.PERMISSION_DENIED
    assert outcome.error.message.startswith("policy denied: http_client.private_ip on 127.0.0.1")
    assert site.open == 0


async def test_a_refusal_names_the_address_and_whose_it_is(house: House) -> None:
    house.write(*create(tool("fetch", TOOL, modules=["http_client"])))
    outcome = await house.run("app.generated:fetch", {"lines": "http://localhost/"})
    assert outcome.error is not None and outcome.error.kind is ErrorKind.PERMISSION_DENIED
    words = r"policy denied: http_client\.private_ip on (\S+) \(no policy allows it\); \1 is the address of localhost"
    assert re.fullmatch(words, outcome.error.message)


async def test_a_batch_is_under_way_together(fetching: House, site: Site) -> None:
    outcome = await fetching.run("app.generated:fetch", {"batch": f"{site.url}/meet"})
    assert outcome.value == [*(f"/meet?n={n}" for n in range(1, 5)), "PERMISSION_DENIED"], outcome.error


ENDS = {"value": None, "error": ErrorKind.UNKNOWN, "busy": ErrorKind.TIMEOUT, "wait": ErrorKind.TIMEOUT}


@pytest.mark.parametrize("how", ENDS)
async def test_streams_end_with_their_call(enter: Callable[..., House], site: Site, how: str) -> None:
    seconds = 1.0 if ENDS[how] is ErrorKind.TIMEOUT else 20.0
    house = opened(enter(sandbox=SandboxSettings(timeout=seconds)))
    outcome = await house.run("app.generated:fetch", {"open": f"{site.url}/", "how": how})
    assert (outcome.error.kind if outcome.error else None) == ENDS[how], outcome.error
    assert house.output == "begun\n"
    assert site.three.is_set()
    await site.quiet.wait()


async def test_streams_end_when_the_call_is_interrupted(fetching: House, site: Site) -> None:
    call = asyncio.create_task(fetching.run("app.generated:fetch", {"open": f"{site.url}/", "how": "wait"}))
    await site.three.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await site.quiet.wait()
