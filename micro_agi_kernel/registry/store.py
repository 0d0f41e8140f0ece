"""The registry as a whole: opening it, reading it at any commit, and the one algorithm that writes it."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import AGENT, Changeset, Entry, EntryId, FileChange
from micro_agi_kernel.errors import ErrorKind, NoSuchRevision, Refused, RegistryError
from micro_agi_kernel.registry.changes import (
    check_conflicts,
    check_existence,
    check_layout,
    check_twins,
    contents,
    sharded,
)
from micro_agi_kernel.registry.layout import FORMAT_FILE
from micro_agi_kernel.registry.lock import FOLDER, WriteLock
from micro_agi_kernel.registry.message import CommitMessage
from micro_agi_kernel.registry.repository import check_repository, make_repository
from micro_agi_kernel.registry.snapshot import Snapshot
from micro_agi_kernel.registry.tree_entries import TreeEntries
from micro_agi_kernel.registry.versions import History, Person, Version
from micro_agi_kernel.values import shorten

if TYPE_CHECKING:
    from micro_agi_kernel.registry.commits import CommitObject
    from micro_agi_kernel.registry.objects import Written
    from micro_agi_kernel.registry.sidecar_update import Progress
    from micro_agi_kernel.registry.signing import Signer
    from micro_agi_kernel.registry.storing import NewObject

TRIES = 20
"""Attempts of one commit while another program (a push, a repack) is in the way; about 10 s in all."""
PATIENT = 5
"""Attempt from which on a forgotten lock is broken; after half a second, in which a git that slept with the machine
may go on."""

NEWEST = ("main", "HEAD")
"""Names of the newest commit, whichever that is."""

_SUFFIX = re.compile(r"~(\d{0,9})|\^")


class Registry:
    """A registry that is open; close it, or use it as a context manager. Make one with `open` or `create`."""

    def __init__(self, path: Path, pushed: Path | None = None) -> None:
        """Nothing is checked here, unlike in `open`. `pushed` is as in Objects."""
        from micro_agi_kernel.registry.objects import Objects

        self.path = path
        self.objects = Objects(path, pushed)
        self.tree_entries = TreeEntries(self.objects)
        self.history = History(self.tree_entries, path)
        self.signer: Signer | None = None
        """Signs what the agent commits; None: nothing is signed."""
        self._known_formats: set[str] = set()

    @classmethod
    def open(cls, path: Path) -> Registry:
        """Open the bare repository at `path`. Raises RegistryError, in one line, for anything else."""
        check_repository(path)
        registry = cls(path)
        try:
            # Empty before and after the look: another process may write the first commit meanwhile.
            if registry.is_empty and (problem := registry._why_no_main()) and registry.is_empty:
                raise RegistryError(problem)
            registry.snapshot().check_format_once(registry._known_formats)
        except BaseException:
            registry.close()
            raise
        return registry

    @classmethod
    def create(cls, path: Path) -> Registry:
        """Make an empty registry at `path` (mode 0700) and open it; one that is there already is opened.

        Any number of processes may do this at once. Raises RegistryError if `path` holds something else.
        """
        try:
            if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
                make_repository(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
            reason = error.strerror if isinstance(error, OSError) else error
            raise RegistryError(f"cannot make a registry at {path}: {reason}") from error
        return cls.open(path)

    def _why_no_main(self) -> str:
        """What is wrong with a registry whose branch names nothing; "" when it is only new."""
        mend = "run `micro-agi registry verify --repair`"
        if (self.path / "refs" / "heads" / "main").exists():  # no writer leaves it so, but a power cut does
            return f"damaged registry: the branch main of {self.path} is empty: {mend}"
        others = self.objects.other_branches()
        if others and not (self.path / FOLDER).is_dir():
            return f"not a registry: {self.path} has branches but no main"
        if others or self.objects.lost_history():
            return f"damaged registry: {self.path} holds commits but its branch main is gone: {mend}"
        return ""

    def watch(self, progress: Progress) -> None:
        """Have `progress` told how far it is (steps done, steps in all) whenever the index is brought up to date."""
        self.history.sidecar.progress = progress

    def close(self) -> None:
        self.history.sidecar.close()
        self.objects.close()

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_empty(self) -> bool:
        """Whether there is no commit yet."""
        return self.objects.head() is None

    def head(self) -> str:
        """The newest commit, 40 hexadecimal digits. Raises RegistryError if there is none."""
        head = self.objects.head()
        if head is None:
            raise RegistryError(f"the registry {self.path} is empty: run `micro-agi registry init`")
        return head

    def snapshot(self, rev: str | None = None) -> Snapshot:
        """What the registry holds at a commit (see `resolve`), or now. Empty for a registry without commits."""
        commit = self.objects.head() if rev is None else self.resolve(rev)
        if commit is None:
            return Snapshot(self.tree_entries, self.history, "", "")
        snapshot = Snapshot(self.tree_entries, self.history, commit, self.objects.commit(commit).tree)
        if rev is None:
            snapshot.check_format_once(self._known_formats)
        return snapshot

    def resolve(self, rev: str) -> str:
        """The commit that `rev` names: "main", "HEAD", "v3" (running number), at least 4 digits of a commit;
        each with "~2" or "^" behind it. Raises RegistryError.
        """
        name = re.split(r"[~^]", rev, maxsplit=1)[0]
        rest = rev[len(name) :]
        steps = sum(1 if match[0] in ("~", "^") else int(match[1]) for match in _SUFFIX.finditer(rest))
        if _SUFFIX.sub("", rest):
            raise _unknown(rev)
        start = self._named(name, rev)
        found = next(islice(self.history.line(start), steps, None), None)
        if found is None:
            raise _unknown(rev)
        return found.id

    def _named(self, name: str, rev: str) -> str:
        if name in NEWEST:
            return self.head()
        if re.fullmatch(r"v[1-9]\d{0,8}", name):
            commit = self.history.named(self.head(), int(name[1:]))
            if commit is None:
                raise _unknown(rev)
            return commit
        if re.fullmatch(r"[0-9a-f]{1,3}", name):
            raise NoSuchRevision(f"no such revision: {name!r} (at least four digits of a commit are needed)")
        if not re.fullmatch(r"[0-9a-f]{4,40}", name):
            raise _unknown(rev)
        found = self.objects.commits_with_prefix(name)
        if len(found) > 1:
            raise NoSuchRevision(f"revision {name} is ambiguous: give more digits")
        if not found:
            raise _unknown(rev)
        return found[0]

    def versions(
        self, limit: int | None = None, *, id: EntryId | None = None, start: str | None = None
    ) -> Iterator[Version]:
        """Versions, newest first along the first parents, from `start` (a revision) or the newest.

        With `id`, only those that changed that entry. Read lazily: take as many as you need.
        """
        begin = self.resolve(start) if start is not None else self.objects.head()
        return islice(self.history.versions(begin or "", id), limit)

    def version(self, rev: str) -> Version:
        """What one commit says about itself."""
        return self.history.version(self.objects.commit(self.resolve(rev)))

    def commit(
        self,
        changeset: Changeset,
        message: CommitMessage,
        *,
        author: Person,
        committer: Person,
        base: Snapshot,
        recheck: Callable[[Snapshot], None] | None = None,
        merging: str | None = None,
    ) -> Version:
        """Write `changeset`, which was prepared and checked against `base`, as one commit.

        `merging` is a commit of another line, with which this one is a merge: its second parent.
        `recheck` is called under the lock, before anything is written, with what is there now; it may raise.
        Raises Conflict when they changed an entry or file that the changeset touches, Refused when it creates
        what exists, changes what does not, or changes nothing, RegistryError when it cannot be written. After
        any failure, or a kill at any point, either no commit is there or the whole one. SettingsError when it
        cannot be signed (`signer`).
        """
        if changeset == Changeset(()) and merging is None:
            raise Refused(ErrorKind.INVALID, "nothing to change")
        prepared = contents(changeset)

        def written(head: Snapshot) -> Written:
            check_conflicts(changeset, base, head)
            if recheck is not None:
                recheck(head)
            check_existence(changeset.operations, head)
            check_layout(changeset, head)
            paths = prepared.paths(head.layout)  # now: another writer may have sharded a namespace
            check_twins((path for path, content in paths.items() if content is not None), head)
            return paths

        # The signature names the parent, so it is made under the lock: 6 ms.
        sign = self.signer if message.actor == AGENT else None
        entries = [operation.entry for operation in changeset.operations if operation.entry is not None]
        entries.sort(key=lambda entry: base.layout.folder(entry.id))
        return self._append(written, message.render(changeset), author, committer, merging, sign, entries)

    def forward(self, commit: str, base: Snapshot) -> bool:
        """Make `commit`, behind which stands `base`, the newest; False when `base` is no longer that."""
        from micro_agi_kernel.registry.objects import Busy

        with WriteLock(self.path) as lock:
            for attempt in range(TRIES):
                if self.objects.head() != base.commit:
                    return False
                try:
                    return self.objects.swap_head(base.commit, commit)
                except Busy:
                    _wait(lock, attempt)
                except OSError as error:
                    raise self._unwritten(error) from error
        raise self._kept()

    def shard(self, namespace: str, message: CommitMessage, *, author: Person, committer: Person) -> Version | None:
        """Move the entries of a namespace into 64 folders, in one commit that changes no entry; see layout.py.

        None when they are there already. Raises RegistryError when something lies where a shard belongs.
        """
        if namespace in self.snapshot().layout.sharded:
            return None
        text = message.render(Changeset((), (FileChange(FORMAT_FILE, None),)))
        return self._append(lambda head: sharded(namespace, head), text, author, committer)

    def _append(
        self,
        written: Callable[[Snapshot], Written],
        text: bytes,
        author: Person,
        committer: Person,
        merging: str | None = None,
        sign: Callable[[bytes], bytes] | None = None,
        entries: Iterable[Entry] = (),
    ) -> Version:
        """One commit of what `written`, called under the lock with what is there, says is to be written."""
        _ = self.snapshot().number  # found without the lock; once the commit is there, no read may make it seem refused
        with WriteLock(self.path) as lock:
            for attempt in range(TRIES):
                head = self.snapshot()  # the branch is read here and nowhere else in this attempt
                commit = self._try_commit(head, written(head), text, author, committer, merging, sign)
                if commit is not None:
                    break
                _wait(lock, attempt)
            else:
                raise self._kept()
        # Not under the lock: another writer need not wait for rows that the index can also get later.
        self.history.sidecar.follow(commit, entries)
        return self.history.version(commit, head.number + 1)

    def _kept(self) -> RegistryError:
        held = f"{self.path}/refs/heads/main.lock"
        mend = "`micro-agi registry verify --repair` removes it"
        return RegistryError(f"another program keeps {held}: if none is running, {mend}")

    def _try_commit(
        self,
        head: Snapshot,
        written: Written,
        text: bytes,
        author: Person,
        committer: Person,
        merging: str | None,
        sign: Callable[[bytes], bytes] | None,
    ) -> CommitObject | None:
        """Write the objects on top of `head` and move the branch; None when someone was in the way."""
        from micro_agi_kernel.registry.commits import new_commit, parse_commit
        from micro_agi_kernel.registry.objects import Busy

        made: list[NewObject] = []
        tree = self.objects.new_tree(head.tree, written, made)
        if tree == head.tree and merging is None:
            with suppress(Busy, OSError):
                self.objects.write(made)  # one of them may have been lost
            raise Refused(ErrorKind.INVALID, "nothing to change")
        parents = [parent for parent in (head.commit, merging) if parent]
        commit = new_commit(tree, parents, author.line(), committer.line(), text, sign)
        made.append(commit)
        try:
            self.objects.write(made)
            moved = self.objects.swap_head(head.commit or None, commit.id)
        except Busy:
            return None
        except OSError as error:
            raise self._unwritten(error) from error
        return parse_commit(commit.id, commit.raw) if moved else None

    def _unwritten(self, error: OSError) -> RegistryError:
        return RegistryError(f"cannot write to the registry {self.path}: {error.strerror or error}")


def _wait(lock: WriteLock, attempt: int) -> None:
    """Wait for whoever is in the way, and clear away what a dead one left."""
    time.sleep(min(1.0, 0.01 * 2**attempt) * random.uniform(0.5, 1.0))
    lock.sweep()
    if attempt >= PATIENT:
        lock.break_branch_lock()


def _unknown(rev: str) -> NoSuchRevision:
    return NoSuchRevision(f"no such revision: {shorten(rev)!r} (a commit, main, main~2 or v3)")
