"""An answer whose body a tool reads piece by piece."""

from __future__ import annotations

import asyncio

from micro_agi_kernel.errors import Refused
from micro_agi_kernel.host.http.exchange import Answer
from micro_agi_kernel.host.http.failures import stream_closed, too_late

_GATHER = 0.01
"""Seconds in which a read takes along what comes right after its first bytes: a TLS record holds 16 KiB at most, a
chunk of a talkative server a few bytes, and each read is a host call of which a tool has 1,000."""


class HttpStream:
    """One answer, its body still on the wire. Safe against reads at the same time."""

    def __init__(self, answer: Answer, deadline: float) -> None:
        """`deadline` is the loop's time at which the body must have been read."""
        self.head = answer.head
        self.url = str(answer.request.target)
        self.size = answer.size
        self._answer = answer
        self._deadline = deadline
        self._held = bytearray()
        self._coming: asyncio.Task[bytes] | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def read(self, most: int) -> bytes:
        """At least one byte and at most `most`, as soon as there are some; empty at the end.

        Raises Refused where the answer breaks off or is late; from then on, always.
        """
        async with self._turn:
            if not self._held:
                self._held += await self._next(None)
            gathered = asyncio.get_running_loop().time() + _GATHER
            while self._held and len(self._held) < most:
                try:
                    piece = await self._next(gathered - asyncio.get_running_loop().time())
                except Refused:  # for the next read; these bytes are good
                    break
                if not piece:
                    break
                self._held += piece
            data = bytes(self._held[:most])
            del self._held[:most]
            return data

    async def _next(self, seconds: float | None) -> bytes:
        """The next piece; empty at the end of the body or of `seconds`, after which it still comes."""
        if self._closed:
            raise stream_closed()
        if self._coming is None:
            self._coming = asyncio.create_task(self._read())
        await asyncio.wait({self._coming}, timeout=seconds)
        if self._coming.cancelled():  # by `close`
            raise stream_closed()
        if not self._coming.done():
            return b""
        piece = self._coming.result()
        self._coming = None  # but not after an error, which stays
        return piece

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._answer.read()
        except TimeoutError as error:
            raise too_late(self._answer.request.target.origin, self._answer.request.seconds) from error

    async def close(self) -> None:
        """Hang up, under a read too; harmless when repeated."""
        self._closed = True
        try:
            if self._coming is not None:
                self._coming.cancel()
                await asyncio.gather(self._coming, return_exceptions=True)
        finally:
            await self._answer.aclose()
