"""What another writer does between the checks and the commit counts: nothing is written on what no longer holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from house_kit import (
    BROKEN_SCOPES,
    GOOD,
    House,
    create,
    id_of,
    policy,
    tool,
    update,
)

from micro_agi_kernel.checks import Checks
from micro_agi_kernel.entries import Changeset
from micro_agi_kernel.errors import Conflict, Refused
from micro_agi_kernel.events import EntryPublished
from micro_agi_kernel.interfaces import CallOutcome, HostService, Limits, Program
from micro_agi_kernel.outputs import Output
from micro_agi_kernel.programs import Programs
from micro_agi_kernel.publishing import Publishing
from micro_agi_kernel.testing import ToolTesting
from micro_agi_kernel.workspace import module_names


class Interference:
    """A sandbox that lets another writer in while the source is loaded, once."""

    def __init__(self, house: House, meanwhile: Callable[[], object]) -> None:
        self._house = house
        self._meanwhile: Callable[[], object] | None = meanwhile

    async def run(self, program: Program, host: HostService, on_output: Callable[[Output], None]) -> CallOutcome:
        if self._meanwhile is not None:
            self._meanwhile()
            self._meanwhile = None
        return await self._house.sandbox.run(program, host, on_output)


def interfered(house: House, meanwhile: Callable[[], object]) -> Publishing:
    sandbox, permissions, modules = Interference(house, meanwhile), house.permissions, module_names()
    testing = ToolTesting(permissions, Programs(permissions, modules, Limits(), Limits()), sandbox)
    checks = Checks(permissions, sandbox, modules, testing)
    return Publishing(house.registry, permissions, checks, house.person, tests_required=False)


async def test_a_policy_that_comes_while_the_source_is_compiled_counts(house: House) -> None:
    frozen = policy("app:frozen", "deny", "registry.create", "app.generated:*", "agent_security")
    publishing = interfered(house, lambda: house.write(*create(frozen)))
    with pytest.raises(Refused, match="policy app:frozen"):
        await publishing.publish(Changeset(create(tool("late"))), house.context())
    assert not house.registry.snapshot().has(id_of("app.generated:late"))


@pytest.mark.parametrize("case", BROKEN_SCOPES)
async def test_a_broken_policy_that_is_pushed_while_the_source_is_compiled_counts(house: House, case: str) -> None:
    publishing = interfered(house, lambda: house.push(BROKEN_SCOPES[case]))
    with pytest.raises(Refused, match=r"^failed to load security scope: "):
        await publishing.publish(Changeset(create(tool("late"))), house.context())


async def test_a_policy_that_comes_between_the_two_readings_counts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`base` may name a commit that is newer than the one that the policies were read from."""
    frozen = policy("app:frozen", "deny", "registry.create", "app.generated:*", "agent_security")
    snapshot, written = house.registry.snapshot, []

    def slow_snapshot(rev: str | None = None) -> Any:
        if rev == "main" and not written:
            written.append(house.write(*create(frozen)))
        return snapshot(rev)

    monkeypatch.setattr(house.registry, "snapshot", slow_snapshot)
    with pytest.raises(Refused, match="policy app:frozen"):
        await house.publishing.publish(Changeset(create(tool("late"))), house.context(), base="main")


async def test_a_revoked_module_counts_too(house: House) -> None:
    denied = policy("app:no_time", "deny", "lua.module", "time")
    publishing = interfered(house, lambda: house.write(*create(denied)))
    with pytest.raises(Refused, match=r"lua\.module on time"):
        await publishing.publish(Changeset(create(tool("late", modules=["time"]))), house.context())


async def test_another_writer_of_the_same_entry_is_a_conflict(house: House) -> None:
    await house.make("shared", GOOD)
    base = house.head
    theirs = tool("shared", "return { handler = function() return 'theirs' end }")
    publishing = interfered(house, lambda: house.write(*update(theirs)))
    with pytest.raises(Conflict, match=r"app\.generated:shared was changed by another writer: read it again"):
        await publishing.publish(Changeset(update(tool("shared"))), house.context(), base=base)
    kept = house.registry.snapshot().get(theirs.id)
    assert kept == theirs


async def test_another_writer_of_another_entry_is_no_conflict(house: House) -> None:
    publishing = interfered(house, lambda: house.write(*create(tool("theirs"))))
    published = await publishing.publish(Changeset(create(tool("ours"))), house.context())
    assert published.commit == house.head
    assert {str(id) for id in house.registry.snapshot().ids()} >= {"app.generated:ours", "app.generated:theirs"}
    assert [type(event) for event in house.events] == [EntryPublished]
