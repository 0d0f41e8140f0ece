"""The attack snippets of the conformance data, each through a real child, with a clean call afterwards."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import psutil
import pytest
from sandbox_kit import EchoHost, Runner

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.interfaces import CallOutcome, Limits, Program

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 4


def won(attack: dict[str, Any], outcome: CallOutcome) -> bool:
    """Whether the snippet got what it should not: the rules are in the README of the data."""
    text = str(outcome.value)
    return text.startswith("PWN") and text != "PWN nil" and not attack.get("own_call_only")


async def test_no_attack_wins(lua: Runner, attacks: list[dict[str, Any]]) -> None:
    assert len(attacks) >= 161
    free = asyncio.Semaphore(AT_ONCE)
    failures: list[str] = []

    async def call(source: str) -> CallOutcome:
        program = Program(source, "attack", modules=frozenset(), limits=Limits(seconds=0.5))
        return await lua.sandbox.run(program, EchoHost(), lambda text: None)

    async def attempt(attack: dict[str, Any]) -> None:
        async with free:
            outcome = await call(attack["lua"])
            after = await call(attack.get("then", "return 'clean'"))
        if won(attack, outcome) or str(after.value).startswith("PWN"):
            failures.append(f"{attack['id']}: {outcome} then {after}")
        if outcome.error and outcome.error.kind is ErrorKind.CRASHED:
            failures.append(f"{attack['id']}: {outcome}")

    before = set(os.listdir("/tmp"))
    await asyncio.gather(*(attempt(attack) for attack in attacks))
    assert failures == []
    assert await lua.value("return 'clean'") == "clean"
    assert not {name for name in set(os.listdir("/tmp")) - before if name.startswith(("lua_", "pwn"))}


async def test_no_process_stays_behind(lua: Runner) -> None:
    """After calls of every kind of end, the zygote has no child but the spares."""
    sources = ["return 1", "while true do end", "error('x')", "local t = {} while true do t[#t + 1] = {} end"]
    await asyncio.gather(*(lua(source, seconds=0.2) for source in sources))
    await asyncio.gather(*lua.sandbox._tasks)
    zygote = psutil.Process(lua.sandbox._workers._process.pid)  # type: ignore[union-attr]
    children = zygote.children(recursive=True)
    assert len(children) == 2
    assert all(child.status() != psutil.STATUS_ZOMBIE for child in children)
