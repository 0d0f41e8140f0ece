"""A session that shares by itself: beside its cells, which never wait for it and never fail by it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from git_server import git_server
from house_kit import GOOD, House, Operation, create, git, policy, tool, update
from sharing_kit import Enter, Hub, Sharer, fates

from micro_agi_kernel import autosync
from micro_agi_kernel.events import Event, Notice, TurnFinished
from micro_agi_kernel.registry.sharing import remote
from micro_agi_kernel.session import Emit, Session
from micro_agi_kernel.settings import SyncSettings

BOTH = SyncSettings(pull_at_start=True, push_after_commit=True)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub.git")


@pytest.fixture
def ann(enter: Enter, hub: Hub) -> Sharer:
    sharer = Sharer(enter(), hub)
    sharer.syncing.remote.push(sharer.house.head)
    return sharer


@pytest.fixture
def bob(enter: Enter, hub: Hub) -> Sharer:
    return Sharer(enter(sync=BOTH), hub)


class Cells:
    """A conversation whose cells write what the test says."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.session = Session(house, house.settings)

    async def cell(self, *operations: Operation) -> list[str]:
        """The notices of one cell, which ends well."""

        async def work(emit: Emit) -> TurnFinished:
            if operations:
                self.house.write(*operations, actor="service:agent")
            return TurnFinished("ok")

        events: list[Event] = [event async for event in self.session.perform(work)]
        assert isinstance(events[-1], TurnFinished) and events[-1].status == "ok"
        return [event.text for event in events if isinstance(event, Notice)]

    async def idle(self) -> None:
        """Until nothing runs beside the cells."""
        while (task := self.session._sync._task) is not None and not task.done():
            await asyncio.wait([task])


@asynccontextmanager
async def cells(house: House) -> AsyncIterator[Cells]:
    talk = Cells(house)
    try:
        yield talk
    finally:
        await talk.session._sync.close()


async def test_what_others_made_is_there_and_what_is_made_goes_out(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    ann.write(*create(tool("x")))
    await ann.push()
    async with cells(bob.house) as talk:
        assert await talk.cell() == []
        await talk.idle()
        assert await talk.cell(*create(tool("y"))) == ["1 change taken from hub.git"]
        await talk.idle()
        assert hub.head == bob.house.head and set(bob.sources()) == {"x", "y"}
        ann.write(*create(tool("z")))
        await ann.pull()
        await ann.push()
        await talk.cell(*update(tool("y", "return {}")))
        await talk.idle()  # refused, so pulled and pushed again
        assert hub.head == bob.house.head and set(bob.sources()) == {"x", "y", "z"}
        assert await talk.cell() == ["1 change taken from hub.git"] and await talk.cell() == []


async def test_off_by_default(ann: Sharer, enter: Enter, hub: Hub) -> None:
    other = Sharer(enter(), hub)
    async with cells(other.house) as talk:
        await talk.cell(*create(tool("x")))
        assert talk.session._sync._task is None and "app/generated/x.lua" not in hub.files()


async def test_offline_is_said_once(bob: Sharer, hub: Hub) -> None:
    os.rename(hub.path, hub.path.with_suffix(".away"))
    async with cells(bob.house) as talk:
        notices = await talk.cell()
        for n in range(3):
            notices += await talk.cell(*create(tool(f"x{n}")))
            await talk.idle()
        notices += await talk.cell()
    assert len(notices) == 1 and notices[0].startswith("the registry was not shared: cannot fetch from hub.git: ")


async def test_what_waits_is_said_once_and_stays_for_the_person(ann: Sharer, bob: Sharer, hub: Hub) -> None:
    await ann.publish(*create(policy("app:p", "deny", "x", "*")))
    await ann.push()
    async with cells(bob.house) as talk:
        notices = await talk.cell(*create(tool("x")))
        await talk.idle()
        notices += await talk.cell(*create(tool("y")))
        await talk.idle()
        notices += await talk.cell()
    assert notices == ["1 change from hub.git to decide about: `micro-agi registry pull` shows them"]
    assert fates(await bob.pull()) == {"app:p": "waiting"}


async def test_a_remote_that_says_nothing_holds_up_no_cell_and_no_end(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autosync, "PATIENCE", 0.1)
    house = enter(sync=BOTH)
    with socket.create_server(("127.0.0.1", 0)) as server:
        remote.Remote(house.registry.path, {"PATH": os.environ["PATH"]}).set(
            f"http://127.0.0.1:{server.getsockname()[1]}/x.git"
        )
        async with cells(house) as talk:
            for n in range(3):
                assert await talk.cell(*create(tool(f"x{n}"))) == []
            task = talk.session._sync._task
            assert task is not None and not task.done()
        assert task.cancelled() and house.take_notices() == ["the registry was not shared: 0 s were not enough"]


async def test_two_sessions_through_a_real_server(enter: Enter, hub: Hub) -> None:
    """Both write all the time, the same tool too; in the end both have all, but for the conflict."""
    with git_server(hub.path.parent) as url:
        houses = [enter(sync=BOTH), enter(sync=BOTH)]
        for house in houses:
            remote.Remote(house.registry.path, {"PATH": os.environ["PATH"]}).set(f"{url}/hub.git")
        git(hub.path, "fetch", "-q", str(houses[0].registry.path), "main:main")
        async with cells(houses[0]) as one, cells(houses[1]) as two:
            for n in range(3):
                await asyncio.gather(one.cell(*create(tool(f"one{n}"))), two.cell(*create(tool(f"two{n}"))))
            await one.cell(*create(tool("same", GOOD)))
            await one.idle()
            await two.cell(*create(tool("same", f"{GOOD} -- 2")))
            await two.idle()
            await one.idle()
        ann, bob = (Sharer(house, hub) for house in houses)
        for sharer in (ann, bob):
            sharer.syncing.remote.set(f"{url}/hub.git")
        await ann.sync()
        assert "conflict" in fates(await bob.pull()).values()
        await bob.pull(accept="all")
        await bob.push()
        await ann.pull()
        assert await ann.push() == await bob.push() == hub.head
    assert ann.sources() == bob.sources()
    assert set(ann.sources()) == {"same", *(f"{who}{n}" for who in ("one", "two") for n in range(3))}
