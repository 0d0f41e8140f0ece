"""Long conversations over the real provider: compressed before a step or by hand, and what the model has afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from house_kit import GOOD, House, talking
from model_server import Reply, calls, failure, text

from micro_agi_kernel.commands import run_cell
from micro_agi_kernel.events import Notice, TextDelta
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
        assert summary == {"role": "system", "content": "Conversation summary:\n\nThey made the tool one."}
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
        assert any(isinstance(event, TextDelta) and "conversation compressed: " in event.text for event in events)
        await talk.say("and now")
        roles = [message["role"] for message in models.asked[-1]["messages"]]
        assert roles == ["system", "system", "user", "assistant", "user"]
