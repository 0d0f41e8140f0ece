"""Recorded turns that were interrupted, stopped by a limit or failed: how a replay goes through them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from house_kit import GOOD, House, create, finished, talking, tool, words
from model_server import CUT, Hold, Reply, calls, delta, failure, text
from replay_kit import error, interrupted, load, log_of, logged, record, replay

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import TurnFinished
from micro_agi_kernel.interfaces import Bounds


async def test_what_failed_when_it_was_recorded(enter: Callable[..., House]) -> None:
    first = enter()
    broken = Reply((delta(content="Tw"), CUT))
    script = [failure(400), text("One."), calls(("registry_list", {"limit": 1})), broken, text("Two.")]
    session, before = await record(first, script, ["first", "first", "second", "second"])
    assert [turn.status for turn in logged(first, session)] == ["error", "ok", "error", "ok"]
    turns = await replay(enter(), log_of(first, session), ["first", "second", "second"])
    assert [words(turn) for turn in turns] == ["One.", "Tw", "Two."]
    assert error(turns[1]) == f"the recorded answer ends here: {error(before[2])}"


async def test_an_interrupt_and_the_next_prompt(enter: Callable[..., House]) -> None:
    first, hold = enter(), Hold()
    async with talking(first, [Reply((delta(content="On"), hold)), text("Two.")]) as talk:
        await interrupted(talk, "first", hold)
        await talk.say("second")
    talk.session._log.close()
    assert [turn.status for turn in logged(first, talk.session.id)] == ["interrupted", "ok"]
    [again] = await replay(enter(), log_of(first, talk.session.id), ["second"])
    assert words(again) == "Two."


@pytest.mark.parametrize("said", ["On", ""])
async def test_cells_that_were_interrupted_run_again_in_their_order(enter: Callable[..., House], said: str) -> None:
    first, hold, deep = enter(), Hold(), Hold()
    first.write(*create(tool("shared", GOOD)))
    script = [text("One."), Reply((delta(content=said), hold)), text("Two."), calls(load("shared"))]
    async with talking(first, [*script, Reply((), before=deep), text("Three.")]) as talk:
        await talk.say("hello")
        await interrupted(talk, "slow", hold, said)
        await talk.say("hello")
        await interrupted(talk, "load", deep)
        await talk.say("hello")
    talk.session._log.close()
    prompts = ["hello", "slow", "hello", "load", "hello"]
    second = enter()
    second.write(*create(tool("shared", GOOD)))
    turns = await replay(second, log_of(first, talk.session.id), prompts)
    assert [words(turn) for turn in turns] == ["One.", said, "Two.", "", "Three."]
    stopped = "the recorded answer ends here: the cell was stopped"
    assert [error(turn) for turn in turns] == ["", stopped, "", stopped, ""]
    assert finished(turns[3]) == [("load_tool", "ok")]


async def test_cells_that_a_limit_stopped_end_with_why(enter: Callable[..., House]) -> None:
    """The limits of the session that plays it are others."""
    first = enter()
    limited = replace(first.settings, limits=Bounds(steps=2, session_tokens=400))
    look = calls(("registry_list", {"limit": 1}))
    async with talking(first, [look, look, text("One."), text("Two.")], limited) as talk:
        recorded = [await talk.say(prompt) for prompt in ("go", "on", "and", "more", "and more")]
    talk.session._log.close()
    line = "stopped after 2 steps (setting limits.steps); ask again to go on"
    no_more = error(recorded[4])
    assert [error(turn) for turn in recorded] == [line, "", "", no_more, no_more] and "session_tokens" in no_more
    prompts = ("go", "on", "and", "more", "and more", "more", "what else?")
    turns = await replay(enter(), log_of(first, talk.session.id), prompts)
    assert [words(turn) for turn in turns] == ["", "One.", "Two.", "", "", "", ""]
    ended = "the recorded turn ended here: "
    assert [error(turn) for turn in turns[:5]] == [ended + line, "", "", ended + no_more, ended + no_more]
    assert error(turns[6]) == "the recorded session has no more prompts; what came is 'what else?'"


async def test_a_log_that_ends_within_a_turn(enter: Callable[..., House]) -> None:
    first = enter()
    session, _ = await record(first, [calls(("registry_list", {})), text("One.")], ["go"])
    whole = log_of(first, session).read_text().splitlines()
    cut = first.settings.home / "cut.jsonl"
    for kinds, what in ((("Session", "Prompt"), "turn ended"), (("Session", "Prompt", "Request"), "answer ends")):
        cut.write_text("\n".join(line for line in whole[:3] if json.loads(line)["kind"] in kinds))
        [turn] = await replay(first, cut, ["go"])
        assert error(turn) == f"the recorded {what} here: the log ends here"


async def test_commands_and_prompts_that_failed_may_be_left_out(enter: Callable[..., House]) -> None:
    first = enter()
    async with talking(first, [text("One."), failure(400), text("Two.")]) as talk:
        await talk.say("first")
        assert error(await talk.say("wrong"))
        assert not [e async for e in run_cell(talk.session, "%nothing") if not isinstance(e, TurnFinished)]
        await talk.say("second")
    talk.session._log.close()
    said = {"first": "One.", "wrong": "", "second": "Two."}
    for prompts in (["first", "second"], ["first", "first", "wrong", "second"]):
        turns = await replay(enter(), log_of(first, talk.session.id), prompts)
        assert [words(turn) for turn in turns] == [said[prompt] for prompt in prompts]
        assert [bool(error(turn)) for turn in turns] == [prompt == "wrong" for prompt in prompts]
