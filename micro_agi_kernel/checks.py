"""What is asked of each entry by itself: kind, modules, imports, calls, source, its own tests.

What more is asked before a commit (policies, whether tests are demanded, the tests of its users) is in publishing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from micro_agi_kernel.entries import Entry, EntryId, Operation
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.interfaces import Library, Program, Sandbox
from micro_agi_kernel.kind_checks import check_kind
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LUA_KINDS, read_lua
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.reaching import EntryLookup, check_calls, find_libraries, reached_by
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.testing import ClosedHost, ToolTesting

MAX_COMPILED = 1 << 20
"""Characters of source that one call of the jail compiles: its messages carry 8 MiB, its Lua has 64."""

AT_ONCE = 4
"""Tools that are loaded and tested at once."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found."""

    refusals: dict[EntryId, Refused]
    """The first thing wrong with each entry; what is sound is not in it."""
    passed: int
    """Tests."""


_Reached: TypeAlias = Mapping[EntryId, Entry | None] | None


class NotTested(Refused):
    """No time was left for loading and testing an entry; nothing is wrong with it."""


@dataclass(slots=True)
class Rounds:
    """What several checks in a row share, all of them by the policies of one snapshot: time, and what tests said."""

    seconds: float
    """For loading and testing, all of it together; they begin with the first check."""
    deadline: float | None = None
    """On the clock of the event loop."""
    share: float = math.inf
    """Seconds of it that one entry may take, so that a slow one leaves the others their time."""
    said: dict[EntryId, list[tuple[_Reached, int | Refused]]] = field(default_factory=dict)
    """By what was loaded and tested, for each state in which it was: all that it reached, itself among them, and what
    came of it."""
    begun: list[EntryId] = field(default_factory=list)
    """What was begun to be loaded and tested, in this order."""

    @property
    def is_over(self) -> bool:
        return self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline


