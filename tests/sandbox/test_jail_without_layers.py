"""The jail with one layer taken away at a time: it is reported, it can be refused, and the others still hold.

docs/sandbox.md shows what holds without which layer; the tests here are where it is from.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from jail_probes import NO, OFFERS_SECCOMP, ON_X86, attempt, every_probe, landlock_version
from process_kit import wait_until_gone, zygote_of
from sandbox_kit import Runner, opened
from without_layer import FUNCTIONS, REASON

from micro_agi_kernel.errors import ErrorKind, SandboxError
from micro_agi_kernel.sandbox import pool

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's"),
    pytest.mark.skipif(not (landlock_version() and OFFERS_SECCOMP), reason="this kernel lacks a layer by itself"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=FUNCTIONS)
async def maimed(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Runner]]:
    async with opened(f"without_layer.{request.param}") as runner:
        yield request.param, runner


async def test_the_layer_is_reported(maimed: tuple[str, Runner]) -> None:
    missing, lua = maimed
    layers = {layer.name: layer for layer in await lua.sandbox.layers()}
    assert not layers[missing].active and layers[missing].detail == REASON
    # Without it only root may have these two.
    needs = {"landlock", "seccomp"} if missing == "no_new_privs" and os.geteuid() else set()
    assert {name for name, layer in layers.items() if not layer.active} == {missing} | needs


async def test_full_refuses_and_names_it(maimed: tuple[str, Runner], monkeypatch: pytest.MonkeyPatch) -> None:
    missing, lua = maimed
    monkeypatch.setattr(lua.sandbox, "_require", "full")
    with pytest.raises(SandboxError) as raised:
        await lua("return 1")
    assert str(raised.value) == (
        f"the sandbox lacks the layer {missing} ({REASON}); set sandbox.require to limits to run without it"
    )


async def test_limits_run_and_hold(maimed: tuple[str, Runner]) -> None:
    _, lua = maimed
    assert await lua.value("return 1") == 1
    assert (await lua.error("while true do pcall(error) end", seconds=0.1)).kind is ErrorKind.TIMEOUT
    assert (await lua.error("return #('x'):rep(1 << 30)")).kind is ErrorKind.MEMORY_LIMIT
    assert (await lua.error("while true do print(1) end", output=100)).kind is ErrorKind.OUTPUT_LIMIT


@pytest.mark.skipif(not ON_X86, reason="the probes name system calls by their x86-64 numbers")
async def test_the_other_layers_hold(maimed: tuple[str, Runner]) -> None:
    missing, lua = maimed
    if missing != "seccomp":  # which alone denies every probe
        found = await attempt(lua, every_probe())
        assert {name: result for name, result in found.items() if result not in NO} == {}
        return
    # EMFILE (24): no descriptor is free
    found = await attempt(lua, {name: every_probe()[name] for name in HELD_WITHOUT_SECCOMP if offered(name)})
    assert {name: result for name, result in found.items() if result not in NO | {24}} == {}
    found = await attempt(lua, {name: every_probe()[name] for name in OPEN_WITHOUT_SECCOMP})
    assert {name: result for name, result in found.items() if result in NO} == {}, "better than docs/sandbox.md says"


def offered(probe: str) -> bool:
    """Landlock knows signals from ABI 6 on."""
    return landlock_version() >= 6 or "signal" not in probe


HELD_WITHOUT_SECCOMP = [
    *("files: open a file", "files: open a folder", "files: write a file", "files: list a folder", "files: openat2"),
    *("files: own memory as a file", "files: memory of main", "files: environment of main", "files: open a tree"),
    *("names: mkdir", "names: link", "names: symlink", "names: mknod", "names: mkfifo"),
    *("sockets: TCP", "sockets: UDP", "sockets: raw", "sockets: Unix", "sockets: netlink", "sockets: pair"),
    *("descriptors: pipe", "descriptors: dup", "descriptors: memfd", "descriptors: eventfd", "descriptors: epoll"),
    *("processes: exec", "processes: execveat", "processes: spawn"),
    *("other processes: signal main", "other processes: signal the zygote", "other processes: signal a thread of main"),
    *(
        "other processes: pidfd of main",
        "other processes: read memory of main",
        "other processes: write memory of main",
    ),
    "other processes: ptrace main",
]
OPEN_WITHOUT_SECCOMP = [
    *("names: stat", "names: readlink", "names: chdir", "descriptors: fcntl", "executable memory: map"),
    *("executable memory: change", "the kernel: uname", "itself: outlive its parent", "itself: getuid by number"),
]


async def test_without_rlimits_python_memory_is_free() -> None:
    """Lua's own limit holds (see above), what Python takes in a module's function has none."""
    async with opened("without_layer.rlimits") as lua:
        assert await lua.value("return require('python').run('result = len(bytearray(1 << 30))')") == 1 << 30


async def test_without_pdeathsig_the_pipe_ends_a_child_that_waits() -> None:
    async with opened("without_layer.pdeathsig", spares=1) as lua:
        await lua.value("return 1")
        await asyncio.gather(*lua.sandbox._tasks)
        zygote = zygote_of(lua.sandbox)
        (spare,) = zygote.children()
        zygote.kill()
        assert await lua.value("return 2") == 2  # meanwhile main has let go of the pipe
        assert await wait_until_gone(spare.pid)


async def test_windows_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.sys, "platform", "win32")
    async with opened() as lua:
        with pytest.raises(SandboxError) as raised:
            await lua("return 1")
    assert str(raised.value) == "there is no sandbox for Windows yet: use the Linux subsystem (WSL)"
