"""Speed of the sandbox, beside the start of a bare Python.

A pause between two calls lets the next child get ready, as the pauses of a model do; "no pause" shows what is left when
there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from _rows import Found, Row, Size, main

from micro_agi_kernel.frontends.jupyter.output import Stream
from micro_agi_kernel.interfaces import Limits, Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

CALLS: dict[Size, int] = {"quick": 2, "usual": 200, "large": 1_000}
MODULES = "micro_agi_kernel.lua_modules"
NO_OP = Program("return { handler = function() return 1 end }", "no_op")
LOOP = Program("while true do end", "loop", limits=Limits(seconds=0.05))
ENDLESS = Program("print('on') while true do end", "endless")
LINES = 100_000
PRINT = Program(f"for n = 1, {LINES} do print('line', n) end", "print")
SPARES = 4

# A megabyte each: as an API answers, at about 45 bytes a value; and many small values, at 10 bytes each.
ISSUES: Value = [
    {
        "id": n,
        "title": f"Issue {n}: the table of results is cut at the right edge",
        "body": 'After the update the last column is missing; the "wide" layout shows it.\nSeen twice today. ' * 4,
        "user": {"login": f"user{n % 97}", "url": f"https://example.com/users/{n % 97}"},
        "created_at": "2024-05-06T07:08:09Z",
        "labels": ["bug", "layout"],
        "score": n / 4,
        "closed_by": None,
    }
    for n in range(1_650)
]
ROWS: Value = [{"id": n, "name": f"item {n}", "tags": ["a", "b"], "price": n / 7} for n in range(15_000)]


class NoHost:
    async def request(self, op: str, payload: Value) -> Value:
        return None


def echo(value: Value) -> Program:
    return Program("return { handler = function(input) return input end }", "echo", value)


def ignore(output: Output) -> None:
    pass


async def bare_python() -> None:
    await asyncio.to_thread(subprocess.run, [sys.executable, "-I", "-c", "pass"], check=True)


async def bare_fork() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    await asyncio.to_thread(os.waitpid, pid, 0)


async def median(action: Callable[[], Awaitable[object]], times: int, pause: float = 0.0) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(times):
        await asyncio.sleep(pause)
        start = time.perf_counter()
        await action()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


async def kill(sandbox: JailedSandbox) -> float:
    """Milliseconds from cancelling a call that is busy in Lua to its end, which comes after the child's."""
    busy = asyncio.Event()
    call = asyncio.create_task(sandbox.run(ENDLESS, NoHost(), lambda output: busy.set()))
    await busy.wait()
    start = time.perf_counter()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call
    return (time.perf_counter() - start) * 1000


async def printed(sandbox: JailedSandbox) -> tuple[float, int]:
    """The longest time, in milliseconds, that nothing else ran while lines came to a notebook; the lines it got."""
    shown: list[str] = []

    def send(msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        shown.append(content["text"])

    stream, longest = Stream(send, seconds=0.1), 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - start - 0.001)

    def hear(output: Output) -> None:
        assert isinstance(output, Printed)
        stream.write(output.text)

    watcher = asyncio.create_task(watch())
    await sandbox.run(PRINT, NoHost(), hear)
    watcher.cancel()
    stream.flush()
    return longest * 1000, "".join(shown).count("\n")


def memory(sandbox: JailedSandbox) -> float:
    """MB of the zygote and its waiting children: the sum of their proportional set sizes (Linux; as root)."""
    zygote = sandbox._workers._process.pid  # type: ignore[union-attr]
    children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    assert len(children) == SPARES
    lines = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in [zygote, *children]]
    return sum(int(line.split()[1]) for found in lines for line in found if line.startswith("Pss:")) * 1024 / 1e6


def python_megabytes() -> float:
    """What a bare Python has resident at most."""
    script = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    return int(subprocess.check_output([sys.executable, "-I", "-c", script])) * 1024 / 1e6


async def rows(size: Size) -> AsyncIterator[Found]:
    sandbox = JailedSandbox(MODULES, spares=SPARES)
    unprepared = JailedSandbox(MODULES, spares=0)
    calls, few, some = CALLS[size], min(CALLS[size], 5), min(CALLS[size], 20)

    def run(program: Program, on: JailedSandbox = sandbox) -> Callable[[], Awaitable[object]]:
        return lambda: on.run(program, NoHost(), ignore)

    def at_once() -> Awaitable[object]:
        return asyncio.gather(*(run(NO_OP)() for _ in range(16)))

    python, fork = await median(bare_python, some), await median(bare_fork, 2 * some)

    def row(what: str, taken: float, aim: float | None = None) -> Row:
        return Row("sandbox", what, taken, "ms", "start of a bare Python", python, limit=aim)

    yield row("start of the sandbox", await median(sandbox.layers, 1))
    yield row("first call", await median(run(NO_OP), 1))
    warm = await median(run(NO_OP), calls, pause=0.02)
    yield row("no-op call, warm", warm, 1)
    yield Row("sandbox", "no-op call, warm", warm, "ms", "fork and wait", fork)
    yield row("no-op call, no pause", await median(run(NO_OP), calls))
    await unprepared.start()
    yield row("no-op call, child forked for it", await median(run(NO_OP, unprepared), calls, pause=0.01), 5)
    yield row("16 calls at once", await median(at_once, few, pause=0.1), 50)
    yield row("1 MB of JSON in and out, an API's answer", await median(run(echo(ISSUES)), few, pause=0.05), 60)
    yield row("1 MB of JSON in and out, small values", await median(run(echo(ROWS)), few, pause=0.05), 60)
    yield row("100,000 printed lines", await median(run(PRINT), few, pause=0.05))
    longest, kept = await printed(sandbox)
    yield row("the event loop's longest pause meanwhile", longest)
    yield row("50 ms limit, loop in Lua", await median(run(LOOP), few, pause=0.05))
    yield row("kill to answer", statistics.median([await kill(sandbox) for _ in range(some)]))
    yield f"sandbox: {kept:,} of {LINES:,} printed lines reached the notebook's output"
    await run(NO_OP)()
    await asyncio.sleep(0.5)  # until there are as many spares as there should be
    try:
        used = memory(sandbox)
    except OSError as error:
        yield f"sandbox: memory was not measured: {error}"
    else:
        what = f"zygote and {SPARES} waiting children, what they share counted once"
        yield Row("sandbox", what, used, "MB", "a bare Python", python_megabytes(), limit=100)
    await sandbox.close()
    await unprepared.close()


if __name__ == "__main__":
    main(rows, __doc__)
