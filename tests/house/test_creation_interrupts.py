"""Interrupts and kills on the way from create_tool over tests and commit to load_tool: no half state is left."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from house_kit import House, Talk, finished, git, id_of, talking, words
from model_server import Reply, calls, text

from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.care.history import audit
from micro_agi_kernel.settings import Settings

ROUNDS = 300 if os.environ.get("MICRO_AGI_FULL") == "1" else 8
KILLS = 40 if os.environ.get("MICRO_AGI_FULL") == "1" else 2

IN_ONE_CONVERSATION = 25
"""A longer one would be compressed."""

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
        assert version.commit in said or version.commit[:10] in said, (number, said)
    else:
        assert house.head == head and '"created"' not in said and "had committed" not in said
    assert there or f"made_{number}" not in [tool["function"]["name"] for tool in talk.requests[-1].body["tools"]]
    return there


async def test_interrupts_leave_a_whole_commit_or_none_and_the_conversation_says_which(house: House) -> None:
    """At random moments; how long a whole turn takes is measured first."""
    chance, both = random.Random(ROUNDS), set[bool]()
    async with talking(house, script) as talk:
        start = asyncio.get_running_loop().time()
        assert words(await talk.say("1000")) == "made"
        whole = asyncio.get_running_loop().time() - start
    for first in range(0, ROUNDS, IN_ONE_CONVERSATION):
        async with talking(house, script) as talk:
            for number in range(first, min(ROUNDS, first + IN_ONE_CONVERSATION)):
                head = house.head
                await stopped(talk, str(number), chance.uniform(0, whole * 1.1))
                assert words(await talk.say("go on")) == "ok"
                both.add(check(house, talk, number, head))
    assert git(house.registry.path, "fsck", "--strict") == ""
    assert {finding.status for finding in audit(house.registry)} <= {"ok"}
    assert ROUNDS < 100 or both == {True, False}


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from house_kit import House, talking
from test_creation_interrupts import script
from micro_agi_kernel.settings import Settings

async def main():
    house = House(Settings(home=Path(sys.argv[1])))
    async with talking(house, script) as talk:
        await talk.say("ready?")
        print("ready", flush=True)
        await talk.say(sys.argv[2])
        print("done", flush=True)

asyncio.run(main())
"""


def test_a_kill_leaves_a_whole_commit_or_none(enter: Callable[..., House]) -> None:
    house, chance = enter(), random.Random(KILLS)
    home, here = house.settings.home, Path(__file__).parent
    whole = 0.4
    for number in range(KILLS):
        head = house.head
        arguments = [sys.executable, "-c", CHILD, str(home), str(number), str(here), str(here.parent)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True) as child:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
            with suppress(subprocess.TimeoutExpired):
                child.wait(chance.uniform(0, whole))
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        with Registry.open(house.registry.path) as registry:
            there = registry.snapshot().has(id_of(f"app.generated:made_{number}"))
            assert (registry.head() != head) == there
            assert not there or registry.version("main").trailers["Tests"] == "3 passed"
            assert {finding.status for finding in audit(registry) if finding.check != "files"} <= {"ok"}
    assert git(house.registry.path, "fsck", "--strict") == ""
    again = House(Settings(home=home))
    try:
        assert again.registry.head()
    finally:
        again.registry.close()


async def test_a_turn_that_is_not_stopped_makes_it(house: House) -> None:
    async with talking(house, script) as talk:
        events = await talk.say("7")
        assert finished(events) == [("create_tool", "ok"), ("load_tool", "ok"), ("made_7", "ok")]
