"""`registry verify`: the audit of the store, and what only the whole house can check.

Every commit by an agent is judged again by the policies that stood in its parent; of the newest state the
policies are loaded, the models read and every Lua source compiled; with `tests`, functions are loaded and tested.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from pathlib import Path

from micro_agi_kernel.agent_rules import approver_of
from micro_agi_kernel.checks import NotTested, Rounds
from micro_agi_kernel.entries import AGENT, GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.environment import git_environment
from micro_agi_kernel.errors import MicroAgiError, Refused, RegistryError
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LUA_KINDS
from micro_agi_kernel.models.catalog import MODEL_TYPE, read_specs
from micro_agi_kernel.permissions import AGENT_SCOPE, CLIENT, HOST_MODULES, TOOL_SCOPE, UNPROVEN
from micro_agi_kernel.registry import Finding, Progress, Snapshot, Step, audit, check_files, check_objects
from micro_agi_kernel.registry.care.history import silent
from micro_agi_kernel.registry.sharing.hook import foreign_hook
from micro_agi_kernel.registry.signing import Unchecked, fingerprint, signature_of
from micro_agi_kernel.replay import refusals
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.trust import TrustedKey, choose_registry, read_trust
from micro_agi_kernel.values import shorten
from micro_agi_kernel.workspace import Workspace, made_by_name

BATCH = 500
"""Entries that are read and compiled together."""

VERIFY_TEST_SECONDS = 600.0
"""For all tests of a registry; 10,000 tools with one quick test each take about 100 s on two cores."""


async def verify_registry(
    settings: Settings, *, mend: bool = False, tests: bool = False, progress: Progress = silent
) -> AsyncIterator[Finding]:
    """Every finding about the registry of the settings, as they come; with `mend`, what can be is repaired first.

    With `tests` every function is loaded, and the tests that live with it are run.
    A registry that cannot be opened is a finding too.
    """
    path, _ = choose_registry(settings)
    made = made_by_name(settings)
    broken: set[str] = set()
    progress("files", 0, 0)
    async for finding in _from_thread(_before_opening(path, mend, broken)):
        yield finding
    try:
        workspace = Workspace(settings)
    except RegistryError as error:
        async for finding in _from_thread(_guarded(check_objects(path, broken))):
            yield finding
        yield Finding("fail", "registry", str(error))
        return
    if made:
        yield Finding("fail", "registry", made)  # what was to be checked is somewhere else
    for notice in workspace.take_notices():
        yield Finding("warn", "registry", notice)
    if foreign_hook(path):
        yield Finding("warn", "hook", "hooks/pre-receive is not Micro AGI's: nothing checks what is pushed")
    try:
        async for finding in _from_thread(_guarded(_check(workspace, settings, progress, broken))):
            yield finding
        async for finding in _compile(workspace, progress, tests):
            yield finding
    except RegistryError as error:
        yield Finding("fail", "objects", str(error))
    finally:
        await workspace.close()


def _before_opening(path: Path, mend: bool, broken: set[str]) -> Iterator[Finding]:
    """What is said of the files: opening a registry would mend some of it without a word."""
    if mend:
        from micro_agi_kernel.registry.care.repair import repair  # loads dulwich

        yield from _guarded(repair(path, git_environment()))
    yield from check_files(path, broken)


async def _from_thread(findings: Iterator[Finding]) -> AsyncIterator[Finding]:
    while (finding := await asyncio.to_thread(next, findings, None)) is not None:
        yield finding


def _guarded(findings: Iterator[Finding]) -> Iterator[Finding]:
    """`findings`, to the first damaged object: that ends a check, not the audit."""
    try:
        yield from findings
    except RegistryError as error:
        yield Finding("fail", "objects", str(error))


def _check(workspace: Workspace, settings: Settings, progress: Progress, broken: Collection[str]) -> Iterator[Finding]:
    replay = _Replay(workspace, _known_keys(workspace, settings))
    yield from audit(workspace.registry, replay.judge, progress, broken)
    yield from replay.summary()
    head = workspace.registry.snapshot()
    for name in (AGENT_SCOPE, TOOL_SCOPE):
        try:
            workspace.permissions.scope(name, head).require_sound()
        except Refused as refusal:
            yield Finding("fail", "policies", str(refusal))
    specs, problems = read_specs(head.find({"meta.type": MODEL_TYPE}))
    for problem in problems:
        yield Finding("fail", "models", problem)
    if not problems:
        yield Finding("ok", "models", f"{len(specs)} models can be read")


def _known_keys(workspace: Workspace, settings: Settings) -> set[str]:
    """The fingerprints of the keys that are the person's, or trusted by them."""
    signer = workspace.registry.signer
    keys = {fingerprint(key.line) for key in read_trust(settings.home).of(TrustedKey)}
    if signer is not None:
        with contextlib.suppress(MicroAgiError):  # what it signs will say so
            keys.add(signer.fingerprint())
    return {key for key in keys if key}


