"""The attack snippets of the conformance data, each through a real child, with a clean call afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import pytest_asyncio
from process_kit import zygote_of
from sandbox_kit import Runner, opened

from micro_agi_kernel.interfaces import CallOutcome

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 4
CLEAN = {"UNKNOWN", "SYNTAX", "INVALID", "TIMEOUT", "MEMORY_LIMIT", "OUTPUT_LIMIT"}
"""Kinds of errors that these snippets may end with: no death of the process is among them."""
LEAK = re.compile(rf"0x[0-9a-f]{{6,}}|Traceback|{re.escape(sys.prefix)}|/usr/|/home/|/root|\.py\b")
"""What no error message may show: an address, a place on this computer, our Python."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real() -> AsyncIterator[Runner]:
    """A sandbox over the modules that are shipped, since some snippets attack json."""
    async with opened("micro_agi_kernel.lua_modules") as runner:
        yield runner


def won(attack: dict[str, Any], outcome: CallOutcome) -> bool:
    """Whether the snippet got what it should not: the rules are in the README of the data."""
    text = str(outcome.value)
    return text.startswith("PWN") and text != "PWN nil" and not attack.get("own_call_only")


def plain(outcome: CallOutcome) -> tuple[object, object]:
    return outcome.value, outcome.error


async def test_no_attack_wins(real: Runner, attacks: list[dict[str, Any]]) -> None:
    assert len(attacks) >= 161
    attacks = attacks if os.environ.get("MICRO_AGI_FULL") == "1" else attacks[::4]
    free = asyncio.Semaphore(AT_ONCE)
    failures: list[str] = []

    async def call(source: str) -> CallOutcome:
        return await real(source, modules=frozenset({"json"}), seconds=0.5)

    async def attempt(attack: dict[str, Any]) -> None:
        then = attack.get("then", "return 'clean'")
        async with free:
            outcome = await call(attack["lua"])
            after = await call(then)
        if won(attack, outcome) or str(after.value).startswith("PWN"):
            failures.append(f"{attack['id']} won: {outcome} then {after}")
        if outcome.error and (outcome.error.kind not in CLEAN or LEAK.search(outcome.error.message)):
            failures.append(f"{attack['id']} ended badly: {outcome}")
        if plain(after) != plain(untouched[then]):
            failures.append(f"{attack['id']} changed the next call: {after}, not {untouched[then]}")

    assert await real.value("return require('json').encode({ 1 })", modules=frozenset({"json"})) == "[1]"
    untouched = {then: await call(then) for then in {attack.get("then", "return 'clean'") for attack in attacks}}
    await asyncio.gather(*real.sandbox._tasks)
    files, memory = set(os.listdir("/tmp")), psutil.Process().memory_info().rss
    descriptors = len(os.listdir("/proc/self/fd"))
    await asyncio.gather(*(attempt(attack) for attack in attacks))
    assert failures == []
    assert await real.value("return 'clean'") == "clean"
    await asyncio.gather(*real.sandbox._tasks)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert psutil.Process().memory_info().rss - memory < 64 << 20
    assert not {name for name in set(os.listdir("/tmp")) - files if name.startswith(("lua_", "pwn"))}
    zygote = zygote_of(real.sandbox)
    assert len(zygote.children(recursive=True)) == len(real.sandbox._spares)
    assert zygote.num_threads() == 1


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("return base64.encode(('x'):rep(100e6))", "INVALID MEMORY_LIMIT"),
        ("return base64.decode(('A'):rep(100e6))", "INVALID MEMORY_LIMIT"),
        ("return json.decode(('['):rep(1e6))", "INTERNAL"),
        ("return json.decode(('[1,'):rep(2e6) .. '1' .. (']'):rep(2e6))", "INTERNAL"),
        ("return #json.decode('[' .. ('[],'):rep(1e6) .. '1]')", "value MEMORY_LIMIT"),
        ("return json.decode('1' .. ('0'):rep(1e6))", "INTERNAL"),
        ("return json.encode({ ('\\1'):rep(4e6) })", "INVALID MEMORY_LIMIT"),
        ("return hash.sha256(('x'):rep(9e6))", "INVALID"),
        ("return time.now():format(('2006'):rep(1e5))", "INVALID"),
        ("return time.parse_duration(('1h'):rep(1e5))", "value INVALID"),
        ("return time.load_location(('../'):rep(1000) .. 'etc/passwd')", "INVALID NOT_FOUND"),
    ],
)
async def test_bombs_for_the_modules(real: Runner, source: str, ends: str) -> None:
    names = ["base64", "json", "hash", "time"]
    opening = "".join(f"local {name} = require('{name}') " for name in names)
    outcome = await real(opening + source, modules=frozenset(names), memory=256 << 20, seconds=10)
    assert (outcome.error.kind if outcome.error else "value") in ends.split(), outcome
    assert not (outcome.error and LEAK.search(outcome.error.message)), outcome
    assert await real.value("return 'clean'") == "clean"


async def test_no_process_stays_behind(lua: Runner) -> None:
    """After calls of every kind of end, the zygote has no child but the spares."""
    sources = ["return 1", "while true do end", "error('x')", "local t = {} while true do t[#t + 1] = {} end"]
    await asyncio.gather(*(lua(source, seconds=0.2) for source in sources))
    await asyncio.gather(*lua.sandbox._tasks)
    children = zygote_of(lua.sandbox).children(recursive=True)
    assert len(children) == len(lua.sandbox._spares)
    assert all(child.status() != psutil.STATUS_ZOMBIE for child in children)
