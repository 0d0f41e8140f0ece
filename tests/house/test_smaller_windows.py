"""Another model takes over whose window is smaller: the conversation is made to fit before that one is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fault_kit import without_pauses
from house_kit import House, words
from model_server import ModelServer, Reply, calls, failure, text
from sendable_kit import check_sendable

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import Event, Notice, TurnFinished
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import CompressionSettings, Settings

LOOK = ("registry_list", {"limit": 1})
WINDOWS = {"a": 100_000, "b": 6_000, "c": 3_000}


class Server:
    """One model: it answers by its script while it is up, and refuses what is beyond its window."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.script: list[Reply] = []
        self.down = False
        self.asked: list[dict[str, Any]] = []

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        check_sendable(body)
        if self.down:
            return failure(402)
        if sum(len(str(message)) for message in body["messages"]) > self.window * 6.2:  # of one word over and over
            return failure(400, code="context_length_exceeded")
        if "condense" in body["messages"][0]["content"]:
            return text("They talked.")
        return self.script.pop(0) if self.script else failure(402)


@pytest.fixture
def servers(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Server]]:
    made = {name: Server(window) for name, window in WINDOWS.items()}
    without_pauses(monkeypatch, idle=20)
    with ModelServer(made["a"]) as a, ModelServer(made["b"]) as b, ModelServer(made["c"]) as c:
        for priority, (name, server) in enumerate({"c": c, "b": b, "a": a}.items()):
            entry = (
                f"kind: registry.entry\nmeta: {{type: llm.model, name: {name}, class: [local], priority: {priority}}}\n"
                f"data: {{max_tokens: {WINDOWS[name]}, output_tokens: 1000, providers: "
                f"[{{id: 'wippy.llm.openai:provider', provider_model: {name},"
                f" options: {{base_url: '{server.url}', api_key_env: none}}}}]}}\n"
            )
            house.push({f"app/{name}.yaml": entry.encode()})
        yield made
        assert not any(server.script for server in made.values())


def session_of(house: House, **compression: Any) -> Session:
    settings = CompressionSettings(model="nobody", **compression)
    return Session(house, Settings(home=house.settings.home, model="local", compression=settings))


async def say(session: Session, line: str) -> list[Event]:
    return [event async for event in run_cell(session, line)]


async def ended(session: Session) -> None:
    await session._models.close()


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def condensed(server: Server) -> int:
    return sum("condense" in body["messages"][0]["content"] for body in server.asked)


async def test_it_is_compressed_before_the_smaller_one_is_asked(house: House, servers: dict[str, Server]) -> None:
    a, b = servers["a"], servers["b"]
    a.script, b.script = [text("one")], [text("two"), text("three")]
    session = session_of(house)
    assert words(await say(session, "please " * 8_000)) == "one"
    events = await say(session, "go on")
    assert words(events) == "two"
    down, compressed = notes(events)
    assert down.endswith("going on with b") and compressed.startswith("conversation compressed: ")
    assert condensed(b) > 1, "in parts, each as long as its window"
    assert [message["role"] for message in b.asked[-1]["messages"]] == ["system", "system", "user"]
    assert words(await say(session, "and on")) == "three"
    await ended(session)


async def test_in_the_middle_of_a_turn(house: House, servers: dict[str, Server]) -> None:
    a, b = servers["a"], servers["b"]
    a.script, b.script = [text("one"), calls(LOOK)], [calls(LOOK), text("two")]
    session = session_of(house)
    await say(session, "please " * 8_000)
    events = await say(session, "go on")
    assert words(events) == "two" and len(notes(events)) == 2
    roles = [message["role"] for message in b.asked[-1]["messages"]]
    assert roles == ["system", "system", "user", "assistant", "tool", "assistant", "tool"]
    await ended(session)
    session._log.close()
    again = Session(house, Settings(home=house.settings.home, model=f"replay:{session.id}"))
    assert words(await say(again, "please " * 8_000)) == "one"
    assert words(await say(again, "go on")) == "two", "the answer that never came is not played"


async def test_twice_in_one_turn(house: House, servers: dict[str, Server]) -> None:
    """b reads the summary once and is down then; its successor is smaller still."""
    a, b, c = servers.values()
    a.script, b.script, c.script = [text("one")], [text("x " * 2_000)], [text("three")]
    session = session_of(house, target=2_000)
    await say(session, "please " * 8_000)
    assert len(words(await say(session, "go on"))) == 4_000
    events = await say(session, "and on")
    assert words(events) == "three"
    lines = notes(events)
    assert [line[-15:] for line in lines[:2]] == ["going on with a", "going on with c"], "the first choice first"
    assert len(lines) == 3 and lines[2].startswith("conversation compressed: ")
    await ended(session)


async def test_nobody_is_left(house: House, servers: dict[str, Server]) -> None:
    servers["a"].script = [text("one")]
    session = session_of(house)
    await say(session, "please " * 8_000)
    for _ in range(2):
        last = (await say(session, "go on"))[-1]
        assert isinstance(last, TurnFinished) and "no credit left" in last.error
    assert all(len(server.asked) < 40 for server in servers.values())
    servers["a"].script = [text("again")]
    assert words(await say(session, "and now")) == "again"
    await ended(session)


async def test_compacting_by_hand(house: House, servers: dict[str, Server]) -> None:
    """The model that answered last is down when it is to summarize; who comes next reads as much as it can."""
    a = servers["a"]
    a.script = [text("one"), text("two")]
    session = session_of(house)
    await say(session, "please " * 8_000)
    await say(session, "and now")
    a.down = True
    events = await say(session, "%compact")
    assert "conversation compressed: " in words(events)
    assert condensed(servers["b"]) > 1
    await ended(session)


async def test_without_compression_the_line_says_what_to_do(house: House, servers: dict[str, Server]) -> None:
    servers["a"].script = [text("one")]
    session = session_of(house, enabled=False)
    await say(session, "please " * 8_000)
    last = (await say(session, "go on"))[-1]
    assert isinstance(last, TurnFinished)
    assert last.error == "the conversation is too long for b: ask again, run %compact, or start a new session"
    await ended(session)
