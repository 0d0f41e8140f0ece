"""The clock of a turn: it ends the turn, and stands still while a person is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from micro_agi_kernel.agent import budget as budget_module
from micro_agi_kernel.agent.budget import Budget
from micro_agi_kernel.events import ToolFinished, ToolStarted
from micro_agi_kernel.interfaces import Bounds


def budget(seconds: float) -> Budget:
    return Budget(Bounds(seconds=seconds), lambda model, usage: 0.0)


async def test_it_stands_still_while_anyone_asks() -> None:
    turn = budget(60)

    async def ask(seconds: float) -> None:
        async with turn.clock_stopped():
            await asyncio.sleep(seconds)

    async with turn.turn_clock() as clock:
        before = clock.when()
        assert before is not None
        asking = [asyncio.create_task(ask(0.02)), asyncio.create_task(ask(0.04))]
        await asyncio.sleep(0)
        assert clock.when() is None
        await asking[0]
        assert clock.when() is None  # the other one still asks
        await asking[1]
        after = clock.when()
        assert after is not None and after >= before + 0.03


async def test_it_ends_the_turn_all_the_same() -> None:
    turn = budget(0.02)
    with pytest.raises(TimeoutError):
        async with turn.turn_clock():
            async with turn.clock_stopped():
                await asyncio.sleep(0.05)
            await asyncio.Event().wait()


async def test_without_a_limit_there_is_nothing_to_stop() -> None:
    turn = budget(0)
    async with turn.clock_stopped():
        pass
    async with turn.turn_clock() as clock:
        async with turn.clock_stopped():
            assert clock.when() is None
        assert clock.when() is None


@pytest.mark.parametrize("limit", [0, 600])
async def test_what_a_turn_took_is_without_the_time_of_a_person(monkeypatch: pytest.MonkeyPatch, limit: float) -> None:
    """Also where no limit of time is set, and of two questions that overlap once."""
    now = [100.0]
    monkeypatch.setattr(budget_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    turn = budget(limit)
    turn.begin_turn()
    async with turn.turn_clock():
        now[0] += 1
        async with turn.clock_stopped():
            now[0] += 50
            async with turn.clock_stopped():
                now[0] += 50
                assert turn.turn.seconds == 1  # while it stands, too
        now[0] += 2
        assert turn.turn.seconds == 3
    turn.begin_turn()
    async with turn.clock_stopped():  # work of a cell that has no clock; that of the cell before is over
        now[0] += 50
    assert turn.turn.seconds == 0


async def test_what_a_call_took_is_without_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card of a call shows its seconds."""
    now = [100.0]
    monkeypatch.setattr(budget_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    turn = budget(600)
    turn.begin_turn()
    async with turn.clock_stopped():
        now[0] += 7
    turn.count(ToolStarted("a", "load_tool", "{}"))
    now[0] += 1
    async with turn.clock_stopped():
        now[0] += 50
    done = turn.count(ToolFinished("a", "load_tool", "ok", "", 51.0))
    assert isinstance(done, ToolFinished) and done.seconds == 1
    other = turn.count(ToolFinished("b", "load_tool", "ok", "", 3.0))
    assert isinstance(other, ToolFinished) and other.seconds == 3, "it never began here"
