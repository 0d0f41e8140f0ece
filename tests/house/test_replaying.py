"""Sessions that are logged, and their logs as the model of another session, in a registry of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import GOOD, House, create, delete, finished, git, talking, tool, words
from model_server import calls, reply, text
from replay_kit import error, load, log_of, logged, notes, record, replay

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import ReasoningDelta, TextDelta, ToolFinished, ToolStarted
from micro_agi_kernel.models.replay import PREFIX
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import CompressionSettings, Settings

CLOCK = {
    "name": "clock",
    "description": "Returns the current time.",
    "source": "local time = require('time')\nreturn { handler = function()\n  print('looking')\n"
    "  return { now = time.now():unix_nano() }\nend }\n",
    "input_schema": {"type": "object", "properties": {}},
    "modules": ["time"],
}
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "source": "return { handler = function(input) return { sum = input.a + input.b } end }\n",
    "input_schema": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
}


TWO_TOOLS = [
    calls(("create_tool", CLOCK), ("create_tool", ADD)),
    calls(load("clock"), load("add")),
    calls(("clock", {}), ("add", {"a": 1, "b": 2})),
    text("It is ", "noon, and 3."),
    calls(("add", {"a": 3, "b": 4})),
    text("Seven."),
]
PROMPTS = ("what time is it, and what is 1 + 2?", "and 3 + 4?")


async def test_the_same_prompts_make_the_same_tools_in_a_fresh_registry(enter: Callable[..., House]) -> None:
    first, second = enter(), enter()
    session, before = await record(first, TWO_TOOLS, PROMPTS)
    after = await replay(second, log_of(first, session), PROMPTS)
    trees = [git(house.registry.path, "rev-parse", "main:app/generated") for house in (first, second)]
    assert trees[0] == trees[1]
    assert git(second.registry.path, "ls-tree", "-r", "--name-only", "main:app/generated").count(".lua") == 2
    for old, new in zip(before, after, strict=True):
        assert (sorted(finished(new)), words(new), error(new)) == (sorted(finished(old)), words(old), "")
    assert notes(after[1]) == []
    [clock] = notes(after[0])  # and none about the ids of commits, which always differ
    assert re.fullmatch(r'clock gave another result than recorded: recorded \{"now":\d+\}, came \{"now":\d+\}', clock)


async def test_another_prompt_is_the_error_and_the_right_one_goes_on(enter: Callable[..., House]) -> None:
    first = enter()
    session, _ = await record(first, [text("One."), text("Two.")], ["first", "second " * 50])
    came = ["the first", "first", "second " * 20 + "third", "second " * 50, "and now?"]
    turns = await replay(enter(), log_of(first, session), came)
    assert [words(turn) for turn in turns] == ["", "One.", "", "Two.", ""]
    errors = [error(turn) for turn in turns]
    assert errors[0] == "another prompt was recorded here: recorded 'first', came 'the first'"
    assert re.search("recorded '…[a-z ]*second second second…', came '…[a-z ]*second third'", errors[2])
    assert errors[4] == "the recorded session has no more prompts; what came is 'and now?'"


async def test_thoughts_are_played_before_the_words(enter: Callable[..., House]) -> None:
    first = enter()
    session, before = await record(first, [reply(["On", "e."], reasoning=["Hm", "m."])], ["go"])
    [turn] = await replay(enter(), log_of(first, session), ["go"])
    for events in (before[0], turn):
        thoughts = [event.text for event in events if isinstance(event, ReasoningDelta)]
        assert ("".join(thoughts), words(events)) == ("Hmm.", "One.")
    assert [type(event) for event in turn][:2] == [ReasoningDelta, TextDelta]


async def test_a_missing_tool_is_the_error(enter: Callable[..., House]) -> None:
    first, second = enter(), enter()
    first.write(*create(tool("shared", GOOD)))
    script = [calls(load("shared")), calls(("shared", {}), ("nonsense", {})), text("One.")]
    session, _ = await record(first, script, ["go"])
    [turn] = await replay(second, log_of(first, session), ["go"])
    assert finished(turn) == [("load_tool", "error")] and len(notes(turn)) == 1
    assert error(turn) == "a tool is missing: recorded is a call of 'shared', and now there are 5 others"
    second.write(*create(tool("shared", GOOD)))
    [turn] = await replay(second, log_of(first, session), ["go"])
    assert sorted(finished(turn)) == [("load_tool", "ok"), ("nonsense", "error"), ("shared", "ok")]
    assert words(turn) == "One."


async def test_prompts_may_be_run_again(enter: Callable[..., House]) -> None:
    first = enter()
    script = [text("One."), text("Two."), calls(("registry_list", {})), text("Three.")]
    session, _ = await record(first, script, ["same", "same", "other"])
    turns = await replay(enter(), log_of(first, session), ["same", "same", "same", "other", "other"])
    assert [words(turn) for turn in turns] == ["One.", "Two.", "Two.", "Three.", "Three."]


async def test_a_conversation_that_was_compressed(enter: Callable[..., House]) -> None:
    """The model that compressed is in the log, and no part of the turn."""
    first = enter()
    small = replace(first.settings, compression=CompressionSettings(threshold=0.03))
    prompts = ["make add " + "please " * 2_000, "and 1 + 2?"]
    script = [
        *(calls(("create_tool", ADD)), calls(load("add")), text("Done.")),
        *(text("They made add."), calls(("add", {"a": 1, "b": 2})), text("Three.")),
    ]
    async with talking(first, script, small) as talk:
        before = [await talk.say(prompt) for prompt in prompts]
    talk.session._log.close()
    assert notes(before[1])[0].startswith("conversation compressed: ")
    assert [step.model for step in logged(first, talk.session.id)[1].steps] == ["gpt-4.1-nano", "gpt-5.1", "gpt-5.1"]
    after = await replay(enter(), log_of(first, talk.session.id), prompts)
    assert [(words(turn), finished(turn)) for turn in after] == [(words(turn), finished(turn)) for turn in before]


async def test_a_call_that_was_cut_and_asked_for_again(enter: Callable[..., House]) -> None:
    first = enter()
    short = reply(("Let me see.",), [("create_tool", '{"na')], finish="length")
    session, before = await record(first, [short, calls(("create_tool", ADD)), text("Done.")], ["make add"])
    [turn] = await replay(enter(), log_of(first, session), ["make add"])
    assert finished(turn) == finished(before[0]) == [("create_tool", "ok")]
    assert words(turn) == words(before[0])


async def test_only_ids_of_commits_may_differ_without_a_note(house: House) -> None:
    def log(value: Any) -> Path:
        path = house.settings.home / "theirs.jsonl"
        lines = [
            {"kind": "Session", "format": 1},
            {"kind": "Prompt", "text": "go"},
            {"kind": "Request", "messages": [{"role": "user", "text": "go"}]},
            {"kind": "Answer", "calls": [{"id": "c", "name": "give", "arguments": "{}"}], "finish": "tool_calls"},
            {"kind": "ToolFinished", "call_id": "c", "name": "give", "status": "ok", "value": value},
            {"kind": "Request", "kept": 1, "messages": [{"role": "assistant"}, {"role": "tool", "call": "c"}]},
            {"kind": "Answer", "text": "Done.", "finish": "stop"},
        ]
        path.write_text("\n".join(map(json.dumps, lines)))
        return path

    given = '{ commit = ("a"):rep(40), list = { { commit = ("b"):rep(40), n = 1 } } }'
    house.write(*create(tool("app.tools:give", f"return {{ handler = function() return {given} end }}")))
    other = {"commit": "c" * 40, "n": 1}
    for value, differs in (
        ({"commit": "c" * 40, "list": [other]}, False),
        ({"commit": "c" * 40, "list": [{**other, "n": 2}]}, True),
        ({"commit": "c" * 39, "list": [other]}, True),
        ({"commit": "C" * 40, "list": [other]}, True),
        ({"commit": None, "list": [other]}, True),
        ({"list": [other]}, True),
        ({"id": "c" * 40, "list": [other]}, True),
    ):
        [turn] = await replay(house, log(value), ["go"])
        assert words(turn) == "Done." and bool(notes(turn)) == differs, value


async def test_a_log_that_another_wrote(enter: Callable[..., House]) -> None:
    """Repeated and empty ids of calls, a call of nothing, arguments that are no JSON: the agent takes them as usual."""
    house = enter()
    path = house.settings.home / "theirs.jsonl"
    wanted: list[Any] = [{"id": "x", "name": "registry_list", "arguments": "{}"}] * 2 + [
        {"name": "a b", "arguments": "["},
        {},
        5,
    ]
    said: Any = {"role": "user", "text": "go"}
    result = {"role": "tool", "call": "x", "text": "{}"}
    lines = [
        {"kind": "Session", "format": 1},
        {"kind": "Prompt", "text": "go"},
        {"kind": "Request", "messages": [said]},
        {"kind": "Answer", "calls": wanted, "finish": "tool_calls"},
        {"kind": "Request", "kept": 1, "messages": [{"role": "assistant"}, result]},
        {"kind": "Answer", "text": "Done.", "finish": "stop", "usage": {"prompt": -5, "completion": 1e300}},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    [turn] = await replay(house, path, ["go"])
    assert words(turn) == "Done."
    ids = [event.call_id for event in turn if isinstance(event, ToolStarted)]
    assert len(ids) == len(set(ids)) == 4


async def test_a_log_that_is_gone_or_none_is_one_line(enter: Callable[..., House], tmp_path: Path) -> None:
    house = enter()
    (tmp_path / "x.jsonl").write_text("x")
    for named in ("nothing", tmp_path / "x.jsonl"):
        [turn] = await replay(house, named, ["go"])
        assert re.search("there is no session log 'nothing'|is no session log", error(turn))


async def test_the_log_holds_the_whole_result(house: House) -> None:
    house.write(*create(tool("app.tools:big", "return { handler = function() return ('x'):rep(1000000) end }")))
    session, _ = await record(house, [calls(("big", {})), text("Done.")], ["go"])
    [turn] = logged(house, session)
    [result] = [event for event in turn.events if isinstance(event, ToolFinished)]
    assert result.value == "x" * 1_000_000 and result.seconds > 0
    assert [step.usage.prompt for step in turn.steps] == [100, 100]
    [again] = await replay(house, session, ["go"])
    assert notes(again) == [] and words(again) == "Done."


async def test_no_key_is_in_the_log(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "their-0123456789abcdef")
    model = b"kind: registry.entry\nmeta: {type: llm.model, name: theirs}\ndata:\n  max_tokens: 1000\n  providers:\n"
    provider = b"  - {id: 'wippy.llm.openai:provider', options: {api_key_env: THEIR_KEY}}\n"
    house.push({"app/theirs.yaml": model + provider})
    planted = ("sk-planted-0123456789abcdef", "their-0123456789abcdef")
    script = [calls(("registry_list", {"query": planted[0]})), text(planted[1])]
    session, _ = await record(house, script, [" and ".join(planted)])
    content = log_of(house, session).read_text()
    assert not any(key in content for key in planted) and '"text":"*** and ***"' in content


async def test_commands_are_in_the_log(house: House) -> None:
    session = Session(house, house.settings)
    shown = [event async for event in run_cell(session, "%help", cell=3)]
    session._log.close()
    [turn] = logged(house, session.id)
    assert (turn.cell, turn.prompt, turn.status, turn.steps) == (3, "%help", "ok", [])
    assert words(turn.events) == words(shown)


async def test_a_full_disk_fails_no_cell(house: House) -> None:
    async with talking(house, [text("One."), text("Two."), text("Three.")]) as talk:
        path = log_of(house, talk.session.id)
        turns = [await talk.say("first")]
        talk.session._log._writer.submit(path.unlink).result()
        path.symlink_to("/dev/full")
        turns += [await talk.say("second")]
        talk.session._log._writer.submit(int).result()
        turns += [await talk.say("third")]
    talk.session._log.close()
    assert [words(turn) for turn in turns] == ["One.", "Two.", "Three."]
    [note] = [note for turn in turns for note in notes(turn)]
    assert note.startswith("the log of this session cannot be written, it ends here: No space left on device")


async def test_a_tool_that_is_deleted_meanwhile(enter: Callable[..., House]) -> None:
    """What we tell the model in the midst of a turn is part of its request, and not an answer."""
    first, second = enter(), enter()
    for house in (first, second):
        house.write(*create(tool("shared", GOOD)))
    session, _ = await record(first, [calls(load("shared")), text("One."), text("Two.")], ["load", "go"])
    replayed = Session(second, Settings(home=second.settings.home, model=f"{PREFIX}{log_of(first, session)}"))
    assert words([event async for event in replayed.run("load")]) == "One."
    second.write(*delete("app.generated:shared"))
    assert words([event async for event in replayed.run("go")]) == "Two."
    replayed._log.close()
