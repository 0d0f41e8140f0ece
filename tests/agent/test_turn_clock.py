"""The clock of a turn: it ends the turn, and stands still while a person is asked."""

from __future__ import annotations

import asyncio

import pytest

from micro_agi_kernel.agent.budget import Budget
from micro_agi_kernel.interfaces import Bounds


def budget(seconds: float) -> Budget:
    return Budget(Bounds(seconds=seconds), lambda model, usage: 0.0)


async def test_it_stands_still_while_anyone_asks() -> None:
    turn = budget(60)

    async def ask(seconds: float) -> None:
        with turn.clock_stopped():
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
            with turn.clock_stopped():
                await asyncio.sleep(0.05)
            await asyncio.Event().wait()


async def test_without_a_limit_there_is_nothing_to_stop() -> None:
    turn = budget(0)
    with turn.clock_stopped():
        pass
    async with turn.turn_clock() as clock:
        with turn.clock_stopped():
            assert clock.when() is None
        assert clock.when() is None
