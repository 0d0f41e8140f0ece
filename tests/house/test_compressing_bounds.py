"""What bounds a compression: steps, time and money of the cell, and that no model is asked in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from house_kit import House, Talk, id_of, talking, update, words
from model_server import Hold, Reply, delta, end, failure, text

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import Event, Notice, TurnFinished
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.settings import CompressionSettings

SMALL = CompressionSettings(threshold=0.03, model="gpt-4.1-nano")
"""3,840 tokens of the model's 128,000."""

LARGE = replace(SMALL, threshold=0.9)


class Models:
    """The agent's model says fine; the other one summarizes as it is told."""

    def __init__(self, summary: Reply) -> None:
        self.summary = summary
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        self.asked.append(body)
        return self.summary if "condense" in str(body["messages"][0]["content"]) else text("fine")

    @property
    def names(self) -> list[str]:
        return [body["model"] for body in self.asked]


async def cell(talk: Talk, line: str) -> list[Event]:
    return [event async for event in run_cell(talk.session, line)]


def shown(events: list[Event]) -> str:
    notices = (event.text for event in events if isinstance(event, Notice))
    return "\n".join((*notices, words(events)))


def narrow(house: House) -> None:
    """The model that summarizes reads 4,000 tokens at once."""
    nano = house.registry.snapshot().get(id_of("app:gpt-4.1-nano"))
    assert nano is not None
    house.write(*update(replace(nano, data={**nano.data, "max_tokens": 4_000, "output_tokens": 1_000})))


@pytest.mark.parametrize("line", ["%compact", "the last"])
async def test_parts_for_which_there_are_no_steps_are_not_begun(house: House, line: str) -> None:
    """Else each cell would stop in the middle of them, and the next one begin anew."""
    narrow(house)
    models = Models(text("They talked."))
    settings = replace(house.settings, compression=LARGE, limits=Bounds(steps=4))
    async with talking(house, models, settings) as talk:
        await talk.say("talk " * 20_000)
        await talk.say("more")
        talk.session._summarizers.settings = SMALL
        models.asked.clear()
        events = await cell(talk, line)
        assert models.names == ["gpt-5.1"] * (1 if line == "%compact" else 2), "it reads all at once"
        assert "conversation compressed: " in shown(events)


async def test_no_model_reads_in_so_few_steps(house: House) -> None:
    narrow(house)
    big = house.registry.snapshot().get(id_of("app:gpt-5.1"))
    assert big is not None
    models = Models(text("They talked."))
    settings = replace(house.settings, compression=LARGE, limits=Bounds(steps=4))
    async with talking(house, models, settings) as talk:
        await talk.say("talk " * 20_000)
        await talk.say("more")
        house.write(*update(replace(big, data={**big.data, "max_tokens": 8_000, "output_tokens": 1_000})))
        models.asked.clear()
        said = shown(await cell(talk, "%compact"))
        assert not models.asked
        assert "not compressed: gpt-5.1 would need" in said and "(setting limits.steps)" in said
        events = await cell(talk, "the last")
        assert words(events) == "fine" and "left out of the conversation" in shown(events)


@pytest.mark.parametrize("step", [3, 4])
async def test_the_step_that_summarizes_is_a_step(house: House, step: int) -> None:
    models = Models(text("They talked."))
    settings = replace(house.settings, compression=SMALL, limits=Bounds(steps=step - 2))
    async with talking(house, models, settings) as talk:
        await talk.say("talk " * 5_000)
        events = await cell(talk, "more")
        last = events[-1]
        assert isinstance(last, TurnFinished) and "conversation compressed: " in shown(events)
        if step == 3:
            assert last.error.startswith("stopped after 1 step (setting") and last.spent.steps == 1
            assert models.names == ["gpt-5.1", "gpt-4.1-nano"], "the model is not asked beyond the limit"
        else:
            assert words(events) == "fine" and last.spent.steps == 2


async def test_a_limit_that_the_last_summary_reaches_holds(house: House) -> None:
    models = Models(text("They talked."))
    settings = replace(house.settings, compression=SMALL, limits=Bounds(session_tokens=240))
    async with talking(house, models, settings) as talk:
        await talk.say("talk " * 5_000)
        last = (await talk.say("more"))[-1]
        assert isinstance(last, TurnFinished) and last.error_name == "LimitReached"
        assert models.names == ["gpt-5.1", "gpt-4.1-nano"]


async def test_the_model_that_runs_is_not_asked_twice_for_one_summary(house: House) -> None:
    models = Models(failure(400))
    settings = replace(house.settings, compression=replace(SMALL, model="gpt-5.1"))
    async with talking(house, models, settings) as talk:
        await talk.say("talk " * 5_000)
        assert words(await talk.say("more")) == "fine"
        assert models.names == ["gpt-5.1"] * 3, "the first answer, one try, the second answer"


async def test_compacting_ends_with_the_time_of_a_cell(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks: list[asyncio.Timeout] = []
    make, hold = asyncio.timeout, Hold()

    def timeout(seconds: float | None) -> asyncio.Timeout:
        clocks.append(make(seconds))
        return clocks[-1]

    models = Models(Reply((delta(content="They"), hold, end("stop"))))
    async with talking(house, models, replace(house.settings, compression=LARGE)) as talk:
        await talk.say("talk " * 2_000)
        await talk.say("more")
        before = talk.session._conversation.messages
        talk.session.budget.bounds = Bounds(seconds=1_000)
        monkeypatch.setattr(asyncio, "timeout", timeout)
        asked = asyncio.create_task(cell(talk, "%compact"))
        assert await asyncio.to_thread(hold.reached.wait, 10)
        assert clocks[0].when() is not None
        clocks[0].reschedule(asyncio.get_running_loop().time())
        [last] = await asked
        monkeypatch.undo()
        assert isinstance(last, TurnFinished) and last.error_name == "TimeLimit"
        assert last.error == "stopped after 1000 s (setting limits.seconds); ask again to go on"
        assert await asyncio.to_thread(hold.closed.wait, 10), "the connection to the model is closed"
        hold.release()
        assert talk.session._conversation.messages == before
        assert words(await talk.say("go on")) == "fine"
