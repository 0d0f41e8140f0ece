"""What one call of a tool has under way on the network: requests that take turns, and open streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from micro_agi_kernel.errors import Refused
from micro_agi_kernel.host.arguments import invalid
from micro_agi_kernel.host.http.failures import stream_closed
from micro_agi_kernel.interfaces import MIB, Approver
from micro_agi_kernel.questions import Question, Subject

if TYPE_CHECKING:
    from micro_agi_kernel.host.http.stream import HttpStream

MAX_AT_ONCE = 8
"""Requests under way; more wait, so that other calls get their turn too."""
MAX_LOOKUPS = 4
"""Names being resolved, for the same reason; one that hangs counts even when its request has ended."""
MAX_STREAMS = 8
MAX_STREAMED = 64 * MIB
"""Bytes that all streams of the call may give together."""


class HttpCall:
    """The turns and the streams of one call. `close` ends the streams; requests end with their tasks."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(MAX_AT_ONCE)
        self.lookups = asyncio.Semaphore(MAX_LOOKUPS)
        self._asking = asyncio.Lock()
        self._approved: set[tuple[Subject, ...]] = set()
        self._streams: dict[int, HttpStream] = {}
        self._opening = 0
        self._last = 0
        self._left = MAX_STREAMED

    async def approved(self, question: Question, approver: Approver) -> None:
        """Come back when the person says yes, or has said so in this call. Raises Refused like `Approver.approve`."""
        async with self._asking:  # several requests of a kind to one host are one question
            if question.subjects not in self._approved:
                await approver.approve(question)
                self._approved.add(question.subjects)

    async def add(self, open: Callable[[int], Awaitable[HttpStream]]) -> tuple[int, HttpStream]:
        """A new stream and its number; `open` is told how many bytes it may give. Raises Refused: there are enough."""
        if len(self._streams) + self._opening >= MAX_STREAMS:
            raise invalid(f"a call may have {MAX_STREAMS} streams open: close one first")
        if self._left <= 0:
            raise _too_much()
        self._opening += 1
        try:
            stream = await open(self._left)
        finally:
            self._opening -= 1
        self._last += 1
        self._streams[self._last] = stream
        return self._last, stream

    async def read(self, number: int, most: int) -> bytes:
        """See HttpStream.read. At its end a stream is closed."""
        stream = self._streams.get(number)
        if stream is None:
            raise stream_closed()
        data = await stream.read(most)
        self._left -= len(data)
        if self._left < 0:
            raise _too_much()
        if not data:
            await self.end(number)
        return data

    async def end(self, number: int) -> None:
        """Close a stream; harmless when repeated."""
        if (stream := self._streams.pop(number, None)) is not None:
            await stream.close()

    async def close(self) -> None:
        await asyncio.gather(*(self.end(number) for number in list(self._streams)))


def _too_much() -> Refused:
    return invalid(f"the streams of one call give at most {MAX_STREAMED} bytes")
