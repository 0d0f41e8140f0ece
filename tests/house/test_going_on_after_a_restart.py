"""A conversation goes on in another kernel: what was said, loaded, spent and pinned; and what is no longer there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conversation_kit import CLOCK, load
from house_kit import GOOD, House, Talk, create, delete, policy, talking, tool, update, words
from model_server import Hold, calls, text

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.events import Event, Notice, TurnFinished
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.interfaces import Bounds
from micro_agi_kernel.notebook_memory import NotebookMemory
from micro_agi_kernel.session import Session

BOOK = "/home/ann/times.ipynb"


async def cell(session: Session, text: str) -> list[Event]:
    return [event async for event in run_cell(session, text, cell_id="c1")]


async def said(session: Session, text: str) -> str:
    """What a command says, or why it was refused."""
    events = await cell(session, text)
    assert isinstance(events[-1], TurnFinished)
    return words(events) or events[-1].error


async def restarted(house: House, talk: Talk, book: str = BOOK) -> Session:
    """What a new kernel of a notebook has: a session, and a pin of its own, which follows the newest."""
    house.pin.to("")
    await ended(talk.session)
    talk.session = Session(house, talk.session.settings, NotebookMemory(house.settings.sessions, book))
    return talk.session


async def ended(session: Session) -> None:
    """All that is written is on the disk, and no connection is open."""
    session._log.close()
    session.notebook.close()
    await session._summarizers.close()
    await session._models.close()


@asynccontextmanager
async def in_notebook(house: House, script: object, **settings: object) -> AsyncIterator[Talk]:
    async with talking(house, script) as talk:  # type: ignore[arg-type]
        talk.session = Session(
            house, replace(house.settings, **settings), NotebookMemory(house.settings.sessions, BOOK)
        )
        try:
            yield talk
        finally:
            await ended(talk.session)


async def test_all_of_a_conversation_goes_on(house: House) -> None:
    script = [calls(("create_tool", CLOCK), load("current_time")), calls(("current_time", {})), text("Noon.")]
    async with in_notebook(house, [*script, text("still noon"), text("and now?")]) as talk:
        await cell(talk.session, "what time is it?")
        await cell(talk.session, "%pin main~0")
        first, head = talk.session.id, house.head
        fresh = await restarted(house, talk)
        house.write(*create(tool("other")))
        [offer] = [e.text for e in await cell(fresh, "%tools") if isinstance(e, Notice)]
        assert offer.startswith("this notebook has a conversation of 1 cell, of 20") and "%resume" in offer
        before, left = fresh.id, fresh._log
        answer = await said(fresh, "%resume")
        for what in (
            first,
            "1 cell, 7 messages",
            "1 loaded tool",
            "360 tokens",
            f"v2 ({head[:12]}), pinned, as it was",
        ):
            assert what in answer, answer
        assert not any(thread.is_alive() for thread in left._writer._threads), "nothing more is written there"
        assert house.pin.commit == head and fresh.id not in (first, before) and fresh.budget.session.steps == 3
        kinds = [json.loads(line)["kind"] for line in left.path.read_text().splitlines()]
        assert kinds[0] == "Session" and kinds.count("Prompt") == 2
        assert kinds[-2:] == ["CommandAnswered", "TurnFinished"]
        await cell(fresh, "and now?")
        asked, was = talk.requests[-1].body, talk.requests[2].body
        assert asked["messages"][: len(was["messages"])] == was["messages"], "all as the model had it"
        assert [m["content"] for m in asked["messages"][-2:]] == ["Noon.", "and now?"]
        assert "current_time" in [each["function"]["name"] for each in asked["tools"]]
        again = await restarted(house, talk)
        await said(again, "%resume")
        await cell(again, "once more")
        assert [m["content"] for m in talk.requests[-1].body["messages"][-4:]] == [
            *("Noon.", "and now?", "still noon", "once more"),
        ]
        assert again.budget.session.steps == 5
        await ended(again)
        header = (house.settings.sessions / f"{again.id}.jsonl").read_text().partition("\n")[0]
        assert f'"resumed":"{fresh.id}"' in header and f'"notebook":"{BOOK}"' in header


async def test_sessions_are_shown_and_switched(house: House) -> None:
    async with in_notebook(house, [text(f"answer {n}") for n in range(5)]) as talk:
        first = talk.session.id
        await said(talk.session, '%%parameters\ncity = "Oslo"')
        await said(talk.session, "%tools")
        await cell(talk.session, "a question")
        assert "is this session" in await said(talk.session, f"%resume {first}")
        assert "no earlier conversation" in await said(talk.session, "%resume")
        second = await restarted(house, talk)
        await cell(second, "another question")
        mine = second.id
        shown = await said(second, "%session")
        assert shown.index(mine) < shown.rindex(first) and "`a question`" in shown
        assert first in await said(second, f"%resume {first}")
        await cell(second, "go on")
        asked = [m["content"] for m in talk.requests[-1].body["messages"][2:]]
        assert asked == ["a question", "answer 0", "go on"], "behind the parameters"
        second._log.close()
        assert mine in await said(second, f"%resume {mine}")
        await cell(second, "and here")
        assert talk.requests[-1].body["messages"][1]["content"] == "another question"
        elsewhere = await restarted(house, talk, "/home/ann/new.ipynb")
        assert not [e for e in await cell(elsewhere, "%tools") if isinstance(e, Notice)], "a new conversation"
        assert "no earlier conversation" in await said(elsewhere, "%resume")
        assert first in await said(elsewhere, f"%resume {house.settings.sessions / first}.jsonl")
        nobody = await restarted(house, talk, "")
        assert "Nobody says which notebook" in await said(nobody, "%resume")
        assert "there is no session log" in await said(nobody, "%resume nosuch")


async def test_a_notebook_with_a_resume_runs_from_the_top_and_again(house: House) -> None:
    async with in_notebook(house, [text(f"answer {n}") for n in range(6)]) as talk:

        async def all_cells(session: Session) -> str:
            """What `%resume` answers, among prompts; no cell ends with an error."""
            ends = []
            for prompt in ("%resume", "a question"):
                events = await cell(session, prompt)
                assert isinstance(events[-1], TurnFinished) and events[-1].status == "ok", events[-1]
                ends.append(words(events))
            return ends[0]

        assert (await all_cells(talk.session)).startswith("This notebook has no earlier conversation: ")
        assert "no earlier" in await all_cells(talk.session), "its own is none"
        oldest = talk.session.id
        second = await restarted(house, talk)
        await cell(second, "another question")
        fresh = await restarted(house, talk)
        assert f"goes on with `{second.id}` of " in await all_cells(fresh)
        is_now = fresh.id
        for _ in range(2):
            assert await all_cells(fresh) == f"This notebook goes on with `{second.id}` already."
        assert fresh.id == is_now and len(talk.requests[-1].body["messages"]) == 1 + 7, "nothing was thrown away"
        assert f"goes on with `{oldest}` of" in await said(fresh, f"%resume {oldest}")
        await said(fresh, "%reset")
        assert "goes on with" not in await said(fresh, "%session")
        fresh._log.close()
        assert f"goes on with `{is_now}` of " in await said(fresh, "%resume"), "after a reset it is brought back"


async def test_what_is_gone_or_forbidden_is_said_and_told(house: House) -> None:
    house.write(*create(tool("stays", GOOD), tool("leaves"), tool("falls")))
    asked = [load("stays"), load("leaves"), load("falls")]
    async with in_notebook(house, [calls(*asked), text("loaded"), text("ok")]) as talk:
        await cell(talk.session, "load them")
        house.write(*delete("app.generated:leaves"), *update(tool("stays", GOOD)))
        house.write(*create(policy("app:no_fall", "deny", "tool.load", "app.generated:falls")))
        fresh = await restarted(house, talk)
        answer = markdown_as_text(await said(fresh, "%resume"))
        assert "1 loaded tool\n" in answer
        assert "not loaded again: app.generated:leaves (not found: app.generated:leaves)" in answer
        assert "not loaded again: app.generated:falls (policy denied: tool.load on app.generated:falls" in answer
        assert "the registry was at v2" in answer and "it is at v4" in answer
        await cell(fresh, "go on")
        told = [m["content"] for m in talk.requests[-1].body["messages"] if m["role"] == "system"][1:]
        assert told == [f"The tool app.generated:{name} is no longer loaded." for name in ("leaves", "falls")]
        tools = [each["function"]["name"] for each in talk.requests[-1].body["tools"]]
        assert "stays" in tools and not {"leaves", "falls"} & {*tools}


async def test_limits_of_the_session_go_on(house: House) -> None:
    bounds = Bounds(session_tokens=200)
    async with in_notebook(house, [text("one"), text("two")], limits=bounds) as talk:
        await cell(talk.session, "first")
        await cell(talk.session, "second")
        fresh = await restarted(house, talk)
        await said(fresh, "%resume")
        assert "this session took 240 of 200 tokens" in await said(fresh, "third")


async def test_a_turn_that_was_killed_goes_on_where_it_was(house: House) -> None:
    hold = Hold()
    script = [calls(("create_tool", CLOCK)), replace(text("never"), before=hold), text("went on")]
    async with in_notebook(house, script) as talk:
        turn = asyncio.create_task(cell(talk.session, "make a clock"))
        await asyncio.to_thread(hold.reached.wait)
        talk.session._log.close()  # nothing after this reaches the disk, as after a kill
        turn.cancel()
        await asyncio.wait([turn])
        hold.release()
        fresh = await restarted(house, talk)
        answer = await said(fresh, "%resume")
        assert "since its last cell was cut" in answer and "120 tokens" in answer
        await cell(fresh, "go on")
        messages = talk.requests[-1].body["messages"]
        assert [m["role"] for m in messages] == ["system", "user", "assistant", "tool", "user"]
        assert '"created":true' in messages[3]["content"]


async def test_a_pin_that_this_registry_does_not_have_is_let_go(house: House, tmp_path: Path) -> None:
    async with in_notebook(house, [text("one")]) as talk:
        await cell(talk.session, "first")
        path = house.settings.sessions / f"{talk.session.id}.jsonl"
        fresh = await restarted(house, talk)
        copy = tmp_path / "copied.jsonl"
        copy.write_text(path.read_text().replace('"pinned":""', f'"pinned":"{"c" * 40}"'))
        answer = markdown_as_text(await said(fresh, f"%resume {copy}"))
        assert "it was pinned, and is not any more: no such revision" in answer and not house.pin.commit
        empty = tmp_path / "empty.jsonl"
        empty.write_text(path.read_text().partition("\n")[0] + "\n")
        assert "nothing was said in the session" in await said(fresh, f"%resume {empty}")


async def test_a_resume_that_is_stopped_changes_nothing(house: House, enter: Callable[..., House]) -> None:
    house = enter(profile="guarded")
    house.write(*create(tool("stays")))

    async def yes(question: object) -> str:
        return "yes"

    async def never(question: object) -> str:
        await asyncio.Event().wait()
        return "no"

    try:
        async with in_notebook(house, [calls(load("stays")), text("loaded")]) as talk:
            async for _ in run_cell(talk.session, "load it", ask=yes):  # type: ignore[arg-type]
                pass
            assert talk.session._agent is not None and talk.session._agent.loaded
            fresh = await restarted(house, talk)
            was = fresh.id
            asking = asyncio.Event()

            async def stopped(question: object) -> str:
                asking.set()
                return await never(question)

            async def resume() -> None:
                async for _ in run_cell(fresh, "%resume", ask=stopped):  # type: ignore[arg-type]
                    pass

            await cell(fresh, "%pin v1")
            pinned = house.pin.commit
            task = asyncio.create_task(resume())
            await asyncio.wait_for(asking.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert fresh.id == was and pinned and house.pin.commit == pinned
            assert fresh._conversation.messages == () and not fresh.budget.session.steps
    finally:
        await house.close()
