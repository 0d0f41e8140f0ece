"""Tools that use what is changed: which of those that passed their tests before would fail them after it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from micro_agi_kernel.checks import Checks, NotTested, Rounds
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.programs import EntryLookup, reached_by
from micro_agi_kernel.registry import Snapshot

MOST_USERS = 300
"""Entries that use what one commit changes and are looked at: with one quick test each they take about 3 s on two
cores, which a turn can wait."""

USERS_SECONDS = 30.0
"""For their tests, all of them together, in the new state and, of those that fail there, in the old."""

_SHOWN = 3
"""Of those that would break or were not tested, how many are named."""


@dataclass(frozen=True, slots=True)
class Users:
    """What became of the tools that use what is changed."""

    of: str = ""
    """What they use, for a line: an id, or "what this changes"."""
    broken: dict[EntryId, Refused] = field(default_factory=dict)
    """Those that would fail after it and passed before, and what they fail with."""
    untested: tuple[EntryId, ...] = ()
    """Those for which there was no time."""
    more: bool = False
    """Whether there are others that nobody looked at."""
    ids: frozenset[EntryId] = frozenset()
    """All of them, libraries too."""
    read: frozenset[EntryId] = frozenset()
    """What they import and call."""

    @property
    def refusal(self) -> Refused | None:
        """One line for whoever would break one."""
        if not self.broken:
            return None
        lines = [f"{id} uses {self.of} and would break: {why}" for id, why in self.broken.items()]
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        hint = "keep what it relies on, or make a new entry beside this one"
        return Refused(ErrorKind.INVALID, f"{'; '.join(lines[:_SHOWN])}{more}; {hint}")

    @property
    def left(self) -> str:
        """One line that says which were not tested; "" when all were."""
        if not self.untested and not self.more:
            return ""
        names = [*map(str, self.untested[:_SHOWN])]
        others = len(self.untested) - len(names)
        if self.more:
            names.append(f"all beyond the first {MOST_USERS}")
        elif others:
            names.append(f"{others} more")
        return f"not all that use {self.of} were tested within {USERS_SECONDS:g} s, not: {', '.join(names)}"


NO_USERS = Users()


async def try_users(
    checks: Checks, changed: Sequence[EntryId], before: Snapshot, after: EntryLookup, rules: Snapshot | None = None
) -> Users:
    """Test the tools that import or call one of `changed`, directly or not, and are not among these themselves.

    `changed` differ between `before` and `after`; the policies are those of `rules`, or else of `before`. A tool that
    fails after it is tested in the state before it too: what failed there already is not broken by this.
    """
    ids = await asyncio.to_thread(before.users, changed, MOST_USERS + 1) if changed else []
    if not ids:
        return NO_USERS
    users = await asyncio.to_thread(lambda: [*_functions(before, ids[:MOST_USERS])])
    rules, rounds = rules or before, Rounds(USERS_SECONDS)
    after_it = (await checks.all(users, rules, after, rounds)).refusals
    failing = [entry for entry in users if entry.id in after_it and not isinstance(after_it[entry.id], NotTested)]
    before_it = (await checks.all(failing, rules, before.get, rounds)).refusals if failing else {}
    untested = (id for found in (after_it, before_it) for id, said in found.items() if isinstance(said, NotTested))
    return Users(
        str(changed[0]) if len(changed) == 1 else "what this changes",
        {entry.id: after_it[entry.id] for entry in failing if entry.id not in before_it},
        tuple(untested),
        len(ids) > MOST_USERS,
        frozenset(ids),
        await asyncio.to_thread(_read, users, after),
    )


def _functions(snapshot: Snapshot, ids: Iterable[EntryId]) -> Iterator[Entry]:
    for id in ids:
        with contextlib.suppress(EntryError):  # broken already
            if (entry := snapshot.get(id)) is not None and entry.kind == FUNCTION_KIND:
                yield entry


def _read(users: Iterable[Entry], state: EntryLookup) -> frozenset[EntryId]:
    return frozenset(id for entry in users for id in reached_by(entry, state) or ())
