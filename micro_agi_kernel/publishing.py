"""The one place that writes what people and agents want written: policies, checks and tests, then one commit.

`prepare` asks everything that takes time (policies, the checks, the tools' own tests in the jail) against a
pinned commit; `_commit` then writes under the registry's lock, where nothing slow may happen. When
another writer came in between, what was prepared no longer counts and is done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from micro_agi_kernel.agent_rules import approval_trailer, judge
from micro_agi_kernel.checks import Checks, NotTested, Rounds, not_tested, resulting
from micro_agi_kernel.dependents import NO_USERS, Users, time_for_users, try_users
from micro_agi_kernel.entries import AGENT, GENERATED_NAMESPACE, Changeset, EntryId
from micro_agi_kernel.errors import Conflict, EntryError, ErrorKind, Refused, RegistryError
from micro_agi_kernel.events import EntryPublished, Notice
from micro_agi_kernel.interfaces import CallContext, Published
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LUA_KINDS, read_lua
from micro_agi_kernel.permissions import Permissions, Ruling
from micro_agi_kernel.question_content import asks_write, entry_diff
from micro_agi_kernel.questions import Question
from micro_agi_kernel.reaching import called_below
from micro_agi_kernel.registry import CommitMessage, Person, Registry, Snapshot, Upkeep, Version
from micro_agi_kernel.registry.care.sharding import shard_crowded
from micro_agi_kernel.registry.cost import Cost

MAX_TRIES = 5
"""How often a changeset is prepared again because other writers were faster."""

_DIFFED = 20
"""Entries whose diff is told to front ends, and characters of each: more than what an agent writes."""
_DIFF = 32_768

CHANGE_TEST_SECONDS = 120.0
"""For loading and testing all that one changeset writes: a tool with 20 tests of 5 s is still heard."""

STOP_SECONDS = 2.0
"""How long an interrupt waits for a commit that has begun, which takes milliseconds: then it is known whether it is."""


class _BeginOrStop:
    """Whether a commit begins, or is stopped before it does: what is said first holds."""

    def __init__(self) -> None:
        self.taken: Literal["begin", "stop"] | None = None
        self._lock = threading.Lock()

    def take(self, way: Literal["begin", "stop"]) -> Literal["begin", "stop"]:
        with self._lock:
            self.taken = self.taken or way
            return self.taken


class _Moved(Exception):
    """Something that the checks read changed between prepare and commit."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said to a changeset that may be committed."""

    policy: str
    """For the `Policy:` trailer; "" where no policy was asked."""
    passed: int
    """Tests."""
    question: Question | None = None
    """What the person must be asked first."""
    users: Users = NO_USERS
    """The tools that use what is changed."""


