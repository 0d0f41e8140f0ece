"""Main's side of the processes: starting, killing and burying children.

`ForkedWorkers` (Linux) has a zygote fork them. `StartedWorkers` (other systems with Unix sockets) starts a
fresh interpreter for each: limits and kill hold there, containment is not promised. It was tried on Linux only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from micro_agi_kernel.errors import SandboxError
from micro_agi_kernel.sandbox.frames import unpack_header
from micro_agi_kernel.sandbox.protocol import End, Layer, Ready, Shape, parse_child_message

# Isolated mode ignores PYTHONPATH and the user's site folder, so the path that main has is handed over.
_ENTRY = (
    "import json, sys; arguments = json.loads(sys.argv[1]); sys.path[:] = arguments.pop('path'); "
    "from micro_agi_kernel.sandbox import {module}; {module}.main(**arguments)"
)


class Worker:
    """One child, for one call."""

    def __init__(self, shape: Shape, end: socket.socket, kill: Callable[[], None]) -> None:
        self.shape = shape
        self.layers: tuple[Layer, ...] = ()
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit status: negative for a signal."""
        self.reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._end = end
        self._kill = kill

    async def get_ready(self) -> None:
        """Wait until the child is jailed. Raises SandboxError when it ends before that."""
        try:
            self.reader, self._writer = await asyncio.open_connection(sock=self._end)
            message = await read_message(self.reader)
            ready = parse_child_message(message) if message is not None else End()
            if not isinstance(ready, Ready):
                why = ready.error.message if isinstance(ready, End) and ready.error else "it ended at once"
                raise SandboxError(f"the sandbox cannot start a child: {why}")
            self.layers = ready.layers
        except BaseException:
            await self.end()
            raise

    async def write(self, data: bytes) -> None:
        """Send frames; when the child is gone they are dropped, and the reader tells."""
        assert self._writer is not None
        if self._writer.is_closing():
            return
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    def kill(self) -> None:
        """SIGKILL; harmless when the child has ended."""
        if not self.exited.done():
            self._kill()

    async def end(self) -> int:
        """Kill the child, wait until it is gone, give its resources back; harmless when repeated. Its exit status."""
        self.kill()
        if self._writer is None:
            self._end.close()
        else:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        return await asyncio.shield(self.exited)


async def read_message(reader: asyncio.StreamReader) -> bytes | None:
    """The next whole message, or None when the other side ended, be it in the middle of one."""
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            length, more = unpack_header(await reader.readexactly(4), size)
            parts.append(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        size += length
        if not more:
            return b"".join(parts)


class Workers(Protocol):
    """A way to make children."""

    async def start(self) -> None: ...
    async def spawn(self, shape: Shape) -> Worker: ...
    async def close(self) -> None: ...

    @property
    def alive(self) -> bool: ...


class ForkedWorkers:
    """Children forked by a zygote (see zygote.py)."""

    def __init__(self, modules_package: str) -> None:
        self._modules_package = modules_package
        self._workers: dict[int, Worker] = {}
        self._last_id = 0
        self._process: subprocess.Popen[bytes]
        self._control: socket.socket
        self._ready: asyncio.Future[None]
        self._alive = False

    @property
    def alive(self) -> bool:
        return self._alive and self._process.poll() is None

    async def start(self) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with other:
            arguments = {"control_fd": other.fileno(), "modules_package": self._modules_package}
            self._process = await _start_python("zygote", other, arguments)
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._alive = True
        loop.add_reader(self._control, self._listen)
        try:
            await self._ready
        except SandboxError:
            await self.close()
            raise

    async def spawn(self, shape: Shape) -> Worker:
        mine, other = socket.socketpair()
        mine.setblocking(False)
        self._last_id += 1
        id = self._last_id
        request = {"fork": id, "memory": shape.memory, "cpu": shape.cpu_seconds}
        with other:
            try:
                await self._send(request, other.fileno())
            except OSError as error:
                mine.close()
                raise SandboxError(f"the sandbox's process does not answer: {error}") from error
            except asyncio.CancelledError:
                mine.close()
                raise
        worker = self._workers[id] = Worker(shape, mine, lambda: self._kill(id))
        await worker.get_ready()
        return worker

    async def _send(self, request: Mapping[str, float], descriptor: int) -> None:
        while True:
            try:
                socket.send_fds(self._control, [json.dumps(request).encode()], [descriptor])
                return
            except BlockingIOError:  # it forks one at a time, and many are waiting
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        self._ended()
        self._control.close()  # the zygote ends, and the kernel kills its children
        await asyncio.to_thread(self._process.wait)

    def _kill(self, id: int) -> None:
        if not self._alive:
            return
        try:
            self._control.send(json.dumps({"kill": id}).encode())
        except BlockingIOError:  # the zygote is behind
            asyncio.get_running_loop().call_later(0.01, self._kill, id)
        except OSError:  # it has just ended, and with it the child
            return

    def _listen(self) -> None:
        while self._alive:
            try:
                packet = self._control.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._ended()
                return
            message = json.loads(packet)
            if "exited" in message:
                self._workers.pop(message["exited"]).exited.set_result(message["status"])
            elif "failed" in message:
                self._ready.set_exception(SandboxError(f"the sandbox cannot start: {message['failed']}"))
            else:
                self._ready.set_result(None)

    def _ended(self) -> None:
        """The zygote is gone or about to be: no child of it is left."""
        if not self._alive:
            return
        self._alive = False
        asyncio.get_running_loop().remove_reader(self._control)
        if not self._ready.done():
            self._ready.set_exception(SandboxError("the sandbox cannot start: its process ended at once"))
        for worker in self._workers.values():
            worker.exited.set_result(-9)
        self._workers.clear()


class StartedWorkers:
    """Children that are fresh interpreters, each used once."""

    def __init__(self, modules_package: str) -> None:
        self._modules_package = modules_package
        self._waits: set[asyncio.Task[None]] = set()
        self.alive = True

    async def start(self) -> None:
        """Nothing to do before the first child."""

    async def spawn(self, shape: Shape) -> Worker:
        mine, other = socket.socketpair()
        mine.setblocking(False)
        arguments = {
            "fd": other.fileno(),
            "modules_package": self._modules_package,
            "memory": shape.memory,
            "cpu": shape.cpu_seconds,
        }
        with other:
            process = await _start_python("child", other, arguments)
        worker = Worker(shape, mine, process.kill)
        wait = asyncio.create_task(self._wait(process, worker))
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)
        await worker.get_ready()
        return worker

    async def close(self) -> None:
        await asyncio.gather(*self._waits)

    async def _wait(self, process: subprocess.Popen[bytes], worker: Worker) -> None:
        worker.exited.set_result(await asyncio.to_thread(process.wait))


async def _start_python(
    module: str, socket_end: socket.socket, arguments: dict[str, object]
) -> subprocess.Popen[bytes]:
    """`main(**arguments)` of a module of this package, in an interpreter that gets `socket_end` and nothing else."""
    path = [entry for entry in sys.path if Path(entry).is_absolute()]
    command = [sys.executable, "-I", "-c", _ENTRY.format(module=module), json.dumps({**arguments, "path": path})]
    return await asyncio.to_thread(
        subprocess.Popen,
        command,
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[socket_end.fileno()],
        start_new_session=True,
    )
