"""Tools that use what is changed: which of those that passed their tests before would fail them after it.

They veto what an agent writes. A person's own change is written all the same and the person is told: else an agent
could freeze a person's library, or the revert of its own bad tool, by a test that wants things as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from micro_agi_kernel.checks import Checks, NotTested, Rounds
from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.reaching import EntryLookup, reached_by
from micro_agi_kernel.registry import Snapshot

MOST_USERS = 300
"""Entries that use what one commit changes and are looked at: with one quick test each they take about 3 s on two
cores, which a turn can wait."""

MOST_FOUND = 3_000
"""Of so many, the nearest, those outside of app.generated are looked at first: an agent's cannot hide a person's."""

USERS_SECONDS = 30.0
"""For their tests, all of them together, in the new state and, of those that fail there, in the old."""

_SHARE = 1 / 5
"""Of that, what one may take: more than a test of 5 s does."""

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
    """All that were looked at, libraries too."""
    read: frozenset[EntryId] = frozenset()
    """What they import and call."""

    @property
    def refusal(self) -> Refused | None:
        """One line for an agent that would break one."""
        if not self.broken:
            return None
        hint = "keep what it relies on, or make a new entry beside this one"
        return Refused(ErrorKind.INVALID, f"{self._named('would break')}; {hint}")

    @property
    def notices(self) -> list[str]:
        """Lines for a person whose change is written: what it breaks, what was not tested."""
        lines = [f"{self._named('breaks')}; mend it, or revert this"] if self.broken else []
        return [*lines, f"{self.left}; `micro-agi registry verify --tests` tests all"] if self.left else lines

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

    def _named(self, what: str) -> str:
        lines = [f"{id} uses {self.of} and {what}: {why}" for id, why in self.broken.items()]
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        return f"{'; '.join(lines[:_SHOWN])}{more}"


NO_USERS = Users()


def time_for_users() -> Rounds:
    """The time of those that use what one commit changes, shared fairly."""
    return Rounds(USERS_SECONDS, share=USERS_SECONDS * _SHARE)


async def try_users(
    checks: Checks,
    changed: Sequence[EntryId],
    before: Snapshot,
    after: EntryLookup,
    rounds: Rounds,
    rules: Snapshot | None = None,
) -> Users:
    """Test the tools that import or call one of `changed`, directly or not, and are not among these themselves.

    `changed` differ between `before` and `after`; the policies are those of `rules`, or else of `before`. A tool that
    fails after it is tested in the state before it too: what failed there already is not broken by this. `rounds` are
    `time_for_users`. Those outside of app.generated have their turn first.
    """
    found = await asyncio.to_thread(before.users, changed, MOST_FOUND) if changed else []
    if not found:
        return NO_USERS
    ids = sorted(found, key=_is_generated)[:MOST_USERS]
    users = await asyncio.to_thread(lambda: [*_functions(before, ids)])
    rules = rules or before
    broken: dict[EntryId, Refused] = {}
    untested: list[EntryId] = []
    for turn in (False, True):
        having = [entry for entry in users if _is_generated(entry.id) is turn]
        after_it = (await checks.all(having, rules, after, rounds)).refusals
        failing = [entry for entry in having if entry.id in after_it and not isinstance(after_it[entry.id], NotTested)]
        before_it = (await checks.all(failing, rules, before.get, rounds)).refusals if failing else {}
        broken |= {entry.id: after_it[entry.id] for entry in failing if entry.id not in before_it}
        untested += (id for said in (after_it, before_it) for id, why in said.items() if isinstance(why, NotTested))
    return Users(
        str(changed[0]) if len(changed) == 1 else "what this changes",
        broken,
        tuple(untested),
        len(found) > MOST_USERS,
        frozenset(ids),
        await asyncio.to_thread(_read, users, after),
    )


def with_more_users(users: Users, changed: Sequence[EntryId], before: Snapshot) -> list[EntryId]:
    """Those of `changed` that have users which `users` did not look at."""
    if not users.more:
        return []
    seen, most = users.ids | {*changed}, MOST_USERS + len(changed)
    return [id for id in changed if not seen.issuperset(before.users([id], most + 1))]


def _is_generated(id: EntryId) -> bool:
    return id.namespace == GENERATED_NAMESPACE


def _functions(snapshot: Snapshot, ids: Iterable[EntryId]) -> Iterator[Entry]:
    for id in ids:
        if (entry := snapshot.get_if_sound(id)) is not None and entry.kind == FUNCTION_KIND:
            yield entry


def _read(users: Iterable[Entry], state: EntryLookup) -> frozenset[EntryId]:
    return frozenset(id for entry in users for id in reached_by(entry, state) or ())
