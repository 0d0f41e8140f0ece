"""Interrupts and kills on the way from create_tool over tests and commit to load_tool: no half state is left."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

from house_kit import GOOD, House, Talk, finished, git, id_of, talking, words
from model_server import Reply, calls, text
from nursery_kit import all_end, nursery

from micro_agi_kernel.cut_turns import with_what_was_written
from micro_agi_kernel.events import EntryPublished, Notice
from micro_agi_kernel.logs.turns import read_turns
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.care.history import audit

ROUNDS = 300 if os.environ.get("MICRO_AGI_FULL") == "1" else 8
KILLS = 150 if os.environ.get("MICRO_AGI_FULL") == "1" else 2

IN_ONE_REGISTRY = 25
"""The audit after each kill walks the whole history."""

IN_ONE_CONVERSATION = 25
"""A longer one would be compressed."""

NOTHING = "interrupted by the user; the call wrote nothing to the registry"

SOURCE = "return { handler = function(input) return input.n + %d end } -- unlike the others: %s"


def made(number: int) -> dict[str, Any]:
    return {
        "name": f"made_{number}",
        "description": f"Adds {number} to a number",
        "source": SOURCE % (number, "x" * number),
        "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        "tests": [{"input": {"n": n}, "expect": n + number} for n in range(3)],
        "intent": "new",
    }


def script(body: dict[str, Any]) -> Reply:
    """Makes, loads and calls the tool that the prompt names by its number; then says so."""
    messages = body["messages"]
    last = max(index for index, message in enumerate(messages) if message["role"] == "user")
    asked, done = messages[last]["content"], sum(message["role"] == "tool" for message in messages[last:])
    if not asked.isdigit():
        return text("ok")
    steps = [
        ("create_tool", made(int(asked))),
        ("load_tool", {"id": f"app.generated:made_{asked}"}),
        (f"made_{asked}", {"n": 1}),
    ]
    return calls(steps[done]) if done < 3 else text("made")


async def stopped(talk: Talk, prompt: str, after: float) -> bool:
    """Run a turn and stop it after `after` seconds, as a front end does; whether it was stopped."""

    async def run() -> None:
        async with aclosing(talk.session.run(prompt)) as events:
            async for _ in events:
                pass

    turn = asyncio.create_task(run())
    await asyncio.sleep(after)
    turn.cancel()
    with suppress(asyncio.CancelledError):
        await turn
        return False
    return True


def results(talk: Talk, prompt: str) -> list[Any]:
    """What the model reads of the calls that it made for `prompt`."""
    messages = talk.requests[-1].body["messages"]
    asked = (n for n, message in enumerate(messages) if message["role"] == "user" and message["content"] == prompt)
    start = next(asked, None)
    if start is None:  # stopped before it was said
        return []
    turn = messages[start + 1 :]
    end = next((n for n, message in enumerate(turn) if message["role"] == "user"), len(turn))
    return [json.loads(message["content"]) for message in turn[:end] if message["role"] == "tool"]


def check(house: House, talk: Talk, number: int, head: str) -> bool:
    """Whether the tool is there: with one whole commit, of which the model was told, or not at all."""
    there = house.registry.snapshot().has(id_of(f"app.generated:made_{number}"))
    said = json.dumps(results(talk, str(number)))
    if there:
        version = house.registry.version("main")
        assert version.parents == (head,) and version.trailers["Tests"] == "3 passed"
        assert version.commit in said or version.commit[:12] in said, (number, said)
    else:
        assert house.head == head
        assert all(NOTHING in result["error"]["message"] for result in results(talk, str(number))), (number, said)
    assert there or f"made_{number}" not in [tool["function"]["name"] for tool in talk.requests[-1].body["tools"]]
    return there


async def test_interrupts_leave_a_whole_commit_or_none_and_the_conversation_says_which(house: House) -> None:
    """At random moments; how long a whole turn takes is measured first."""
    chance, both = random.Random(ROUNDS), set[bool]()
    async with talking(house, script) as talk:
        assert words(await talk.say("1000")) == "made"  # which started the jail, too
        start = asyncio.get_running_loop().time()
        assert words(await talk.say("1001")) == "made"
        whole = asyncio.get_running_loop().time() - start
    for first in range(0, ROUNDS, IN_ONE_CONVERSATION):
        async with talking(house, script) as talk:
            for number in range(first, min(ROUNDS, first + IN_ONE_CONVERSATION)):
                head = house.head
                await stopped(talk, str(number), chance.uniform(0, whole * 1.2))
                assert words(await talk.say("go on")) == "ok"
                both.add(check(house, talk, number, head))
    assert git(house.registry.path, "fsck", "--strict") == ""
    assert {finding.status for finding in audit(house.registry)} <= {"ok"}
    assert ROUNDS < 100 or both == {True, False}


async def test_a_kill_leaves_a_whole_commit_or_none(enter: Callable[..., House]) -> None:
    """Of the process of a session alone, -9, at random moments of its way from the prompt to the call of the tool."""
    chance, both = random.Random(KILLS), set[bool]()
    with nursery() as makers:
        whole = makers.fork(enter().settings.home, 1000).finish()
        for first in range(0, KILLS, IN_ONE_REGISTRY):
            house = enter()
            for number in range(first, min(KILLS, first + IN_ONE_REGISTRY)):
                maker = makers.fork(house.settings.home, number)
                head = house.head  # it has opened the registry, and that may have brought something
                jail = maker.kill(chance.uniform(0, whole))
                assert all_end(jail)
                there = whole_or_absent(house, number, head)
                assert the_log_says(house, maker.session) == there
                both.add(there)
                assert {finding.status for finding in audit(house.registry)} <= {"ok"}  # fsck, entries, index, trailers
                assert (await house.make(f"next_{number}", f"{GOOD} -- {number}", intent="new"))["created"] is True
    assert KILLS < 100 or both == {True, False}


def whole_or_absent(house: House, number: int, head: str) -> bool:
    """Whether the tool is there, with one whole commit on top of `head`."""
    with Registry.open(house.registry.path) as registry:  # as somebody sees it who comes later
        entry = registry.snapshot().get(id_of(f"app.generated:made_{number}"))
        if entry is None:
            assert registry.head() == head
            return False
        version = registry.version("main")
        assert version.parents == (head,) and version.trailers["Tests"] == "3 passed"
        assert version.operations == (("create", entry.id),)
        assert entry.source == made(number)["source"] and len(entry.data["tests"]) == 3
        return True


def the_log_says(house: House, session: str) -> bool:
    """Whether the tool was written, as the log of a session that was killed has it."""
    log = house.settings.sessions / f"{session}.jsonl"
    *_, turn = with_what_was_written(read_turns(log), session, house.registry)
    notices = [event.text for event in turn.events if isinstance(event, Notice)]
    assert len(notices) == (turn.status == "cut"), notices
    published = any(isinstance(event, EntryPublished) for event in turn.events)
    return published or any("what this cell wrote" in line for line in notices)


async def test_a_turn_that_is_not_stopped_makes_it(house: House) -> None:
    async with talking(house, script) as talk:
        events = await talk.say("7")
        assert finished(events) == [("create_tool", "ok"), ("load_tool", "ok"), ("made_7", "ok")]