class _Replay:
    """Judges every commit by an agent as it was judged when it was made."""

    def __init__(self, workspace: Workspace, keys: set[str]) -> None:
        self._workspace = workspace
        self._keys = keys
        self._rules: Snapshot | None = None
        self._judged = self._wrong = self._signed = self._forged = self._unchecked = 0
        self._approved_at = Counter[str]()
        """Commits, by the client whose answer approved them."""

    def judge(self, step: Step) -> Iterator[Finding]:
        """What the rules of the parent forbid of a commit, and whether its signature is good."""
        if self._rules is None:
            self._rules = step.before
        if step.said.actor == AGENT:
            self._judged += 1
            approver = approver_of(step.said.trailers.get("Policy", ""))
            if approver.startswith(CLIENT):
                self._approved_at[approver] += 1
            try:
                for id, refusal in refusals(self._workspace, self._rules, step):
                    self._wrong += 1
                    yield step.finding("fail", "policies", f"should not have been written: {refusal}", id)
            except RegistryError as error:
                self._wrong += 1
                yield step.finding("fail", "policies", f"cannot be judged: {error}", None)
            yield from self._check_signature(step)
        # Nothing in app.generated is a rule: the scopes need not be loaded again for each of its commits.
        if step.files or any(id.namespace != GENERATED_NAMESPACE for _, id in step.operations):
            self._rules = step.after

    def _check_signature(self, step: Step) -> Iterator[Finding]:
        try:
            key = signature_of(self._workspace.registry, step.commit)
        except Unchecked as error:
            self._unchecked += 1
            if self._unchecked == 1:
                yield Finding("warn", "signatures", f"cannot be checked: {error}")
            return
        except RegistryError as error:
            self._forged += 1
            yield step.finding("fail", "signatures", str(error), None)
            return
        if key is not None:
            self._signed += 1
            if key not in self._keys:
                yield step.finding("warn", "signatures", f"is signed with a key that is not one of yours: {key}", None)

    def summary(self) -> Iterator[Finding]:
        if not self._wrong:
            yield Finding(
                "ok", "policies", f"commits by the agent that the policies of their time allowed: {self._judged}"
            )
        yield from self._approvals()
        if (self._signed or self._workspace.registry.signer) and not (self._forged or self._unchecked):
            yield Finding("ok", "signatures", f"{self._signed} of {self._judged} commits by the agent are signed")

    def _approvals(self) -> Iterator[Finding]:
        """What was approved at clients; those that named themselves together in one line, for they can be many."""
        named = [client for client in sorted(self._approved_at) if not client.startswith(UNPROVEN)]
        for client in named:
            yield Finding("ok", "policies", f"commits approved at {client}: {self._approved_at.pop(client)}")
        if self._approved_at:
            clients, count = shorten(", ".join(sorted(self._approved_at))), self._approved_at.total()
            line = f"commits approved at {clients}, by whatever gave itself that name: {count}"
            yield Finding("warn", "policies", line)


