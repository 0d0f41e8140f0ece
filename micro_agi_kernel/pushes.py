"""What a person pushes from a clone, checked before Git takes it: every changed file, and what its entry means.

A person may change anything, so no policy is asked about the change; but what lies in the registry afterwards must be
readable, checked by its kind, compiled, and a pushed commit must not say that a service of ours made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, MicroAgiError, RegistryError
from micro_agi_kernel.lua_entries import LUA_KINDS
from micro_agi_kernel.models.catalog import MODEL_TYPE, read_spec
from micro_agi_kernel.permissions import AGENT_SCOPE, TOOL_SCOPE
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.registry.sharing.pushed import commit_problem, file_problems, goes_on_from, pushed_commits
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.workspace import Workspace

MAX_PROBLEMS = 20
"""Lines of one refusal."""
SECONDS = 120.0
"""What one check may take; a push of 1,000 tools takes about 10."""
AT_ONCE = 4
"""Entries that are checked at a time, each by a process of its own."""

_MAIN = "refs/heads/main"
_NONE = "0" * 40


async def check_push(settings: Settings, repository: Path, objects: Path | None, updates: Iterable[str]) -> list[str]:
    """Why Git is to refuse a push; nothing when it may take it. A line for each problem, MAX_PROBLEMS at most.

    `updates` are the lines that Git gives its hook: `OLD NEW REF`. `objects` is the folder of the pushed objects.
    """
    refused: list[str] = []
    main: tuple[str, str] | None = None
    for line in updates:
        old, new, ref = line.rstrip("\n").split(" ", 2)
        if ref != _MAIN:
            refused.append(f"{ref}: a registry has one branch, main; no other branch or tag can be here")
        elif new == _NONE:
            refused.append("main: it cannot be removed")
        elif old == _NONE:
            refused.append("main: the registry has no commit yet: run `micro-agi registry init`")
        else:
            main = old, new
    if main is not None and not refused:
        try:
            async with asyncio.timeout(SECONDS):
                refused = await _check(settings, repository, objects, *main)
        except TimeoutError:
            refused = [f"it could not be checked within {SECONDS:.0f} s: push fewer changes at a time"]
        except RegistryError as error:
            refused = [str(error)]
    lines = [clean(line, MAX_PATH) for line in refused[:MAX_PROBLEMS]]
    more = len(refused) - len(lines)
    return [*lines, f"and {more} more"] if more else lines


async def _check(settings: Settings, repository: Path, objects: Path | None, old: str, new: str) -> list[str]:
    registry = Registry(repository, objects)  # not `open`: what a push mends may be broken now
    workspace = Workspace(settings, registry)
    try:
        refused = await asyncio.to_thread(_commits, registry, objects, old, new)
        if refused:
            return refused
        before, after = registry.snapshot(old), registry.snapshot(new)
        found = await asyncio.to_thread(lambda: dict(file_problems(registry, before, after)))
        refused = [f"{path}: {reason}" for path, reason in sorted(found.items())]
        return refused or await _meaning(workspace, before, after)
    finally:
        await workspace.close()


def _commits(registry: Registry, objects: Path | None, old: str, new: str) -> list[str]:
    commits = pushed_commits(registry.path, objects, old, new)
    if not goes_on_from(registry, old, new):
        return [f"main: it does not go on from {old[:12]}, the newest commit here: run `git pull --rebase`, push again"]
    problems = ((id, commit_problem(registry, id)) for id in reversed(commits))
    return [f"commit {id[:12]}: {problem}" for id, problem in problems if problem]


async def _meaning(workspace: Workspace, before: Snapshot, after: Snapshot) -> list[str]:
    """What is wrong with the changed entries, all of which can be read."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def check(id: EntryId) -> str:
        entry = after.get(id)
        async with at_once:
            try:
                if entry is not None:
                    await _check_entry(workspace, entry, after)
            except RegistryError:
                raise
            except MicroAgiError as error:
                in_source = error.kind is ErrorKind.SYNTAX
                path = after.layout.source_path(id) if in_source else after.layout.entry_path(id)
                return f"{path}: {str(error).removeprefix(f'{id}: ')}"
        return ""

    changed = [id for _, id in before.changes_to(after)[0]]
    refused = [line for line in await asyncio.gather(*map(check, changed)) if line]
    for scope in (AGENT_SCOPE, TOOL_SCOPE):
        if any(id.namespace == scope.partition(":")[0] for id in changed):
            try:
                await asyncio.to_thread(lambda name: workspace.permissions.scope(name, after).require_sound(), scope)
            except MicroAgiError as error:
                refused.append(f"{scope}: {error}")
    return refused


async def _check_entry(workspace: Workspace, entry: Entry, after: Snapshot) -> None:
    """Raises MicroAgiError with what its author must mend."""
    await workspace.publishing.check_entry(entry, after)
    if entry.kind in LUA_KINDS:
        await asyncio.to_thread(workspace.check_imports, entry, after)
    if entry.type == MODEL_TYPE:
        read_spec(entry)
