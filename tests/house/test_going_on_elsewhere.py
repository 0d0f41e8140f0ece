"""A model whose provider is down, in a whole conversation: the next one of its class goes on, and is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_kit import without_pauses
from house_kit import GOOD, House, finished, git, words
from model_server import CUT, ModelServer, Reply, calls, delta, failure, text
from sendable_kit import check_sendable

from micro_agi_kernel.events import Notice, TurnFinished, UsageReport
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import Settings

MAKE = (
    "create_tool",
    {"name": "one", "description": "1", "source": GOOD, "input_schema": {"type": "object", "properties": {}}},
)


@pytest.fixture
def servers(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[Reply], list[Reply]]]:
    """Scripts of two servers, of which the entries a and b tell; a is the better one of their class."""
    scripts: tuple[list[Reply], list[Reply]] = ([], [])
    without_pauses(monkeypatch, idle=20)
    with ModelServer(scripts[0]) as a, ModelServer(scripts[1]) as b:
        for name, server, priority in (("a", a, 9), ("b", b, 5)):
            entry = (
                f"kind: registry.entry\nmeta: {{type: llm.model, name: {name}, class: [local], priority: {priority}}}\n"
                f"data: {{max_tokens: {priority}0000, output_tokens: 4000, providers: "
                f"[{{id: 'wippy.llm.openai:provider', provider_model: {name},"
                f" options: {{base_url: '{server.url}', api_key_env: none}}}}]}}\n"
            )
            house.push({f"app/{name}.yaml": entry.encode()})
        yield scripts
        for server in (a, b):
            assert server.left == 0
            for request in server.requests:
                check_sendable(request.body)


async def test_it_goes_on_in_the_middle_of_a_turn(house: House, servers: tuple[list[Reply], list[Reply]]) -> None:
    a, b = servers
    a += [calls(("registry_list", {"limit": 1})), *[failure(503)] * 4]
    b += [calls(MAKE), text("made by b"), text("again b")]
    session = Session(house, Settings(home=house.settings.home, model="local"))
    events = [event async for event in session.run("make a tool")]
    assert words(events) == "made by b"
    assert finished(events) == [("registry_list", "ok"), ("create_tool", "ok")]
    lines = [event.text for event in events if isinstance(event, Notice)]
    assert len(lines) == 4 and lines[-1].endswith("; going on with b")
    assert [event.model for event in events if isinstance(event, UsageReport)] == ["a", "b", "b"]
    assert git(house.registry.path, "log", "-1", "--format=%(trailers:key=Model,valueonly)") == "b"
    events = [event async for event in session.run("and now")]
    assert words(events) == "again b" and not any(isinstance(event, Notice) for event in events)
    await session._models.close()


async def test_it_does_not_go_on_after_a_word(house: House, servers: tuple[list[Reply], list[Reply]]) -> None:
    a, b = servers
    a += [Reply((delta(content="half"), CUT)), failure(402)]
    b += [text("from b")]
    session = Session(house, Settings(home=house.settings.home, model="a"))
    events = [event async for event in session.run("one")]
    last = events[-1]
    assert words(events) == "half" and isinstance(last, TurnFinished)
    assert (last.status, last.error_name) == ("error", "ModelError") and "broke off" in last.error
    assert words([event async for event in session.run("two")]) == "from b"
    await session._models.close()


async def test_what_is_too_long_follows_the_model_that_answers(
    house: House, servers: tuple[list[Reply], list[Reply]]
) -> None:
    """The conversation would fit into the window of a, whose provider is down."""
    a, b = servers
    a += [failure(503)] * 4
    b += [text("one"), text("They talked."), text("two")]
    session = Session(house, Settings(home=house.settings.home, model="local"))
    assert words([event async for event in session.run("please " * 34_000)]) == "one"
    events = [event async for event in session.run("and now")]
    assert words(events) == "two"
    [line] = [event.text for event in events if isinstance(event, Notice)]
    assert line.startswith("conversation compressed: ")
    await session._models.close()
