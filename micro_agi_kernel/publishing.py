"""The one place that writes the registry: policies, checks and tests, then one commit.

`prepare` asks everything that takes time (policies, the checks, the tools' own tests in the jail) against a
pinned commit; `_commit` then writes under the registry's lock, where nothing slow may happen. When
another writer came in between, what was prepared no longer counts and is done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from micro_agi_kernel.agent_rules import approval_trailer, judge
from micro_agi_kernel.approval import asks_write
from micro_agi_kernel.checks import Checks, resulting
from micro_agi_kernel.entries import AGENT, GENERATED_NAMESPACE, INSTALLER, Changeset, EntryId
from micro_agi_kernel.errors import Conflict, EntryError, ErrorKind, Refused, RegistryError
from micro_agi_kernel.events import EntryPublished
from micro_agi_kernel.interfaces import CallContext, Published
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LUA_KINDS, read_lua
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.programs import called_below
from micro_agi_kernel.questions import Question, Subject
from micro_agi_kernel.registry import CommitMessage, Person, Registry, Snapshot, Upkeep, Version
from micro_agi_kernel.registry.cost import Cost
from micro_agi_kernel.resources import resource
from micro_agi_kernel.seeding import plan_seed, remember_brought, seed_digest, was_brought

SERVICE_EMAIL = "noreply@micro-agi.invalid"
"""Git wants an address of every author; this one can belong to nobody (RFC 2606)."""

MAX_TRIES = 5
"""How often a changeset is prepared again because other writers were faster."""


STOP_SECONDS = 2.0
"""How long an interrupt waits for a commit that has begun, which takes milliseconds: then it is known whether it is."""

_WHY_SHARDED = "a commit costs what the folders above it hold, so its entries go into 64 folders."


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
        self._tests_required = tests_required
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
            verdict = await self.prepare(changeset, context.actor, checked)
            if _only_updates(changeset) and await asyncio.to_thread(_stands_already, changeset, checked):
                return Published(checked.commit, checked.number)
            if verdict.question not in (None, approved):  # what was approved is written, or it is asked again
                assert verdict.question is not None
                await context.approver.approve(verdict.question)
                approved = verdict.question
            stopped = threading.Event()
            message = _message(changeset, context, verdict, body)
            writing = asyncio.ensure_future(
                asyncio.to_thread(self._commit, changeset, message, context.actor, read or checked, checked, stopped)
            )
            writing.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
            try:
                await asyncio.shield(writing)
            except _Moved:
                continue
            except asyncio.CancelledError:
                stopped.set()  # the thread may still wait for the lock
                await asyncio.wait([writing], timeout=STOP_SECONDS)
                raise
            finally:
                if writing.done() and writing.exception() is None:
                    version = writing.result()
                    context.emit(EntryPublished(version.commit, version.subject, changeset.operations))
            return Published(version.commit, version.number)
        raise Conflict("the registry changes faster than this change can be checked; try again")

    async def merge(
        self, changeset: Changeset, subject: str, body: str, checked: Snapshot, merging: str | None
    ) -> str | None:
        """Commit what a sync brought, as the person's who asked for it; its commit.

        `syncing` has judged it against `checked`: when something that it read has changed since, nothing is written
        and it is None. `merging` is the commit of the remote with which all is merged then.
        """
        message = CommitMessage(actor=f"user:{self._person.name}", subject=subject, body=body)
        stopped = threading.Event()
        try:
            version = await asyncio.to_thread(
                self._commit, changeset, message, message.actor, checked, checked, stopped, merging
            )
        except (_Moved, Conflict):
            return None
        except asyncio.CancelledError:
            stopped.set()
            raise
        return version.commit

    async def forward(self, commit: str, checked: Snapshot) -> bool:
        """Make a commit of the remote the newest, whose changes `syncing` has judged against `checked`, all of them.

        False when that is no longer the newest.
        """
        return await asyncio.to_thread(self._registry.forward, commit, checked)

    async def prepare(self, changeset: Changeset, actor: str, snapshot: Snapshot) -> Verdict:
        """Ask everything that could forbid `changeset`.

        Raises Refused, with the line that the model (or the person) reads.
        """
        entries = [operation.entry for operation in changeset.operations if operation.entry is not None]
        said = await asyncio.to_thread(self._ask_policies, changeset, snapshot) if actor == AGENT else []
        checked = await self._checks.all(entries, snapshot, resulting(changeset.operations, snapshot))
        for refusal in checked.refusals.values():
            raise refusal
        if actor == AGENT and self._tests_required:
            for entry in entries:
                if entry.kind == FUNCTION_KIND and not entry.data.get("tests"):
                    why = "at least one is required here (setting tools.tests_required)"
                    line = f"tests: {why}: an input with one of expect, schema or error"
                    raise Refused(ErrorKind.INVALID, line, retryable=False)
        if not said:
            return Verdict("", checked.passed)
        asked = [(subject, decision) for subject, decision in said if decision.effect == "ask"]
        if not asked:
            policy = max((decision for _, decision in said), key=lambda decision: decision.effect == "undefined")
            return Verdict(policy.trailer, checked.passed)
        question = await asyncio.to_thread(asks_write, asked, changeset, snapshot, actor, checked.passed)
        return Verdict(approval_trailer(question.policies, self._person.name), checked.passed, question)

    def _ask_policies(self, changeset: Changeset, snapshot: Snapshot) -> list[tuple[Subject, Decision]]:
        """What they say to each part of an agent's changeset. Raises the first refusal."""
        decisions: list[tuple[Subject, Decision]] = []
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
        stopped: threading.Event,
        merging: str | None = None,
    ) -> Version:
        touched = {operation.id for operation in changeset.operations} | _read_with(changeset, checked)

        def recheck(head: Snapshot) -> None:
            """What lies outside of app.generated, or is imported or called, was read by the checks, or may spoil it."""
            if stopped.is_set():
                raise Refused(ErrorKind.CANCELED, "interrupted by the user")
            operations, files = checked.changes_to(head)
            if files or any(id in touched or id.namespace != GENERATED_NAMESPACE for _, id in operations):
                raise _Moved

        author = Person(actor, SERVICE_EMAIL) if actor.startswith("service:") else self._person
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


