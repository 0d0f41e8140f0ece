"""A notebook that is pinned sees the registry as it was, under the policies of today, and writes nothing."""

from __future__ import annotations

import json

import pytest
from command_kit import Cells, stop_while_it_looks
from conversation_kit import CLOCK, load
from house_kit import House, Talk, create, delete, git, policy, talking, tool, update, words
from model_server import calls, failure, text

from micro_agi_kernel.agent_entry import AGENT_ENTRY
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.entries import EntryId, FileChange
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.events import EntryPublished, Event, Notice, TurnFinished
from micro_agi_kernel.inspection import inspect
from micro_agi_kernel.session import Session
from micro_agi_kernel.values import short_commit

ONE, TWO = (f"return {{ handler = function() return {{ says = '{word}' }} end }}" for word in ("one", "two"))
PAGE = b"# Zebras\n\nA page about %s zebras.\n"


async def cell(session: Session, text: str) -> list[Event]:
    return [event async for event in run_cell(session, text)]


def end(events: list[Event]) -> TurnFinished:
    assert isinstance(events[-1], TurnFinished)
    return events[-1]


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


async def answer(session: Session, text: str) -> str:
    """What a command says, or why it was refused."""
    events = await cell(session, text)
    return words(events) or end(events).error


async def run(talk: Talk, text: str, cell_id: str = "") -> list[Event]:
    return [event async for event in talk.session.run(text, cell_id=cell_id)]


def two_states(house: House) -> str:
    """A tool, its pages and a second tool that came later; the commit before that."""
    house.write(*create(tool("talker", ONE)), files=(FileChange("docs/animals/zebra.md", PAGE % b"striped"),))
    then = house.head
    house.write(
        *update(tool("talker", TWO, llm_description="Says more")),
        *create(tool("later")),
        files=(FileChange("docs/animals/zebra.md", PAGE % b"spotted"),),
    )
    return then


async def test_agent_tools_calls_lists_and_pages_are_those_of_the_pinned_revision(house: House) -> None:
    then, now = two_states(house), house.head
    asked = [
        ("registry_read", {"id": "app.generated:talker"}),
        ("registry_read", {"id": "app.generated:talker", "at": now}),
        ("registry_list", {"namespace": "app.generated"}),
        ("doc_search", {"path": "animals/zebra"}),
        load("talker"),
        load("later"),
    ]
    script = [calls(*asked), calls(("talker", {})), text("done"), calls(("talker", {})), text("done")]
    agent = house.registry.snapshot().get(AGENT_ENTRY)
    assert agent is not None
    house.write(*update(type(agent)(agent.id, agent.kind, agent.meta, {**agent.data, "prompt": "Be somebody else."})))
    async with talking(house, script) as talk:
        assert f"sees the registry at v2 ({then[:12]})" in await answer(talk.session, "%pin v2")
        finished = end(await run(talk, "go"))
        read, read_now, listed, page, _, later, said = talk.results(2)
        assert "'one'" in read["data"]["source"] and len(read["history"]) == 1
        assert "'two'" in read_now["data"]["source"], "a revision that is named is that revision"
        assert [entry["id"] for entry in listed["entries"]] == ["app.generated:talker"]
        assert "striped" in page["content"]
        assert "later" in json.dumps(later["error"]) and said == {"says": "one"}
        assert talk.requests[0].body["messages"][0]["content"] != "Be somebody else."
        described = {
            each["function"]["name"]: each["function"]["description"] for each in talk.requests[1].body["tools"]
        }
        assert described["talker"] == "For a test"
        assert finished.registry is not None
        assert (finished.registry.registry, finished.registry.before) == (then, then)
        assert "striped" in await answer(talk.session, "%docs animals/zebra")
        assert '"one"' in await answer(talk.session, "%call talker")
        assert "v4" in await answer(talk.session, "%pin main")
        finished = end(await run(talk, "again"))
        assert talk.results(-1)[-1] == {"says": "two"}
        assert finished.registry is not None and finished.registry.registry == house.head
        assert talk.requests[-1].body["messages"][0]["content"].startswith("Be somebody else.")


async def test_nothing_is_written_while_pinned_but_by_the_person(house: House) -> None:
    then = two_states(house)
    async with talking(house, [calls(("create_tool", CLOCK)), text("sorry")]) as talk:
        await cell(talk.session, f"%pin {then}")
        head = house.head
        events = await run(talk, "make a clock")
        [refused] = talk.results(-1)
        line = "nothing is written while the registry is pinned to v2"
        assert line in json.dumps(refused) and "%pin main" in json.dumps(refused)
        assert house.head == head and not [e for e in events if isinstance(e, EntryPublished)]
        assert line in await answer(talk.session, f"%call app.tools:create_tool {json.dumps(CLOCK)}")
        async with house.host("registry") as host:
            for op, payload in (
                ("registry.apply", {"operations": [{"action": "delete", "id": "app.generated:later"}]}),
                ("registry.apply_version", {"commit": then}),
            ):
                with pytest.raises(Refused, match="pinned to v2"):
                    await host.request(op, payload)
        said = await answer(talk.session, f"%revert {head[:12]}")
        assert "this was done to the newest commit" in said and house.head != head
        assert not house.registry.snapshot().has(EntryId("app.generated", "later"))
        assert "pinned to" in await answer(talk.session, "%session")


