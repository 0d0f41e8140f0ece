"""Long conversations over the real provider: compressed before a step or by hand, and what the model has afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from house_kit import GOOD, House, id_of, talking, update, words
from model_server import ModelServer, Reply, calls, failure, text

from micro_agi_kernel.agent.compression import RECORD, SUMMARY
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import Notice, TurnFinished
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.settings import CompressionSettings

SMALL = CompressionSettings(threshold=0.03)
"""3,840 tokens of the model's 128,000."""


class Models:
    """The agent's model makes a tool, loads it and calls it when asked; the other one summarizes, or fails."""

    def __init__(self, summary: Reply) -> None:
        self.summary = summary
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        self.asked.append(body)
        if body["model"] == "gpt-4.1-nano":
            return self.summary
        last = body["messages"][-1]
        if last["role"] == "user" and "make" in last["content"]:
            schema = {"type": "object", "properties": {}}
            return calls(
                ("create_tool", {"name": "one", "description": "Gives 1", "source": GOOD, "input_schema": schema})
            )
        if last["role"] == "tool" and '"created"' in last["content"]:
            return calls(("load_tool", {"id": "app.generated:one"}))
        if last["role"] == "user" and "call" in last["content"]:
            return calls(("one", {}))
        return text("fine")


async def test_loaded_tool_and_last_turn_survive_a_compression(house: House) -> None:
    models = Models(text("They made the tool one."))
    async with talking(house, models, replace(house.settings, compression=SMALL)) as talk:
        await talk.say("make a tool " + "please " * 2_000)
        events = await talk.say("call it, the word is heron")
        notices = [event.text for event in events if isinstance(event, Notice)]
        assert len(notices) == 1 and notices[0].startswith("conversation compressed: ")
        _, summary, *kept = models.asked[-1]["messages"]
        assert summary == {"role": "system", "content": SUMMARY + RECORD + "They made the tool one."}
        assert kept[0]["content"] == "call it, the word is heron" and talk.results() == [1]


async def test_failing_summary_is_one_line_and_the_answer_comes(house: House) -> None:
    models = Models(failure(400))  # and the agent's model, asked next, answers with a call instead of a summary
    async with talking(house, models, replace(house.settings, compression=SMALL)) as talk:
        await talk.say("make a tool " + "please " * 2_000)
        events = await talk.say("call it")
        notices = [event.text for event in events if isinstance(event, Notice)]
        assert notices == ["the conversation was not compressed: gpt-5.1 gave no summary"]
        assert talk.results()[-1] == 1 and "please" in models.asked[-1]["messages"][1]["content"]


async def test_off_is_off(house: House) -> None:
    models = Models(text("They talked."))
    async with talking(house, models, replace(house.settings, compression=replace(SMALL, enabled=False))) as talk:
        await talk.say("talk " * 4_000)
        await talk.say("more")
        assert {body["model"] for body in models.asked} == {"gpt-5.1"}


async def test_compact_by_hand(house: House) -> None:
    models = Models(text("They talked."))
    async with talking(house, models) as talk:
        await talk.say("talk " * 2_000)
        await talk.say("the last")
        events = [event async for event in run_cell(talk.session, "%compact")]
        assert "conversation compressed: " in words(events)
        await talk.say("and now")
        roles = [message["role"] for message in models.asked[-1]["messages"]]
        assert roles == ["system", "system", "user", "assistant", "user"]


@pytest.mark.parametrize("offered", [True, False])
async def test_structured_output_is_asked_for_where_the_model_offers_it(house: House, offered: bool) -> None:
    nano = house.registry.snapshot().get(id_of("app:gpt-4.1-nano"))
    assert nano is not None and "structured_output" in str(nano.meta["capabilities"])
    if not offered:
        house.write(*update(replace(nano, meta={**nano.meta, "capabilities": ["generate"]})))
    models = Models(text('{"summary": "They said much."}'))
    async with talking(house, models, replace(house.settings, compression=SMALL)) as talk:
        await talk.say("make a tool " + "please " * 2_000)
        await talk.say("call it")
    [asked] = [body for body in models.asked if body["model"] == "gpt-4.1-nano"]
    assert ("response_format" in asked) == offered, "a server without it may refuse it"
    assert not offered or asked["response_format"]["json_schema"]["strict"] is True
    assert not any("response_format" in body for body in models.asked if body is not asked)
    assert models.asked[-1]["messages"][1]["content"] == SUMMARY + RECORD + "They said much."


