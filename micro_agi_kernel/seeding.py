"""Bringing the seed into a registry: all of it at first, later what is new and nobody changed meanwhile.

Each entry and page is compared in three states: as the installer last left it, as it stands, and as the seed
has it now. What stands as the installer left it follows the seed; anything else is somebody's and is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from micro_agi_kernel import __version__
from micro_agi_kernel.entries import (
    INSTALLER,
    Changeset,
    EntryId,
    FileChange,
    Operation,
    action_between,
    source_file,
    to_files,
)
from micro_agi_kernel.errors import Conflict
from micro_agi_kernel.registry import CommitMessage, Person, Registry, Snapshot, seed_changeset
from micro_agi_kernel.registry.layout import FORMAT_FILE
from micro_agi_kernel.registry.lock import FOLDER
from micro_agi_kernel.registry.message import parse_message
from micro_agi_kernel.resources import resource
from micro_agi_kernel.values import many

MAX_TRIES = 5
"""How often it is planned again because other writers were faster."""

MAX_NAMED = 10
"""Entries and pages that a notice names; `git log` has the rest."""

_State: TypeAlias = tuple[str | None, ...]
"""The blob ids of an entry's YAML and source, or of a page."""
_Place: TypeAlias = EntryId | str
"""An entry, or the path of a page."""


def install_seed(registry: Registry, person: Person, folder: Path | None = None) -> str:
    """Bring the seed (of this package, or in `folder`) in one commit by `service:installer`, unless it is there.

    The first commit of an empty registry has all of it; a later one what is new and was not changed meanwhile.
    Gives a line for the person, "" when nothing changed that they should know. Nothing is asked: the seed is
    part of this package and checked by its test-suite. Safe beside other processes that do the same.
    """
    folder = folder or resource("registry_repo")
    digest, notice = _digest(folder), ""
    for _ in range(MAX_TRIES):
        head = registry.snapshot()
        if head.commit and _was_brought(registry, digest):
            return ""
        plan = _plan(registry, head, folder, digest)
        notice = plan.notice if head.commit else ""
        if plan.changeset == Changeset(()):
            break
        message = CommitMessage(actor=INSTALLER, body=plan.body, source_sha256=digest)
        with contextlib.suppress(Conflict):  # another process was faster
            author = Person.of_service(INSTALLER)
            registry.commit(plan.changeset, message, author=author, committer=person, base=head)
            break
    else:
        raise Conflict("other writers keep changing what comes with the package; it is tried again at the next start")
    _remember(registry, digest)
    return notice


@dataclass(frozen=True, slots=True)
class _Plan:
    """What bringing the seed means for one state of a registry."""

    changeset: Changeset
    kept: tuple[str, ...] = ()
    """Ids and paths that the seed has anew and that stay as somebody changed them."""

    @property
    def body(self) -> str:
        """The paragraph of the commit."""
        said = f"The entries and pages that come with Micro AGI {__version__}."
        return f"{said} Kept as they were changed here: {_names_and_more(self.kept)}." if self.kept else said

    @property
    def notice(self) -> str:
        """The line for the person; "" when there is nothing to say."""
        operations, files = self.changeset.operations, self.changeset.files
        gone = sum(op.entry is None for op in operations) + sum(file.content is None for file in files)
        entries = sum(op.entry is not None for op in operations)
        pages = sum(file.content is not None for file in files)
        brought = [many(entries, "entry", "entries")] * bool(entries) + [many(pages, "page")] * bool(pages)
        parts = [f"{' and '.join(brought)} {'is' if entries + pages == 1 else 'are'} new"] if brought else []
        parts += [f"{gone} gone"] if gone else []
        kept = f"kept as you changed {'it' if len(self.kept) == 1 else 'them'}: {_names_and_more(self.kept)}"
        if parts:
            line = f"the registry was brought to Micro AGI {__version__}: {', '.join(parts)}"
            return f"{line}; {kept}" if self.kept else line
        return f"Micro AGI {__version__} comes with other versions; {kept}" if self.kept else ""


