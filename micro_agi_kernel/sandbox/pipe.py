"""The child's end of the pipe: frames out, answers in, timers, and what is shown on its way."""

from __future__ import annotations

import codecs
import os
import select
import time
from typing import NoReturn

from micro_agi_kernel.sandbox import frames
from micro_agi_kernel.sandbox.protocol import TIME_IS_OVER
from micro_agi_kernel.sandbox.timers import Timers

_FLUSH_EVERY = 0.005
"""Seconds between two frames of output; the first line after a pause goes at once."""
_FLUSH_BYTES = 64 << 10
_REPORT_EVERY = 0.05
"""Seconds between two frames of progress; the last one is never lost."""
_READ = 256 << 10
"""Bytes that are read at once."""
_LONGEST_WAIT = 3_600.0
"""Seconds that one poll waits; more than a day or so is more than it can take."""


class Pipe:
    """The child's end of the pipe. When main is gone, whatever is called ends the process."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(fd, select.POLLIN | select.POLLOUT)
        self._received = bytearray()
        self.timers = Timers()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._printed: list[bytes] = []
        self._size = 0
        self._flushed = 0.0
        self._progress = b""
        self._reported = 0.0

    def send(self, message: bytes) -> None:
        self.flush()
        self._write(message)

    def receive(self) -> bytes:
        """The next message from main."""
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
            self._flush_printed()
        else:
            self.flush_if_due()

    def report(self, progress: bytes) -> None:
        """Send a message of progress; a later one replaces it while it waits."""
        self._progress = progress
        self.flush_if_due()

    def flush_if_due(self) -> None:
        now = time.monotonic()
        if self._progress and now - self._reported >= _REPORT_EVERY:
            self.flush()
        elif self._printed and now - self._flushed >= _FLUSH_EVERY:
            self._flush_printed()

    def flush(self) -> None:
        """Send all that waits."""
        self._flush_printed()
        if self._progress:
            progress, self._progress, self._reported = self._progress, b"", time.monotonic()
            self._write(progress)

    def _flush_printed(self) -> None:
        if not self._printed:
            return
        text = self._decoder.decode(b"".join(self._printed))
        self._printed, self._size, self._flushed = [], 0, time.monotonic()
        if text:
            self._write(frames.dumps({"t": "out", "text": text}))

    def next_answer(self, wait: bool = True) -> bytes | None:
        """The next answer from main, or that of a timer that is due: `{"id": ...}`. None instead of waiting."""
        if wait:
            self.flush()
        while True:
            seconds = max(self.timers.until_next(), 0) if wait else 0
            if self._received or self._poll.poll(min(seconds, _LONGEST_WAIT) * 1000):
                return self.receive()
            if self.timers.until_next() <= 0:
                return b'{"id":%d}' % self.timers.take()
            if not wait:
                return None

    def time_is_over(self) -> bool:
        """Whether main has said so: its clock is the only one, since it alone knows when that stands still."""
        while self._poll.poll(0):
            self._take_in()
        start = 0
        while start + 4 <= len(self._received):
            frame = self._received[start : start + len(TIME_IS_OVER)]
            if frame == TIME_IS_OVER:
                return True
            start += 4 + frames.unpack_header(bytes(frame[:4]), 0)[0]
        return False

    def is_idle(self, seconds: float) -> bool:
        """Whether main says nothing for so long."""
        return not self._poll.poll(seconds * 1000)

    def end(self, message: bytes) -> NoReturn:
        """Send the last message, and end once main has hung up: what it still sends must not meet a closed pipe."""
        self.send(message)
        while True:
            self._received.clear()
            self._poll.poll()
            self._take_in()

    def _read(self, count: int) -> bytes:
        while len(self._received) < count:
            self._poll.poll()
            self._take_in()
        data = bytes(memoryview(self._received)[:count])
        del self._received[:count]
        return data

    def _take_in(self) -> None:
        """Add to what was received, if there is anything."""
        try:
            part = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:  # main is gone
            os._exit(0)
        self._received += part

    def _write(self, message: bytes) -> None:
        left = memoryview(frames.pack(message))
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                # The pipe is full. Main may read on only when we have taken answers from it.
                if self._poll_both.poll()[0][1] & select.POLLIN:
                    self._take_in()
            except OSError:  # main is gone
                os._exit(0)