class Checks:
    """Asks all of it. What an entry imports or calls is looked for in a `EntryLookup`."""

    def __init__(
        self, permissions: Permissions, sandbox: Sandbox, modules: frozenset[str], testing: ToolTesting
    ) -> None:
        """`modules` are those that exist."""
        self._permissions = permissions
        self._sandbox = sandbox
        self._modules = modules
        self._testing = testing

    async def faults(self, entries: Sequence[Entry], snapshot: Snapshot, state: EntryLookup) -> dict[EntryId, Refused]:
        """The first thing wrong with each, by id, without running any; what is sound is not in it.

        These are the checks of its kind, its modules and imports under the policies of `snapshot`, and its source
        compiled.
        """
        found = await asyncio.to_thread(self._check_kinds, entries, snapshot, state)
        found |= await self._compile([entry for entry in entries if entry.id not in found])
        return {entry.id: found[entry.id] for entry in entries if entry.id in found}

    async def all(
        self, entries: Sequence[Entry], snapshot: Snapshot, state: EntryLookup, rounds: Rounds | None = None
    ) -> Checked:
        """The same and what functions call, and they are loaded and tested, in the jail and without a network.

        With `rounds`, what was tested is not tested again, and a refusal is NotTested where the time was over.
        """
        refusals = await asyncio.to_thread(self._check_kinds, entries, snapshot, state)
        rest = [entry for entry in entries if entry.id not in refusals]
        refusals |= await asyncio.to_thread(self.calls, rest, snapshot, state)
        rest = [entry for entry in rest if entry.id not in refusals]
        refusals |= await self._compile([entry for entry in rest if entry.kind != FUNCTION_KIND])
        tested = await self._test([entry for entry in rest if entry.kind == FUNCTION_KIND], snapshot, state, rounds)
        refusals |= {id: said for id, said in tested.items() if isinstance(said, Refused)}
        passed = sum(said for said in tested.values() if isinstance(said, int))
        return Checked({entry.id: refusals[entry.id] for entry in entries if entry.id in refusals}, passed)

    async def _test(
        self, functions: Sequence[Entry], snapshot: Snapshot, state: EntryLookup, rounds: Rounds | None
    ) -> dict[EntryId, int | Refused]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(entry: Entry) -> int | Refused:
            async with turns:
                if rounds is None:
                    return await self._testing.run(entry, snapshot, state)
                return await self._test_once(entry, snapshot, state, rounds)

        results = await asyncio.gather(*map(one, functions))
        return {entry.id: said for entry, said in zip(functions, results, strict=True)}

    async def _test_once(self, entry: Entry, snapshot: Snapshot, state: EntryLookup, rounds: Rounds) -> int | Refused:
        reached = await asyncio.to_thread(reached_by, entry, state)
        known = rounds.said.setdefault(entry.id, [])
        if reached is not None:
            for before, said in known:
                if before == reached:
                    return said
        now = asyncio.get_running_loop().time()
        if rounds.deadline is None:
            rounds.deadline = now + rounds.seconds
        late = NotTested(ErrorKind.UNAVAILABLE, f"{entry.id}: the {rounds.seconds:g} s for all tests were over")
        if rounds.is_over:
            return late
        rounds.begun.append(entry.id)
        try:
            async with asyncio.timeout_at(min(rounds.deadline, now + rounds.share)) as clock:
                said = await self._testing.run(entry, snapshot, state)
        except TimeoutError:
            if not clock.expired():
                raise
            said = late
        known.append((reached, said))
        return said

    def _check_kinds(self, entries: Sequence[Entry], snapshot: Snapshot, state: EntryLookup) -> dict[EntryId, Refused]:
        found: dict[EntryId, Refused] = {}
        for entry in entries:
            with _noting(entry, found):
                check_kind(entry)  # a large schema takes a second
                if entry.kind in LUA_KINDS:
                    self._permissions.check_modules(entry, self._modules, snapshot)
                    find_libraries(entry, read_lua(entry), state, self._permissions, snapshot)
        return found

    def calls(self, entries: Iterable[Entry], snapshot: Snapshot, state: EntryLookup) -> dict[EntryId, Refused]:
        """What is wrong with what each function calls; it may have come to be so long after it was written."""
        found: dict[EntryId, Refused] = {}
        for entry in entries:
            if entry.kind == FUNCTION_KIND:
                with _noting(entry, found):
                    check_calls(entry, read_lua(entry), state, self._permissions, snapshot)
        return found

    async def _compile(self, entries: Sequence[Entry]) -> dict[EntryId, Refused]:
        """Compile sources in the jail, without running them: Lua's line and reason of each that is none."""
        found: dict[EntryId, Refused] = {}
        for batch in _batches(entry for entry in entries if entry.kind in LUA_KINDS):
            libraries = {str(entry.id): Library(entry.source or "", entry.id.name) for entry in batch}
            program = Program("", "", method=None, libraries=libraries)
            outcome = await self._sandbox.run(program, ClosedHost(), lambda _: None)
            if outcome.error is not None and len(batch) > 1:  # one of them took all memory or time: which?
                for entry in batch:
                    found |= await self._compile([entry])
            elif outcome.error is not None:
                found[batch[0].id] = Refused(outcome.error.kind, outcome.error.message)
            elif isinstance(outcome.value, dict):
                for entry in batch:
                    if (problem := outcome.value.get(str(entry.id))) is not None:
                        text = problem.decode(errors="replace") if isinstance(problem, bytes) else str(problem)
                        found[entry.id] = Refused(ErrorKind.SYNTAX, text)
        return found


@contextmanager
def _noting(entry: Entry, found: dict[EntryId, Refused]) -> Iterator[None]:
    """What is wrong with `entry`, whoever says it, into `found`."""
    try:
        yield
    except EntryError as error:
        found[entry.id] = error.as_refused()
    except Refused as refusal:
        found[entry.id] = refusal


def not_tested(refusals: Mapping[EntryId, Refused], of: int, seconds: float) -> str:
    """What there was no time for, of so many entries, in one line; "" when there was for all."""
    late = [id for id, refusal in refusals.items() if isinstance(refusal, NotTested)]
    if not late:
        return ""
    return f"{len(late)} of {of} entries were not loaded and tested within {seconds:g} s, the first of them {late[0]}"


def resulting(operations: Iterable[Operation], snapshot: Snapshot) -> EntryLookup:
    """The entries of `snapshot` after `operations`."""
    written = {operation.id: operation.entry for operation in operations}
    return lambda id: written[id] if id in written else snapshot.get(id)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries whose sources together go into one call of the jail."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(entry.source or "")
        if batch and size > MAX_COMPILED:
            yield batch
            batch, size = [], len(entry.source or "")
        batch.append(entry)
    if batch:
        yield batch
