"""The second answer after a call that was cut: the person sees what it says, and what was seen stays said."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from house_kit import House, finished, talking, words
from model_server import CUT, Hold, Reply, delta, end, failure, reply, text

from micro_agi_kernel.events import TurnFinished, UsageReport

LOOK = ("registry_list", {"limit": 1})
CUT_CALL = reply(["Let me write it."], [LOOK], finish="length")


def contents(body: dict[str, object]) -> list[str]:
    """The words of the conversation, ours left out."""
    return [message["content"] for message in body["messages"][1:] if message["content"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("second", "seen"),
    [
        (text("It is ", "too long."), "Let me write it.\n\nIt is too long."),
        (text("Let me write it.", " No: too long."), "Let me write it. No: too long."),
        (text("Let me write it."), "Let me write it."),
        (text("Cut ", finish="length"), "Let me write it.\n\nCut "),
    ],
)
async def test_words_alone_are_shown_and_kept(house: House, second: Reply, seen: str) -> None:
    async with talking(house, [CUT_CALL, second, text("fine")]) as talk:
        events = await talk.say("write")
        assert words(events) == seen and not finished(events)
        last = events[-1]
        assert isinstance(last, TurnFinished) and last.status == "ok"
        await talk.say("on")
        assert contents(talk.requests[-1].body) == ["write", seen, "on"]


async def test_words_beside_a_call_are_not_said_twice(house: House) -> None:
    second = reply(["Let me write it now."], [LOOK])
    async with talking(house, [CUT_CALL, second, text(" Done.")]) as talk:
        assert words(await talk.say("write")) == "Let me write it. Done."
        assert contents(talk.requests[-1].body)[:2] == ["write", "Let me write it."]


async def test_a_second_answer_without_a_word_is_no_answer(house: House) -> None:
    async with talking(house, [CUT_CALL, text(), text("fine")]) as talk:
        last = (await talk.say("write"))[-1]
        assert isinstance(last, TurnFinished) and "gave no answer" in last.error
        await talk.say("on")
        assert contents(talk.requests[-1].body) == ["write", "Let me write it.", "on"]


@pytest.mark.parametrize("how", ["breaks off", "fails", "is stopped"])
async def test_what_was_seen_stays_when_the_second_answer(house: House, how: str) -> None:
    hold = Hold()
    second = {
        "breaks off": Reply((delta(content="unseen"), CUT)),
        "fails": failure(400),
        "is stopped": Reply((delta(content="unseen"), hold, end("stop"))),
    }[how]
    async with talking(house, [CUT_CALL, second, text("fine")]) as talk:
        async with aclosing(talk.session.run("write")) as events:
            seen = []
            async for event in events:
                seen.append(event)
                if how == "is stopped" and isinstance(event, UsageReport):
                    assert await asyncio.to_thread(hold.reached.wait, 10)
                    break
        hold.release()
        assert words(seen) == "Let me write it."
        await talk.say("on")
        assert contents(talk.requests[-1].body) == ["write", "Let me write it. [interrupted]", "on"]
