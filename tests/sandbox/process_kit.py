"""What the tests of the sandbox's processes share: which there are, and whether they end."""

from __future__ import annotations

import asyncio

import psutil

from micro_agi_kernel.sandbox.pool import JailedSandbox


def zygote_of(sandbox: JailedSandbox) -> psutil.Process:
    return psutil.Process(sandbox._workers._process.pid)  # type: ignore[union-attr]


def is_alive(pid: int) -> bool:
    """A zombie is not: the first process of a container may be slow to bury what it inherits."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def wait_until_gone(*pids: int) -> bool:
    for _ in range(1000):
        if not any(is_alive(pid) for pid in pids):
            return True
        await asyncio.sleep(0.01)
    return False
