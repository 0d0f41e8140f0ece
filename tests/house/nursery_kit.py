"""Processes to be killed: each is forked from one that has all imports behind it, and makes one tool.

    with Nursery() as nursery:
        maker = nursery.fork(home, 7)     # a session with its jail, ready to be told "7" (test_creation_interrupts)
        maker.kill(after=0.05)            # -9 to it alone; gives the processes of its jail

Each has a session of its own on the registry in `home`, with the log that a session writes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

HERE = Path(__file__).parent
_MAIN = "import sys; sys.path[:0] = sys.argv[1:]; import nursery_kit; nursery_kit.main()"


@dataclass(frozen=True)
class Maker:
    """One process, which has just begun with its prompt."""

    process: psutil.Process
    session: str
    _said: IO[str]

    def finish(self) -> float:
        """Let it come to its end; the seconds that it took."""
        started = time.monotonic()
        assert self._said.readline() == "done\n" and self._said.readline() == "gone\n"
        return time.monotonic() - started

    def kill(self, after: float) -> list[psutil.Process]:
        """Kill it after `after` seconds, or find that it ended; the processes that it had."""
        time.sleep(after)
        below: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            self.process.suspend()  # so that it makes no more of them while they are looked for
            below = self.process.children(recursive=True)
            self.process.kill()
        while self._said.readline() != "gone\n":
            pass
        return below


class Nursery:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def fork(self, home: Path, number: int) -> Maker:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{number} {home}\n")
        self._process.stdin.flush()
        pid, session = self._process.stdout.readline().split()
        return Maker(psutil.Process(int(pid)), session, self._process.stdout)


def all_end(processes: list[psutil.Process]) -> bool:
    """Whether they do, within 10 s. A zombie has ended: whoever adopted it may take seconds to bury it."""
    for _ in range(2_000):
        processes = [process for process in processes if not _has_ended(process)]
        if not processes:
            return True
        time.sleep(0.005)
    return False


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def nursery() -> Iterator[Nursery]:
    command = [sys.executable, "-c", _MAIN, str(HERE), str(HERE.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Nursery(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def main() -> None:
    """The nursery itself: a line of stdin is a process to fork, and to bury before the next one."""
    import openai  # noqa: F401 - so that no child has to
    import test_creation_interrupts  # noqa: F401

    from micro_agi_kernel.arguments import preload_checks
    from micro_agi_kernel.models import openai as provider  # noqa: F401

    preload_checks()
    assert threading.active_count() == 1, "a fork has no other threads"
    for line in sys.stdin:
        number, home = line.rstrip("\n").split(" ", 1)
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(_make(Path(home), number))
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.waitpid(pid, 0)
        print("gone", flush=True)


async def _make(home: Path, number: str) -> None:
    from house_kit import House, talking
    from test_creation_interrupts import script

    from micro_agi_kernel.settings import Settings

    house = House(Settings(home=home))
    async with talking(house, script) as talk:
        await asyncio.gather(talk.say("ready?"), house.sandbox.layers())
        print(os.getpid(), talk.session.id, flush=True)
        await talk.say(number, cell=2)
        await asyncio.to_thread(talk.session._log.close)
        print("done", flush=True)
        await house.close()
