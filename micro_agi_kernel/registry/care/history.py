"""The audit: is every file what it should be, does the history say what it did, are the objects sound?

The replay of the policies over the history needs more than a registry knows; `audit` hands every commit, with the
state that it changed, to whoever has the policies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from micro_agi_kernel.entries import AGENT, Action, EntryId
from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.care.newest import IndexedChanges, check_entries
from micro_agi_kernel.registry.care.objects import Finding, Progress, check_objects
from micro_agi_kernel.registry.message import ParsedMessage, clean, parse_message
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.store import Registry
from micro_agi_kernel.values import short_commit


def silent(what: str, done: int, total: int) -> None:
    """The progress where nobody looks."""


@dataclass(frozen=True, slots=True)
class Step:
    """One commit of the first-parent line: what it says, and what it did."""

    commit: str
    said: ParsedMessage
    """Claims of whoever wrote it."""
    before: Snapshot
    after: Snapshot
    operations: tuple[tuple[Action, EntryId], ...]
    """What it did to entries, whatever it says."""
    files: tuple[str, ...]
    """The files it changed that are no entry's."""

    def finding(self, status: Literal["ok", "warn", "fail"], check: str, what: str, id: EntryId | None) -> Finding:
        """A finding about this commit."""
        return Finding(status, check, f"{short_commit(self.commit)} {what}", self.commit, id)


def audit(
    registry: Registry,
    judge: Callable[[Step], Iterator[Finding]] | None = None,
    progress: Progress = silent,
    broken: Collection[str] = (),
) -> Iterator[Finding]:
    """Check every object, the newest state, and the whole first-parent line.

    `judge` is asked about every commit, oldest first. `broken` are ids of objects that are known to be damaged.
    """
    progress("objects", 0, 0)
    lost = set(broken)
    yield from check_objects(registry.path, lost)
    if registry.is_empty:
        yield Finding("warn", "entries", "the registry is empty")
        return
    entries = check_entries(registry, registry.snapshot(), progress)
    for check in (entries, _check_history(registry, lost, judge, progress)):
        try:
            yield from check
        except RegistryError as error:  # a damaged object ends its check, not the audit
            yield Finding("fail", "objects", str(error))


def _check_history(
    registry: Registry,
    broken: Collection[str],
    judge: Callable[[Step], Iterator[Finding]] | None,
    progress: Progress,
) -> Iterator[Finding]:
    """The trailers of a commit that names its actor must name exactly what its diff changes."""
    count, wrong = 0, 0
    commits, gap = _line(registry)
    if gap:
        yield Finding("fail", "history", gap)
    indexed = IndexedChanges(registry, registry.snapshot(commits[-1]))
    for number, (parent, commit) in enumerate(zip(["", *commits], commits, strict=False)):
        progress("commits", number, len(commits))
        if gap and not parent:
            continue  # what it changed cannot be known
        try:
            step = step_between(registry, parent, commit)
            indexed.compare(commit, step.operations)
            found = list(check_trailers(step))
            count += step.said.actor is not None
            wrong += len(found)
            yield from found
            yield from _locate(registry, step, broken)
        except RegistryError as error:
            wrong += 1
            yield Finding("fail", "history", f"{short_commit(commit)} cannot be checked: {error}", commit)
            continue
        if judge is not None:
            yield from judge(step)
    if not wrong:
        yield Finding("ok", "trailers", f"{count} commits name exactly what they changed")
    yield from indexed.findings()


def _line(registry: Registry) -> tuple[list[str], str]:
    """The first-parent line, oldest first; and why it does not go back to its beginning, or ""."""
    commits: list[str] = []
    try:
        for commit in registry.history.line(registry.head()):
            commits.append(commit.id)
    except RegistryError as error:
        return commits[::-1], f"what was before {short_commit(commits[-1])} cannot be checked: {error}"
    return commits[::-1], ""


def step_between(registry: Registry, parent: str, commit: str) -> Step:
    """What `commit` did to its first parent, "" for none. Raises RegistryError when that cannot be read."""
    found = registry.objects.commit(commit)
    before, after = (
        Snapshot(registry.tree_entries, registry.history, id, registry.history.tree(id)) for id in (parent, commit)
    )
    return Step(commit, parse_message(found.message), before, after, *before.changes_to(after))


def check_trailers(step: Step) -> Iterator[Finding]:
    """Where a commit that names its actor says something else than it did."""
    if step.said.actor is None:
        return
    status: Literal["warn", "fail"] = "fail" if step.said.actor == AGENT else "warn"
    actual = {id: action for action, id in step.operations}
    said, said_files, files = step.said.operations, set(step.said.files), set(step.files)
    for action, id in said:
        if actual.get(id) != action:
            yield step.finding(status, "trailers", f"claims to {action} {id}, which it does not", id)
    for id in sorted(actual.keys() - {id for _, id in said}):
        yield step.finding(status, "trailers", f"changes {id} without saying so", id)
    for path in sorted(said_files - files):
        yield step.finding(status, "trailers", f"claims to change {path}, which it does not", None)
    for path in sorted(files - said_files):
        yield step.finding(status, "trailers", f"changes {clean(path)} without saying so", None)


def _locate(registry: Registry, step: Step, broken: Collection[str]) -> Iterator[Finding]:
    """Which files of this commit are lost with the objects that are."""
    for path, _, node in registry.objects.changed(step.before.tree, step.after.tree) if broken else ():
        if node is not None and node.id in broken:
            yield step.finding(
                "fail", "objects", f"brought {clean(path)}, which is lost", step.after.layout.entry_id(path)
            )
