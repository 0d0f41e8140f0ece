"""What comes in from a remote: which of its changes may be taken, which wait for the person, which nobody can take.

A tool or library in `app.generated` is judged as if the agent wrote it now, by the policies that stand here; all else
(other namespaces, pages) waits until the person says yes, unless keys that they trust signed every commit that
made it. What is broken can only be left. What a commit says about itself gives it no right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from micro_agi_kernel.agent_rules import judge
from micro_agi_kernel.checks import NotTested, Rounds, resulting
from micro_agi_kernel.dependents import NO_USERS, Users, time_for_users, try_users, with_more_users
from micro_agi_kernel.entries import (
    GENERATED_NAMESPACE,
    MAX_FILE_BYTES,
    Action,
    Changeset,
    EntryId,
    FileChange,
    Operation,
    action_between,
)
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.reaching import reached_by
from micro_agi_kernel.registry import Snapshot, operation_between
from micro_agi_kernel.registry.changes import check_twins
from micro_agi_kernel.registry.layout import check_file_path
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.registry.sharing.merging import Changed, Incoming, incoming
from micro_agi_kernel.values import short_commit
from micro_agi_kernel.workspace import Workspace

ALL = "all"

PULL_TEST_SECONDS = 120.0
"""For the tests of all that one pull brings, together: a tool with 20 of 5 s is still heard, if it comes first."""

Fate = Literal["taken", "waiting", "conflict", "refused", "left"]
SETTLED: tuple[Fate, ...] = ("taken", "left")

Change = Operation | FileChange


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that the remote changed, and what becomes of it."""

    subject: Changed
    action: Action
    fate: Fate
    why: str = ""
    ours: str = ""
    """In a conflict, the commit that last changed it here."""
    theirs: str = ""
    """The remote's commit that last changed it."""


def undecided(items: Iterable[Item]) -> list[Item]:
    """What the person has to decide before the two histories can be one again."""
    return [item for item in items if item.fate not in SETTLED]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person says to names (entry ids, paths, or "all"): take the remote's, or leave it."""

    accept: frozenset[str] = frozenset()
    reject: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        return (self.accept | self.reject) - {ALL}

    def accepts(self, name: str) -> bool:
        return name in self.accept or (ALL in self.accept and name not in self.reject)

    def rejects(self, name: str) -> bool:
        return name in self.reject or (ALL in self.reject and name not in self.accept)


@dataclass(slots=True)
class Plan:
    """What is to become of all that the remote changed, judged against `ours`."""

    ours: Snapshot
    theirs: Snapshot
    items: list[Item] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """Those of the items that are taken."""
    left: dict[str, str] = field(default_factory=dict)
    """By name, a digest of what the person decided to leave."""
    tried: list[str] = field(default_factory=list)
    """Where there was no time for all tests: the names of what had its turn and is not taken, the longest ago first."""
    users: Users = NO_USERS
    """The tools of ours that use what is taken."""

    @property
    def open(self) -> list[Item]:
        return undecided(self.items)

    @property
    def changeset(self) -> Changeset:
        operations = tuple(change for change in self.changes if isinstance(change, Operation))
        return Changeset(operations, tuple(change for change in self.changes if isinstance(change, FileChange)))


