"""What another line of history changes in ours, entry by entry and page by page; nothing is written here.

Two states and what they have in common are compared by id, never by path or line: an entry is the same however
its files are written and wherever a layout puts them. Where only one side changed an entry, that side has it;
where both did, differently, it is a conflict. Beside the common ancestor counts what each line has gone through
since: who has had the other's state, and moved on, is the newer one. So what was taken from the other line by an
ordinary commit is not in conflict with it when it changes again here, nor taken again when it was undone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from micro_agi_kernel.entries import EntryId, to_files
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.git_program import ask_git, run_git
from micro_agi_kernel.registry.layout import FORMAT_FILE
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.store import Registry

LONGEST = 120.0
"""Seconds for reading one line of history: some 50,000 ordinary commits, and few that are made to take long."""

Changed = EntryId | str
"""An entry, or the path of a file that is no entry."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """Something that the other line changed and we have not."""

    subject: Changed
    state: str
    """A digest of what it is there; "" where it is not."""
    conflict: bool
    """Whether we changed it too, in another way."""
    theirs: tuple[str, ...]
    """The commits of their line, newest first, that changed it. None where no one did: a merge there dropped ours."""
    ours: str
    """In a conflict, our commit that changed it last."""


@dataclass(slots=True)
class _Line:
    """What one first-parent line did to some subjects."""

    commits: dict[Changed, list[str]] = field(default_factory=dict)
    """Those that changed it, newest first."""
    states: dict[Changed, set[str]] = field(default_factory=dict)
    """What it has been since the lines parted."""


def is_ancestor(registry: Registry, old: str, new: str) -> bool:
    """Whether the commit `old` is `new` or stands somewhere behind it."""
    return old in _bases(registry, old, new)


def line_since(registry: Registry, commit: str, known: str) -> list[str]:
    """The commits of `commit`'s first-parent line that do not stand behind `known`, newest first."""
    return ask_git(registry.path, "rev-list", "--first-parent", commit, f"^{known}").split()


def incoming(registry: Registry, ours: Snapshot, theirs: Snapshot) -> list[Incoming]:
    """What the line of `theirs` changed that is not in `ours`, sorted; and what both changed.

    Without a common ancestor, as between two registries that each began with a seed of their own, only what both
    hold and is not equal is a conflict. Raises RegistryError when a history cannot be read.
    """
    operations, files = ours.changes_to(theirs)
    subjects: list[Changed] = [*(id for _, id in operations), *(path for path in files if path != FORMAT_FILE)]
    pairs = {subject: (_state(ours, subject), _state(theirs, subject)) for subject in subjects}
    pairs = {subject: pair for subject, pair in pairs.items() if pair[0] != pair[1]}
    if not pairs:
        return []
    bases = _bases(registry, ours.commit, theirs.commit)
    common = [registry.snapshot(base) for base in bases]
    here, there = (
        _follow(registry, line_since(registry, tip, other), _after(registry, tip, bases), pairs)
        for tip, other in ((ours.commit, theirs.commit), (theirs.commit, ours.commit))
    )
    found: list[Incoming] = []
    for subject, (our, their) in pairs.items():
        past, past_there = here.states.get(subject, set()), there.states.get(subject, set())
        had, had_there = their in past, our in past_there
        was = past & past_there or {_state(base, subject) for base in common} or {""}
        if had_there is had:
            if their in was and our not in was:
                continue
            conflict = (our in was) is (their in was)
        elif had:
            continue
        else:
            conflict = False
        ours_last = here.commits.get(subject, [ours.commit])[0] if conflict else ""
        commits = tuple(there.commits.get(subject, ()))
        found.append(Incoming(subject, their, conflict, commits, ours_last))
    return found


def _follow(registry: Registry, line: Sequence[str], since: frozenset[str], subjects: Iterable[Changed]) -> _Line:
    """What the commits of `line` did to `subjects`; `since` are those whose states count."""
    wanted, found = set(subjects), _Line()
    end = time.monotonic() + LONGEST
    for place, id in enumerate(line):
        if time.monotonic() > end:
            raise RegistryError(f"its history cannot be read within {LONGEST:.0f} s")
        commit = registry.objects.commit(id)
        before = registry.history.tree(commit.parents[0]) if commit.parents else ""
        try:
            operations, files = registry.history.changes(before, commit.tree)
            for subject in wanted & {*(id for _, id in operations), *files}:
                found.commits.setdefault(subject, []).append(id)
                if id in since:
                    found.states.setdefault(subject, set()).add(_state(registry.snapshot(id), subject))
        except RegistryError:  # trees without end, of which the newest state is free again: they may have changed all
            for subject in wanted:
                found.commits.setdefault(subject, []).extend(line[place:])
            break
    return found


def _after(registry: Registry, tip: str, bases: Sequence[str]) -> frozenset[str]:
    """The commits of `tip`'s first-parent line that stand on a common ancestor; all of them where there is none."""
    if not bases:
        return frozenset(ask_git(registry.path, "rev-list", "--first-parent", tip).split())
    line = ("rev-list", "--first-parent", "--ancestry-path", tip, *(f"^{base}" for base in bases))
    return frozenset(ask_git(registry.path, *line).split())


def _state(snapshot: Snapshot, subject: Changed) -> str:
    """A digest of what an entry or file is in `snapshot`; "" where it is not."""
    if isinstance(subject, str):
        content = snapshot.file(subject)
        if content is None:
            return "" if snapshot.is_folder(subject) is not False else "no file"
        return hashlib.sha256(content).hexdigest()
    nodes = snapshot.nodes(subject)
    if nodes[0] is None:
        return ""
    try:
        entry = snapshot.get(subject)
    except EntryError:
        return " ".join(node.id for node in nodes if node is not None)
    digest = hashlib.sha256()
    for name, content in sorted(to_files(entry).items() if entry is not None else ()):
        digest.update(b"%s %d\0%b" % (name.encode(), len(content), content))
    return digest.hexdigest()


def _bases(registry: Registry, one: str, other: str) -> list[str]:
    """The newest commits behind both; none where they have nothing in common."""
    done = run_git(registry.path, "merge-base", "--all", one, other)
    if done.stderr:
        raise RegistryError(f"git merge-base failed on {registry.path}: {clean(done.stderr.decode(errors='replace'))}")
    return done.stdout.decode().split()