class Publishing:
    """The Publisher of this project."""

    def __init__(
        self, registry: Registry, permissions: Permissions, checks: Checks, person: Person, *, tests_required: bool
    ) -> None:
        """`tests_required`: what an agent writes must have a test at least."""
        self._registry = registry
        self._permissions = permissions
        self._checks = checks
        self._person = person
        self.tests_required = tests_required
        self._upkeep = Upkeep(registry.path)

    async def publish(
        self, changeset: Changeset, context: CallContext, *, base: str | None = None, body: str = ""
    ) -> Published:
        """Check and commit `changeset`; see interfaces.Publisher. What changes nothing leaves no commit."""
        approved: Question | None = None
        for _ in range(MAX_TRIES):
            # In this order: `read` may be older than what the checks see, never newer.
            read = await asyncio.to_thread(self._registry.snapshot, base) if base else None
            checked = await asyncio.to_thread(self._registry.snapshot)
            verdict = await self.prepare(changeset, context, checked)
            if _only_updates(changeset) and await asyncio.to_thread(_stands_already, changeset, checked):
                return Published(checked.commit, checked.number)
            if verdict.question not in (None, approved):  # what was approved is written, or it is asked again
                assert verdict.question is not None
                await context.approver.approve(verdict.question)
                approved = verdict.question
            diff = await asyncio.to_thread(_diff, changeset, checked)
            fate = _BeginOrStop()
            message = _message(changeset, context, verdict, body)
            writing = asyncio.ensure_future(
                asyncio.to_thread(
                    self._commit, changeset, message, context.actor, read or checked, checked, fate, verdict.users
                )
            )
            writing.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
            context.writing.under_way += 1
            try:
                await asyncio.shield(writing)
            except _Moved:
                continue
            except asyncio.CancelledError:
                if fate.take("stop") == "begin":  # else it waits for the lock, and writes nothing when it has it
                    await asyncio.wait([writing], timeout=STOP_SECONDS)
                raise
            finally:
                if writing.done() or fate.taken == "stop":
                    context.writing.under_way -= 1
                if writing.done() and writing.exception() is None:
                    version = writing.result()
                    context.emit(_told(version, changeset, verdict, diff))
                    for line in verdict.users.notices:
                        context.emit(Notice(line))
            return Published(version.commit, version.number)
        raise Conflict("the registry changes faster than this change can be checked; try again")

    async def merge(
        self, changeset: Changeset, subject: str, body: str, checked: Snapshot, users: Users, merging: str | None
    ) -> str | None:
        """Commit what a sync brought, as the person's who asked for it; its commit.

        `syncing` has judged it against `checked`, and tested its `users`: when something that this read has changed
        since, nothing is written and it is None. `merging` is the commit of the remote with which all is merged then.
        """
        message = CommitMessage(actor=f"user:{self._person.name}", subject=subject, body=body)
        fate = _BeginOrStop()
        try:
            version = await asyncio.to_thread(
                self._commit, changeset, message, message.actor, checked, checked, fate, users, merging
            )
        except (_Moved, Conflict):
            return None
        except asyncio.CancelledError:
            fate.take("stop")
            raise
        return version.commit

    async def forward(self, commit: str, checked: Snapshot) -> bool:
        """Make a commit of the remote the newest, whose changes `syncing` has judged against `checked`, all of them.

        False when that is no longer the newest.
        """
        return await asyncio.to_thread(self._registry.forward, commit, checked)

    async def prepare(self, changeset: Changeset, context: CallContext, snapshot: Snapshot) -> Verdict:
        """Ask everything that could forbid `changeset`.

        Raises Refused, with the line that the model (or the person) reads.
        """
        actor = context.actor
        entries = [operation.entry for operation in changeset.operations if operation.entry is not None]
        said = await asyncio.to_thread(self._ask_policies, changeset, snapshot) if actor == AGENT else []
        if actor == AGENT and self.tests_required:
            for entry in entries:
                if entry.kind == FUNCTION_KIND and not entry.data.get("tests"):
                    line = 'tests: at least one is required here, such as [{"input": {"n": 2}, "expect": 4}]'
                    raise Refused(ErrorKind.INVALID, line, retryable=False)
        checked = await self._checks.all(
            entries, snapshot, resulting(changeset.operations, snapshot), Rounds(CHANGE_TEST_SECONDS)
        )
        _raise_first(checked.refusals, len(entries))
        users = await self._users(changeset, actor, snapshot)
        if not said:
            return Verdict("", checked.passed, users=users)
        asked = [(subject, decision) for subject, decision in said if decision.effect == "ask"]
        if not asked:
            policy = max((decision for _, decision in said), key=lambda decision: decision.effect == "undefined")
            return Verdict(policy.trailer, checked.passed, users=users)
        question = await asyncio.to_thread(asks_write, asked, changeset, snapshot, actor, checked.passed)
        approver = context.answers or f"user:{self._person.name}"
        return Verdict(approval_trailer(question.policies, approver), checked.passed, question, users)

    async def _users(self, changeset: Changeset, actor: str, snapshot: Snapshot) -> Users:
        """The tools that use what is changed. Raises Refused where an agent would break one; a person is told."""
        changed = [operation.id for operation in changeset.operations if operation.action != "create"]
        after = resulting(changeset.operations, snapshot)
        users = await try_users(self._checks, changed, snapshot, after, time_for_users())
        if actor != AGENT:
            return users
        if users.refusal is not None:
            raise users.refusal
        if users.left:
            line = f"{users.left}: only a person may change it then; make a new entry beside it"
            raise Refused(ErrorKind.UNAVAILABLE, line)
        return users

    def _ask_policies(self, changeset: Changeset, snapshot: Snapshot) -> list[Ruling]:
        """What they say to each part of an agent's changeset. Raises the first refusal."""
        decisions: list[Ruling] = []
        files = (file.path for file in changeset.files)
        for _, subject, said in judge(self._permissions, snapshot, changeset.operations, files, person_decides=True):
            if isinstance(said, Refused):
                raise said
            decisions.append((subject, said))
        return decisions

    def _commit(
        self,
        changeset: Changeset,
        message: CommitMessage,
        actor: str,
        read: Snapshot,
        checked: Snapshot,
        fate: _BeginOrStop,
        users: Users,
        merging: str | None = None,
    ) -> Version:
        touched = {operation.id for operation in changeset.operations} | _read_with(changeset, checked)
        touched |= users.ids | users.read
        changing = {operation.id for operation in changeset.operations if operation.action != "create"} | users.ids

        def recheck(head: Snapshot) -> None:
            """What lies outside of app.generated, or is imported or called, was read by the checks, or may spoil it."""
            if fate.take("begin") == "stop":
                raise Refused(ErrorKind.CANCELED, "interrupted by the user")
            operations, files = checked.changes_to(head)
            if files or any(id in touched or id.namespace != GENERATED_NAMESPACE for _, id in operations):
                raise _Moved
            if any(not _needed_by(head, id).isdisjoint(changing) for _, id in operations):  # tested with the old ones
                raise _Moved

        author = Person.of_service(actor) if actor.startswith("service:") else self._person
        version = self._registry.commit(
            changeset, message, author=author, committer=self._person, base=read, recheck=recheck, merging=merging
        )
        with contextlib.suppress(RegistryError, Refused):  # the commit stands all the same; `registry gc` says why
            shard_crowded(self._registry, self._person, {operation.id.namespace for operation in changeset.operations})
        self._upkeep.start_if_due()
        return version


