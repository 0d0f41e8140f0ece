"""The agent uses the tools of MCP servers: as its own, under policies and approval, until the person stops it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from command_kit import Cells
from house_kit import House, create, finished, id_of, policy, talking, words
from mcp_client_kit import SDK, alive, noted, raw, until
from model_server import Recorded, calls, text

from micro_agi_kernel.completion import complete
from micro_agi_kernel.events import Asked, Event, Notice, ToolFinished
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.questions import Answer, Question
from micro_agi_kernel.session import Session

Enter = Callable[..., House]


def offered(request: Recorded) -> dict[str, dict[str, object]]:
    """The tools of servers that a request offers the model."""
    every = (tool["function"] for tool in request.body["tools"])
    return {tool["name"]: tool for tool in every if tool["name"].startswith("mcp_")}


async def test_a_turn_with_a_server_and_the_person_s_own_look_at_it(enter: Enter) -> None:
    house = enter(mcp_servers=(SDK,))
    script = [calls(("mcp_sums_add", {"a": 2, "b": 3}), ("mcp_sums_add", {"a": "x"})), text("5.")]
    async with talking(house, script) as talk:
        events = await talk.say("add 2 and 3")
        assert finished(events) == [("mcp_sums_add", "error"), ("mcp_sums_add", "ok")]
        good, bad = talk.results()
        assert good == {"said_by": "mcp.sums", "text": "5", "structured": {"result": 5}}
        assert bad["error"]["message"].startswith("the arguments do not fit the input_schema of mcp.sums:add: ")
        tools = offered(talk.requests[0])
        assert tools.keys() == {"mcp_sums_add", "mcp_sums_fail"}
        assert tools["mcp_sums_add"]["description"] == "[of the MCP server sums] Add two numbers."
    cells = Cells(house)
    shown = await cells.said("%tools")
    assert "| `mcp_sums_add` | `mcp.sums:add` | of a server |" in shown
    assert "- `mcp.sums` offers 2 tools" in shown
    page = await cells.said("%tool mcp.sums:add")
    assert "the MCP server `sums`" in page and '"required": [' in page and "| `a` | `integer` | yes |" in page
    assert await cells.said("%tool mcp_sums_add") == page
    assert '"result": 7' in await cells.said('%call mcp.sums:add {"a": 3, "b": 4}')
    assert "mcp.sums says that it failed: Error executing tool fail" in await cells.failed(
        '%call mcp.sums:fail {"why": "x"}'
    )
    assert await cells.said("%load mcp.sums:add") == "The agent has `mcp.sums:add` as `mcp_sums_add`."


async def test_the_first_thing_in_a_session_may_be_a_call_by_hand(enter: Enter, tmp_path: Path) -> None:
    other = replace(raw("plain", tmp_path / "other"), name="other")
    house = enter(mcp_servers=(raw("plain"), SDK, other, replace(raw("dead"), name="gone")))
    cells = Cells(house)
    assert '"result": 7' in await cells.said('%call mcp.sums:add {"a": 3, "b": 4}')
    assert "the MCP server `raw`" in await cells.said("%tool mcp.raw:echo")
    assert not noted(tmp_path / "other", "pid")  # each is waited for by itself
    assert await cells.said("%load mcp_other_echo") == "The agent has `mcp.other:echo` as `mcp_other_echo`."
    for line in ("%call mcp.gone:echo {}", "%tool mcp.gone:echo", "%load mcp.gone:echo"):
        why = "mcp.gone ended before it answered: run its command by itself to see why"
        assert await cells.failed(line) == f"there is no tool mcp.gone:echo: {why}; %tools shows those of all servers"
    assert await cells.failed("%call mcp.sums:ad {}") == (
        "there is no tool mcp.sums:ad: mcp.sums offers 2 tools; %tools shows those of all servers"
    )
    for command, what in (("call", "entry"), ("tool", "tool"), ("load", "tool")):
        failed = await cells.failed(f"%{command} mcp.nowhere:registry_read")
        assert failed == f"there is no {what} mcp.nowhere:registry_read; %tools shows those of MCP servers"


async def test_tab_offers_tools_that_are_known_and_starts_no_server(enter: Enter, tmp_path: Path) -> None:
    house = enter(mcp_servers=(raw("plain", tmp_path / "notes"),))

    def offered_at(cell: str) -> list[str]:
        return [match.text for match in complete(Session(house, house.settings), cell, len(cell)).matches]

    cells = ("%call mcp.raw:e", "%tool mcp.raw:e", "%load mcp.raw:e", "use mcp.raw:e")
    assert [offered_at(cell) for cell in cells] == [[]] * 4
    assert not noted(tmp_path / "notes", "pid")
    await house.servers.ready()
    assert [offered_at(cell) for cell in cells] == [["mcp.raw:echo"]] * 4
    assert offered_at("%bisect mcp.raw:e") == offered_at("%history mcp.raw:e") == [], "they have no history here"


async def test_policies_and_the_person_decide(enter: Enter, tmp_path: Path) -> None:
    house = enter(mcp_servers=(raw("plain", tmp_path / "notes"),), profile="guarded")
    house.write(*create(policy("app:no_other", "deny", "tool.call", "mcp.raw:other")))
    asked: list[Question] = []
    answers: list[Answer] = ["no", "yes", "always"]

    async def ask(question: Question) -> Answer:
        asked.append(question)
        return answers[len(asked) - 1]

    echo = ("mcp_raw_echo", {"a": "\u202e1"})
    script = [calls(call) for call in (("mcp_raw_other", {}), echo, echo, echo, echo)]
    async with talking(house, [*script, text("Done."), calls(echo), text("Nobody.")]) as talk:
        events = [event async for event in talk.session.run("go", ask=ask)]
        denied, refused, *given = talk.results()
        assert denied["error"]["message"] == "policy denied: tool.call on mcp.raw:other (policy app:no_other)"
        assert refused["error"]["message"] == "not approved by the person: tool.call on mcp.raw:echo"
        assert [each["text"] for each in given] == ['{"a": "\\u202e1"}'] * 3
        assert len(asked) == 3 and str(asked[0]) == "tool.call on mcp.raw:echo" and '"a"' in asked[0].about
        assert asked[0].policies == ("guarded:ask_server",) and asked[0].asker == "service:agent"
        assert [event.answer for event in events if isinstance(event, Asked)] == answers
        assert noted(tmp_path / "notes", "call") == ["echo"] * 3
        talk.session.approved.clear()
        await talk.say("again, with nobody there")
        assert "nobody can be asked here" in talk.results()[-1]["error"]["message"]


async def test_what_was_approved_for_the_session_is_that_definition(enter: Enter, tmp_path: Path) -> None:
    """A server may change what a tool says of itself."""
    house = enter(mcp_servers=(raw("plain"),), profile="guarded")
    asked: list[Question] = []

    async def ask(question: Question) -> Answer:
        asked.append(question)
        return "always"

    cells = Cells(house)
    await cells.run("%tools")
    await cells.said("%call mcp.raw:echo", ask)
    await cells.said("%call mcp.raw:echo", ask)
    [connection] = house.servers._connections.values()
    id = id_of("mcp.raw:echo")
    entry = connection.offer.entries[id]
    other = replace(entry, meta={**entry.meta, "llm_description": "Something else"})
    connection.offer = replace(connection.offer, entries={**connection.offer.entries, id: other})
    await cells.said("%call mcp.raw:echo", ask)
    assert len(asked) == 2


async def test_an_interrupt_ends_the_call_and_nothing_else(enter: Enter, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    house = enter(mcp_servers=(raw("plain", notes),))
    script = [calls(("mcp_raw_wait", {})), calls(("mcp_raw_echo", {})), text("Done.")]
    async with talking(house, script) as talk:
        heard: list[Event] = []

        async def run() -> None:
            async with aclosing(talk.session.run("wait")) as events:
                async for event in events:
                    heard.append(event)

        turn = asyncio.create_task(run())
        await until(lambda: noted(notes, "call"))
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
        assert [event.status for event in heard if isinstance(event, ToolFinished)] == ["interrupted"]
        await until(lambda: "cancelled" in notes.read_text())
        await talk.say("go on")
        stopped, given = talk.results()
        assert stopped["error"]["kind"] == "CANCELED" and given["text"] == "{}"
    assert len(noted(notes, "pid")) == 1
    await house.close()
    assert not alive(notes)


async def test_a_server_that_ends_is_started_again(enter: Enter, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    house = enter(mcp_servers=(raw("plain", notes),))
    script = [calls(("mcp_raw_die", {})), calls(("mcp_raw_echo", {})), text("Done.")]
    async with talking(house, script) as talk:
        events = await talk.say("die")
        died, given = talk.results()
        message = "mcp.raw ended while it was called"
        assert died["error"] == {"kind": "UNAVAILABLE", "message": message, "retryable": True}
        assert given["text"] == "{}" and words(events) == "Done."
    assert len(noted(notes, "pid")) == 2 and len(alive(notes)) == 1


async def test_a_server_that_is_not_there_costs_a_line_and_its_tools(enter: Enter, tmp_path: Path) -> None:
    house = enter(mcp_servers=(raw("dead", tmp_path / "notes"), replace(raw("plain"), name="other")))
    async with talking(house, [text("Hello."), text("Hello.")]) as talk:
        first = await talk.say("hello")
        line = "mcp.raw ended before it answered: run its command by itself to see why"
        assert [event.text for event in first if isinstance(event, Notice)] == [line]
        assert set(offered(talk.requests[0])) == {f"mcp_other_{name}" for name in ("echo", "wait", "die", "other")}
        second = await talk.say("hello")
        assert not [event for event in second if isinstance(event, Notice)]


async def test_a_storm_of_changes_is_one_more_list(enter: Enter, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    house = enter(mcp_servers=(raw("changes", notes),))
    script = [calls(("mcp_raw_wait", {})), text("Stormy."), text("New.")]
    async with talking(house, script) as talk:
        await talk.say("wait")
        await talk.say("look")
        assert set(offered(talk.requests[0])) == {"mcp_raw_wait", "mcp_raw_version_1"}
        assert set(offered(talk.requests[-1])) == {"mcp_raw_wait", "mcp_raw_version_2"}
    assert noted(notes, "list") == ["1", "2"]


async def test_a_pinned_notebook_has_its_servers(enter: Enter) -> None:
    cells = Cells(enter(mcp_servers=(raw("plain"),), profile="guarded"))
    await cells.run("%tools")
    await cells.said("%pin v1")
    assert await cells.said("%load mcp.raw:echo") == "The agent has `mcp.raw:echo` as `mcp_raw_echo`."
    assert "| `mcp_raw_echo` | `mcp.raw:echo` | of a server |" in await cells.said("%tools")
    assert "no tool mcp.raw:none" in await cells.failed("%call mcp.raw:none")
    assert "no tool mcp.raw:none" in await cells.failed("%tool mcp.raw:none")


async def test_no_server_is_named_by_default(enter: Enter) -> None:
    house = enter()
    async with talking(house, [text("Hello.")]) as talk:
        await talk.say("hello")
        assert not offered(talk.requests[0])


async def test_no_key_of_ours_reaches_a_program(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {
        "OPENAI_API_KEY": "sk-planted-1",
        "MICRO_AGI_MODEL": "planted-2",
        "SOME_TOKEN": "planted-3",
        "WANTED_TOKEN": "wanted",
    }
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    house = enter(mcp_servers=(raw("environment", env=("WANTED_TOKEN",)),))
    cells = Cells(house)
    await cells.run("%tools")
    said = await cells.said("%call mcp.raw:echo")
    assert "planted" not in said and '"WANTED_TOKEN": "***"' in said and os.environ["PATH"] in said


async def test_no_key_of_a_server_gets_into_the_log(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "A_TOKEN": "planted-one",
        "B_PLACE": "/srv/papers",
        "B_DSN": "db://ann:planted-2@host/x",
        "C_KEY": "plantedthree",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    away = McpServer("away", url="http://127.0.0.1:9/mcp", api_key_env="C_KEY")
    house = enter(mcp_servers=(raw("environment", env=("A_TOKEN", "B_PLACE", "B_DSN")), away))
    async with talking(house, [calls(("mcp_raw_echo", {})), text("It is plantedthree.")]) as talk:
        await talk.say("take planted-one and planted-2")
        [given_back] = talk.results()
        assert given_back["structured"]["B_PLACE"] == "/srv/papers"
        assert given_back["structured"]["A_TOKEN"] == given_back["structured"]["B_DSN"] == "***"
        log = (await talk.session.about()).log
        await asyncio.to_thread(talk.session._log.close)
    written = log.read_text()
    assert "/srv/papers" in written and "It is ***." in written and "planted" not in written
