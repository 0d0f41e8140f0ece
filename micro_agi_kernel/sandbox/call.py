"""One call: main's end of the conversation with one child, and the clock that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any

from micro_agi_kernel.errors import CallError, ErrorKind, MicroAgiError
from micro_agi_kernel.interfaces import MIB, CallOutcome, HostService, Program
from micro_agi_kernel.outputs import Display, Output, Printed, Progress
from micro_agi_kernel.sandbox import frames
from micro_agi_kernel.sandbox.frames import FrameError
from micro_agi_kernel.sandbox.protocol import TIME_IS_OVER, Ask, End, Place, parse_child_message
from micro_agi_kernel.sandbox.workers import Worker, read_message
from micro_agi_kernel.values import Value

_GRACE = 0.2
"""Seconds between the time limit, when Lua is told, and the kill."""
_MAX_OPEN = 64
"""Host calls of one child that are worked on at once; the others wait for their turn."""
_MAX_OPEN_BYTES = 16 << 20
"""Bytes of the host calls that one child may have open before we stop reading from it."""
_MAX_UNREAD_BYTES = 16 << 20
"""Bytes of answers that one child may leave unread before we begin no more of its host calls."""
_MAX_PLACES = 100
"""Limits that one child may say it has reached; an honest one reaches few."""
_IN_A_ROW = 64
"""Messages that one child may give us to read without a turn for anybody else."""
_INLINE = 1 << 20
"""Messages above this are parsed in a thread, so that the event loop stays free."""


class Clock:
    """The running time of one call; can be stopped while the call waits for another one."""

    def __init__(self, seconds: float, warn: Callable[[], None], expire: Callable[[], None]) -> None:
        """`warn` is called when the seconds are over, `expire` _GRACE later."""
        self._seconds = seconds
        self._warn = warn
        self._expire = expire
        self._loop = asyncio.get_running_loop()
        self._used = 0.0
        self._since = self._loop.time()
        self._stops = 0
        self._timers: tuple[asyncio.TimerHandle, ...] = ()
        self._over = False
        self._arm()

    def used(self) -> float:
        """Seconds until now."""
        return self._used + (0 if self._stops else self._loop.time() - self._since)

    def stop(self) -> None:
        """May be repeated; then as many `go` are needed."""
        if not self._stops:
            self._used, self._since = self.used(), self._loop.time()
            self._disarm()
        self._stops += 1

    def go(self) -> None:
        self._stops -= 1
        if not self._stops:
            self._since = self._loop.time()
            self._arm()

    def end(self) -> None:
        self._over = True
        self._disarm()

    def _arm(self) -> None:
        if not self._over:
            left = self._seconds - self._used
            later = self._loop.call_later
            self._timers = (later(left, self._warn), later(left + _GRACE, self._expire))

    def _disarm(self) -> None:
        for timer in self._timers:
            timer.cancel()


_clock: ContextVar[Clock | None] = ContextVar("micro_agi_call_clock", default=None)


@contextlib.contextmanager
def clock_stopped() -> Iterator[None]:
    """Stop the clock of the call on whose behalf a host service works, while it waits for something not its own."""
    clock = _clock.get()
    if clock is None:
        yield
        return
    clock.stop()
    try:
        yield
    finally:
        clock.go()


class Call:
    """One call: main's end of the conversation with one child, which is hostile."""

    def __init__(
        self, program: Program, host: HostService, on_output: Callable[[Output], None], worker: Worker
    ) -> None:
        self._limits = program.limits
        self._host = host
        self._on_output = on_output
        self._worker = worker
        self._clock = Clock(program.limits.seconds, self._warn, self._expired)
        self._shown = 0
        self._asked = 0
        self._slots = asyncio.Semaphore(_MAX_OPEN)
        self._open: dict[int, int] = {}  # id of a host call -> bytes of its request
        self._unread = 0  # bytes of answers on their way
        self._was_read = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()  # answers under way, and the word that the time is over
        self._stopped: CallError | None = None
        self._bug: BaseException | None = None
        self._place = ""
        self._places = 0

    async def run(self, request: bytes) -> CallOutcome:
        try:
            await self._worker.write(request)
            end = await self._converse()
        finally:
            self._clock.end()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._bug is not None:
            raise self._bug
        if self._stopped is not None:
            end = End(error=self._stopped)
        return CallOutcome(end.value, end.error, self._clock.used(), self._shown)

    def _stop(self, kind: ErrorKind, message: str) -> None:
        if self._stopped is None:
            self._stopped = CallError(kind, message)
        self._worker.kill()

    def _stop_at_limit(self, kind: ErrorKind, limit: str) -> None:
        where = f" at {self._place}" if self._place else ""
        self._stop(kind, f"{limit} reached{where}")

    def _warn(self) -> None:
        """Tell the child that the time is over, so that it ends with the line that it has reached."""
        self._begin(self._worker.write(TIME_IS_OVER))

    def _expired(self) -> None:
        self._stop_at_limit(ErrorKind.TIMEOUT, f"time limit of {self._limits.seconds:g} s")

    async def _converse(self) -> End:
        """Listen to the child until its last message or its death."""
        read = 0
        try:
            while (data := await read_message(self._worker.reader)) is not None:
                read += 1
                if read % _IN_A_ROW == 0:  # what has come already is read without a pause
                    await asyncio.sleep(0)
                inline = len(data) <= _INLINE
                message = parse_child_message(data) if inline else await asyncio.to_thread(parse_child_message, data)
                match message:
                    case End():
                        return message
                    case Printed(text):
                        self._print(text)
                    case Progress() | Display():
                        self._show(message, len(data))
                    case Ask():
                        await self._ask(message, len(data))
                    case Place(where):
                        self._place, self._places = where, self._places + 1
                        if self._places > _MAX_PLACES:
                            raise FrameError("too many places")
                    case _:
                        raise FrameError("a message out of order")
        except FrameError as error:
            self._stop(ErrorKind.CRASHED, f"the sandboxed process broke the protocol: {error}")
        return End(error=CallError(ErrorKind.CRASHED, _how_it_ended(await self._worker.end())))

    def _print(self, text: str) -> None:
        data = text.encode()
        left = self._take_output(len(data))
        if left < len(data):
            text = data[: max(left, 0)].decode(errors="ignore")
        if text:
            self._on_output(Printed(text))

    def _show(self, output: Progress | Display, size: int) -> None:
        if self._take_output(size) >= size:
            self._on_output(output)

    def _take_output(self, size: int) -> int:
        """The bytes that were left of the output limit; ends the call when they are fewer than `size`."""
        left = self._limits.output - self._shown
        self._shown += size
        if size > left:
            self._stop_at_limit(ErrorKind.OUTPUT_LIMIT, f"output limit of {_size(self._limits.output)}")
        return left

    async def _ask(self, ask: Ask, size: int) -> None:
        if self._stopped is not None:  # what the child still said before its end
            return
        self._asked += 1
        if self._asked > self._limits.host_calls:
            self._stop_at_limit(ErrorKind.CALL_LIMIT, f"limit of {self._limits.host_calls} host calls")
            return
        if ask.id in self._open:
            raise FrameError("an id twice")
        self._open[ask.id] = size
        self._begin(self._answer(ask))
        while sum(self._open.values()) > _MAX_OPEN_BYTES and not self._worker.exited.done():
            some: set[asyncio.Future[Any]] = {*self._tasks, self._worker.exited}
            await asyncio.wait(some, return_when=asyncio.FIRST_COMPLETED)

    async def _answer(self, ask: Ask) -> None:
        _clock.set(self._clock)  # of this task alone
        answer: dict[str, Value] = {"id": ask.id}
        async with self._slots:
            while self._unread > _MAX_UNREAD_BYTES:
                self._was_read.clear()
                await self._was_read.wait()
            try:
                answer["value"] = await self._host.request(ask.op, ask.payload)
            except MicroAgiError as error:
                answer["error"] = error.as_error().as_json()
            try:
                data = frames.pack(frames.dumps(answer))
            except FrameError as error:
                fault = CallError(ErrorKind.INVALID, f"the answer of {ask.op}: {error}")
                data = frames.pack(frames.dumps({"id": ask.id, "error": fault.as_json()}))
            answer.clear()  # its bytes are enough
            self._unread += len(data)
            await self._worker.write(data)  # waits while the child does not read
            self._unread -= len(data)
            self._was_read.set()
            del self._open[ask.id]

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:  # a bug of ours: it ends the call
            self._bug = self._bug or task.exception()
            self._worker.kill()


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"the sandboxed process ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"the sandboxed process was ended by {signal.Signals(-status).name}"
    return f"the sandboxed process was ended by signal {-status}"


def _size(count: int) -> str:
    return f"{count / MIB:g} MiB" if count >= MIB // 10 else f"{count} bytes"
