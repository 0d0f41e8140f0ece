"""Speed of the sandbox: each figure beside something known, in one run. `python benchmarks/sandbox.py [CALLS]`

Ratios can be compared between machines, milliseconds cannot. A pause between two calls lets the next child
get ready, as the pauses of a model do; "no pause" shows what is left when there is none.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from micro_agi_kernel.interfaces import Limits, Program
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.values import Value

MODULES = "micro_agi_kernel.lua_modules"
NO_OP = Program("return { handler = function() return 1 end }", "no_op")
MEGABYTE: Value = [{"id": n, "name": f"item {n}", "tags": ["a", "b"], "price": n / 7} for n in range(15_000)]
JSON = Program("return { handler = function(input) return input end }", "json", MEGABYTE)
PRINT = Program("for n = 1, 100000 do print('line', n) end", "print")
LOOP = Program("while true do end", "loop", limits=Limits(seconds=0.05))


class NoHost:
    async def request(self, op: str, payload: Value) -> Value:
        return None


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


async def main(calls: int) -> None:
    sandbox = JailedSandbox(MODULES)
    unprepared = JailedSandbox(MODULES, spares=0)

    def run(program: Program, on: JailedSandbox = sandbox) -> Callable[[], Awaitable[object]]:
        return lambda: on.run(program, NoHost(), lambda text: None)

    rows = [("start a bare Python", await median(bare_python, 20)), ("fork and wait", await median(bare_fork, 50))]
    rows.append(("start the sandbox", await median(sandbox.layers, 1)))
    rows.append(("first call", await median(run(NO_OP), 1)))
    rows.append(("no-op call, warm", await median(run(NO_OP), calls, pause=0.02)))
    rows.append(("no-op call, no pause", await median(run(NO_OP), calls)))
    await unprepared.start()
    rows.append(("no-op call, child forked for it", await median(run(NO_OP, unprepared), calls, pause=0.01)))
    rows.append(("16 calls at once", await median(lambda: asyncio.gather(*(run(NO_OP)() for _ in range(16))), 5, 0.05)))
    rows.append(("1 MB of JSON in and out", await median(run(JSON), 5, pause=0.05)))
    rows.append(("100,000 printed lines", await median(run(PRINT), 3, pause=0.05)))
    rows.append(("50 ms limit, loop in Lua", await median(run(LOOP), 5, pause=0.05)))
    await sandbox.close()
    await unprepared.close()
    python, fork = rows[0][1], rows[1][1]
    print(f"{'':32} {'ms':>8} {'/ Python start':>15} {'/ fork':>8}")
    for name, taken in rows:
        print(f"{name:32} {taken:8.2f} {taken / python:15.2f} {taken / fork:8.1f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
