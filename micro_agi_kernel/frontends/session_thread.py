"""A session whose event loop runs in a thread of its own: for a script, or a cell of Python, where everything blocks.

The thread that asks takes what comes of it one after the other. So an interrupt (Ctrl-C) reaches it while it waits,
questions are answered there, and a loop that it may be running itself, as in a notebook, is no matter.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.session import Session

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")

_EXIT_SECONDS = 5.0
"""Time that a session nobody closed gets when the process ends."""


class _Errand:
    """Something that the asking thread is to do."""

    def __init__(self, do: Callable[[], None]) -> None:
        self.do = do


class Running(Generic[T, R]):
    """Work under way in the session's thread. Iterate in the asking one to take what it gives, until it is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Work[T, R]) -> None:
        self._loop = loop
        self._process = os.getpid()
        self._queue: SimpleQueue[T | _Errand | None] = SimpleQueue()
        """None: nothing more comes."""
        self.task: asyncio.Task[R] | None = None
        self.ended = threading.Event()
        loop.call_soon_threadsafe(self._begin, work)

    # In the asking thread:

    def __iter__(self) -> Iterator[T]:
        while (item := self._next()) is not None:
            if isinstance(item, _Errand):
                item.do()
            else:
                yield item
        self._queue.put(None)  # whoever asks again hears it again

    def stop(self) -> Iterator[T]:
        """Stop the work, unless it is done; what it still gives, and then it is. Nothing in a forked process."""
        if os.getpid() != self._process:
            return
        if not self.ended.is_set():
            with suppress(RuntimeError):  # another thread has closed the session meanwhile
                self._loop.call_soon_threadsafe(self.cancel)
        while (item := self._queue.get()) is not None:
            if not isinstance(item, _Errand):
                yield item
        self._queue.put(None)

    def result(self) -> R:
        """What came of the work, which is done: its result, or what it raised. Refused when it was cancelled."""
        assert self.task is not None
        if self.task.cancelled():
            raise Refused(ErrorKind.CANCELED, "this was stopped: the agent is closed")
        return self.task.result()

    def _next(self) -> T | _Errand | None:
        _check_process(self._process)  # in another one nothing would come
        return self._queue.get()

    # In the thread of the work:

    def give(self, item: T) -> None:
        """Hand one thing to the asking thread."""
        self._queue.put(item)

    async def there(self, function: Callable[[], A]) -> A:
        """What `function` gives, run in the asking thread once all that was given before is taken.

        What it raises goes through that thread, which is to stop the work then.
        """
        answer: asyncio.Future[A] = self._loop.create_future()

        def settle(value: A) -> None:
            if not answer.done():
                answer.set_result(value)

        self._queue.put(_Errand(lambda: self._tell(settle, function())))
        return await answer

    def cancel(self) -> None:
        """Stop the work."""
        assert self.task is not None  # `_begin` was called before
        self.task.cancel()

    def _tell(self, settle: Callable[[A], None], value: A) -> None:
        with suppress(RuntimeError):  # the function closed the session: the loop is gone, and the work with it
            self._loop.call_soon_threadsafe(settle, value)

    def _begin(self, work: Work[T, R]) -> None:
        self.task = self._loop.create_task(work(self))
        self.task.add_done_callback(self._end)

    def _end(self, _: object) -> None:
        self.ended.set()
        self._queue.put(None)


Work: TypeAlias = Callable[[Running[T, R]], Coroutine[Any, Any, R]]


class SessionThread:
    """A session and the thread of its loop. One thing at a time: who comes meanwhile gets one clear line."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._state = state = _State(session, asyncio.new_event_loop())
        self._thread = threading.Thread(target=state.serve, name="micro-agi", daemon=True)
        self._thread.start()
        self._finalizer = weakref.finalize(self, _give_up, state, self._thread, self._process)

    def begin(self, work: Work[T, R]) -> Running[T, R]:
        """Begin `work`. Raises Refused when the session is closed, busy, or another process's."""
        with self._lock:
            self.check_open()
            if (running := self._state.running) is not None and not running.ended.is_set():
                line = "the agent is busy: take all events of its turn first, or close() what gives them"
                raise Refused(ErrorKind.UNAVAILABLE, line, retryable=True)
            begun = self._state.running = Running(self._state.loop, work)
        return begun

    def check_open(self) -> None:
        """Raise Refused when nothing can be asked of the session any more, or here."""
        _check_process(self._process)
        if not self._finalizer.alive:
            raise Refused(ErrorKind.INVALID, "this agent is closed: make another one")

    def close(self) -> None:
        """Stop what runs and end the session; harmless when repeated, and in a process forked from its own."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._finalizer.detach() is None:
                return
            self._state.stop()
        self._thread.join()
        if self._state.failure is not None:
            raise self._state.failure


class _State:
    """What the thread has: not the SessionThread, which ends it when nobody has that any more."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        self.loop = loop
        self.running: Running[Any, Any] | None = None
        self.failure: Exception | None = None

    def stop(self) -> None:
        """Have the thread end; from any other."""
        self.loop.call_soon_threadsafe(self.loop.stop)

    def serve(self) -> None:
        """All that the thread does: serve until it is stopped, then end everything."""
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self._end())
        except Exception as error:
            # While the process ends no thread begins any more: what was pending is written, children end with us.
            if threading.main_thread().is_alive() or not isinstance(error, RuntimeError):
                self.failure = error  # a boundary: whoever closes is told, in their own thread
        finally:
            with suppress(RuntimeError):  # no thread can be started while the process ends
                self.loop.run_until_complete(self._sweep())
            self.loop.close()

    async def _end(self) -> None:
        if (running := self.running) is not None and running.task is not None:
            running.cancel()
            await asyncio.wait({running.task})
        await self.session.close()
        tell_lines(self.session.workspace.take_notices())

    async def _sweep(self) -> None:
        """Leave no task and no thread behind."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()


def tell_lines(lines: list[str]) -> None:
    """Lines for the person where no front end shows them: the logger `micro_agi_kernel` does, on stderr unless told."""
    for line in lines:
        logging.getLogger("micro_agi_kernel").warning("%s", one_line(line))


def _check_process(process: int) -> None:
    """Raise Refused unless we are the process of that number: a fork has no thread but that which forked."""
    if os.getpid() != process:
        line = "this agent belongs to the process that this one was forked from: make another one here"
        raise Refused(ErrorKind.INVALID, line)


def _give_up(state: _State, thread: threading.Thread, process: int) -> None:
    """Nobody has the session any more, or the process ends, and it was not closed."""
    if os.getpid() == process:
        state.stop()
        if threading.current_thread() is not thread:
            thread.join(_EXIT_SECONDS)
