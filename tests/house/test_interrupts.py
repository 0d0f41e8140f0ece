"""Stopping a turn, at every stage: the conversation can still be sent, commits are whole, no process is left."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

import psutil
import pytest
from house_kit import ALLOW_LOOPBACK, GOOD, House, Talk, create, git, id_of, loopback, talking, tool, words
from model_server import Hold, Reply, calls, delta, end, reply, text

from micro_agi_kernel import publishing
from micro_agi_kernel.events import EntryPublished, Event, TextDelta, ToolFinished, ToolOutput, ToolStarted
from micro_agi_kernel.logs.turns import read_turns
from micro_agi_kernel.messages import AssistantMessage, ToolResult
from micro_agi_kernel.registry.lock import WriteLock
from micro_agi_kernel.session import Session

WAYS = ("cancel", "close")
INTERRUPTED = {
    "error": {"kind": "CANCELED", "message": "interrupted by the user; the call wrote nothing to the registry"}
}


async def stop(talk: Talk, prompt: str, when: Callable[[Event], bool] | threading.Event, how: str) -> list[Event]:
    """Run a turn and stop it at an event, or when something was reached; the events until then.

    "cancel" is what a front end's interrupt does to the task that iterates, "close" what leaving the loop does.
    """
    seen: list[Event] = []
    reached = asyncio.Event()

    async def listen() -> None:
        async with aclosing(talk.session.run(prompt)) as events:
            async for event in events:
                seen.append(event)
                if not isinstance(when, threading.Event) and when(event):
                    reached.set()
                    if how == "close":
                        return

    task = asyncio.create_task(listen())
    if isinstance(when, threading.Event):
        assert await asyncio.to_thread(when.wait, 10)
    else:
        await asyncio.wait_for(reached.wait(), 10)
    if how == "cancel" or isinstance(when, threading.Event):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return seen


def is_output(event: Event) -> bool:
    return isinstance(event, ToolOutput)


def is_start(event: Event) -> bool:
    return isinstance(event, ToolStarted)


@pytest.mark.parametrize("how", WAYS)
async def test_while_the_model_speaks(house: House, how: str) -> None:
    hold = Hold()
    speech = Reply((delta(content="Half a sentence"), hold, delta(content=" more"), end("stop")))
    async with talking(house, [speech, text("ok")]) as talk:
        await stop(talk, "talk", lambda event: isinstance(event, TextDelta), how)
        assert await asyncio.to_thread(hold.closed.wait, 10)  # the connection is closed, so nobody pays for the rest
        assert talk.session._conversation.messages[-1] == AssistantMessage("Half a sentence", interrupted=True)
        assert words(await talk.say("go on")) == "ok"
        assert talk.requests[-1].body["messages"][-2]["content"] == "Half a sentence [interrupted]"


async def test_while_the_model_stalls(house: House) -> None:
    hold = Hold()
    async with talking(house, [text("never", before=hold), text("ok")]) as talk:
        await stop(talk, "talk", hold.reached, "cancel")
        assert await asyncio.to_thread(hold.closed.wait, 10)
        assert words(await talk.say("again")) == "ok"
        assert [m["content"] for m in talk.requests[-1].body["messages"][1:]] == ["talk", "again"]


@pytest.mark.parametrize("how", WAYS)
async def test_while_the_model_writes_a_call(house: House, how: str) -> None:
    hold = Hold()
    half = reply(["I list. "], [("registry_list", {"limit": 1})])
    speech = Reply((*half.events[:-2], hold, *half.events[-2:]))
    async with talking(house, [speech, text("ok")]) as talk:
        seen = await stop(talk, "list", lambda event: isinstance(event, TextDelta), how)
        assert not any(map(is_start, seen))
        await talk.say("again")
        assert "tool_calls" not in talk.requests[-1].body["messages"][-2]


LOOPS = "return { handler = function() print('running') while true do end end }"
SLEEPS = "return { handler = function() print('running') require('time').sleep('1h') end }"
WAITS = "return { handler = function(i) print('running') require('http_client').get(i.url .. '/hang') end }"


def processes() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("source", [LOOPS, SLEEPS, WAITS], ids=["loops", "sleeps", "waits"])
async def test_while_a_tool_runs(house: House, source: str, how: str) -> None:
    house.write(*create(tool("app.tools:runs", source, modules=["time", "http_client"]), ALLOW_LOOPBACK))
    running: set[psutil.Process] = set()

    def is_running(event: Event) -> bool:
        running.update(processes())
        return is_output(event)

    with loopback() as site:
        script = [calls(("runs", {"url": site.url}), ("registry_list", {"limit": 1})), text("ok")]
        async with talking(house, script) as talk:
            await stop(talk, "run", is_running, how)
            assert any(not process.is_running() for process in running)
            results = [m.call_id for m in talk.session._conversation.messages if isinstance(m, ToolResult)]
            assert len(results) == len(set(results)) == 2
            assert words(await talk.say("again")) == "ok"
            assert talk.results()[0] == INTERRUPTED


async def test_while_two_tools_run_side_by_side_and_one_waits_its_turn(house: House) -> None:
    exclusive = tool("app.tools:last", GOOD, exclusive=True)
    house.write(*create(tool("app.tools:runs", LOOPS), exclusive))
    async with talking(house, [calls(("runs", {}), ("runs", {}), ("last", {})), text("ok")]) as talk:
        outputs: list[Event] = []

        def both(event: Event) -> bool:
            outputs.extend([event] if is_output(event) else [])
            return len(outputs) == 2

        seen = await stop(talk, "run", both, "cancel")
        assert [event.name for event in seen if isinstance(event, ToolStarted)] == ["runs", "runs"]
        await talk.say("again")
        assert talk.results() == [INTERRUPTED] * 3


async def test_every_start_has_its_end_also_when_interrupted(house: House) -> None:
    """The events of a turn that is stopped, as the turn tells them (a front end that left hears no more of them)."""
    house.write(*create(tool("app.tools:runs", LOOPS)))
    async with talking(house, [calls(("runs", {}), ("runs", {}))]) as talk:
        told: list[Event] = []
        both = asyncio.Event()

        def tell(event: Event) -> None:
            told.append(event)
            if sum(map(is_output, told)) == 2:
                both.set()

        turn = asyncio.create_task(talk.session._turn(lambda emit: talk.session._answer("run", 1, emit), 1, tell))
        await asyncio.wait_for(both.wait(), 10)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    ends = {event.call_id: event.status for event in told if isinstance(event, ToolFinished)}
    assert ends == {event.call_id: "interrupted" for event in told if isinstance(event, ToolStarted)}


MADE = {"name": "made", "description": "d", "source": GOOD, "input_schema": {"type": "object", "properties": {}}}


def whole(house: House, head: str) -> bool:
    """Whether the tool was made since `head`: with one whole commit, or not at all."""
    if house.head == head:
        assert not house.registry.snapshot().has(id_of("app.generated:made"))
        return False
    version = house.registry.version("main")
    assert version.parents == (head,) and version.operations == (("create", id_of("app.generated:made")),)
    entry = house.registry.snapshot().get(id_of("app.generated:made"))
    assert entry is not None and entry.source == GOOD
    return True


@pytest.mark.parametrize("ticks", [0, 1, 5, 20, 60, 100, 150, 250, 400])
async def test_while_create_tool_runs(house: House, ticks: int) -> None:
    """At many points of its way through jail, policies and registry."""
    head = house.head

    asked = threading.Event()

    def script(body: dict[str, Any]) -> Reply:
        asked.set()
        return calls(("create_tool", MADE)) if len(body["messages"]) == 2 else text("ok")

    async with talking(house, script) as talk:
        task = asyncio.create_task(collect(talk, []))
        assert await asyncio.to_thread(asked.wait, 10)
        for _ in range(ticks):
            await asyncio.sleep(0.0005)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert words(await talk.say("again")) == "ok"
    with WriteLock(house.registry.path):  # the thread of a commit that was under way ends in its own time
        whole(house, head)
        assert git(house.registry.path, "fsck", "--strict") == ""


async def collect(talk: Talk, seen: list[Event]) -> None:
    async with aclosing(talk.session.run("make it")) as events:
        async for event in events:
            seen.append(event)


@pytest.mark.parametrize("point", ["before", "after"])
async def test_while_the_commit_is_written(house: House, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """A commit that has not begun is not made; one that has cannot be stopped, is whole, and the next turn sees it."""
    head, commit = house.head, house.registry.commit
    reached, release = threading.Event(), threading.Event()
    done = threading.Event()

    def slow_commit(*arguments: Any, **options: Any) -> Any:
        if point == "before":
            reached.set()
            assert release.wait(10)
        try:
            return commit(*arguments, **options)
        finally:
            done.set()
            if point == "after":
                reached.set()
                assert release.wait(10)

    monkeypatch.setattr(house.registry, "commit", slow_commit)
    monkeypatch.setattr(publishing, "STOP_SECONDS", 0.05)
    async with talking(house, [calls(("create_tool", MADE)), text("ok")]) as talk:
        await stop(talk, "make it", reached, "cancel")
        release.set()
        assert await asyncio.to_thread(done.wait, 10)
        assert words(await talk.say("again")) == "ok"
        (said,) = talk.results()
        assert (said == INTERRUPTED) == (point == "before")  # what is still being written may yet come
        assert point == "before" or "read the entry" in said["error"]["message"]
    assert whole(house, head) == (point == "after")  # not begun: never made; begun: made whole
    assert git(house.registry.path, "fsck", "--strict") == ""


@pytest.mark.parametrize("again", [0, 5])
async def test_what_is_written_while_a_turn_is_stopped_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    """Also to a person who cannot wait: the turn that ends is not left alone, however often it is stopped."""
    head, commit = house.head, house.registry.commit
    reached, release = threading.Event(), threading.Event()

    def slow_commit(*arguments: Any, **options: Any) -> Any:
        version = commit(*arguments, **options)
        reached.set()
        assert release.wait(10)
        return version

    monkeypatch.setattr(house.registry, "commit", slow_commit)
    async with talking(house, [calls(("create_tool", MADE)), text("ok")]) as talk:
        seen: list[Event] = []
        turn = asyncio.create_task(collect(talk, seen))
        assert await asyncio.to_thread(reached.wait, 10)
        turn.cancel()
        for _ in range(again):
            await asyncio.sleep(0.01)
            turn.cancel()
        await asyncio.sleep(0.01)
        assert not turn.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert [event.commit for event in seen if isinstance(event, EntryPublished)] == [house.head]
        assert isinstance(seen[-1], ToolFinished) and seen[-1].status == "interrupted"
        assert words(await talk.say("again")) == "ok"
        (said,) = talk.results()
        assert said["error"]["message"].startswith(f"stopped, after it had committed {house.head[:12]}")
        log = talk.session._log
    assert whole(house, head)
    log.close()
    assert [turn.status for turn in read_turns(log.path)] == ["interrupted", "ok"]


async def test_a_session_that_is_closed_at_once_leaves_nothing_behind(house: House) -> None:
    """A kernel that is shut down while it still warms up: no exception that nobody looked at."""
    unseen: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: unseen.append(context))
    try:
        jail = type(house.sandbox)("micro_agi_kernel.lua_modules")
        house.sandbox = jail
        session = Session(house, house.settings)
        await jail.end()
        session.preload()
        await session.close()
        for _ in range(5):
            await asyncio.sleep(0)
        del session
        gc.collect()
    finally:
        loop.set_exception_handler(before)
    assert unseen == []