def _read_with(changeset: Changeset, checked: Snapshot) -> set[EntryId]:
    """What the entries of a changeset that was checked import themselves, and all that they call."""
    found: set[EntryId] = set()
    state = resulting(changeset.operations, checked)
    for operation in changeset.operations:
        entry = operation.entry
        if entry is not None and entry.kind in LUA_KINDS:
            lua = read_lua(entry)
            found |= {*lua.imports.values()}
            with contextlib.suppress(Refused, EntryError):  # of a pull only a part may be taken
                found |= called_below(entry.id, lua, state)
    return found


def _needed_by(head: Snapshot, id: EntryId) -> set[EntryId]:
    """What the entry `id` imports and calls itself."""
    with contextlib.suppress(EntryError):
        entry = head.get(id)
        if entry is not None and entry.kind in LUA_KINDS:
            return {*read_lua(entry).needs}
    return set()


def _raise_first(refusals: Mapping[EntryId, Refused], written: int) -> None:
    """Raise the first fault, or what says that there was no time for some."""
    for refusal in refusals.values():
        if not isinstance(refusal, NotTested):
            raise refusal
    if late := not_tested(refusals, written, CHANGE_TEST_SECONDS):
        raise NotTested(ErrorKind.UNAVAILABLE, f"{late}: write fewer at a time")


def _only_updates(changeset: Changeset) -> bool:
    return not changeset.files and {operation.action for operation in changeset.operations} == {"update"}


def _stands_already(changeset: Changeset, snapshot: Snapshot) -> bool:
    """Whether every operation of a changeset of updates is one to what `snapshot` holds."""
    try:
        return all(snapshot.get(operation.id) == operation.entry for operation in changeset.operations)
    except (EntryError, RegistryError):  # what is broken or lost there is written anew
        return False


def _diff(changeset: Changeset, before: Snapshot) -> str:
    """What the changeset updates or deletes, for people: see EntryPublished.diff."""
    parts = []
    for operation in changeset.operations[:_DIFFED]:
        if operation.action != "create":
            with contextlib.suppress(EntryError, RegistryError):  # what is broken or lost there is written anew
                parts.append(entry_diff(before.get(operation.id), operation.entry)[:_DIFF])
    return "".join(parts)


def _told(version: Version, changeset: Changeset, verdict: Verdict, diff: str) -> EntryPublished:
    return EntryPublished(version.commit, version.subject, changeset.operations, verdict.policy, verdict.passed, diff)


def _message(changeset: Changeset, context: CallContext, verdict: Verdict, body: str) -> CommitMessage:
    origin, spent = context.provenance, context.provenance.spent()
    entry = changeset.operations[0].entry if len(changeset.operations) == 1 else None
    source = entry.source if entry is not None else None
    lua = read_lua(entry) if entry is not None and entry.kind in LUA_KINDS else None
    return CommitMessage(
        actor=context.actor,
        body=body or (entry.text("comment") if entry is not None else ""),
        policy=verdict.policy,
        tests=f"{verdict.passed} passed" if verdict.passed else "",
        modules=entry.modules if entry is not None else (),
        imports=tuple(map(str, lua.imports.values())) if lua is not None else (),
        calls=tuple(map(str, lua.calls)) if lua is not None else (),
        model=origin.model,
        prompt=origin.prompt,
        session=origin.session,
        cell=origin.cell,
        cost=str(Cost(spent.cost, spent.tokens, spent.steps)) if spent.tokens else "",  # else it is not known
        source_sha256=hashlib.sha256(source.encode()).hexdigest() if source else "",
    )
