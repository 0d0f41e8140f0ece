"""What a person pushes from a clone, checked before Git takes it: every changed file, and what its entry means.

A person may change anything, so no policy is asked about the change; but what lies in the registry afterwards must be
readable, checked by its kind, compiled, and a pushed commit must not say that a service of ours made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

from micro_agi_kernel.checks import NotTested, Rounds, not_tested
from micro_agi_kernel.dependents import time_for_users, try_users
from micro_agi_kernel.errors import ErrorKind, MicroAgiError, RegistryError
from micro_agi_kernel.permissions import AGENT_SCOPE, TOOL_SCOPE
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.registry.care.history import check_trailers, step_between
from micro_agi_kernel.registry.layout import BRANCH
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.registry.sharing.pushed import (
    commit_problem,
    file_problems,
    pushed_commits,
    pushed_line,
    step_problems,
)
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.values import short_commit
from micro_agi_kernel.workspace import Workspace

MAX_PROBLEMS = 20
"""Lines of one refusal."""
MAX_WARNING = 2_000
"""Characters of one line about a push that is taken."""
SECONDS = 120.0
"""What one check may take; a push of 1,000 tools takes about one, of 1,000 commits two or three."""

PUSH_TEST_SECONDS = 80.0
"""For loading and testing what was pushed, within the same, and before the tools that use it have their time."""

_NONE = "0" * 40


async def check_push(
    settings: Settings, repository: Path, objects: Path | None, updates: Iterable[str], warn: Callable[[str], None]
) -> list[str]:
    """Why Git is to refuse a push; nothing when it may take it. A line for each problem, MAX_PROBLEMS at most.

    `updates` are the lines that Git gives its hook: `OLD NEW REF`. `objects` is the folder of the pushed objects.
    `warn` is told, line by line, what the person should know of a push that is taken.
    """
    refused: list[str] = []
    main: tuple[str, str] | None = None
    for line in updates:
        old, new, ref = line.rstrip("\n").split(" ", 2)
        if ref != BRANCH:
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
                refused = await _check(settings, repository, objects, *main, warn)
        except TimeoutError:
            refused = [f"it could not be checked within {SECONDS:.0f} s: push fewer changes at a time"]
        except RegistryError as error:
            refused = [str(error)]
    lines = [clean(line, MAX_PATH) for line in refused[:MAX_PROBLEMS]]
    more = len(refused) - len(lines)
    return [*lines, f"and {more} more"] if more else lines


async def _check(
    settings: Settings, repository: Path, objects: Path | None, old: str, new: str, warn: Callable[[str], None]
) -> list[str]:
    registry = Registry(repository, objects)  # not `open`: what a push mends may be broken now
    workspace = Workspace(settings, registry)
    try:
        line, refused = await asyncio.to_thread(_form, registry, objects, old, new)
        if not refused:
            # One at a time: a commit can be made to cost a second, and the time of them all has its end.
            for before, commit in pairwise([old, *line]):
                if commit != new:
                    refused += await asyncio.to_thread(step_problems, registry, before, commit)
                if not refused:
                    refused = await asyncio.to_thread(_trailers, registry, before, commit)
        refused = refused or await _meaning(workspace, registry.snapshot(old), registry.snapshot(new))
        for notice in workspace.take_notices():
            warn(clean(notice, MAX_WARNING))
        return refused
    finally:
        await workspace.close()


def _form(registry: Registry, objects: Path | None, old: str, new: str) -> tuple[list[str], list[str]]:
    """The pushed first-parent line, and what is wrong with the commits and with the files of the newest state."""
    commits = pushed_commits(registry.path, objects, old, new)
    line = pushed_line(registry, old, new)
    if line is None:
        why = f"it does not go on from {short_commit(old)}, the newest commit here: run `git pull --rebase`, push again"
        return [], [f"main: {why}"]
    problems = ((id, commit_problem(registry, id)) for id in reversed(commits))
    refused = [f"commit {short_commit(id)}: {problem}" for id, problem in problems if problem]
    if not refused:
        found = dict(file_problems(registry, registry.snapshot(old), registry.snapshot(new)))
        refused = [f"{path}: {reason}" for path, reason in sorted(found.items())]
    return line, refused


def _trailers(registry: Registry, before: str, commit: str) -> list[str]:
    """Where the message of a commit says something else than it did; it may say nothing."""
    wrong = check_trailers(step_between(registry, before, commit))
    return [f"commit {finding.message}: leave the trailers out, or let them say it" for finding in wrong]


async def _meaning(workspace: Workspace, before: Snapshot, after: Snapshot) -> list[str]:
    """What is wrong with the changed entries, all of which can be read; if nothing, whom they break is noticed."""
    changed = [id for _, id in before.changes_to(after)[0]]
    entries = await asyncio.to_thread(lambda: [entry for id in changed if (entry := after.get(id)) is not None])
    found = (await workspace.checks.all(entries, after, after.get, Rounds(PUSH_TEST_SECONDS))).refusals
    late = not_tested(found, len(entries), PUSH_TEST_SECONDS)
    refused = [f"{late}: push fewer at a time"] if late else []
    for id, refusal in found.items():
        if isinstance(refusal, NotTested):
            continue
        path = after.layout.source_path(id) if refusal.kind is ErrorKind.SYNTAX else after.layout.entry_path(id)
        refused.append(f"{path}: {str(refusal).removeprefix(f'{id}: ')}")
    for scope in (AGENT_SCOPE, TOOL_SCOPE):
        if any(id.namespace == scope.partition(":")[0] for id in changed):
            try:
                await asyncio.to_thread(lambda name: workspace.permissions.scope(name, after).require_sound(), scope)
            except MicroAgiError as error:
                refused.append(f"{scope}: {error}")
    if not refused:
        users = await try_users(workspace.checks, changed, before, after.get, time_for_users(), after)
        workspace.notices += users.notices
    return refused