async def test_an_old_revision_brings_no_lifted_permission_back(house: House) -> None:
    source = "local http = require('http_client')\nreturn { handler = function() return 1 end }"
    house.write(*create(tool("net", source, modules=["http_client"]), tool("other")))
    then = house.head
    session = Session(house, house.settings)
    await cell(session, f"%pin {then}")
    assert "1" in await answer(session, "%call net")
    denied = policy("app:no_net", "deny", "lua.module", "http_client"), policy("app:no_load", "deny", "tool.load", "*")
    house.write(*create(*denied))
    assert "policy denied: lua.module on http_client" in await answer(session, "%call net")
    assert "policy denied: tool.load on app.generated:other" in await answer(session, "%load other")
    assert house.pin.commit == then


async def test_what_can_be_pinned(house: House) -> None:
    two_states(house)
    session = Session(house, house.settings)
    assert "follows the newest commit, v3" in await answer(session, "%pin")
    for wrong in ("v99", "zz", "main~9", "0000"):
        assert "no such revision" in await answer(session, f"%pin {wrong}")
    aside = git(house.registry.path, "commit-tree", "main^{tree}", "-p", "main~1", "-m", "refused by the policies")
    assert "was never the newest commit" in await answer(session, f"%pin {aside}")
    assert "follows the newest" in await answer(session, "%pin"), "as it was"
    agent = house.registry.snapshot().get(AGENT_ENTRY)
    assert agent is not None
    bare = house.write(*delete(str(AGENT_ENTRY))).commit
    house.write(*create(agent))
    assert "has no agent" in await answer(session, f"%pin {bare}")
    assert "sees the registry at v2 " in await answer(session, "%pin main~3")
    assert "sees the registry at v2 " in await answer(session, "%pin")


async def test_a_cell_that_runs_again_says_when_the_revision_differs(house: House) -> None:
    script = [calls(("create_tool", CLOCK)), *[text("done")] * 7]
    async with talking(house, script) as talk:
        before = house.head
        assert not notices(await run(talk, "make a clock", "cell-a"))
        made = house.head
        assert not notices(await run(talk, "make a clock", "cell-a")), "it is where the cell left it"
        assert not notices(await run(talk, "and?", "cell-b"))
        house.write(*create(tool("other")))
        line = f"this cell ran with the registry at v2 ({made[:12]}); it is at v3 now: %pin v2 runs it as it was"
        assert notices(await run(talk, "and?", "cell-b")) == [line]
        assert not notices(await run(talk, "and what?", "cell-b")), "another prompt"
        await cell(talk.session, "%pin v2")
        assert not notices(await run(talk, "and?", "cell-b")), "its person pinned it"
        await cell(talk.session, "%pin main")
        assert not notices(await run(talk, "and?", "cell-b")), "the pinned run is not what is remembered"
        assert before != made


async def test_a_cell_that_wrote_names_what_it_left(house: House) -> None:
    """Pinned to what it found it could write nothing, and would miss the tool that it made."""
    async with talking(house, [calls(("create_tool", CLOCK)), text("done"), text("done")]) as talk:
        await run(talk, "make a clock", "cell-a")
        left = short_commit(house.head)
        house.write(*create(tool("other")))
        line = f"this cell left the registry at v2 ({left}); it is at v3 now: %pin v2 shows what it left"
        assert notices(await run(talk, "make a clock", "cell-a")) == [line]


async def test_a_run_that_fails_is_not_the_one_that_is_remembered(house: House) -> None:
    async with talking(house, [text("one"), failure(400), text("two")]) as talk:
        await run(talk, "go", "c")
        house.write(*create(tool("other")))
        assert end(await run(talk, "go", "c")).status == "error"
        assert "with the registry at v1 " in notices(await run(talk, "go", "c"))[0]


async def test_loaded_tools_come_back_when_the_pin_is_gone(house: House) -> None:
    two_states(house)
    script = [calls(load("later"), load("talker")), *[text("ok")] * 5]
    async with talking(house, script) as talk:
        await run(talk, "load them")
        await cell(talk.session, "%pin v2")
        away = "app.generated:later is not in the registry at v2, where this notebook is pinned"
        assert notices(await run(talk, "go")) == [away]
        assert talk.requests[-1].body["messages"][-1]["content"] == f"The tool {away}."
        assert not notices(await run(talk, "go")), "said once"
        await cell(talk.session, "%pin main")
        assert not notices(await run(talk, "go"))
        names = [each["function"]["name"] for each in talk.requests[-1].body["tools"]]
        assert {"later", "talker"} <= {*names}
        house.write(*delete("app.generated:later"))
        assert notices(await run(talk, "go")) == ["app.generated:later is no longer in the registry"]


async def test_what_shows_tools_shows_those_of_the_pin(house: House) -> None:
    then = two_states(house)
    cells = Cells(house)
    where = f"at v2 ({short_commit(then)}), where this notebook is pinned"
    assert "two" in await cells.said("%tool talker") and where not in await cells.said("%registry")
    await cells.said("%pin v2")
    page = await cells.said("%tool talker")
    assert "'one'" in page and "'two'" not in page and where in page and "v3" not in page
    panel = await cells.said("%registry")
    assert "app.generated:talker" in panel and "app.generated:later" not in panel and where in panel
    assert inspect(cells.session, "app.generated:talker", 3) == page
    assert "no tool later" in await cells.failed("%tool later")


async def test_a_pin_that_is_stopped_pins_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    then = two_states(house)
    pin = cell(Session(house, house.settings), f"%pin {then}")
    await stop_while_it_looks(pin, monkeypatch, "micro_agi_kernel.commands.notebook.own_revision")
    assert house.pin.commit == ""
