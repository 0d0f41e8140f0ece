"""Threads for what would keep the event loop waiting: few, of http_client's own, and none that an exit waits for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """Runs functions beside the event loop, `most` at once; more wait.

    Not asyncio's own threads, which everybody needs: nothing can stop a look-up that hangs.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._turns = asyncio.Semaphore(most)

    async def run(self, function: Callable[[], T], *turns: asyncio.Semaphore) -> T:
        """What `function` returns or raises. It keeps its turn, and one of each of `turns`, until it really ends."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            end: Callable[[], None]
            try:
                result = function()
            except BaseException as error:  # it belongs to whoever waits
                end = partial(outcome.set_exception, error)
            else:
                end = partial(outcome.set_result, result)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(finish, end)

        def finish(end: Callable[[], None]) -> None:
            taken.close()
            if not outcome.cancelled():
                end()

        with contextlib.ExitStack() as acquired:
            for turn in (*turns, self._turns):
                await turn.acquire()
                acquired.callback(turn.release)
            threading.Thread(target=work, name=self._name, daemon=True).start()
            taken = acquired.pop_all()
        return await outcome
