"""A session that shares by itself goes on doing so, whatever one attempt ended with."""

from __future__ import annotations

from typing import Any

import pytest
from sharing_kit import Enter

from micro_agi_kernel.autosync import AutoSync
from micro_agi_kernel.settings import SyncSettings
from micro_agi_kernel.syncing import Syncing


async def test_a_bug_is_a_notice_and_the_next_turn_shares_again(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    house = enter(sync=SyncSettings(pull_at_start=True, push_after_commit=True))
    pushed: list[str] = []

    async def pull(*_: Any, **__: Any) -> None:
        raise ValueError("Exceeds the limit\n\x1b[1m (4300 digits)")

    async def push(_: Any) -> str:
        pushed.append(house.head)
        if len(pushed) == 1:
            raise KeyError("missing")
        return house.head

    monkeypatch.setattr(Syncing, "pull", pull)
    monkeypatch.setattr(Syncing, "push", push)
    sync = AutoSync(house, house.settings)
    sync.start()
    for name in ("one", "two", "three"):
        house.push({f"docs/{name}.md": b"x"})
        sync.turn_ended()
        await sync.close()
    assert pushed[-1] == house.head and len(pushed) == 2
    fault = "the registry was not shared, by a fault of Micro AGI: "
    assert house.take_notices() == [
        f"{fault}ValueError: Exceeds the limit [1m (4300 digits)",
        f"{fault}KeyError: 'missing'",
    ]