async def examine(
    workspace: Workspace,
    theirs: Snapshot,
    wishes: Wishes,
    left: Mapping[str, str],
    is_trusted: Callable[[str], bool],
    tried: Sequence[str] = (),
) -> Plan:
    """Judge all that differs in `theirs`, the remote's newest state, on top of what stands here now.

    `left` is what the person decided before, as in Plan. `is_trusted` says of a commit whether a key that the
    person trusts signed it; it may block. `tried`, as in Plan, is tested after all else, so that everything has its
    turn some day, however slow the rest is. Raises RegistryError when what the remote holds cannot be read.
    """
    ours = await asyncio.to_thread(workspace.registry.snapshot)
    found = await asyncio.to_thread(incoming, workspace.registry, ours, theirs)
    changes: dict[Changed, Change] = {}
    refused: dict[Changed, str] = {}
    for each in found:
        try:
            changes[each.subject] = await asyncio.to_thread(_change, ours, theirs, each.subject)
        except (Refused, EntryError) as error:
            refused[each.subject] = str(error)
    rounds = Rounds(PULL_TEST_SECONDS)
    turns = {name: turn for turn, name in enumerate(tried, 1)}
    changes = dict(sorted(changes.items(), key=lambda item: turns.get(str(item[0]), 0)))
    aside = {each.subject for each in found if _is_left(each, wishes, left)}
    untested: dict[Changed, str] = {}
    for id, refusal in (await _faults(workspace, ours, changes.values(), rounds, aside)).items():
        (untested if isinstance(refusal, NotTested) else refused)[id] = _why(refusal)
        del changes[id]
    waiting = await asyncio.to_thread(_waiting, workspace, ours, found, changes, is_trusted)
    plan = Plan(ours, theirs)
    seen: dict[str, tuple[str, bool]] = {}
    for each in found:
        name = str(each.subject)
        last = each.theirs[0] if each.theirs else theirs.commit
        fate, why = _judged(each, last, refused, waiting)
        if each.subject in aside:
            fate, why, plan.left[name] = "left", "", each.state
        elif each.subject in untested:  # whatever the person says: it may be broken
            fate, why = "waiting", untested[each.subject]
        elif fate in ("waiting", "conflict") and wishes.accepts(name):
            fate, why = "taken", ""
        if fate == "taken":
            try:
                check_twins(_paths(changes[each.subject], ours), ours, seen)
                plan.changes.append(changes[each.subject])
            except Refused as error:
                fate, why = "refused", str(error)
        action = _action(ours, theirs, each.subject)
        plan.items.append(Item(each.subject, action, fate, clean(why, MAX_PATH), each.ours, last))
    if len(plan.changes) < len(changes):
        await _hold_back(workspace, plan, rounds)
    for_users = time_for_users()
    while await _spare_users(workspace, plan, wishes, for_users):
        await _hold_back(workspace, plan, rounds)
    if untested:
        plan.tried = _turns_had(plan, tried, [*map(str, rounds.begun)])
    return plan


def _turns_had(plan: Plan, before: Iterable[str], begun: Sequence[str]) -> list[str]:
    """Plan.tried, from what it was before and what was begun to be tested now."""
    open_ones = {str(item.subject) for item in plan.open}
    return [name for name in (*(name for name in before if name not in begun), *begun) if name in open_ones]


async def _hold_back(workspace: Workspace, plan: Plan, rounds: Rounds) -> None:
    """Let those wait that import what is not taken with them."""
    while faults := await _faults(workspace, plan.ours, plan.changes, rounds):
        _let_wait(plan, {id: _why(refusal) for id, refusal in faults.items()})


async def _spare_users(workspace: Workspace, plan: Plan, wishes: Wishes, rounds: Rounds) -> bool:
    """Let those wait that would break a tool of ours which uses them, or may, unless the person accepts them.

    Gives whether there was any; else `plan` has the users.
    """
    operations = [change for change in plan.changes if isinstance(change, Operation)]
    changed = [operation.id for operation in operations if operation.action != "create"]
    after = resulting(operations, plan.ours)
    plan.users = users = await try_users(workspace.checks, changed, plan.ours, after, rounds)
    why = {id: f"{id} uses it and was not tested" for id in users.untested}
    why |= {id: f"{id} uses it and would break: {refusal}" for id, refusal in users.broken.items()}
    found: dict[EntryId, str] = {}
    for user, line in why.items():
        entry = await asyncio.to_thread(plan.ours.get, user)
        reached = await asyncio.to_thread(reached_by, entry, after) if entry is not None else None
        for id in changed:
            if (reached is None or id in reached) and not wishes.accepts(str(id)):
                found.setdefault(id, line)
    for id in await asyncio.to_thread(with_more_users, users, changed, plan.ours):
        if not wishes.accepts(str(id)):
            found.setdefault(id, users.left)
    _let_wait(plan, found)
    return bool(found)


def _let_wait(plan: Plan, why: Mapping[EntryId, str]) -> None:
    """Take none of these."""
    plan.changes = [change for change in plan.changes if not (isinstance(change, Operation) and change.id in why)]
    plan.items = [
        replace(item, fate="waiting", why=clean(why[item.subject], MAX_PATH))
        if isinstance(item.subject, EntryId) and item.subject in why
        else item
        for item in plan.items
    ]