def _only_updates(changeset: Changeset) -> bool:
    return not changeset.files and {operation.action for operation in changeset.operations} == {"update"}


def _stands_already(changeset: Changeset, snapshot: Snapshot) -> bool:
    """Whether every operation of a changeset of updates is one to what `snapshot` holds."""
    try:
        return all(snapshot.get(operation.id) == operation.entry for operation in changeset.operations)
    except (EntryError, RegistryError):  # what is broken or lost there is written anew
        return False


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


def shard_crowded(registry: Registry, person: Person, namespaces: Iterable[str]) -> list[str]:
    """Shard those of the namespaces that hold too many entries in one folder, each in a commit; which these were."""
    done = []
    for namespace in sorted(namespaces):
        if registry.snapshot().is_crowded(namespace):
            message = CommitMessage(actor=INSTALLER, body=f"{namespace} has grown: {_WHY_SHARDED}")
            author = Person(INSTALLER, SERVICE_EMAIL)
            if registry.shard(namespace, message, author=author, committer=person) is not None:
                done.append(namespace)
    return done


def install_seed(registry: Registry, person: Person, folder: Path | None = None) -> str:
    """Bring the seed (of this package, or in `folder`) in one commit by `service:installer`, unless it is there.

    The first commit of an empty registry has all of it; a later one what is new and was not changed meanwhile.
    Gives a line for the person, "" when nothing changed that they should know. Nothing is asked: the seed is
    part of this package and checked by its test-suite. Safe beside other processes that do the same.
    """
    folder = folder or resource("registry_repo")
    digest, notice = seed_digest(folder), ""
    for _ in range(MAX_TRIES):
        head = registry.snapshot()
        if head.commit and was_brought(registry, digest):
            return ""
        plan = plan_seed(registry, head, folder, digest)
        notice = plan.notice if head.commit else ""
        if plan.changeset == Changeset(()):
            break
        message = CommitMessage(actor=INSTALLER, body=plan.body, source_sha256=digest)
        with contextlib.suppress(Conflict):  # another process was faster
            author = Person(INSTALLER, SERVICE_EMAIL)
            registry.commit(plan.changeset, message, author=author, committer=person, base=head)
            break
    else:
        raise Conflict("other writers keep changing what comes with the package; it is tried again at the next start")
    remember_brought(registry, digest)
    return notice
