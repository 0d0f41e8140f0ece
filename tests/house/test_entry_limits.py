"""What a call may use: the settings, and what an entry asks for in `meta.limits` within their maximum."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import House, create, id_of, tool

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import EntryError, ErrorKind
from micro_agi_kernel.interfaces import MIB, Limits
from micro_agi_kernel.kind_checks import KIND_CHECKS
from micro_agi_kernel.settings import SandboxSettings, Settings

LOOP = "while true do end"
HOARD = "local t = {} for i = 1, 1e9 do t[i] = 'item ' .. i end"
SHOUT = "for i = 1, 1e9 do print(string.rep('x', 100000)) end"
ASK = "local d = require('docs') for i = 1, 50 do d.search('time') end return 'done'"


@asynccontextmanager
async def house_with(home: Path, **sandbox: Any) -> AsyncIterator[House]:
    house = House(Settings(home=home, sandbox=SandboxSettings(**sandbox)))
    try:
        yield house
    finally:
        await house.close()


def limited(body: str, id: str = "app.generated:x", *, modules: tuple[str, ...] = (), **limits: Any) -> Entry:
    entry = tool(id, f"return {{handler = function()\n{body}\nend}}", modules=modules)
    return replace(entry, meta={**entry.meta, "limits": limits} if limits else entry.meta)


async def error(house: House, entry: Entry) -> tuple[ErrorKind, str]:
    house.write(*create(entry))
    outcome = await house.run(str(entry.id))
    assert outcome.error is not None
    return outcome.error.kind, outcome.error.message


async def test_the_settings_hold_for_an_entry_that_asks_for_nothing(tmp_path: Path) -> None:
    async with house_with(tmp_path, timeout=1.0, memory=8, output=1, host_calls=5) as house:
        assert await error(house, limited(LOOP, "app.tools:a")) == (
            ErrorKind.TIMEOUT,
            "time limit of 1 s reached at a:2",
        )
        assert await error(house, limited(HOARD, "app.tools:b")) == (
            ErrorKind.MEMORY_LIMIT,
            "memory limit of 8 MiB reached at b:2",
        )
        assert await error(house, limited(SHOUT, "app.tools:c")) == (
            ErrorKind.OUTPUT_LIMIT,
            "output limit of 1 MiB reached at c:2",
        )
        assert len(house.output) == MIB
        assert await error(house, limited(ASK, "app.tools:d", modules=("docs",))) == (
            ErrorKind.CALL_LIMIT,
            "limit of 5 host calls reached at d:2",
        )


async def test_an_entry_may_ask_for_less(tmp_path: Path) -> None:
    async with house_with(tmp_path) as house:
        kind, message = await error(house, limited(LOOP, "app.tools:a", timeout=0.2))
        assert (kind, message) == (ErrorKind.TIMEOUT, "time limit of 0.2 s reached at a:2")
        kind, message = await error(house, limited(HOARD, "app.tools:b", memory=2.5))
        assert (kind, message) == (ErrorKind.MEMORY_LIMIT, "memory limit of 2.5 MiB reached at b:2")
        kind, message = await error(house, limited(SHOUT, "app.tools:c", output=2))
        assert (kind, message) == (ErrorKind.OUTPUT_LIMIT, "output limit of 2 MiB reached at c:2")
        kind, message = await error(house, limited(ASK, "app.tools:d", modules=("docs",), host_calls=7))
        assert (kind, message) == (ErrorKind.CALL_LIMIT, "limit of 7 host calls reached at d:2")


async def test_an_entry_may_ask_for_more_up_to_the_maximum(tmp_path: Path) -> None:
    async with house_with(
        tmp_path, timeout=0.1, memory=4, host_calls=5, max_timeout=1.2, max_memory=12, max_host_calls=60
    ) as house:
        kind, message = await error(house, limited(LOOP, "app.tools:a", timeout=1000))
        assert (kind, message) == (ErrorKind.TIMEOUT, "time limit of 1.2 s reached at a:2")
        kind, message = await error(house, limited(HOARD, "app.tools:b", memory=1000, timeout=1000))
        assert (kind, message) == (ErrorKind.MEMORY_LIMIT, "memory limit of 12 MiB reached at b:2")
        house.write(*create(limited(ASK, "app.tools:c", modules=("docs",), host_calls=50, timeout=1000, memory=12)))
        assert (await house.run("app.tools:c")).value == "done"


def test_a_maximum_below_the_setting_does_not_lower_it() -> None:
    settings = SandboxSettings(timeout=500, memory=1024, output=200, host_calls=20_000)
    assert settings.limits() == settings.most() == Limits(500, 1024 * MIB, 200 * MIB, 20_000)


async def test_an_entry_with_a_limit_is_one_of_the_agent_too(tmp_path: Path) -> None:
    """A limit lies in meta, which an agent writes; the maximum is the person's."""
    async with house_with(tmp_path, max_timeout=0.2, timeout=0.2) as house:
        assert (await error(house, limited(LOOP, timeout=1e6)))[1] == "time limit of 0.2 s reached at x:2"


BAD: dict[str, tuple[Any, str]] = {
    "text": ("1", "meta.limits: a mapping of some of timeout, memory, output, host_calls"),
    "list": ([1], "meta.limits: a mapping of some of"),
    "unknown": ({"time": 1}, "meta.limits: there is no limit 'time'; there are: timeout, memory, output, host_calls"),
    "zero": ({"timeout": 0}, "meta.limits.timeout: a number, 0.001 or more"),
    "negative": ({"output": -1}, "meta.limits.output: a number, 1 or more"),
    "small": ({"memory": 0.5}, "meta.limits.memory: a number, 1 or more"),
    "none": ({"memory": None}, "meta.limits.memory: a number, 1 or more"),
    "true": ({"host_calls": True}, "meta.limits.host_calls: a number, 1 or more"),
    "word": ({"timeout": "30s"}, "meta.limits.timeout: a number"),
    "huge": ({"timeout": 1e300}, "meta.limits.timeout: a number, 0.001 or more and below 1,000,000,000, is required"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_limits_do_not_pass_the_kind_check(case: str) -> None:
    limits, reason = BAD[case]
    entry = Entry(id_of("app.generated:x"), "function.lua", {"limits": limits}, {"source": "return 1"})
    with pytest.raises(EntryError) as refusal:
        KIND_CHECKS["function.lua"](entry)
    assert reason in str(refusal.value)


@pytest.mark.parametrize("limits", [{}, []])  # an empty table of Lua is a list
def test_limits_may_be_empty(limits: Any) -> None:
    KIND_CHECKS["function.lua"](
        Entry(id_of("app.generated:x"), "function.lua", {"limits": limits}, {"source": "return 1"})
    )
