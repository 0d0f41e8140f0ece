"""Commands about the session: its model, its settings, what was approved in it, and beginning anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from command_kit import Cells
from house_kit import GOOD, House, create, policy, talking, tool, words
from model_server import calls, reply, text
from replay_kit import error, load, log_of, logged, notes
from test_approval import Person

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import SettingsError
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.settings import AT_START, Settings, setting_names, with_setting

LOOK = ("registry_list", {"limit": 1})


async def cell(session: Any, text: str) -> str:
    return words([event async for event in run_cell(session, text)])


async def test_the_models_and_choosing_one(house: House) -> None:
    cells = Cells(house)
    shown = await cells.said("%model")
    assert markdown_as_text(shown).startswith("running the offline demo model, since gpt-5.1 needs a key: ")
    assert "\n| now | name | classes | window | state |\n" in shown
    assert "\n| runs | `demo` | `demo` | 128,000 | ready |\n" in shown
    assert "|  | `gpt-5.1` | `reasoning` | 128,000 | gpt&#45;5&#46;1 needs a key&#58; " in shown
    for name, why in (
        ("gpt-5.1", "gpt-5.1 needs a key: "),
        ("gpt-5.2", "no model or class is called 'gpt-5.2', the nearest"),
    ):
        assert (await cells.failed(f"%model {name}")).startswith(why)
        assert (await cells.failed(f"%set model {name}")).startswith(why)
    assert await cells.said("%set") == "All settings are at their defaults.", "what cannot run is not chosen"
    assert await cells.said("%model demo") == "From the next cell on `demo` answers."
    assert '| `model` | `"demo"` | `""` |' in await cells.said("%set")
    assert (await cells.said('%set model ""')).startswith("From the next cell on `demo` answers: running the")


async def test_another_model_goes_on_with_the_conversation(house: House) -> None:
    async with talking(house, [text("One."), text("Two."), text("Three.")]) as talk:
        await talk.say("first")
        await cell(talk.session, "%model gpt-4.1-nano")
        assert "- model: `gpt-4.1-nano`" in await cell(talk.session, "%session")
        await talk.say("second")
        await cell(talk.session, "%model class:reasoning")
        await talk.say("third")
        assert [each.body["model"] for each in talk.requests] == ["gpt-5.1", "gpt-4.1-nano", "gpt-5.1"]
        said = [message["content"] for message in talk.requests[-1].body["messages"][1:]]
        assert said == ["first", "One.", "second", "Two.", "third"]


async def test_a_setting_of_the_session(house: House) -> None:
    cells = Cells(house)
    assert await cells.said("%set sandbox.timeout 0.3") == (
        "| setting | value | default |\n|---|---|---|\n| `sandbox.timeout` | `0.3` | `30` |"
    )
    assert "| `sandbox.timeout` | `0.3` | `30` |" in await cells.said("%set sandbox.timeout")
    house.write(*create(tool("spin", "return { handler = function() while true do end end }")))
    assert (await cells.failed("%call spin")).startswith("time limit of 0.3 s reached")
    await cells.said("%set render.footer false")
    await cells.said("%set docs.remote 'a `b` | c'")
    shown = await cells.said("%set")
    assert [line.split(" | ")[0] for line in shown.splitlines()[2:]] == [
        "| `sandbox.timeout`",
        "| `docs.remote`",
        "| `render.footer`",
    ]
    assert '| `"a \'b\' / c"` | `""` |' in shown and "| `false` | `true` |" in shown
    assert house.settings == cells.session.settings.__class__(home=house.settings.home), "the file's are untouched"


async def test_what_is_set_is_in_force_everywhere(house: House) -> None:
    cells = Cells(house)
    settings = (
        *("sandbox.memory 32", "sandbox.max_host_calls 20000", "limits.session_tokens 7", "limits.steps 2"),
        *("compression.target 100", "tools.tests_required true", "sync.push_after_commit true"),
        "docs.remote https://example.com",
    )
    for setting in settings:
        await cells.said(f"%set {setting}")
    session = cells.session
    assert house._programs.limits.memory == 32 * MIB
    assert house._programs.most.host_calls == house._functions.most.host_calls == 20_000
    assert (session.budget.bounds.session_tokens, session.budget.bounds.steps) == (7, 2)
    assert session._summarizers.settings.target == 100 and session._sync.settings.push_after_commit
    assert house.publishing.tests_required and house.docs.remote == "https://example.com"
    assert "at least one is required here" in (await house.make("untested"))["error"]


async def test_a_limit_that_was_reached_can_be_raised(house: House) -> None:
    async with talking(
        house, [calls(LOOK), text("One.")], replace(house.settings, limits=replace(house.settings.limits, steps=1))
    ) as talk:
        assert error(await talk.say("look")).startswith("stopped after 1 step")
        await cell(talk.session, "%set limits.steps 2")
        assert words(await talk.say("look")) == "One."


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("%set nonsense", "unknown setting 'nonsense' (%set); the nearest are "),
        ("%set timeout 1", "unknown setting 'timeout' (%set); the nearest is sandbox.timeout"),
        ("%set foo.bar 3", "unknown setting 'foo.bar' (%set); the nearest are "),
        ("%set sandbox.timeout soon", "sandbox.timeout is a number above 0, not 'soon' (%set)"),
        ("%set sandbox.timeout -1", "sandbox.timeout is a number above 0, not '-1' (%set)"),
        ("%set render.footer maybe", "render.footer is true or false, not 'maybe' (%set)"),
        (
            "%set render.front_end paper",
            "render.front_end is one of auto, notebook, terminal, batch, not 'paper' (%set)",
        ),
        ("%set compression.threshold 2", "compression.threshold is a number from 0 to 1, not '2' (%set)"),
        *(
            (f"%set {key} x", f"{key} is read when a session starts: set it in {{config}} or MICRO_AGI_{variable}, ")
            for key, variable in (
                ("registry", "REGISTRY"),
                ("profile", "PROFILE"),
                ("sandbox.require", "SANDBOX_REQUIRE"),
                ("signing.key", "SIGNING_KEY"),
                ("sync.pull_at_start", "SYNC_PULL_AT_START"),
            )
        ),
    ],
)
async def test_what_cannot_be_set_is_one_line(enter: Callable[..., House], tmp_path: Any, text: str, line: str) -> None:
    house = enter(config=tmp_path / "config.toml")
    cells = Cells(house)
    assert (await cells.failed(text)).startswith(line.format(config=tmp_path / "config.toml"))
    assert cells.session.settings == house.settings


def test_every_setting_is_of_one_sort_or_the_other() -> None:
    assert set(setting_names()) > AT_START
    with pytest.raises(SettingsError, match="unknown setting"):
        with_setting(Settings(), "home", "/", "x")
    assert load_settings({"MICRO_AGI_HOME": "/x", "MICRO_AGI_MODEL": "m"}).model == "m"


async def test_the_session_tells_what_it_is(house: House) -> None:
    house.write(*create(tool("clock", GOOD)))
    cells = Cells(house)
    await cells.said("%load clock")
    await cells.run("What time is it in UTC?")
    shown = await cells.said("%session")
    assert shown.partition("\n\n")[0].splitlines() == [
        f"- session: `{cells.session.id}`",
        f"- log: `{log_of(house, cells.session.id)}`",
        "- prompts: 1",
        "- conversation: 10 messages",
        "- loaded tools: `app.generated:clock`, `app.generated:current_time_utc`",
        "- model: `demo`",
        f"- registry: `{house.registry.path}`",
        f"- revision: v3 `{house.head[:12]}`",
    ]
    await cells.said("%reset")
    assert "- conversation: 0 messages\n- model" in await cells.said("%session")
    house.push({"app/dev_assistant.yaml": None})
    assert "has no agent" in await cells.failed("%session")


async def test_what_was_approved_is_shown_and_taken_back(enter: Callable[..., House]) -> None:
    house = enter(profile="guarded")
    house.write(*create(tool("one", GOOD), tool("two", GOOD), policy("app:ask", "ask", "tool.call", "*:one")))
    cells, person = Cells(house), Person("always", "always", "always", "no")
    shown = await cells.said("%approve")
    assert shown.startswith(
        "Nothing is approved for the rest of this session.\n\nProfile `guarded`: these policies ask you."
    )
    assert "| `guarded:ask_load` | `tool.load` | `app.generated:*` |" in shown
    assert "| `app:ask` | `tool.call` | `*:one` |" in shown
    await cells.said("%load one", person)
    await cells.said("%call one", person)
    await cells.said("%load two", person)
    shown = await cells.said("%approve")
    assert shown.partition("\n\n")[0].splitlines() == [
        "1. `tool.call` on `app.generated:one` as it is now",
        "2. `tool.load` on `app.generated:one` as it is now",
        "3. `tool.load` on `app.generated:two` as it is now",
    ]
    assert await cells.failed("%approve forget 4") == "no approval 4: there is 1 to 3, %approve lists them"
    assert await cells.said("%call one", person) == "```json\n1\n```"
    assert await cells.said("%approve forget 1") == (
        "No longer approved:\n\n- `tool.call` on `app.generated:one` as it is now"
    )
    assert "not approved by the person" in await cells.failed("%call one", person)
    assert (await cells.said("%approve forget")).count("`tool.load`") == 2
    assert (await cells.said("%approve forget")) == "Nothing is approved for the rest of this session."
    assert not cells.session.approved


async def test_a_reset_forgets_what_was_said_and_loaded_and_keeps_the_budget(house: House) -> None:
    house.write(*create(tool("clock", GOOD)))
    script = [calls(load("clock")), text("Loaded."), text("Who are you?")]
    async with talking(house, script) as talk:
        await talk.say("load it")
        spent = talk.session.budget.session
        assert await cell(talk.session, "%reset") == "The conversation is forgotten: 4 messages."
        await talk.say("go on")
        body = talk.requests[-1].body
        assert [message["role"] for message in body["messages"]] == ["system", "user"]
        assert "clock" not in {each["function"]["name"] for each in body["tools"]}
        assert talk.session.budget.session.steps == spent.steps + 1 == 3


async def test_a_conversation_that_nobody_can_summarize(house: House) -> None:
    cells = Cells(house)
    await cells.run("What time is it in UTC?")
    await cells.run("What time is it in UTC?")
    assert await cells.said("%compact") == (
        "the conversation was not compressed: there is no model that can summarize: choose one with %model, or in the "
        "setting compression.model"
    )


async def test_a_session_with_a_reset_is_logged_and_replayed(enter: Callable[..., House]) -> None:
    """After it the ids of calls may come again: servers count them from the beginning of a conversation."""
    first, second = enter(), enter()
    for house in (first, second):
        house.write(
            *create(
                tool(
                    "app.tools:say", "return { handler = function(i) return i.n end }", input_schema={"type": "object"}
                )
            )
        )
    script = [
        *(reply((), [("say", {"n": 1})], ids=["call_1"]), text("One.")),
        *(reply((), [("say", {"n": 2})], ids=["call_1"]), text("Two.")),
    ]
    prompts = ["go", "%reset", "go", "%reset"]
    async with talking(first, script) as talk:
        for prompt in prompts:
            await cell(talk.session, prompt)
    talk.session._log.close()
    turns = logged(first, talk.session.id)
    assert [(turn.prompt, len(turn.steps)) for turn in turns] == [("go", 2), ("%reset", 0)] * 2
    assert [step.first for step in turns[2].steps] == [True, False]
    lines = log_of(first, talk.session.id).read_text()
    assert re.findall(r'"kind":"(Prompt|Reset)"', lines) == ["Prompt", "Prompt", "Reset"] * 2
    assert '"kept":0' in lines.partition('"kind":"Reset"')[2]
    for wanted in (prompts, [prompt for prompt in prompts if prompt != "%reset"]):
        session = Cells(second).session
        session.configure(replace(session.settings, model=f"replay:{log_of(first, talk.session.id)}"))
        for prompt, said in zip(
            wanted, [turn for turn in ("One.", "", "Two.", "") if len(wanted) == 4 or turn], strict=True
        ):
            events = [event async for event in run_cell(session, prompt)]
            assert error(events) == "" and notes(events) == []
            assert prompt.startswith("%") or words(events) == said
        session._log.close()


async def test_a_replay_of_what_is_no_log_is_refused_at_once(house: House) -> None:
    cells = Cells(house)
    assert (await cells.failed("%model replay:nothing")).startswith("there is no session log 'nothing'")
    assert cells.session.settings == house.settings
