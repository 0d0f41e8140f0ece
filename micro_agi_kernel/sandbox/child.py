"""A jailed child: from the fork to its one call to its end."""

from __future__ import annotations

import codecs
import heapq
import json
import os
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.sandbox import frames, jail
from micro_agi_kernel.sandbox.vm import Machine, end_with

_FLUSH_EVERY = 0.005
"""Seconds between two frames of output; the first line after a pause goes at once."""
_FLUSH_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Shape:
    """What must be known of a call before its child is jailed: the Lua limit in bytes, CPU seconds."""

    memory: int
    cpu_seconds: float


class Channel:
    """The child's end of the pipe: frames out, answers in, timers, and printed text on its way."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._timers: list[tuple[float, int]] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._printed: list[bytes] = []
        self._size = 0
        self._flushed = 0.0

    def send(self, message: bytes) -> None:
        self.flush()
        self._write(message)

    def receive(self) -> bytes:
        """The next message from main. Ends the process when main is gone."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            length, more = frames.unpack_header(self._read(4), size)
            parts.append(self._read(length))
            size += length
        return b"".join(parts)

    def print(self, data: bytes) -> None:
        self._printed.append(data)
        self._size += len(data)
        if self._size >= _FLUSH_BYTES:
            self.flush()
        else:
            self.flush_if_due()

    def flush_if_due(self) -> None:
        if self._printed and time.monotonic() - self._flushed >= _FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        if not self._printed:
            return
        text = self._decoder.decode(b"".join(self._printed))
        self._printed, self._size, self._flushed = [], 0, time.monotonic()
        if text:
            self._write(frames.dumps({"t": "out", "text": text}))

    def set_timer(self, id: int, seconds: float) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, id))

    def next_answer(self) -> bytes:
        """The next answer from main, or that of a timer that is due: `{"id": ...}`."""
        self.flush()
        if self._timers:
            wait = self._timers[0][0] - time.monotonic()
            if wait <= 0 or not self._poll.poll(wait * 1000):
                return b'{"id":%d}' % heapq.heappop(self._timers)[1]
        return self.receive()

    def _read(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = os.read(self._fd, count)
            if not part:
                os._exit(0)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _write(self, message: bytes) -> None:
        left = memoryview(frames.pack(message))
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:  # main is gone
            os._exit(0)


def run(fd: int, modules: Mapping[str, LuaModule], shape: Shape, parent: int | None, size: int) -> NoReturn:
    """Live as the child at the other end of `fd`: jail, get ready, take one call, end."""
    layers = jail.apply(parent, size, shape.memory, shape.cpu_seconds)
    channel = Channel(fd)
    try:
        machine = Machine(channel, modules, shape.memory)
        channel.send(
            frames.dumps({"t": "ready", "layers": [[layer.name, layer.active, layer.detail] for layer in layers]})
        )
        header, program = json.loads(channel.receive()), channel.receive()
        end = machine.run(program, frozenset(header["modules"]), header["seconds"])
    except Exception as error:  # the last thing this process does is to say what went wrong
        end = end_with(ErrorKind.CRASHED, f"the sandbox failed: {type(error).__name__}: {error}")
    channel.send(end)
    os._exit(0)


def main(fd: int, modules_package: str, memory: int, cpu: float) -> NoReturn:
    """A child that was started, not forked: the way of systems without a zygote."""
    from micro_agi_kernel.sandbox.zygote import preload

    run(fd, preload(modules_package), Shape(memory, cpu), None, jail.address_space())