async def _compile(workspace: Workspace, progress: Progress, tests: bool) -> AsyncIterator[Finding]:
    """The kind checks of every entry, and every source compiled, as they would be if it were written today.

    With `tests` the functions that are sound are tested then.
    """
    snapshot = await asyncio.to_thread(workspace.registry.snapshot)
    ids = await asyncio.to_thread(snapshot.ids)
    wrong = sources = 0
    sound: list[EntryId] = []
    for start in range(0, len(ids), BATCH):
        progress("sources", start, len(ids))
        entries = await asyncio.to_thread(_readable, snapshot, ids[start : start + BATCH])
        sources += sum(entry.kind in LUA_KINDS for entry in entries)
        closed = {entry.id: why for entry in entries if (why := _closed_module(workspace, entry, snapshot))}
        for id, why in closed.items():
            message = f"{id} cannot be called under the policies of today: {why}"
            yield Finding("warn", "sources", message, id=id)
        open_ones = [entry for entry in entries if entry.id not in closed and entry.type != MODEL_TYPE]
        adrift = await asyncio.to_thread(workspace.checks.calls, open_ones, snapshot, snapshot.get)
        for id, refusal in adrift.items():  # what it called is gone or changed, which is no fault of its own
            yield Finding("warn", "sources", f"{id} cannot call all that it lists: {refusal}", id=id)
        faults = await workspace.checks.faults(open_ones, snapshot, snapshot.get)
        wrong += len(faults)
        for id, fault in sorted(faults.items()):
            yield Finding("fail", "sources", f"{id}: {fault}", id=id)
        left_out = {*faults, *adrift}
        sound += [entry.id for entry in open_ones if entry.kind == FUNCTION_KIND and entry.id not in left_out]
    if not wrong:
        yield Finding("ok", "sources", f"{len(ids)} entries are what their kind demands, {sources} sources compile")
    if tests:
        async for finding in _test(workspace, snapshot, sound, progress):
            yield finding


async def _test(
    workspace: Workspace, snapshot: Snapshot, functions: Sequence[EntryId], progress: Progress
) -> AsyncIterator[Finding]:
    """Functions loaded, and the tests that live with them."""
    failing = passed = untested = 0
    rounds = Rounds(VERIFY_TEST_SECONDS)
    for start in range(0, len(functions), BATCH):
        rounds = Rounds(VERIFY_TEST_SECONDS, rounds.deadline)  # what the tests of one batch said helps no other
        if rounds.is_over:
            untested += len(functions) - start
            break
        progress("tests", start, len(functions))
        entries = await asyncio.to_thread(_readable, snapshot, functions[start : start + BATCH])
        tested = await workspace.checks.all(entries, snapshot, snapshot.get, rounds)
        faults = {id: fault for id, fault in tested.refusals.items() if not isinstance(fault, NotTested)}
        untested += len(tested.refusals) - len(faults)
        failing, passed = failing + len(faults), passed + tested.passed
        for id, fault in sorted(faults.items()):
            yield Finding("fail", "tests", f"{id}: {fault}", id=id)
    if untested:
        late = f"the {VERIFY_TEST_SECONDS:g} s for all were over"
        line = f"{untested} of {len(functions)} functions were not tested: {late}"
        yield Finding("warn", "tests", line)
    if failing:
        good = len(functions) - failing - untested
        line = f"{good} of {len(functions)} functions can be loaded and pass their tests"
        yield Finding("fail", "tests", line)
    else:
        yield Finding("ok", "tests", f"{passed} tests pass")


def _readable(snapshot: Snapshot, ids: Sequence[EntryId]) -> list[Entry]:
    """The entries, read from Git, but for those that cannot be, of which the audit has spoken."""
    return [entry for id in ids if (entry := snapshot.get_if_sound(id)) is not None]


def _closed_module(workspace: Workspace, entry: Entry, snapshot: Snapshot) -> str:
    """Why a policy forbids a module that an entry lists, or "": written under another one, it is no fault."""
    try:
        for module in entry.modules if entry.kind in LUA_KINDS else ():
            if module not in HOST_MODULES:
                workspace.permissions.check_action(entry, "lua.module", module, snapshot)
    except Refused as refusal:
        return str(refusal)
    return ""
