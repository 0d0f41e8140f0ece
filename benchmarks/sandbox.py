"""Speed of the sandbox: each figure beside its aim and something known. `python benchmarks/sandbox.py [CALLS]`

Ratios can be compared between machines, milliseconds cannot. A pause between two calls lets the next child
get ready, as the pauses of a model do; "no pause" shows what is left when there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from micro_agi_kernel.frontends.jupyter.output import Stream
from micro_agi_kernel.interfaces import Limits, Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

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


async def main(calls: int) -> None:
    sandbox = JailedSandbox(MODULES, spares=SPARES)
    unprepared = JailedSandbox(MODULES, spares=0)

    def run(program: Program, on: JailedSandbox = sandbox) -> Callable[[], Awaitable[object]]:
        return lambda: on.run(program, NoHost(), ignore)

    def at_once() -> Awaitable[object]:
        return asyncio.gather(*(run(NO_OP)() for _ in range(16)))

    python, fork = await median(bare_python, 20), await median(bare_fork, 50)

    def show(name: str, taken: float, aim: float | None = None) -> None:
        wanted = f"≤ {aim:g}" if aim else ""
        print(f"{name:44} {taken:9.2f} {wanted:>7} {taken / python:15.2f} {taken / fork:8.1f}", flush=True)

    print(f"{'':44} {'ms':>9} {'aim':>7} {'/ Python start':>15} {'/ fork':>8}")
    show("start a bare Python", python)
    show("fork and wait", fork)
    show("start the sandbox", await median(sandbox.layers, 1))
    show("first call", await median(run(NO_OP), 1))
    show("no-op call, warm", await median(run(NO_OP), calls, pause=0.02), 1)
    show("no-op call, no pause", await median(run(NO_OP), calls))
    await unprepared.start()
    show("no-op call, child forked for it", await median(run(NO_OP, unprepared), calls, pause=0.01), 5)
    show("16 calls at once", await median(at_once, 9, pause=0.1), 50)
    show("1 MB of JSON in and out, an API's answer", await median(run(echo(ISSUES)), 9, pause=0.05), 60)
    show("1 MB of JSON in and out, small values", await median(run(echo(ROWS)), 9, pause=0.05), 60)
    show("100,000 printed lines", await median(run(PRINT), 5, pause=0.05))
    longest, kept = await printed(sandbox)
    show("  the event loop's longest pause meanwhile", longest)
    show("50 ms limit, loop in Lua", await median(run(LOOP), 5, pause=0.05))
    show("kill to answer", statistics.median([await kill(sandbox) for _ in range(20)]))
    print(f"\n{kept:,} of {LINES:,} lines reached the notebook's output")
    await run(NO_OP)()
    await asyncio.sleep(0.5)  # until there are as many spares as there should be
    with contextlib.suppress(OSError):
        print(f"{memory(sandbox):.0f} MB for the zygote and {SPARES} waiting children (aim ≤ 100)")
    await sandbox.close()
    await unprepared.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