async def _faults(
    workspace: Workspace, ours: Snapshot, changes: Iterable[Change], rounds: Rounds, aside: Collection[Changed] = ()
) -> dict[EntryId, Refused]:
    """What is wrong with the entries that `changes`, all of them on top of ours, would write, but for those `aside`."""
    operations = [change for change in changes if isinstance(change, Operation)]
    entries = [operation.entry for operation in operations if operation.entry is not None]
    entries = [entry for entry in entries if entry.id not in aside]
    return (await workspace.checks.all(entries, ours, resulting(operations, ours), rounds)).refusals


def _why(refusal: Refused) -> str:
    if isinstance(refusal, NotTested):
        return f"not tested yet: the tests of one pull have {PULL_TEST_SECONDS:g} s together; pull again for the rest"
    return str(refusal)


def _is_left(each: Incoming, wishes: Wishes, left: Mapping[str, str]) -> bool:
    """Whether the person leaves it, by what they say now or said before of the same."""
    name = str(each.subject)
    return wishes.rejects(name) or (left.get(name) == each.state and not wishes.accepts(name))


def _change(ours: Snapshot, theirs: Snapshot, subject: Changed) -> Change:
    """What makes ours as theirs is. Raises Refused or EntryError where that can be nobody's wish."""
    if isinstance(subject, str):
        return _file(theirs, subject)
    return operation_between(ours, theirs, subject)[0]


def _file(theirs: Snapshot, path: str) -> FileChange:
    check_file_path(path)
    if path.endswith((".yaml", ".lua")) and theirs.layout.namespace(path.rpartition("/")[0]):
        raise Refused(ErrorKind.INVALID, theirs.layout.why_stray(path, is_folder=False))
    content = theirs.file(path)
    if content is None and theirs.is_folder(path) is False:
        raise Refused(ErrorKind.INVALID, "not an ordinary file")
    if content is not None and len(content) > MAX_FILE_BYTES:
        raise Refused(ErrorKind.INVALID, f"larger than {MAX_FILE_BYTES} bytes")
    return FileChange(path, content)


def _waiting(
    workspace: Workspace,
    ours: Snapshot,
    found: Iterable[Incoming],
    changes: Mapping[Changed, Change],
    is_trusted: Callable[[str], bool],
) -> dict[Changed, str]:
    """Why each of those waits that do."""
    waiting: dict[Changed, str] = {}
    asked: list[Operation] = []
    for subject, change in changes.items():
        if isinstance(change, Operation) and change.id.namespace == GENERATED_NAMESPACE:
            asked.append(change)
        else:
            kind = f"{change.entry.kind} " if isinstance(change, Operation) and change.entry is not None else ""
            waiting[subject] = f"{kind}outside of {GENERATED_NAMESPACE}: a person decides"
    for id, _, said in judge(workspace.permissions, ours, asked, (), person_decides=False):
        if isinstance(said, Refused):
            for operation in asked:
                if id is None or id == operation.id:
                    waiting.setdefault(operation.id, str(said))
    for each in found:
        if each.subject in waiting and each.theirs and all(map(is_trusted, each.theirs)):
            del waiting[each.subject]
    return waiting


def _judged(
    each: Incoming, last: str, refused: Mapping[Changed, str], waiting: Mapping[Changed, str]
) -> tuple[Fate, str]:
    if each.subject in refused:
        return "refused", refused[each.subject]
    if each.conflict:
        more = f"; {waiting[each.subject]}" if each.subject in waiting else ""
        return "conflict", f"changed here by {short_commit(each.ours)}, there by {short_commit(last)}{more}"
    if each.subject in waiting:
        return "waiting", waiting[each.subject]
    return "taken", ""


def _paths(change: Change, head: Snapshot) -> list[str]:
    """The paths that a change writes."""
    if isinstance(change, FileChange):
        return [change.path] if change.content is not None else []
    return [head.layout.entry_path(change.id), head.layout.source_path(change.id)] if change.entry is not None else []


def _action(ours: Snapshot, theirs: Snapshot, subject: Changed) -> Action:
    is_here, is_there = (
        at.is_folder(subject) is not None if isinstance(subject, str) else at.has(subject) for at in (ours, theirs)
    )
    return action_between(is_here, is_there)
