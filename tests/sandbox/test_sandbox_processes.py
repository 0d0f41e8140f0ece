"""The life of the sandbox's processes: start, spares, the death of each of them, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from process_kit import is_alive, wait_until_gone, zygote_of
from sandbox_kit import Runner, opened

from micro_agi_kernel.errors import ErrorKind, SandboxError
from micro_agi_kernel.sandbox import pool
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.sandbox.workers import StartedWorkers

PID = "require('python').run('import os; result = os.getpid()')"


async def test_no_child_serves_twice() -> None:
    async with opened(spares=1) as lua:
        assert len({await lua.value(f"return {PID}") for _ in range(5)}) == 5


async def test_start_and_close_may_be_repeated() -> None:
    sandbox = JailedSandbox("sandbox_modules")
    await sandbox.close()
    with pytest.raises(SandboxError):
        await Runner(sandbox)("return 1")
    sandbox = JailedSandbox("sandbox_modules")
    await sandbox.start()
    await sandbox.start()
    pid = zygote_of(sandbox).pid
    assert await Runner(sandbox).value("return 1") == 1
    assert zygote_of(sandbox).pid == pid
    await sandbox.close()
    await sandbox.close()
    assert not is_alive(pid)


async def test_spares_have_the_shape_of_the_latest_call() -> None:
    async with opened(spares=2) as lua:
        await lua.value("return 1")
        await asyncio.gather(*lua.sandbox._tasks)
        await lua.value("return 1", memory=32 << 20)
        await asyncio.gather(*lua.sandbox._tasks)
        assert [spare.shape.memory for spare in lua.sandbox._spares] == [64 << 20, 32 << 20]
        pid = await lua.value(f"return {PID}", memory=32 << 20)
    assert await wait_until_gone(int(str(pid)))


# One of each end that a call can have: a value, an error, the limits of time, memory, output and host calls,
# a clean and an unclean death, a lie on the pipe; then one that is cancelled.
ENDS = [
    ("return 1", {}),
    ("error('x')", {}),
    ("return 1 +", {}),
    ("while true do end", {"seconds": 0.05}),
    ("require('service').sleep(60)", {"seconds": 0.05}),
    ("local t = {} while true do t[#t + 1] = {} end", {"memory": 4 << 20}),
    ("while true do print('x') end", {"output": 1000}),
    ("while true do require('service').ask(1) end", {"host_calls": 3}),
    ("require('python').run('import os; os._exit(1)')", {}),
    ("require('python').run('import ctypes; ctypes.string_at(0)')", {}),
    ("require('python').run('import os; [os.write(fd, b\\'\\\\xff\\' * 8) for fd in (3, 4, 5, 6)]')", {}),
]


async def test_nothing_is_left_of_two_hundred_calls() -> None:
    """Descriptors, tasks and processes are what they were before, and main has not grown."""
    me = psutil.Process()

    def holdings() -> tuple[list[str], list[psutil.Process]]:
        gc.collect()
        return sorted(os.listdir("/proc/self/fd")), me.children(recursive=True)

    before, tasks = holdings(), asyncio.all_tasks()
    async with opened() as lua:
        free = asyncio.Semaphore(8)

        async def call(source: str, limits: dict[str, Any]) -> None:
            async with free:
                await lua(source, **limits)

        await asyncio.gather(*(call(*end) for end in ENDS))
        await asyncio.gather(*lua.sandbox._tasks)
        memory = me.memory_info().rss
        await asyncio.gather(*(call(*ENDS[number % len(ENDS)]) for number in range(200)))
        for _ in range(10):
            cancelled = asyncio.create_task(lua("while true do end"))
            await asyncio.sleep(0.01)
            cancelled.cancel()
            await asyncio.wait([cancelled])
        assert await lua.value("return 1") == 1
        await asyncio.gather(*lua.sandbox._tasks)
        zygote = zygote_of(lua.sandbox)
        assert len(zygote.children(recursive=True)) == len(lua.sandbox._spares)  # and no zombie
        assert zygote.num_fds() <= 8 and zygote.num_threads() == 1
        assert me.memory_info().rss - memory < 32 << 20
    assert not is_alive(zygote.pid)
    assert holdings() == before
    assert asyncio.all_tasks() == tasks


async def test_a_dead_zygote_is_replaced() -> None:
    async with opened() as lua:
        assert await lua.value("return 1") == 1
        first = zygote_of(lua.sandbox)
        error = await lua.error("print('on') while true do end", on_output=lambda text: first.kill())
        assert error.kind is ErrorKind.CRASHED
        assert await lua.value("return 2") == 2
        second = zygote_of(lua.sandbox)
        assert second.pid != first.pid
        second.kill()
        while second.status() != psutil.STATUS_ZOMBIE:  # not awaited: the event loop has not noticed
            pass
        assert await lua.value("return 3") == 3


async def test_a_zygote_that_is_killed_again_and_again() -> None:
    """While idle, while it forks, and with calls that wait: each call that is told of it ends; the next ones work."""
    async with opened() as lua:
        for round in range(3):
            assert await lua.value(f"return {round}") == round
            calls = [asyncio.create_task(lua("require('service').sleep(30)")) for _ in range(3)]
            await asyncio.sleep(0.02 * round)
            zygote_of(lua.sandbox).kill()
            ended = [call.result() for call in (await asyncio.wait(calls, timeout=0.5))[0]]
            assert all(outcome.error and outcome.error.kind is ErrorKind.CRASHED for outcome in ended)
            for call in calls:  # one that was taken up by the next zygote sleeps on
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert await lua.value("return 'after'") == "after"


async def test_a_call_cancelled_during_the_start() -> None:
    async with opened() as lua:
        call = asyncio.create_task(lua("return 1"))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await lua.value("return 2") == 2


async def test_calls_at_once_during_the_start() -> None:
    async with opened() as lua:
        assert await asyncio.gather(*(lua.value(f"return {n}") for n in range(8))) == list(range(8))


@pytest.mark.parametrize(
    ("package", "words"), [("no_such_package", "ModuleNotFoundError"), ("json.tool", "has no attribute 'load_all'")]
)
async def test_modules_that_cannot_be_loaded(package: str, words: str) -> None:
    async with opened(package) as lua:
        with pytest.raises(SandboxError, match=words):
            await lua("return 1")


async def test_a_limit_that_no_program_fits_in() -> None:
    async with opened() as lua:
        assert (await lua.error("return 1", memory=1000)).kind is ErrorKind.MEMORY_LIMIT


ORPHANS = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from sandbox_kit import opened
async def main():
    async with opened() as lua:
        await lua.sandbox.layers()
        print(lua.sandbox._workers._process.pid, flush=True)
        if {source!r}:
            say = lambda text: print(text, end="", flush=True)
            await lua({source!r}, on_output=say)
        await asyncio.gather(*lua.sandbox._tasks)
        print("idle", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "source",
    [
        f"print({PID}) while true do end",
        f"print({PID}) while true do pcall(function() while true do end end) end",
        f"print({PID}) return ('a'):rep(30000):find(('.-'):rep(8) .. 'b')",  # in C, where no hook runs
        f"print({PID}) require('service').sleep(60)",
        f"print({PID}) while true do print(('x'):rep(100)) end",
        "return 1",
    ],
    ids=["busy", "busy in pcall", "busy in C", "waiting", "printing", "idle with spares"],
)
async def test_nothing_outlives_a_killed_main(source: str) -> None:
    script = ORPHANS.format(folder=str(Path(__file__).parent), source=source)
    with start_script(script) as main:
        assert main.stdout is not None
        zygote = psutil.Process(int(main.stdout.readline()))
        said = main.stdout.readline()
        pids = [zygote.pid, *(child.pid for child in zygote.children())]
        assert all(is_alive(pid) for pid in pids) and len(pids) >= 2
        assert said == "idle\n" or int(said) in pids
        main.kill()
        main.wait()
        assert await wait_until_gone(*pids)


def start_script(source: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)


async def test_workers_without_a_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of other systems, on this one: a fresh interpreter for each call, the same limits and kill."""
    monkeypatch.setattr(pool, "_new_workers", StartedWorkers)
    before = psutil.Process().children(recursive=True)
    async with opened(spares=1) as lua:
        assert await lua.value("return require('values').echo(5)") == 5
        kinds = [
            (await lua.error("while true do pcall(function() while true do end end) end", seconds=0.2)).kind,
            (await lua.error("return #('x'):rep(1 << 30)")).kind,
            (await lua.error("return require('python').run('result = len(bytearray(1 << 30))')")).kind,
            (await lua.error("while true do print('x') end", output=1000)).kind,
            (await lua.error("while true do require('service').ask(1) end", host_calls=3)).kind,
            (await lua.error("require('python').run('import os; os._exit(1)')")).kind,
        ]
        assert kinds == ["TIMEOUT", "MEMORY_LIMIT", "MEMORY_LIMIT", "OUTPUT_LIMIT", "CALL_LIMIT", "CRASHED"]
        started = asyncio.Event()
        call = asyncio.create_task(lua("print('on') while true do end", on_output=lambda _: started.set()))
        await started.wait()
        call.cancel()
        await asyncio.wait([call])
        assert await lua.value("return 1") == 1
        layers = {layer.name: layer.active for layer in await lua.sandbox.layers()}
        assert layers["pdeathsig"] is False
    assert psutil.Process().children(recursive=True) == before


async def test_full_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_new_workers", StartedWorkers)
    async with opened(require="full") as lua:
        with pytest.raises(SandboxError, match="lacks the layer pdeathsig"):
            await lua("return 1")


@pytest.mark.skipif(sys.platform != "linux", reason="containment is promised on Linux only")
async def test_full_runs_where_all_layers_hold() -> None:
    async with opened(require="full") as lua:
        assert await lua.value("return 1") == 1
