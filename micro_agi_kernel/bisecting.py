"""Which commit broke a tool: its tests run against the states of the past in which it, or what it uses, was another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.reaching import ChangeOfReach, reached_by, steps_of
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.tool_tests import read_tests
from micro_agi_kernel.values import Json, parse_json
from micro_agi_kernel.workspace import Workspace

MOST_STEPS = 1_000
"""Commits; of so many the tests run as of twenty."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What was found."""

    bad: ChangeOfReach
    """The oldest commit that fails, of those in a row up to the newest."""
    good: ChangeOfReach
    """The one before it, of those that changed what the tool reaches."""
    why: str
    """What failed in `bad`."""


async def bisect(workspace: Workspace, id: EntryId, wanted: str) -> Broken | None:
    """The commit since which `id` fails its tests, or one: `wanted` is the name of a test, its JSON, or "" for all.

    None: it passes. Older ones are asked by doubling and halving, so one that failed and was mended in between may
    hide. Raises Refused with a line when it never passed, or when there is nothing to run.
    """
    now = await asyncio.to_thread(workspace.registry.snapshot)
    entry = await asyncio.to_thread(now.get, id)
    if entry is None:
        raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}")
    if entry.kind != FUNCTION_KIND:
        raise Refused(ErrorKind.INVALID, f"{id} is no function: only these have tests")
    trial = _Trial(workspace, id, now, _tests(entry, wanted))
    why = await trial.problem(now)
    if why is None:
        return None
    steps, is_all = await asyncio.to_thread(_since_made, workspace, entry, now)
    found = await _newest_broken(trial, steps, why)
    if found is None:
        oldest = "its oldest version" if is_all else f"the oldest of {len(steps)} commits that are looked at"
        raise Refused(ErrorKind.INVALID, f"{id} fails since {steps[-1].short}, {oldest}: {why}")
    while between := await asyncio.to_thread(_between, workspace, id, found):  # what it used before may have broken it
        narrower = await _newest_broken(trial, [found.bad, *between, found.good], found.why)
        assert narrower is not None  # the last passed
        found = narrower
    return found


def _tests(entry: Entry, wanted: str) -> Sequence[Json]:
    """The tests to run, as JSON. Raises Refused when there are none of that name."""
    if wanted.startswith("{"):
        try:
            tests = [parse_json(wanted, "the test is no JSON")]
        except EntryError as error:
            raise Refused(ErrorKind.INVALID, str(error)) from error
        read_tests(replace(entry, data={**entry.data, "tests": tests}))
        return tests
    names = [test.name for test in read_tests(entry)]
    listed = cast(list[Json], entry.data.get("tests", []))
    if wanted and wanted not in names:
        there = ", ".join(map(repr, names)) or "none"
        raise Refused(
            ErrorKind.NOT_FOUND, f"{entry.id} has no test {wanted!r}; there are: {there}; or give one as JSON"
        )
    if not names:
        raise Refused(ErrorKind.INVALID, f'{entry.id} has no tests; give one as JSON, {{"input": {{}}, "expect": 1}}')
    return [item for name, item in zip(names, listed, strict=True) if wanted in ("", name)]


@dataclass(frozen=True, slots=True)
class _Trial:
    """Runs tests of today, by the policies of today, on a tool of the past."""

    workspace: Workspace
    id: EntryId
    now: Snapshot
    tests: Sequence[Json]

    async def problem(self, then: Snapshot) -> str | None:
        """Why the tool as it was fails, with what it used at that time; None when it passes."""
        try:
            entry = await asyncio.to_thread(then.get, self.id)
        except EntryError as error:
            return str(error)
        if entry is None:
            return f"{self.id} was deleted"
        entry = replace(entry, data={**entry.data, "tests": list(self.tests)})
        checked = await self.workspace.checks.all([entry], self.now, then.get)
        return next((str(refusal) for refusal in checked.refusals.values()), None)


def _since_made(workspace: Workspace, entry: Entry, now: Snapshot) -> tuple[list[ChangeOfReach], bool]:
    """The commits that may have broken `entry`, newest first, and whether they go back to the one that made it."""
    steps = steps_of(workspace.registry, reached_by(entry, now.get), MOST_STEPS)
    if len(steps) == MOST_STEPS:
        return steps, False
    made = max((index for index, step in enumerate(steps) if entry.id in step.changed), default=len(steps))
    return steps[: made + 1], True


def _between(workspace: Workspace, id: EntryId, found: Broken) -> list[ChangeOfReach]:
    """The commits after the one that passes that changed what the tool used there, before the one that fails."""
    then = workspace.registry.snapshot(found.good.version.commit)
    entry = then.get(id)
    assert entry is not None  # it passed
    first, last = found.good.version.number, found.bad.version.number
    steps = steps_of(workspace.registry, reached_by(entry, then.get), MOST_STEPS)
    return [step for step in steps if first < step.version.number < last]


async def _newest_broken(trial: _Trial, steps: Sequence[ChangeOfReach], why: str) -> Broken | None:
    """The nearest of `steps`, newest first, that fails after one that passes; None when none passes that was asked.

    The state as of the first of them fails with `why`.
    """
    registry = trial.workspace.registry

    async def problem(index: int) -> str | None:
        return await trial.problem(await asyncio.to_thread(registry.snapshot, steps[index].version.commit))

    bad, good = 0, None
    for index in _doubling(len(steps)):
        found = await problem(index)
        if found is None:
            good = index
            break
        bad, why = index, found
    if good is None:
        return None
    while good - bad > 1:
        middle = (good + bad) // 2
        found = await problem(middle)
        if found is None:
            good = middle
        else:
            bad, why = middle, found
    return Broken(steps[bad], steps[good], why)


def _doubling(length: int) -> Iterator[int]:
    """1, 2, 4 and so on below `length`, and the last."""
    index = 1
    while index < length - 1:
        yield index
        index *= 2
    if length > 1:
        yield length - 1
