"""The same turns through two servers: the scripted one of this project, and llm-mock-api, which others wrote.

That one parses each request into types of its own, and answers as its authors read the API: each call in one piece,
the usage in an event that still has a choice, a role without content.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fault_kit import Pauses, without_pauses
from house_kit import GOOD, House, check_events, finished, words
from llm_mock_api import ErrorReply, MockServer, MockServerOptions, ReplyObject, ToolCall  # type: ignore[import-untyped]
from llm_mock_api.types.reply import Usage as TheirUsage  # type: ignore[import-untyped]
from model_server import ModelServer, Reply, failure, reply
from sendable_kit import check_sendable

from micro_agi_kernel.events import Event, Notice, TurnFinished, UsageReport
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.session import Session

PIECE = 7
"""Characters of text in one event, at both servers."""


@dataclass(frozen=True)
class Step:
    """What a server answers to one request: words and calls, or a failure."""

    text: str = ""
    calls: Sequence[tuple[str, dict[str, Any]]] = ()
    status: int = 200
    ids: Sequence[str] = ()


@dataclass(frozen=True)
class Turns:
    """A conversation: the steps after each prompt, and what the person and the model see of it."""

    steps: Sequence[Sequence[Step]]
    said: Sequence[str]
    ran: Sequence[tuple[str, str]] = ()
    errors: Sequence[str] = ("",)
    results: Sequence[Any] = ()
    """Parts of the results of the calls, as the model reads them."""
    pauses: Sequence[float] = ()


TOOL = {"name": "one", "description": "Gives 1", "source": GOOD, "input_schema": {"type": "object", "properties": {}}}
LIST = ("registry_list", {"limit": 1})
LOAD = ("load_tool", {"id": "app.generated:one"})
NOON = Step("It is nöon. 🎉")

SUITE: dict[str, Turns] = {
    "words": Turns([[NOON]], [NOON.text]),
    "a-tool-made-loaded-and-called": Turns(
        [[Step(calls=[("create_tool", TOOL)]), Step(calls=[LOAD]), Step("I call it.", [("one", {})]), NOON]],
        [f"I call it.{NOON.text}"],
        [("create_tool", "ok"), ("load_tool", "ok"), ("one", "ok")],
        results=['"created":true', '"loaded":true', "1"],
    ),
    "calls-side-by-side": Turns(
        [[Step(calls=[LIST, ("doc_search", {"path": "lua/core/time"}), LIST]), NOON]],
        [NOON.text],
        [("registry_list", "ok"), ("doc_search", "ok"), ("registry_list", "ok")],
        results=['"entries"', '"content"', '"entries"'],
    ),
    "what-the-model-gets-wrong": Turns(
        [[Step(calls=[("no tool", {}), ("load_tool", {"id": 5}), ("doc_search", {"path": "no/such"})]), NOON]],
        [NOON.text],
        [("no_tool", "error"), ("load_tool", "error"), ("doc_search", "error")],
        results=["no tool", "error", "error"],
    ),
    "ids-twice": Turns(
        [[Step(calls=[LIST, LIST], ids=["a", "a"]), Step(calls=[LIST], ids=["a"]), NOON]],
        [NOON.text],
        [("registry_list", "ok")] * 3,
        results=['"entries"'] * 3,
    ),
    "three-prompts-and-failures": Turns(
        [[Step(status=503), Step(calls=[LIST]), Step(status=429), NOON], [Step(status=400)], [Step("Good.")]],
        [NOON.text, "", "Good."],
        [("registry_list", "ok")],
        ["", "refused the request (HTTP 400) (scripted failure)", ""],
        results=['"entries"'],
        pauses=[0.5, 0.5],
    ),
    "a-server-that-is-down": Turns(
        [[Step(status=500)] * 4, [NOON]], ["", NOON.text], (), ["HTTP 500", ""], pauses=[0.5, 1.0, 2.0]
    ),
}


@dataclass
class Served:
    """A server that answers with steps; `bodies` are the requests as it read them."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)


@asynccontextmanager
async def our_server(steps: Sequence[Step]) -> AsyncIterator[Served]:
    def answer(step: Step) -> Reply:
        if step.status != 200:
            return failure(step.status)
        pieces = [step.text[start : start + PIECE] for start in range(0, len(step.text), PIECE)]
        return reply(pieces, step.calls, ids=step.ids or None)

    with ModelServer([answer(step) for step in steps]) as server:
        served = Served(server.url)
        yield served
        assert server.left == 0
        served.bodies += [request.body for request in server.requests]


@asynccontextmanager
async def their_server(steps: Sequence[Step]) -> AsyncIterator[Served]:
    left = list(steps)

    def answer(request: Any) -> Any:
        step = left.pop(0)
        if step.status != 200:
            return ReplyObject(error=ErrorReply(step.status, "scripted failure"))
        ids = step.ids or [None] * len(step.calls)
        calls = [ToolCall(id=id, name=name, args=args) for id, (name, args) in zip(ids, step.calls, strict=True)]
        return ReplyObject(text=step.text or None, tools=calls, usage=TheirUsage(100, 20))

    async with MockServer(MockServerOptions(default_latency=0, default_chunk_size=PIECE)) as server:
        server.when(lambda request: True).reply(answer)
        served = Served(f"{server.url}/v1")
        yield served
        assert not left
        served.bodies += [entry.request.raw for entry in server.history]


SERVERS = {"ours": our_server, "llm-mock-api": their_server}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    return without_pauses(monkeypatch, idle=20)


@pytest.mark.parametrize("name", SUITE)
@pytest.mark.parametrize("server", SERVERS)
async def test_turns(house: House, pauses: Pauses, monkeypatch: pytest.MonkeyPatch, server: str, name: str) -> None:
    turns = SUITE[name]
    async with SERVERS[server]([step for steps in turns.steps for step in steps]) as served:
        monkeypatch.setenv("OPENAI_BASE_URL", served.url)
        session = Session(house, house.settings)
        events: list[list[Event]] = []
        for number in range(len(turns.steps)):
            events.append([event async for event in session.run(f"prompt {number}")])
            check_events(events[-1])
        await session._models.close()

    assert [words(turn) for turn in events] == list(turns.said)
    for turn, error in zip(events, turns.errors, strict=True):
        last = turn[-1]
        assert isinstance(last, TurnFinished) and error in last.error and bool(error) == bool(last.error)
    everything = [event for turn in events for event in turn]
    # Calls of one answer run side by side, and end in any order.
    assert sorted(finished(everything)) == sorted(turns.ran)
    assert pauses.seconds == list(turns.pauses)
    assert sum(isinstance(event, Notice) for event in everything) == len(turns.pauses)
    answered = sum(step.status == 200 for steps in turns.steps for step in steps)
    assert [e.usage for e in everything if isinstance(e, UsageReport)] == [Usage(100, 20)] * answered

    assert len(served.bodies) == sum(map(len, turns.steps))
    for body in served.bodies:
        check_sendable(body)
    messages = served.bodies[-1]["messages"]
    told = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    ids = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert len(told) == len(ids) == len(turns.results)
    for id, part in zip(ids, turns.results, strict=True):
        assert part in told[id]
