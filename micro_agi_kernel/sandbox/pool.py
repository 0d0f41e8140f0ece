"""The sandbox as the rest of the house sees it: programs in, outcomes out, a few jailed children in waiting.

What is promised. A program sees only the modules that it was given. On Linux with all layers of the jail
active (`layers()`), a program that breaks out of Lua can compute and talk to us on one pipe: it cannot read
files, reach the network, start programs or learn secrets, and it ends with its call. Time, memory, output and
host calls are limited from our side of the pipe. On other systems we promise these limits and the kill.

What is not promised: that a service such as http_client cannot carry out what the program was given; side
channels (time, caches, load); faults of the kernel. What a child says is untrusted: the services of the
host check every request themselves.

A sandbox belongs to one event loop, the first that uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from typing import Literal

from micro_agi_kernel.errors import CallError, ErrorKind, SandboxError
from micro_agi_kernel.interfaces import CallOutcome, HostService, Limits, Program
from micro_agi_kernel.outputs import Output
from micro_agi_kernel.sandbox.call import Call, clock_stopped
from micro_agi_kernel.sandbox.frames import FrameError
from micro_agi_kernel.sandbox.protocol import Layer, Shape, request_of
from micro_agi_kernel.sandbox.workers import ForkedWorkers, StartedWorkers, Worker, Workers


class JailedSandbox:
    """Runs each program in a jailed process of its own; implements `interfaces.Sandbox`.

    `modules_package` names a package whose `load_all()` gives the Lua modules. With `require="full"` nothing
    runs unless every layer of the jail is active. `spares` children are kept forked and jailed in advance.
    """

    def __init__(self, modules_package: str, *, require: Literal["limits", "full"] = "limits", spares: int = 4) -> None:
        self._modules_package = modules_package
        self._require = require
        self._wanted = spares
        self._workers: Workers | None = None
        self._start: asyncio.Task[Workers] | None = None
        self._refilling = asyncio.Lock()
        self._waiting = 0  # calls whose child is being forked
        self._spares: list[Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def run(self, program: Program, host: HostService, on_output: Callable[[Output], None]) -> CallOutcome:
        """Run `program` in a fresh jailed process. `on_output` gets what it shows while it runs.

        Cancelling this coroutine kills the process. Raises SandboxError when the jail cannot be set up. There
        is no limit to the calls at once: a nested call never waits for what its caller holds, and the clock
        of a call stands still while a service of the host runs another one for it.
        """
        try:
            request = request_of(program)
        except FrameError as error:
            return CallOutcome(error=CallError(ErrorKind.INVALID, f"the program and its input: {error}"))
        with clock_stopped():
            worker = await self._take(_shape(program.limits))
            try:
                outcome = await Call(program, host, on_output, worker).run(request)
            except BaseException:
                await worker.end()
                raise
        self._later(self._replace(worker))
        return outcome

    async def start(self) -> None:
        """Start the process that forks children, unless it runs. Raises SandboxError when it cannot."""
        await self._started()

    async def close(self) -> None:
        """End every process; harmless when repeated."""
        self._closed = True
        if self._start is not None:
            await asyncio.gather(self._start, return_exceptions=True)
        await asyncio.gather(*self._tasks)
        await self._forget()

    async def layers(self, limits: Limits | None = None) -> tuple[Layer, ...]:
        """The layers of the jail as a real child with `limits` found them. Raises SandboxError when there is none."""
        worker = await self._spawn_or_take(_shape(limits or Limits()))
        self._spares.append(worker)
        return worker.layers

    async def _started(self) -> Workers:
        """The workers, started; a caller that is cancelled meanwhile leaves them to the next one."""
        if self._closed:
            raise SandboxError("the sandbox is closed")
        start = self._start
        if start is None or (start.done() and not (_succeeded(start) and start.result().alive)):
            start = self._start = asyncio.get_running_loop().create_task(self._start_anew())
        return await asyncio.shield(start)

    async def _start_anew(self) -> Workers:
        await self._forget()
        workers = _new_workers(self._modules_package)
        await workers.start()
        self._workers = workers
        return workers

    async def _forget(self) -> None:
        """End the spares and what they came from."""
        spares, self._spares = self._spares, []
        workers, self._workers = self._workers, None
        for spare in spares:
            await spare.end()
        if workers is not None:
            await workers.close()

    async def _take(self, shape: Shape) -> Worker:
        worker = await self._spawn_or_take(shape)
        missing = [layer for layer in worker.layers if not layer.active]
        if self._require == "full" and missing:
            await worker.end()
            raise SandboxError(
                f"the sandbox lacks the layer {missing[0].name} ({missing[0].detail}); "
                "set sandbox.require to limits to run without it"
            )
        return worker

    async def _spawn_or_take(self, shape: Shape) -> Worker:
        """A jailed child that waits for its program: a spare of that shape, or a new one."""
        workers = await self._started()
        for spare in self._spares:
            if spare.shape == shape and not spare.exited.done():
                self._spares.remove(spare)
                return spare
        self._waiting += 1
        try:
            return await workers.spawn(shape)
        except SandboxError:
            if workers.alive:
                raise
            return await (await self._started()).spawn(shape)  # the zygote died just now: once more with a new one
        finally:
            self._waiting -= 1

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self, used: Worker) -> None:
        """Bury a child, and have `spares` in waiting again, the latest shape among them.

        No spare is made while a call waits for its child: that call will see to the spares when it is over.
        """
        await used.end()
        async with self._refilling:
            with contextlib.suppress(SandboxError):  # closed, or broken: then the next call says so
                while self._wanted and not self._waiting and not self._enough(used.shape):
                    workers = await self._started()
                    spare = await workers.spawn(used.shape)
                    self._spares.append(spare)
            while len(self._spares) > self._wanted:
                await self._spares.pop(0).end()

    def _enough(self, shape: Shape) -> bool:
        alive = [spare for spare in self._spares if not spare.exited.done()]
        return len(alive) >= self._wanted and any(spare.shape == shape for spare in alive)


def _succeeded(task: asyncio.Task[Workers]) -> bool:
    return not task.cancelled() and task.exception() is None


def _new_workers(modules_package: str) -> Workers:
    if sys.platform == "linux":
        return ForkedWorkers(modules_package)
    if sys.platform == "win32":
        raise SandboxError("there is no sandbox for Windows yet: use the Linux subsystem (WSL)")
    return StartedWorkers(modules_package)


def _shape(limits: Limits) -> Shape:
    return Shape(limits.memory, limits.seconds)
