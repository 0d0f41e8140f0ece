"""Any number of registries that change, pull and push in any order end as one, and no change goes unseen.

Every value is written once, so that each has its own place in a graph: it stands on the value that its writer saw.
In the end an entry is what somebody wrote and nobody wrote over; every other such value lost in a conflict, which
a person decided.
"""

from __future__ import annotations

import os
import random
from itertools import count
from pathlib import Path

import pytest
from house_kit import create, delete, git, tool, update
from sharing_kit import Enter, Hub, Sharer

from micro_agi_kernel.registry import audit
from micro_agi_kernel.registry.sharing.remote import Behind
from micro_agi_kernel.syncing import Syncing

NAMES = ("a", "b", "c")


class World:
    """The registries, and what was written and decided in them."""

    def __init__(self, sharers: list[Sharer], hub: Hub, seed: int) -> None:
        self.sharers, self.hub = sharers, hub
        self.random = random.Random(seed)
        self.fresh = count(1)
        self.commits: list[str] = []
        self.written: dict[Syncing, set[str]] = {sharer.syncing: set() for sharer in sharers}
        self.leaves: dict[str, set[str]] = {name: set() for name in NAMES}
        self.lost: set[str] = set()
        self.conflicts = 0

    def write(self, sharer: Sharer) -> None:
        name = self.random.choice(NAMES)
        there = sharer.sources().get(name)
        if there is not None:
            self.leaves[name].discard(there)
        if there is not None and self.random.random() < 0.2:
            self.wrote(sharer, sharer.write(*delete(f"app.generated:{name}")))
            return
        source = f"return {{ handler = function() return {next(self.fresh)} end }}\n"
        self.leaves[name].add(source)
        self.wrote(sharer, sharer.write(*(create if there is None else update)(tool(name, source))))

    def wrote(self, sharer: Sharer, commit: str) -> None:
        self.commits.append(commit)
        self.written[sharer.syncing].add(commit)

    async def pull(self, sharer: Sharer) -> bool:
        """Whether there was nothing to decide."""
        done = await sharer.pull()
        for item in done.of("conflict"):
            self.conflicts += 1
            takes = self.random.random() < 0.5
            theirs = sharer.house.registry.snapshot(done.theirs).get(item.subject)
            sides = {"theirs": theirs.source if theirs else None, "ours": sharer.sources().get(item.subject.name)}
            loser = sides["ours" if takes else "theirs"]
            if self.random.random() < 0.3:
                continue  # not yet
            if loser is not None:
                self.lost.add(loser)
            await sharer.pull(**{"accept" if takes else "reject": str(item.subject)})
        return not done.of("conflict")

    async def step(self) -> None:
        sharer = self.random.choice(self.sharers)
        match self.random.choice("wwwpps"):
            case "w":
                self.write(sharer)
            case "p":
                await self.pull(sharer)
            case "s":
                try:
                    await sharer.push()
                except Behind:
                    await self.pull(sharer)

    async def settle(self) -> None:
        """Until a round of pulls and pushes changes nothing any more."""
        for _ in range(20):
            before, decided = self.heads(), True
            for sharer in self.sharers:
                decided = await self.pull(sharer) and decided
                try:
                    await sharer.push()
                except Behind:
                    continue
            if decided and self.heads() == before:
                return
        raise AssertionError("they do not come to rest")

    def heads(self) -> list[str]:
        return [*(sharer.house.head for sharer in self.sharers), self.hub.head]

    def check(self) -> None:
        end, *others = (sharer.sources() for sharer in self.sharers)
        assert all(other == end for other in others)
        for name in NAMES:
            unaccounted = self.leaves[name] - self.lost - {end.get(name)}
            assert not unaccounted, (name, end.get(name), unaccounted)
        behind = set(git(self.hub.path, "rev-list", "main").split())
        assert behind.issuperset(self.commits)
        for sharer in self.sharers:
            assert [f for f in audit(sharer.house.registry) if f.status != "ok"] == []
            assert self.written[sharer.syncing] <= {v.commit for v in sharer.house.registry.versions()}


@pytest.mark.parametrize("seed", range(1, 60 if os.environ.get("MICRO_AGI_FULL") == "1" else 3))
async def test_they_end_as_one(enter: Enter, tmp_path: Path, seed: int) -> None:
    hub = Hub(tmp_path / "hub.git")
    sharers = [Sharer(enter(), hub) for _ in range(3 - seed % 2)]
    world = World(sharers, hub, seed)
    await sharers[0].push()
    for _ in range(20):
        await world.step()
    await world.settle()
    world.check()
