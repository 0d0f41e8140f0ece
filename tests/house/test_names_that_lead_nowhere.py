"""Names that lead nowhere, in settings and in the agent's entry: one line in the cell, and no other model unasked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from house_kit import GOOD, House, create, talking, tool, update, words
from model_server import text

from micro_agi_kernel.agent_entry import AGENT_ENTRY
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.events import Event, Notice, TurnFinished
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import CompressionSettings


def agent(**data: Any) -> Entry:
    whole = {"prompt": "Be brief.", "model": "gpt-5.1", "tools": ["app.tools:*"], **data}
    return Entry(AGENT_ENTRY, "registry.entry", {"type": "agent.gen1"}, whole)


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def error(events: list[Event]) -> str:
    end = events[-1]
    assert isinstance(end, TurnFinished)
    return end.error


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("gpt-5.2", "the agent's entry: no model or class is called 'gpt-5.2', the nearest is 'gpt-5.1': there are "),
        ("replay:nope", "there is no session log 'nope': `micro-agi sessions list` shows those that there are"),
    ],
)
async def test_a_wrong_model_in_the_agent_s_entry_answers_nothing_and_writes_nothing(
    house: House, name: str, line: str
) -> None:
    """The demo would answer otherwise, and leave commits."""
    async with talking(house, [text("one"), text("two")]) as talk:
        assert words(await talk.say("1")) == "one"
        house.push_entry(agent(model=name))
        before = house.head
        for _ in range(2):
            events = await talk.say("what time is it?")
            assert error(events).startswith(line) and len(events) == 1
        assert house.head == before
        house.push_entry(agent())
        assert words(await talk.say("2")) == "two"


async def test_a_key_that_is_missing_in_the_midst_of_a_session_is_no_case_for_the_demo(house: House) -> None:
    async with talking(house, [text("one")]) as talk:
        await talk.say("1")
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("OPENAI_API_KEY")
            patch.delenv("OPENAI_BASE_URL")
            events = await talk.say("what time is it?")
        assert error(events).startswith("gpt-5.1 needs a key: set OPENAI_API_KEY") and len(events) == 1


async def test_an_address_without_a_scheme_is_an_error(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:11434/v1")
    session = Session(house, house.settings)
    events = [event async for event in session.run("what time is it?")]
    assert error(events).startswith("OPENAI_BASE_URL is no http(s) address: 'localhost:11434/v1' (for example http://")


async def test_tools_of_the_agent_s_entry_that_are_not_there_are_named_once(house: House) -> None:
    house.write(*create(tool("app.x:real", GOOD), replace(tool("app.x:none", GOOD), meta={})))
    listed: list[Any] = ["app.tools:*", "app.mine:nosuch", "app.mien:*", "app.generated:*", {"id": "app.x:none"}]
    house.write(*update(agent(tools=[*listed, "app.x:real"])))
    async with talking(house, [text("ok")] * 4) as talk:
        assert notes(await talk.say("1")) == [
            f"app:dev_assistant lists {name}, and the registry has no such tool"
            for name in ("app.mine:nosuch", "app.x:none", "app.mien:*")
        ]
        assert notes(await talk.say("2")) == []
        house.write(*create(tool("app.mine:nosuch", GOOD)))
        house.write(*update(agent(tools=[*listed, "app.y:new"])))
        assert notes(await talk.say("3")) == ["app:dev_assistant lists app.y:new, and the registry has no such tool"]
        offered = [offer["function"]["name"] for offer in talk.requests[-1].body["tools"]]
        assert "nosuch" in offered


@pytest.mark.parametrize(("name", "lines"), [("qwne", 1), ("gpt-4.1-nano", 0), ("class:fast", 0), ("", 0)])
async def test_a_wrong_name_of_the_model_that_summarizes_is_one_line(house: House, name: str, lines: int) -> None:
    settings = replace(house.settings, compression=CompressionSettings(model=name))
    async with talking(house, [text("ok")] * 2, settings) as talk:
        told = notes(await talk.say("1"))
        assert len(told) == lines and notes(await talk.say("2")) == []
        for line in told:
            assert line.startswith("setting compression.model: no model or class is called 'qwne': there are ")
            assert line.endswith("; gpt-5.1 summarizes")
