"""The life of the sandbox's processes: start, spares, the death of each of them, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sandbox_kit import Runner, opened

from micro_agi_kernel.errors import ErrorKind, SandboxError
from micro_agi_kernel.sandbox import pool
from micro_agi_kernel.sandbox.pool import JailedSandbox
from micro_agi_kernel.sandbox.workers import StartedWorkers

PID = "require('python').run('import os; result = os.getpid()')"


def zygote_of(sandbox: JailedSandbox) -> psutil.Process:
    return psutil.Process(sandbox._workers._process.pid)  # type: ignore[union-attr]


async def wait_until_gone(*pids: int) -> bool:
    for _ in range(1000):
        if not any(psutil.pid_exists(pid) for pid in pids):
            return True
        await asyncio.sleep(0.01)
    return False


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
    assert not psutil.pid_exists(pid)


async def test_spares_have_the_shape_of_the_latest_call() -> None:
    async with opened(spares=2) as lua:
        await lua.value("return 1")
        await asyncio.gather(*lua.sandbox._tasks)
        await lua.value("return 1", memory=32 << 20)
        await asyncio.gather(*lua.sandbox._tasks)
        assert [spare.shape.memory for spare in lua.sandbox._spares] == [64 << 20, 32 << 20]
        pid = await lua.value(f"return {PID}", memory=32 << 20)
    assert await wait_until_gone(int(str(pid)))


async def test_nothing_leaks() -> None:
    """Descriptors and tasks after many calls, kills and a cancellation are what they were before."""

    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before, tasks = descriptors(), asyncio.all_tasks()
    async with opened() as lua:
        for source in [
            "return 1",
            "error('x')",
            "while true do end",
            "require('python').run('import os; os._exit(1)')",
        ]:
            await asyncio.gather(*(lua(source, seconds=0.1) for _ in range(3)))
        call = asyncio.create_task(lua("while true do end"))
        await asyncio.sleep(0.02)
        call.cancel()
        await asyncio.wait([call])
    assert descriptors() == before
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
from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.sandbox.pool import JailedSandbox
sys.path.insert(0, {folder!r})
class Host:
    async def request(self, op, payload): ...
async def main():
    sandbox = JailedSandbox("sandbox_modules")
    await sandbox.layers()
    print(sandbox._workers._process.pid, flush=True)
    source = "print({pid}) while true do end"
    program = Program(source, "tool", modules=frozenset(["python"]))
    await sandbox.run(program, Host(), lambda text: print(text, end="", flush=True))
asyncio.run(main())
"""


def start_script(source: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)


async def test_nothing_outlives_a_killed_main() -> None:
    with start_script(ORPHANS.format(folder=str(Path(__file__).parent), pid=PID)) as main:
        assert main.stdout is not None
        pids = [int(main.stdout.readline()), int(main.stdout.readline())]
        pids += [child.pid for child in psutil.Process(pids[0]).children()]
        assert all(psutil.pid_exists(pid) for pid in pids)
        main.kill()
        main.wait()
    assert await wait_until_gone(*pids)


async def test_workers_without_a_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of other systems, on this one: a fresh interpreter for each call, the same limits and kill."""
    monkeypatch.setattr(pool, "_new_workers", StartedWorkers)
    async with opened(spares=1) as lua:
        assert await lua.value("return require('values').echo(5)") == 5
        loop = "while true do pcall(function() while true do end end) end"
        assert (await lua.error(loop, seconds=0.2)).kind is ErrorKind.TIMEOUT
        layers = {layer.name: layer.active for layer in await lua.sandbox.layers()}
        assert layers["pdeathsig"] is False


async def test_full_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_new_workers", StartedWorkers)
    async with opened(require="full") as lua:
        with pytest.raises(SandboxError, match="lacks the layer pdeathsig"):
            await lua("return 1")


@pytest.mark.skipif(sys.platform != "linux", reason="containment is promised on Linux only")
async def test_full_runs_where_all_layers_hold() -> None:
    async with opened(require="full") as lua:
        assert await lua.value("return 1") == 1
