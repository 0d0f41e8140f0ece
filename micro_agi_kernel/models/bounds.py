"""How much of an answer is taken in, so that a server that sends for ever ends in one line and fills no memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.messages import ModelRequest
from micro_agi_kernel.models.catalog import ModelSpec

PER_TOKEN = 128
"""Characters that a token of an answer may have. It has about four in English and code, and rarely twenty."""

MOST = 16 * MIB
"""Characters of any answer, and bytes between two events of its stream: PER_TOKEN times 128 thousand tokens, which is
what the largest models may write."""

MOST_CALLS = 512
"""Calls of one answer; OpenAI takes 128 tools."""

_INFLOW = "micro_agi.inflow"


def room_for(spec: ModelSpec, request: ModelRequest) -> int:
    """Characters that the words, thoughts and calls of an answer to `request` can have."""
    return min(max(spec.output_tokens, request.max_tokens) * PER_TOKEN, MOST)


async def while_it_speaks(
    events: AsyncIterator[object], idle: float, said: Callable[[], int]
) -> AsyncGenerator[object, None]:
    """`events`, while `said` grows at least every `idle` seconds. Raises TimeoutError.

    The client's own clock begins anew with every byte, and comments and empty events are bytes too.
    """
    loop = asyncio.get_running_loop()
    until, before = loop.time() + idle, said()
    while True:
        try:
            async with asyncio.timeout_at(until):
                event = await anext(events)
        except StopAsyncIteration:
            return
        yield event
        if said() != before:
            until, before = loop.time() + idle, said()


class TooMuch(Exception):
    """A server sent more than an answer can be."""


class Inflow:
    """What a response brings, counted since its last event: lines and errors without an end are bounded too."""

    def __init__(self, response: Any) -> None:
        self.seen = 0
        """Bytes; who reads an event sets it to zero."""
        self._read = response.aiter_bytes

    async def pieces(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        """The response's bytes. Raises TooMuch."""
        async with aclosing(self._read(chunk_size)) as pieces:
            async for piece in pieces:
                self.seen += len(piece)
                if self.seen > MOST:
                    raise TooMuch
                yield piece


async def bound(response: Any) -> None:
    """Bound what is read of a response of the HTTP client; its hook for all that arrive.

    What is packed is not unpacked: it was not asked for, and a few bytes may stand for any number.
    """
    response.headers.pop("content-encoding", None)
    inflow = Inflow(response)
    response.extensions[_INFLOW] = inflow
    response.aiter_bytes = inflow.pieces


def inflow_of(response: Any) -> Inflow:
    """The count of a response that went through `bound`."""
    inflow: Inflow = response.extensions[_INFLOW]
    return inflow
