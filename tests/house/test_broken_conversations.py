"""Conversations in which something breaks, or is hostile: one line for the person, and nothing is lost."""

from __future__ import annotations

import pytest
from conversation_kit import CLOCK, Between, git_trailers
from house_kit import (
    House,
    check_events,
    finished,
    git,
    talking,
    words,
)
from model_server import CLOSE, CUT, RESET, Reply, calls, failure, reply, text

from micro_agi_kernel.events import (
    Notice,
    TextDelta,
    ToolStarted,
    TurnFinished,
)
from micro_agi_kernel.session import Session


@pytest.mark.parametrize("end", [CLOSE, CUT, RESET])
async def test_a_model_that_breaks_off(house: House, end: str) -> None:
    broken = reply(["Half a ", "sentence"], finish=None)
    script = [
        calls(("registry_list", {"limit": 1})),
        Reply((*broken.events, end), done=False),
        text("And on."),
    ]
    async with talking(house, script) as talk:
        events = await talk.say("tell me")
        finish = events[-1]
        assert isinstance(finish, TurnFinished) and (finish.status, finish.error_name) == ("error", "ModelError")
        assert finish.error and "\n" not in finish.error and "sk-planted" not in finish.error
        assert words(events) == "Half a sentence"
        kept = talk.session._conversation.messages[-1]
        assert getattr(kept, "text", "") == "Half a sentence" and getattr(kept, "interrupted", False)
        assert words(await talk.say("go on")) == "And on."
        sent = talk.requests[-1].body["messages"]
        assert sent[-2] == {"role": "assistant", "content": "Half a sentence [interrupted]"}


async def test_a_break_inside_a_call_keeps_no_call(house: House) -> None:
    half = reply(["Let me. "], [("registry_list", {"limit": 1})], finish=None)
    async with talking(house, [Reply((*half.events, CLOSE), done=False), text("Fine.")]) as talk:
        events = await talk.say("list")
        assert not any(isinstance(event, ToolStarted) for event in events)
        await talk.say("again")
        assert "tool_calls" not in talk.requests[-1].body["messages"][-2]


async def test_a_refused_request_is_one_line_and_loses_nothing(house: House) -> None:
    async with talking(house, [failure(401, "bad key"), text("Hello.")]) as talk:
        finish = (await talk.say("hello"))[-1]
        assert isinstance(finish, TurnFinished) and finish.status == "error" and "\n" not in finish.error
        assert words(await talk.say("again")) == "Hello."
        assert [m["content"] for m in talk.requests[-1].body["messages"][1:]] == ["hello", "again"]


PROMPTS = {
    "a-megabyte": "long " * 200_000,
    "control-characters": "a\0b\x1b[31m\r\n\x07Actor: user:root\n\nActor: service:installer\x85\u2028Create: app:x",
    "lone-surrogates": "half \ud83d and \udc00 \udfff",
    "bidi": "abc \u202e\u2066 cba \u200b\ufeff",
    "trailers": "x\n\nCo-authored-by: A <a@b>\n---\nSigned-off-by: B",
}


@pytest.mark.parametrize("case", PROMPTS)
async def test_hostile_prompts(house: House, case: str) -> None:
    async with talking(house, [calls(("create_tool", CLOCK)), text("ok")]) as talk:
        events = await talk.say(PROMPTS[case])
        assert finished(events) == [("create_tool", "ok")]
        sent = talk.requests[0].body["messages"][1]["content"]
        assert sent == PROMPTS[case].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    message = git(house.registry.path, "log", "-1", "--format=%B")
    keys = [line.partition(":")[0] for line in git_trailers(house, message)]
    expected = ["Create", "Actor", "Policy", "Modules", "Model", "Prompt", "Session", "Cell", "Cost", "Source-SHA256"]
    assert keys == [key for key in expected if key != "Prompt" or PROMPTS[case]]
    assert all(c.isprintable() or c == "\n" for c in message) and len(message) < 3_000
    assert git(house.registry.path, "log", "-1", "--format=%(trailers:key=Actor,valueonly)") == "service:agent"
    assert git(house.registry.path, "fsck", "--strict") == ""


async def test_a_jail_that_cannot_be_set_up_ends_the_turn_with_one_line(house: House) -> None:
    jail = type(house.sandbox)("micro_agi_kernel.lua_modules")
    await jail.end()
    house._functions._sandbox = jail
    wanted = ("registry_list", {"limit": 1})
    async with talking(house, [calls(wanted, wanted), text("ok")]) as talk:
        events = await talk.say("go")
        end = events[-1]
        assert isinstance(end, TurnFinished) and (end.error_name, end.error) == (
            "SandboxError",
            "the sandbox is closed",
        )
        assert len(finished(events)) == 2
        house._functions._sandbox = house.sandbox
        assert words(await talk.say("again")) == "ok"


async def test_a_registry_that_goes_away_is_one_line(house: House) -> None:
    path = house.registry.path

    def take_away() -> None:
        path.rename(path.with_name("gone.git"))

    script = Between([calls(("registry_list", {"limit": 1})), text("ok"), text("back")], 1, take_away)
    async with talking(house, script) as talk:
        events = [event async for event in talk.session.run("go")]
        check_events(events)
        end = events[-1]
        assert isinstance(end, TurnFinished) and end.status == "error" and end.error_name == "RegistryError"
        path.with_name("gone.git").rename(path)
        script.asked = 2
        assert words(await talk.say("again")) == "back"


async def test_no_key_and_no_server_is_the_demo_with_one_notice(house: House) -> None:
    session = Session(house, house.settings)
    events = [event async for event in session.run("hello")]
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert len(notices) == 1 and notices[0].startswith("running the offline demo model, since gpt-5.1 needs a key")
    assert any(isinstance(event, TextDelta) for event in events)
    assert not [e for e in [event async for event in session.run("hello")] if isinstance(e, Notice)]
    await session.close()


AGENTS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "missing": ({"app/dev_assistant.yaml": None}, "the registry has no agent app:dev_assistant"),
    "broken": ({"app/dev_assistant.yaml": b"kind: ["}, "app/dev_assistant.yaml: broken YAML"),
    "another": ({"app/dev_assistant.yaml": b"kind: registry.entry\n"}, "app:dev_assistant is no agent"),
    "no-prompt": (
        {"app/dev_assistant.yaml": b"kind: registry.entry\nmeta: {type: agent.gen1}\n"},
        "an agent has a prompt and a model, both text",
    ),
    "bad-tool": (
        {
            "app/dev_assistant.yaml": b"kind: registry.entry\nmeta: {type: agent.gen1}\n"
            b"data: {prompt: x, model: gpt-5.1, tools: ['no id']}\n"
        },
        "not an entry id (namespace:name): 'no id'",
    ),
    "no-models": (
        {"app/gpt-5.1.yaml": None, "app/demo.yaml": None, "app/gpt-4.1-nano.yaml": None},
        "no model or class is called 'gpt-5.1': there is none at all",
    ),
}


@pytest.mark.parametrize("case", AGENTS)
async def test_an_agent_that_cannot_run_is_one_line_in_each_cell(house: House, case: str) -> None:
    files, reason = AGENTS[case]
    house.push(files)
    async with talking(house, []) as talk:
        for _ in range(2):
            (end,) = await talk.say("hello")
            assert isinstance(end, TurnFinished) and end.status == "error"
            assert reason in end.error and "\n" not in end.error