async def test_compact_by_hand_stops_at_the_session_s_limit(house: House) -> None:
    models = Models(text("They talked."))
    limits = Bounds(session_tokens=240)
    async with talking(house, models, replace(house.settings, limits=limits)) as talk:
        await talk.say("talk " * 2_000)
        await talk.say("the last")
        before = talk.session._conversation.messages
        *_, end = [event async for event in run_cell(talk.session, "%compact")]
        assert isinstance(end, TurnFinished) and (end.status, end.error_name) == ("error", "LimitReached")
        assert end.error.startswith("this session took 240 of 240 tokens (setting limits.session_tokens)")
        assert talk.session._conversation.messages == before and len(models.asked) == 2


@pytest.mark.parametrize("cell", ["%compact", "the very last"])
async def test_the_limit_is_looked_at_between_the_parts_of_a_long_text(house: House, cell: str) -> None:
    models = Models(text("They talked."))
    nano = house.registry.snapshot().get(id_of("app:gpt-4.1-nano"))
    assert nano is not None
    house.write(*update(replace(nano, data={**nano.data, "max_tokens": 4_000, "output_tokens": 1_000})))
    settings = replace(house.settings, compression=replace(SMALL, threshold=0.9))
    async with talking(house, models, settings) as talk:
        await talk.say("talk " * 8_000)
        await talk.say("the last")
        before = talk.session._conversation.messages
        talk.session._summarizers.settings = SMALL
        bounds = talk.session.budget.bounds
        talk.session.budget.bounds = replace(bounds, session_tokens=600)
        *events, end = [event async for event in run_cell(talk.session, cell)]
        assert isinstance(end, TurnFinished) and end.error_name == "LimitReached"
        assert "600 tokens (setting limits.session_tokens)" in end.error and not any(
            isinstance(event, Notice) for event in events
        )
        asked = [body["model"] for body in models.asked[2:]]
        assert asked == ["gpt-4.1-nano"] * 3, "of the parts only as many as the limit left"
        kept = talk.session._conversation.messages
        assert kept[: len(before)] == before
        talk.session.budget.bounds = bounds
        last = (await talk.say("more"))[-1]
        assert isinstance(last, TurnFinished) and last.status == "ok"


@pytest.mark.parametrize(("named", "reader"), [("", "own"), ("gpt-4.1-nano", "gpt-4.1-nano")])
async def test_a_conversation_goes_to_no_other_server_unasked(house: House, named: str, reader: str) -> None:
    """The model is on a server of its own, and a key for OpenAI's is there too."""

    def own(body: Mapping[str, Any]) -> Reply:
        return text("A summary." if "condense" in body["messages"][0]["content"] else "fine")

    settings = replace(house.settings, model="own", compression=replace(SMALL, model=named))
    with ModelServer(own) as server:
        provider = f"{{id: 'wippy.llm.openai:provider', options: {{base_url: '{server.url}', api_key_env: none}}}}"
        entry = (
            f"kind: registry.entry\nmeta: {{type: llm.model}}\ndata: {{max_tokens: 128000, providers: [{provider}]}}\n"
        )
        house.push({"app/own.yaml": entry.encode()})
        async with talking(house, Models(text("A summary.")), settings) as talk:
            await talk.say("much " + "please " * 5_000)
            events = await talk.say("more")
            [line] = [event.text for event in events if isinstance(event, Notice)]
            assert line.startswith("conversation compressed: ") and line.endswith(f"(by {reader})")
            assert len(talk.requests) == (1 if named else 0), "what was said stays where it was said"
