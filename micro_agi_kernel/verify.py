"""`registry verify`: the audit of the store, and what only the whole house can check.

Every commit by an agent is judged again by the policies that stood in its parent; of the newest state the
policies are loaded, the models read and every Lua source compiled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from micro_agi_kernel.agent_rules import judge
from micro_agi_kernel.entries import AGENT, EntryId, Operation
from micro_agi_kernel.errors import EntryError, Refused, RegistryError
from micro_agi_kernel.lua_entries import LUA_KINDS
from micro_agi_kernel.models.catalog import MODEL_TYPE, read_specs
from micro_agi_kernel.permissions import AGENT_SCOPE, TOOL_SCOPE
from micro_agi_kernel.registry import Finding, Snapshot, audit, history_pairs
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import Workspace


async def verify_registry(settings: Settings) -> list[Finding]:
    """Every finding about the registry of the settings. Raises RegistryError when it cannot be opened."""
    workspace = Workspace(settings)
    findings: list[Finding] = []
    try:
        findings = await asyncio.to_thread(lambda: [*audit(workspace.registry), *_sound(_check(workspace))])
        return findings + await _compile(workspace)
    except RegistryError as error:
        return [*findings, Finding("fail", "objects", str(error))]
    finally:
        await workspace.close()


def _sound(findings: Iterator[Finding]) -> Iterator[Finding]:
    """`findings`, to the first damaged object: that ends a check, not the audit."""
    try:
        yield from findings
    except RegistryError as error:
        yield Finding("fail", "objects", str(error))


def _check(workspace: Workspace) -> Iterator[Finding]:
    yield from _replay(workspace)
    specs, problems = read_specs(workspace.registry.snapshot().find({"meta.type": MODEL_TYPE}))
    for problem in problems:
        yield Finding("fail", "models", problem)
    if not problems:
        yield Finding("ok", "models", f"{len(specs)} models can be read")


def _replay(workspace: Workspace) -> Iterator[Finding]:
    judged, wrong = 0, 0
    for before, version, _ in history_pairs(workspace.registry):
        if version.actor != AGENT:
            continue
        judged += 1
        for id, refusal in _refusals(workspace, before, workspace.registry.snapshot(version.commit)):
            wrong += 1
            yield Finding("fail", "policies", f"{version.commit[:12]}: {refusal}", version.commit, id)
    if not wrong:
        yield Finding("ok", "policies", f"commits by the agent that the policies of their time allowed: {judged}")
    for name in (AGENT_SCOPE, TOOL_SCOPE):
        try:
            workspace.permissions.scope(name, workspace.registry.snapshot()).require_sound()
        except Refused as refusal:
            yield Finding("fail", "policies", str(refusal))


def _refusals(
    workspace: Workspace, before: Snapshot, after: Snapshot
) -> Iterator[tuple[EntryId | None, EntryError | Refused]]:
    """What the rules of `before` forbid of an agent's commit."""
    changed, files = before.changes_to(after)
    operations = []
    for action, id in changed:
        entry = None
        try:
            entry = after.get(id)
        except EntryError as error:
            yield id, error
        operations.append(Operation(action, id, entry))
    for subject, said in judge(workspace.permissions, before, operations, files):
        if isinstance(said, Refused):
            yield subject, said


async def _compile(workspace: Workspace) -> list[Finding]:
    snapshot = workspace.registry.snapshot()
    entries = [entry for entry in snapshot.entries() if entry.kind in LUA_KINDS]
    findings = []
    for entry in entries:
        try:
            await workspace.publishing.check_entry(entry)
            await asyncio.to_thread(workspace.check_imports, entry, snapshot)
        except (Refused, EntryError) as fault:
            findings.append(Finding("fail", "sources", f"{entry.id}: {fault}", id=entry.id))
    return findings or [Finding("ok", "sources", f"{len(entries)} sources compile")]
