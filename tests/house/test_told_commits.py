"""What front ends are told of a commit: who allowed it, and what it changed."""

from __future__ import annotations

from house_kit import GOOD, House

from micro_agi_kernel.events import EntryPublished


async def test_front_ends_are_told_what_a_commit_changed_and_who_allowed_it(house: House) -> None:
    await house.make("clock", GOOD, tests=[{"input": {}, "expect": 1}])
    await house.make("clock", f"-- newer\n{GOOD}", intent="replace")
    made, changed = [event for event in house.events if isinstance(event, EntryPublished)]
    assert made.policy.startswith("undefined (") and (made.tests, made.diff) == (1, "")
    assert changed.diff.startswith("--- clock.lua\n@@") and "\n+-- newer\n" in changed.diff
