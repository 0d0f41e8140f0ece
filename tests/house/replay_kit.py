"""What the tests of replays share: a session that is recorded, and its log as the model of another one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from house_kit import House, Talk, talking
from model_server import Hold, Reply

from micro_agi_kernel.events import Event, Notice, TextDelta, TurnFinished
from micro_agi_kernel.logs.turns import Turn, read_turns
from micro_agi_kernel.models.replay import PREFIX
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import Settings


def load(name: str) -> tuple[str, dict[str, str]]:
    return "load_tool", {"id": f"app.generated:{name}"}


async def record(house: House, script: list[Reply], prompts: Iterable[str]) -> tuple[str, list[list[Event]]]:
    """A session with a log; its id, and the events of its turns."""
    async with talking(house, script) as talk:
        turns = [await talk.say(prompt, cell) for cell, prompt in enumerate(prompts, start=1)]
    talk.session._log.close()
    return talk.session.id, turns


def log_of(house: House, session: str) -> Path:
    return house.settings.sessions / f"{session}.jsonl"


def logged(house: House, session: str) -> list[Turn]:
    return list(read_turns(log_of(house, session)))


async def replay(house: House, log: Path | str, prompts: Iterable[str]) -> list[list[Event]]:
    """The turns of a session on `house` whose model is the log."""
    session = Session(house, Settings(home=house.settings.home, model=f"{PREFIX}{log}"))
    turns = [[event async for event in session.run(prompt)] for prompt in prompts]
    session._log.close()
    return turns


def error(events: list[Event]) -> str:
    end = events[-1]
    assert isinstance(end, TurnFinished)
    return end.error


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


async def interrupted(talk: Talk, prompt: str, hold: Hold, said: str = "") -> None:
    """A turn that is stopped when the server holds, and when the words before that were seen."""
    seen = asyncio.Event()

    async def run() -> None:
        async for event in talk.session.run(prompt):
            if isinstance(event, TextDelta):
                seen.set()

    turn = asyncio.create_task(run())
    await asyncio.to_thread(hold.reached.wait, 10)
    if said:
        await seen.wait()
    turn.cancel()
    await asyncio.wait([turn])
