"""What a tool prints on its way to a notebook's messages, beside a bare Python that prints the same into a pipe."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from _rows import Row

from micro_agi_kernel.events import ToolFinished, ToolOutput
from micro_agi_kernel.frontends.jupyter.notebook_sink import NotebookSink
from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

LINES = 100_000
PRINTS = Program(f"for n = 1, {LINES} do print('line', n) end", "prints")


class NoHost:
    async def request(self, op: str, payload: Value) -> Value:
        return None


async def bare_python() -> float:
    """Seconds."""
    start = time.perf_counter()
    source = f"for n in range({LINES}): print('line', n, sep='\\t', flush=n % 100 == 0)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", source, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    while await process.stdout.read(1 << 16):
        pass
    await process.wait()
    return time.perf_counter() - start


async def to_a_notebook(sandbox: JailedSandbox) -> tuple[float, float, int]:
    """(seconds, longest stall in seconds, messages sent)."""
    sent = 0

    def send(msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        nonlocal sent
        sent += 1

    sink = NotebookSink(send, footer=True)

    def hear(output: Output) -> None:
        if isinstance(output, Printed):
            sink.handle(ToolOutput("call", output.text))

    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)

    watcher = asyncio.create_task(watch())
    start = time.perf_counter()
    await sandbox.run(PRINTS, NoHost(), hear)
    sink.handle(ToolFinished("call", "prints", "ok", "", 0.0))
    sink.close()
    seconds = time.perf_counter() - start
    watcher.cancel()
    return seconds, longest, sent


async def measured(times: int) -> list[Row]:
    sandbox = JailedSandbox("micro_agi_kernel.lua_modules")
    await sandbox.start()
    bare = statistics.median([await bare_python() for _ in range(times)])
    runs = [await to_a_notebook(sandbox) for _ in range(times)]
    await sandbox.close()
    seconds, stall, sent = (statistics.median(column) for column in zip(*runs, strict=True))
    what, beside = f"a tool prints {LINES:,} lines", "a bare Python that prints them"
    return [
        Row("front_end", f"{what} to a notebook", seconds * 1000, "ms", beside, bare * 1000),
        Row("front_end", f"{what}, longest stall of the event loop", stall * 1000, "ms", beside, bare * 1000),
        Row("front_end", f"{what}, messages to the notebook", sent, "", "lines", LINES),
    ]


def rows(times: int) -> Iterator[Row]:
    """The longest stall is the longest time in which the event loop, and so the whole kernel, could do nothing else."""
    yield from asyncio.run(measured(times))
