"""The audit: is every file what it should be, does the history say what it did, are the objects sound?

The replay of the policies over the history needs more than a registry knows; `history_pairs` gives the
commits, each with the state that it changed, to whoever has the policies.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from micro_agi_kernel.entries import AGENT, Action, EntryId
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.message import clean, parse_message
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.store import Registry
from micro_agi_kernel.registry.versions import Version

CROWDED = 500
"""Entries in one namespace from which on commits get noticeably slower: they cost what their folder holds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `registry verify`."""

    status: Literal["ok", "warn", "fail"]
    check: str
    message: str
    commit: str | None = None
    id: EntryId | None = None


def audit(registry: Registry) -> Iterator[Finding]:
    """Check the newest state, the messages of the whole first-parent line, and every object."""
    if registry.is_empty:
        yield Finding("warn", "entries", "the registry is empty")
        return
    checks = (_check_files(registry.snapshot()), _check_messages(registry), _check_objects(registry))
    for check in checks:
        try:
            yield from check
        except RegistryError as error:  # a damaged object ends its check, not the audit
            yield Finding("fail", "objects", str(error))


def history_pairs(registry: Registry) -> Iterator[tuple[Snapshot, Version, tuple[tuple[Action, EntryId], ...]]]:
    """Every commit of the first-parent line, oldest first: the state before it, what it says, what it changed."""
    commits = [commit.id for commit in registry.history.line(registry.head())]
    before = Snapshot(registry.index, registry.history, "", "")
    for id in reversed(commits):
        after = registry.snapshot(id)
        yield before, registry.version(id), before.changes_to(after)[0]
        before = after


def _check_files(head: Snapshot) -> Iterator[Finding]:
    problems = head.problems()
    for problem in problems:
        yield Finding("fail" if problem.id else "warn", "entries", f"{problem.path}: {problem.reason}", id=problem.id)
    ids = head.ids()
    for namespace, count in Counter(id.namespace for id in ids).items():
        if count > CROWDED:
            yield Finding("warn", "entries", f"{count} entries in {namespace}: commits there get slow above {CROWDED}")
    if not any(problem.id for problem in problems):
        yield Finding("ok", "entries", f"{len(ids)} entries read")


def _check_messages(registry: Registry) -> Iterator[Finding]:
    """The trailers of a commit that names its actor must name exactly what its diff changes."""
    count, wrong = 0, 0
    before = ""
    for commit in reversed(list(registry.history.line(registry.head()))):
        said = parse_message(commit.message)
        if said.actor is not None:
            count += 1
            operations, files = registry.history.changes(before, commit.tree)
            for line, id in _differences(
                {id: action for action, id in operations}, said.operations, set(files), set(said.files)
            ):
                wrong += 1
                status: Literal["warn", "fail"] = "fail" if said.actor == AGENT else "warn"
                yield Finding(status, "trailers", f"{commit.id[:12]} {line}", commit.id, id)
        before = commit.tree
    if not wrong:
        yield Finding("ok", "trailers", f"{count} commits name exactly what they changed")


def _differences(
    actual: dict[EntryId, Action],
    said: tuple[tuple[Action, EntryId], ...],
    files: set[str],
    said_files: set[str],
) -> Iterator[tuple[str, EntryId | None]]:
    for action, id in said:
        if actual.get(id) != action:
            yield f"claims to {action} {id}, which it does not", id
    for id in sorted(actual.keys() - {id for _, id in said}):
        yield f"changes {id} without saying so", id
    for path in sorted(said_files - files):
        yield f"claims to change {path}, which it does not", None
    for path in sorted(files - said_files):
        yield f"changes {clean(path)} without saying so", None


def _check_objects(registry: Registry) -> Iterator[Finding]:
    git = shutil.which("git")
    if git is None:
        count = sum(1 for _ in _sound_objects(registry))
        yield Finding("ok", "objects", f"{count} objects are sound (git is not on PATH: checked without it)")
        return
    # An explicit --git-dir and no environment: neither GIT_* variables nor a user's config have a say.
    command = [
        git,
        f"--git-dir={registry.path.absolute()}",
        "fsck",
        "--strict",
        "--full",
        "--no-dangling",
        "--no-progress",
    ]
    done = subprocess.run(command, env={"LC_ALL": "C"}, capture_output=True, text=True, errors="replace", check=False)
    said = [text for line in (done.stdout + done.stderr).splitlines() if (text := clean(line))]
    if done.returncode == 0:
        yield Finding("ok", "objects", "git fsck --strict finds nothing wrong")
    for line in said if done.returncode else ():
        yield Finding("fail", "objects", f"git fsck: {line}")
    if done.returncode and not said:
        yield Finding("fail", "objects", f"git fsck ended with {done.returncode}")


def _sound_objects(registry: Registry) -> Iterator[str]:
    """Every object that the branch reaches, checked. Raises RegistryError at the first that is not sound."""
    seen: set[str] = set()
    todo = [registry.head()]
    while todo:
        id = todo.pop()
        if id in seen:
            continue
        seen.add(id)
        todo.extend(registry.objects.check(id))
        yield id
