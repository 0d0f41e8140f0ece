"""A conversation that became too long: what is summarized, what stays, and that it can be sent whatever happens."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

import pytest
from compression_kit import (
    Answer,
    Room,
    ScriptedModel,
    assert_sendable,
    compressor,
    conversation,
    request_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from micro_agi_kernel.agent.compression import RECORD, SUMMARY, compress
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.errors import ErrorKind, ModelError
from micro_agi_kernel.events import UsageReport
from micro_agi_kernel.messages import AssistantMessage, SystemMessage, ToolCall, ToolResult, Usage, UserMessage

EXAMPLES = 1_000 if os.environ.get("MICRO_AGI_FULL") else 60


async def squeeze(made: Conversation, model: ScriptedModel) -> int:
    return await compress(made, compressor(model), lambda _: None)


# What is summarized, and what stays


async def test_summary_stands_before_the_last_turn_which_stays_word_for_word() -> None:
    made, model = conversation(4), ScriptedModel(["They spoke of clocks."])
    last = made.messages[-5:]
    assert await squeeze(made, model) == 15
    assert made.messages == (SystemMessage(f"Conversation summary:\n\n{RECORD}They spoke of clocks."), *last)
    assert isinstance(last[0], UserMessage) and "prompt 3" in last[0].text
    assert_sendable(made)


async def test_the_model_reads_all_that_was_said_and_nothing_of_the_last_turn() -> None:
    made, model = conversation(3), ScriptedModel(["short"])
    made.tell("The tool app:x is no longer in the registry.")
    made.answer(AssistantMessage("half a sen", interrupted=True))
    made.say("last")
    await squeeze(made, model)
    record = model.asked()
    for turn in range(3):
        for fact in (f"Person: prompt {turn}: ", f"please{turn}", f"F{turn}.0", f"F{turn}.1", f"result of c{turn}.1"):
            assert fact in record
    for line in (
        'Assistant calls clock: {"fact": "F0.0"}',
        'Result of clock: {"found": "result of c0.0"}',
        "Note: The tool app:x is no longer in the registry.",
        "Assistant (broken off): half a sen",
    ):
        assert f"\n\n{line}" in record
    assert "last" not in record


async def test_earlier_summary_is_part_of_what_is_summarized() -> None:
    made, model = conversation(3), ScriptedModel(["The first summary.", "The second summary."])
    await squeeze(made, model)
    made.say("more " * 200)
    made.answer(AssistantMessage("yes"))
    made.say("the last")
    await squeeze(made, model)
    assert model.asked().startswith("Conversation summary:\n\nThe first summary.\n\nPerson: prompt 2")
    assert made.messages == (SystemMessage(SUMMARY + RECORD + "The second summary."), UserMessage("the last"))


async def test_turn_that_is_still_going_keeps_its_calls_and_results() -> None:
    made = conversation(2)
    made.say("now")
    calls = (ToolCall("a", "clock", "{}"), ToolCall("b", "clock", "{}"))
    made.answer(AssistantMessage("let me see", calls))
    made.result(ToolResult("b", "clock", '"late"', ok=True))
    open_before, last = made.open_calls(), made.messages[-3:]
    await squeeze(made, ScriptedModel(["short"]))
    assert made.messages[1:] == last and made.open_calls() == open_before == calls[:1]
    made.close_open_calls(ErrorKind.CANCELED, "interrupted")
    assert_sendable(made)


@pytest.mark.parametrize("made", [Conversation(), conversation(1, words=900), conversation(2, words=3)])
async def test_nothing_to_gain_asks_nobody(made: Conversation) -> None:
    before = made.messages
    assert await squeeze(made, ScriptedModel([])) == 0
    assert made.messages == before


# Failures and interrupts


@pytest.mark.parametrize("answer", [ModelError("scripted is down"), "", "  \n "])
async def test_failure_leaves_the_conversation_and_says_why(answer: Answer) -> None:
    made = conversation(6)
    room, before = Room(made, ScriptedModel([answer]), window=1_200), made.messages
    room._window = 100_000
    done = await room.next_turn().compact(room.request)
    assert made.messages == before and done.before == done.after
    assert str(done).startswith("the conversation was not compressed: scripted ")
    assert "\n" not in str(done)


async def test_next_model_is_asked_when_one_fails() -> None:
    first, second = ScriptedModel([ModelError("down")]), ScriptedModel(["short"], name="other")
    room = Room(conversation(6), first, second, window=100_000)
    done = await room.turn.compact(room.request)
    assert done.summarized == 25 and not done.problem
    assert [event.model for event in room.events if isinstance(event, UsageReport)] == ["other"]


async def test_interrupt_leaves_the_conversation_as_it_was() -> None:
    made, model = conversation(5), ScriptedModel(["short"])
    model.hang = True
    before = made.messages
    task = asyncio.create_task(squeeze(made, model))
    await model.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.messages == before


# When


async def test_compresses_only_above_the_threshold() -> None:
    made, model = conversation(6), ScriptedModel(["short"])
    tokens = await Room(made, window=1).tokens()
    room = Room(made, model, window=tokens * 4 // 3 + 2)
    assert await room.turn.make_room(room.request) is None and not model.requests
    made.say("x")
    done = await room.turn.make_room(room.request)
    assert done is not None and done.summarized == 30 and done.after < done.before
    assert str(done) == f"conversation compressed: {done.before:,} → {done.after:,} tokens (by scripted)"
    assert done.after == await room.tokens()


async def test_word_of_the_provider_decides() -> None:
    made, model = conversation(6), ScriptedModel(["short"])
    tokens = await Room(made, window=1).tokens()
    room = Room(made, model, window=tokens * 2)
    assert await room.turn.make_room(room.request) is None
    room.counter.learn(room.request(), Usage(prompt=tokens * 2))
    done = await room.turn.make_room(room.request)
    assert done is not None and done.before == tokens * 2 and done.after < tokens


async def test_tried_once_in_a_turn() -> None:
    made, model = conversation(6), ScriptedModel([ModelError("down")] * 2)
    tokens = await Room(made, window=1).tokens()
    room = Room(made, model, window=tokens + 100)
    first = await room.turn.make_room(room.request)
    assert first is not None and first.problem == "down"
    assert await room.turn.make_room(room.request) is None
    assert len(model.requests) == 1
    assert await room.next_turn().make_room(room.request) is not None


# When nothing else fits


async def test_oldest_whole_turns_go_when_there_is_no_summary_and_no_room() -> None:
    made = conversation(10)
    made.replace_beginning(0, [SystemMessage(SUMMARY + "earlier")])
    before, tokens = made.messages, await Room(made, window=1).tokens()
    room = Room(made, ScriptedModel([ModelError("down")]), window=tokens // 2)
    done = await room.turn.make_room(room.request)
    assert done is not None and done.dropped == (len(before) - len(made.messages)) // 5
    assert made.messages == (before[0], *before[1 + 5 * done.dropped :])
    assert done.after == await room.tokens() <= tokens // 2 - 50  # 50 are for the answer
    assert str(done).startswith(f"the {done.dropped} oldest turns were left out") and "(down)" in str(done)
    assert_sendable(made)


@pytest.mark.parametrize("turns", range(1, 8))
async def test_no_more_turns_go_than_must(turns: int) -> None:
    """50 tokens are for the answer: with one token less of a window than that, one turn more goes."""
    shorter = conversation(10)
    shorter.replace_beginning(5 * turns, ())
    tokens = await Room(shorter, window=1).tokens()
    for window, dropped in ((tokens + 50, turns), (tokens + 49, turns + 1)):
        done = await (room := Room(conversation(10), window=window)).turn.make_room(room.request)
        assert done is not None and done.dropped == dropped


async def test_an_answer_that_may_fill_the_window_leaves_the_prompt_its_part() -> None:
    made = conversation(10)
    tokens = await Room(made, window=1).tokens()
    room = Room(made, ScriptedModel([ModelError("down")]), window=tokens * 4 // 3 - 4)
    done = await room.turn.make_room(lambda: request_of(made, max_tokens=tokens))
    assert done is not None and done.dropped == 1 and done.after < tokens


async def test_nothing_goes_when_the_last_turn_alone_is_too_long() -> None:
    made = conversation(3)
    made.say("long " * 2_000)
    before = made.messages
    room = Room(made, ScriptedModel([ModelError("down")]), window=1_000)
    done = await room.turn.make_room(room.request)
    assert made.messages == before and done is not None and not done.dropped and done.problem == "down"


@pytest.mark.parametrize("turns", [0, 3])
async def test_a_prompt_beyond_the_window_is_sent_with_one_line(turns: int) -> None:
    made = conversation(turns)
    made.say("long " * 8_000)
    room = Room(made, ScriptedModel(["short"] * 9), window=6_000)
    done = await room.turn.make_room(room.request)
    assert done is not None and bool(done.summarized) == bool(turns)
    line = f"the request has about {done.after:,} tokens, more than the model's window of 6,000: "
    assert line in str(done) and str(done).startswith("conversation compressed: " if turns else line)
    made.answer(AssistantMessage("more"))
    assert await room.turn.make_room(room.request) is None, "it is said once in a turn"


async def test_without_any_model_only_dropping_is_left() -> None:
    room = Room(conversation(10), window=1_500)
    done = await room.turn.make_room(room.request)
    assert done is not None and done.dropped and "no model that can summarize" in str(done)


# Any conversation

words = st.text(alphabet="ab é今😀\n", min_size=5, max_size=60)
steps = st.tuples(words, st.integers(0, 3))
turns = st.lists(
    st.tuples(words.map("p".__add__), st.lists(steps, max_size=3), st.sampled_from(["", "tell", "cut", "open"])),
    min_size=3,
    max_size=7,
)
answers = st.lists(st.sampled_from(["short", "x" * 500, "", ModelError("down")]), min_size=1, max_size=4).map(
    itertools.cycle
)


def say(made: Conversation, turn: Any, number: int) -> None:
    """One turn as the loop leaves it, however it ended; the last result is missing when it was interrupted."""
    prompt, answered, end = turn
    made.say(prompt)
    for step, (text, count) in enumerate(answered):
        calls = tuple(ToolCall(f"c{number}.{step}.{call}", "clock", "{}") for call in range(count))
        made.answer(AssistantMessage(text, calls))
        open_here = end == "open" and step == len(answered) - 1
        for call in calls[: len(calls) - open_here]:
            made.result(ToolResult(call.id, "clock", f'"{text}"', ok=True))
        if end == "tell" and step == 0:
            made.tell("The tool app:x is no longer in the registry.")
    if end == "cut":
        made.answer(AssistantMessage("half", interrupted=True))
    made.close_open_calls(ErrorKind.CANCELED, "interrupted")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns, answers, st.integers(150, 600))
def test_any_conversation_stays_sendable_and_keeps_its_last_turn(said: Any, script: Any, window: int) -> None:
    async def talk() -> None:
        made = Conversation()
        room = Room(made, ScriptedModel(script), window=window, target=60)
        for number, turn in enumerate(said):
            say(made, turn, number)
            before, borders = made.messages, made.turns()
            done = await room.next_turn().make_room(room.request)
            assert_sendable(made)
            last = before[borders[-1] :]
            assert made.messages[-len(last) :] == last
            if done is None:
                assert made.messages == before
            elif done.summarized:
                assert done.summarized == borders[-1] and len(made.messages) == len(last) + 1
                assert str(made.messages[0].text).startswith(SUMMARY)  # type: ignore[union-attr]
            elif done.dropped:
                assert made.messages == (*before[: borders[0]], *before[borders[done.dropped] :])
            else:
                assert (done.problem or done.window) and made.messages == before

    asyncio.run(talk())


def test_the_check_of_what_can_be_sent_can_fail() -> None:
    made = conversation(1)
    made.replace_beginning(2, ())
    with pytest.raises(AssertionError):
        assert_sendable(made)
    assert request_of(made).messages
