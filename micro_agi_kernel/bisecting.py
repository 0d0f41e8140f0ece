"""Which commit broke a tool: its tests run against the versions of the past."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.registry import Version
from micro_agi_kernel.tool_tests import read_tests
from micro_agi_kernel.values import Json
from micro_agi_kernel.workspace import Workspace

MOST_VERSIONS = 1_000
"""Of one entry; ten of them are loaded and tested."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What was found."""

    bad: Version
    """The oldest version that fails, of those in a row up to the newest."""
    good: Version
    """The one before it."""
    why: str
    """What failed in `bad`."""


async def bisect(house: Workspace, id: EntryId, wanted: str) -> Broken:
    """The commit since which `id` fails its tests, or one: `wanted` is the name of a test, its JSON, or "" for all.

    Older versions are asked by halves, so one that failed and was mended in between may hide. Raises Refused with a
    line when there is nothing to find.
    """
    snapshot = await asyncio.to_thread(house.registry.snapshot)
    entry = await asyncio.to_thread(snapshot.get, id)
    if entry is None:
        raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}")
    if entry.kind != FUNCTION_KIND:
        raise Refused(ErrorKind.INVALID, f"{id} is no function: only these have tests")
    tests = _tests(entry, wanted)
    versions = await asyncio.to_thread(lambda: list(house.registry.versions(MOST_VERSIONS, id=id)))

    async def problem(index: int) -> str | None:
        return await _problem(house, id, versions[index], tests)

    why = await problem(0)
    if why is None:
        raise Refused(ErrorKind.INVALID, f"{id} passes now, nothing is broken")
    good, bad = len(versions) - 1, 0
    if good == bad or await problem(good) is not None:
        raise Refused(ErrorKind.INVALID, f"{id} fails since {versions[good].commit[:10]}, its oldest version: {why}")
    while good - bad > 1:
        middle = (good + bad) // 2
        found = await problem(middle)
        if found is None:
            good = middle
        else:
            bad, why = middle, found
    return Broken(versions[bad], versions[good], why)


def _tests(entry: Entry, wanted: str) -> Sequence[Json]:
    """The tests to run, as JSON. Raises Refused when there are none of that name."""
    if wanted.startswith("{"):
        try:
            tests: list[Json] = [json.loads(wanted)]
        except (ValueError, RecursionError) as error:
            raise Refused(ErrorKind.INVALID, f"the test is no JSON: {error}") from error
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


async def _problem(house: Workspace, id: EntryId, version: Version, tests: Sequence[Json]) -> str | None:
    """Why the entry as it was in `version` fails `tests`, with the libraries of that time; None when it passes."""
    then = await asyncio.to_thread(house.registry.snapshot, version.commit)
    try:
        entry = await asyncio.to_thread(then.get, id)
    except EntryError as error:
        return str(error)
    if entry is None:
        return f"{id} was deleted"
    entry = replace(entry, data={**entry.data, "tests": list(tests)})
    now = await asyncio.to_thread(house.registry.snapshot)
    checked = await house.checks.all([entry], now, then.get)
    return next((str(refusal) for refusal in checked.refusals.values()), None)
