"""The one place that writes the registry: policies, kind checks, then one commit.

`prepare` asks everything that takes time (policies, the kind checks, compiling in the jail) against a
pinned commit; `commit` then writes under the registry's lock, where nothing slow may happen. When
another writer came in between, what was prepared no longer counts and is done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading

from micro_agi_kernel.agent_rules import judge
from micro_agi_kernel.entries import AGENT, GENERATED_NAMESPACE, INSTALLER, Changeset, Entry
from micro_agi_kernel.errors import Conflict, EntryError, ErrorKind, Refused
from micro_agi_kernel.events import EntryPublished
from micro_agi_kernel.interfaces import CallContext, Program, Published, Sandbox
from micro_agi_kernel.kind_checks import KIND_CHECKS
from micro_agi_kernel.lua_entries import LUA_KINDS
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.registry import CommitMessage, Person, Registry, Snapshot, Version, seed_changeset
from micro_agi_kernel.resources import resource
from micro_agi_kernel.values import Value

SERVICE_EMAIL = "noreply@micro-agi.invalid"
"""Git wants an address of every author; this one can belong to nobody (RFC 2606)."""

MAX_TRIES = 5
"""How often a changeset is prepared again because other writers were faster."""


class _Moved(Exception):
    """Something that the checks read changed between prepare and commit."""


class Publishing:
    """The Publisher of this project."""

    def __init__(
        self, registry: Registry, permissions: Permissions, sandbox: Sandbox, modules: frozenset[str], person: Person
    ) -> None:
        self._registry = registry
        self._permissions = permissions
        self._sandbox = sandbox
        self._modules = modules
        self._person = person

    async def publish(
        self, changeset: Changeset, context: CallContext, *, base: str | None = None, body: str = ""
    ) -> Published:
        """Check and commit `changeset`; see interfaces.Publisher. What changes nothing leaves no commit."""
        for _ in range(MAX_TRIES):
            # In this order: `read` may be older than what the checks see, never newer.
            read = await asyncio.to_thread(self._registry.snapshot, base) if base else None
            checked = await asyncio.to_thread(self._registry.snapshot)
            policy = await self.prepare(changeset, context.actor, checked)
            if await asyncio.to_thread(_stands_already, changeset, checked):
                return Published(checked.commit, checked.number)
            stopped = threading.Event()
            try:
                message = _message(changeset, context, policy, body)
                version = await asyncio.to_thread(
                    self._commit, changeset, message, context.actor, read or checked, checked, stopped
                )
            except _Moved:
                continue
            except asyncio.CancelledError:
                stopped.set()  # the thread may still wait for the lock
                raise
            context.emit(EntryPublished(version.commit, version.subject, changeset.operations))
            return Published(version.commit, version.number)
        raise Conflict("the registry changes faster than this change can be checked; try again")

    async def prepare(self, changeset: Changeset, actor: str, snapshot: Snapshot) -> str:
        """Ask everything that could forbid `changeset`; the verdict for its `Policy:` trailer.

        Raises Refused, with the line that the model (or the person) reads.
        """
        policy = await asyncio.to_thread(self._ask_policies, changeset, snapshot) if actor == AGENT else ""
        for operation in changeset.operations:
            if operation.entry is not None:
                await self.check_entry(operation.entry)
        return policy

    def _ask_policies(self, changeset: Changeset, snapshot: Snapshot) -> str:
        """The verdict on an agent's changeset. Raises the first refusal."""
        decisions = []
        files = (file.path for file in changeset.files)
        for _, said in judge(self._permissions, snapshot, changeset.operations, files):
            if isinstance(said, Refused):
                raise said
            decisions.append(said)
        return max(decisions, key=lambda decision: decision.effect == "undefined").trailer

    async def check_entry(self, entry: Entry) -> None:
        """The kind checks of one entry, its modules, and its source compiled. Raises Refused."""
        try:
            if check := KIND_CHECKS.get(entry.kind):
                await asyncio.to_thread(check, entry)  # a large schema takes a second
        except EntryError as error:
            raise Refused(error.kind, str(error)) from error
        if entry.kind in LUA_KINDS:
            await asyncio.to_thread(self._permissions.check_modules, entry, self._modules)
            await self._compile(entry)

    async def _compile(self, entry: Entry) -> None:
        """Compile the source in the jail, without running it. Raises Refused with Lua's line and reason."""
        program = Program(entry.source or "", entry.id.name, method=None)
        outcome = await self._sandbox.run(program, _NoHost(), lambda _: None)
        if outcome.error is not None:
            raise Refused(outcome.error.kind, outcome.error.message)

    def _commit(
        self,
        changeset: Changeset,
        message: CommitMessage,
        actor: str,
        read: Snapshot,
        checked: Snapshot,
        stopped: threading.Event,
    ) -> Version:
        def recheck(head: Snapshot) -> None:
            """Whatever lies outside of app.generated may have been read by the checks, or spoil what they read."""
            if stopped.is_set():
                raise Refused(ErrorKind.CANCELED, "interrupted by the user")
            touched = {operation.id for operation in changeset.operations}
            operations, files = checked.changes_to(head)
            if files or any(id in touched or id.namespace != GENERATED_NAMESPACE for _, id in operations):
                raise _Moved

        author = Person(actor, SERVICE_EMAIL) if actor.startswith("service:") else self._person
        return self._registry.commit(
            changeset, message, author=author, committer=self._person, base=read, recheck=recheck
        )


def _stands_already(changeset: Changeset, snapshot: Snapshot) -> bool:
    """Whether every operation is an update to what `snapshot` holds."""
    updates = (op.action == "update" and snapshot.get(op.id) == op.entry for op in changeset.operations)
    return not changeset.files and bool(changeset.operations) and all(updates)


class _NoHost:
    """The host of a program that is not run."""

    async def request(self, op: str, payload: Value) -> Value:
        raise Refused(ErrorKind.PERMISSION_DENIED, "nothing is granted")


def _message(changeset: Changeset, context: CallContext, policy: str, body: str) -> CommitMessage:
    origin = context.provenance
    entry = changeset.operations[0].entry if len(changeset.operations) == 1 else None
    source = entry.source if entry is not None else None
    return CommitMessage(
        actor=context.actor,
        body=body or (entry.text("comment") if entry is not None else ""),
        policy=policy,
        modules=entry.modules if entry is not None else (),
        model=origin.model,
        prompt=origin.prompt,
        session=origin.session,
        cell=origin.cell,
        source_sha256=hashlib.sha256(source.encode()).hexdigest() if source else "",
    )


def install_seed(registry: Registry, person: Person) -> None:
    """Write the seed as the first commit of an empty registry, by `service:installer`; else do nothing.

    Nothing is asked: the seed is part of this package and checked by its test-suite. Safe beside another
    process that does the same: one of the two commits is made.
    """
    empty = registry.snapshot()
    if empty.commit:
        return
    changeset = seed_changeset(resource("registry_repo"))
    message = CommitMessage(actor=INSTALLER, body="The entries and pages that come with Micro AGI.")
    author = Person(INSTALLER, SERVICE_EMAIL)
    with contextlib.suppress(Conflict):  # the other process was faster
        registry.commit(changeset, message, author=author, committer=person, base=empty)