def _plan(registry: Registry, head: Snapshot, folder: Path, digest: str) -> _Plan:
    """What the seed in `folder`, whose `_digest` is `digest`, changes in the state `head`.

    Nothing where this very seed was brought before (an older package beside a newer one takes nothing back),
    and nothing in a registry that no installer made.
    """
    left = _left_by_installer(registry, head, digest)
    if left is None:
        return _Plan(Changeset(()))
    seed = seed_changeset(folder)
    entries = {operation.id: operation for operation in seed.operations}
    # registry.yaml is made once: its rule follows what lies in the registry, not what the package holds.
    pages = {file.path: file for file in seed.files if not head.commit or file.path != FORMAT_FILE}
    comes: dict[_Place, _State] = {id: _state_of(operation) for id, operation in entries.items()}
    comes |= {path: (_blob(file.content or b""),) for path, file in pages.items()}
    operations, files, kept = [], [], []
    for place in sorted(comes.keys() | left.keys(), key=str):
        absent: _State = (None, None) if isinstance(place, EntryId) else (None,)
        new, old, now = comes.get(place, absent), left.get(place, absent), _state(registry, head.tree, place)
        if new in (old, now):
            continue
        if now != old:
            kept.append(str(place))
        elif isinstance(place, EntryId):
            action = action_between(now != absent, new != absent)
            operations.append(Operation(action, place, entries[place].entry if place in entries else None))
        else:
            files.append(pages.get(place, FileChange(place, None)))
    return _Plan(Changeset(tuple(operations), tuple(files)), tuple(kept))


def _left_by_installer(registry: Registry, head: Snapshot, digest: str) -> Mapping[_Place, _State] | None:
    """What the installer touched, as it last left it; None when the seed with this digest is not to be brought."""
    left: dict[_Place, _State] = {}
    for commit in registry.history.line(head.commit):
        # Looked for in the bytes first: this reads the whole history.
        if INSTALLER.encode() not in commit.message or (said := parse_message(commit.message)).actor != INSTALLER:
            continue
        if said.trailers.get("Source-SHA256") == digest:
            return None
        operations, files = registry.history.changes(registry.history.before(commit), commit.tree)
        places: list[_Place] = [id for _, id in operations]
        for place in [*places, *(path for path in files if path != FORMAT_FILE)]:
            left.setdefault(place, _state(registry, commit.tree, place))
    return left if left or not head.commit else None


def _state(registry: Registry, tree: str, place: _Place) -> _State:
    there = registry.tree_entries
    found = there.files(tree, place) if isinstance(place, EntryId) else (there.node(tree, place),)
    return tuple(node and node.id for node in found)


def _state_of(operation: Operation) -> _State:
    assert operation.entry is not None
    files = to_files(operation.entry)
    names = (f"{operation.id.name}.yaml", source_file(operation.id))
    return tuple(_blob(files[name]) if name in files else None for name in names)


def _blob(content: bytes) -> str:
    """The id that Git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@cache
def _digest(folder: Path) -> str:
    """A digest of every file of the seed; once a process."""
    digest = hashlib.sha256()
    for name, content in _files(os.fspath(folder), ""):
        digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
    return digest.hexdigest()


def _files(folder: str, inside: str) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file, in a fixed order; as fast as can be, since each start of a kernel waits."""
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if item.is_dir():
            yield from _files(item.path, f"{inside}{item.name}/")
        elif not item.name.startswith("."):
            with open(item.path, "rb") as file:
                yield inside + item.name, file.read()


def _was_brought(registry: Registry, digest: str) -> bool:
    """Whether a file in the repository remembers that this seed was brought; only a shortcut past the history."""
    try:
        return digest in _memory(registry).read_text("ascii").split()
    except (OSError, ValueError):
        return False


def _remember(registry: Registry, digest: str) -> None:
    """Remember it for `_was_brought`; where that cannot be written, the history is asked each time."""
    file = _memory(registry)
    with contextlib.suppress(OSError, ValueError):
        known = file.read_text("ascii").split() if file.exists() else []
        file.parent.mkdir(mode=0o700, exist_ok=True)
        fd, made = tempfile.mkstemp(dir=file.parent)
        try:
            with open(fd, "w", encoding="ascii") as out:
                out.write("\n".join([*known[-MAX_NAMED:], digest, ""]))
            os.replace(made, file)
        except OSError:
            os.unlink(made)


def _memory(registry: Registry) -> Path:
    return registry.path / FOLDER / "seed"


def _names_and_more(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
