"""The Git objects and the branch of a registry, on top of dulwich's object store; loaded with the first `open`.

Only plumbing: dulwich's porcelain and work tree read the branch twice in a commit and lose concurrent
updates, and its commit graph is broken, so neither is ever called. Commits and trees are parsed here,
leniently, since a remote or a person may have written them.
"""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

from dulwich.errors import ChecksumMismatch, FileFormatException
from dulwich.file import FileLocked
from dulwich.object_store import DiskObjectStore
from dulwich.objects import (
    ZERO_SHA,
    Blob,
    Commit,
    ObjectID,
    ShaFile,
    Tree,
    parse_tree,
    serialize_tree,
    sorted_tree_items,
)
from dulwich.pack import PackFileDisappeared
from dulwich.refs import DiskRefsContainer, Ref

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry.message import clean

BRANCH = "refs/heads/main"
FILE_MODE = 0o100644
TREE_MODE = 0o040000

PACK_FROM = 100
"""New objects from which on a changeset is written as one pack: 1,000 loose files cost 256-370 ms, a pack 222."""
MAX_OBJECT = 64 << 20
"""Bytes of one object; a few bytes of zlib can claim to be gigabytes."""

MAX_FOLDERS = 200_000
"""Folders that one walk visits: a few trees that hold one another many times over can claim any number."""
MAX_DEPTH = 250

_TRIES = 3
_ID = "[0-9a-f]{40}"
_BRANCH = Ref(BRANCH.encode())
_CACHED = 8_192
_IDENTITY = re.compile(r"(.*?) ?<([^<>]*)> (-?\d{1,12}) ([+-])(\d\d)(\d\d)")
_TYPES = {Commit.type_num: b"commit", Tree.type_num: b"tree", Blob.type_num: b"blob"}
_DAMAGED = (zlib.error, FileFormatException, ChecksumMismatch, ValueError, EOFError, AssertionError)


class Node(NamedTuple):
    """One line of a tree: a file or a folder."""

    mode: int
    id: str

    @property
    def is_file(self) -> bool:
        return self.mode & 0o170000 == 0o100000

    @property
    def is_folder(self) -> bool:
        return self.mode & 0o170000 == 0o040000


Nodes = Mapping[str, Node]
"""A tree by name. Names that are no UTF-8 keep their bytes as surrogates."""


@dataclass(frozen=True, slots=True)
class CommitObject:
    """A commit as it is stored."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: datetime
    message: bytes


class Busy(Exception):
    """Another process holds or moved a file that is needed now; the whole step is to be tried again."""


class Objects:
    """Read and write objects by hexadecimal id; read and swap the branch."""

    def __init__(self, path: Path) -> None:
        self._store = DiskObjectStore(path / "objects", fsync_object_files=True, loose_object_size_limit=MAX_OBJECT)
        self._refs = DiskRefsContainer(path)
        self.tree = lru_cache(maxsize=_CACHED)(self._tree)
        self.commit = lru_cache(maxsize=_CACHED)(self._commit)

    def close(self) -> None:
        self._store.close()

    def head(self) -> str | None:
        """The commit at the tip of the branch, read once; None when there is none yet."""
        try:
            # A repack moves the branch from its own file into packed-refs: if it is in neither, look again.
            found = self._refs.read_ref(_BRANCH) or self._refs.read_ref(_BRANCH)
        except (OSError, *_DAMAGED) as error:
            raise RegistryError(f"cannot read {BRANCH} of the registry: {_reason(error)}") from error
        if found is None:
            return None
        if not re.fullmatch(_ID.encode(), found):
            raise RegistryError(f"{BRANCH} of the registry does not name a commit: restore it with git update-ref")
        return found.decode()

    def other_branches(self) -> bool:
        """Whether there are refs at all; asked when the branch is missing."""
        return any(self._refs.subkeys(Ref(b"refs/")))

    def lost_history(self) -> bool:
        """Whether a commit with a parent lies here; asked when the branch is missing. Reads every object."""
        for oid in self._store:
            with suppress(RegistryError):  # a damaged one says nothing
                found, raw = self._read(oid.decode(), None)
                if found == Commit.type_num and b"\nparent " in raw.partition(b"\n\n")[0]:
                    return True
        return False

    def swap_head(self, old: str | None, new: str) -> bool:
        """Move the branch from `old` to `new`; False when it is no longer at `old`. Raises Busy."""
        try:
            # To dulwich None means "whatever it is"; the zero id means "there is none".
            return self._refs.set_if_equals(_BRANCH, _oid(old) if old else ZERO_SHA, _oid(new))
        except (FileLocked, FileNotFoundError) as error:
            raise Busy from error

    def _commit(self, id: str) -> CommitObject:
        return _parse_commit(id, self._read(id, Commit.type_num)[1])

    def blob(self, id: str) -> bytes:
        return self._read(id, Blob.type_num)[1]

    def _tree(self, id: str) -> Nodes:
        _, raw = self._read(id, Tree.type_num)
        try:
            return {
                name.decode(errors="surrogateescape"): Node(mode, oid.decode())
                for name, mode, oid in parse_tree(raw, 20)
            }
        except _DAMAGED as error:
            raise _damaged(id, _reason(error)) from error

    def _read(self, id: str, type_num: int | None) -> tuple[int, bytes]:
        """Type and content of an object; its id is checked, since dulwich reads a file cut short without a word."""
        for _ in range(_TRIES):
            try:
                found, raw = self._store.get_raw(_oid(id))
            except (KeyError, FileNotFoundError, PackFileDisappeared):
                continue  # a repack beside us may just have moved it from one place to another
            except (OSError, *_DAMAGED) as error:
                raise _damaged(id, _reason(error)) from error
            header = b"%s %d\0" % (_TYPES.get(found, b"?"), len(raw))
            if hashlib.sha1(header + raw, usedforsecurity=False).hexdigest() != id:
                raise _damaged(id, "its content has another id")
            if type_num is not None and found != type_num:
                raise RegistryError(f"object {id} of the registry is not what its place demands")
            return found, raw
        raise RegistryError(f"object {id} of the registry is missing: run `micro-agi registry verify`")

    def commits_with_prefix(self, prefix: str) -> list[str]:
        """Ids of all commits that begin with `prefix`, at least two hexadecimal digits."""
        for _ in range(_TRIES):
            try:
                found = [oid.decode() for oid in self._store.iter_prefix(prefix.encode())]
                return [
                    id for id in found if re.fullmatch(_ID, id) and self._store.get_raw(_oid(id))[0] == Commit.type_num
                ]
            except (KeyError, FileNotFoundError, PackFileDisappeared):
                self._forget_packs()
            except (OSError, *_DAMAGED) as error:
                raise _damaged(prefix, _reason(error)) from error
        return []

    def _forget_packs(self) -> None:
        """Make dulwich drop the packs that a repack removed: looking anything up does, listing does not."""
        with suppress(KeyError):
            self._store.get_raw(ObjectID(ZERO_SHA))

    def changed(self, before: str, after: str) -> Iterator[tuple[str, Node | None, Node | None]]:
        """The files that differ between two trees ("" is the empty one), as path, node before, node after."""
        todo = [("", before, after)]
        for step in count():
            if not todo:
                return
            folder, old_id, new_id = todo.pop()
            if step > MAX_FOLDERS or folder.count("/") > MAX_DEPTH:
                raise RegistryError(
                    f"the registry holds more than {MAX_FOLDERS} folders, or some deeper than {MAX_DEPTH}"
                )
            old, new = (self.tree(id) if id else {} for id in (old_id, new_id))
            for name in {name for name, _ in old.items() ^ new.items()}:
                a, b = old.get(name), new.get(name)
                sub_a, sub_b = (node.id if node and node.is_folder else "" for node in (a, b))
                if sub_a or sub_b:
                    todo.append((f"{folder}{name}/", sub_a, sub_b))
                a, b = (None if node is None or node.is_folder else node for node in (a, b))
                if a != b:
                    yield folder + name, a, b

    def check(self, id: str) -> list[str]:
        """The ids that an object refers to. Raises RegistryError unless it is there and well-formed."""
        type_num, raw = self._read(id, None)
        try:
            ShaFile.from_raw_string(type_num, raw).check()
        except _DAMAGED as error:
            raise _damaged(id, _reason(error)) from error
        if type_num == Commit.type_num:
            commit = self.commit(id)
            return [commit.tree, *commit.parents]
        return (
            [node.id for node in self.tree(id).values() if node.is_file or node.is_folder]
            if type_num == Tree.type_num
            else []
        )

    def write(self, objects: Sequence[ShaFile]) -> None:
        """Store the objects durably: loose up to PACK_FROM, else as one pack. Raises Busy."""
        try:
            if len(objects) > PACK_FROM:
                self._store.add_objects([(o, None) for o in objects])
            else:
                for o in objects:
                    self._store.add_object(o)
        except (FileLocked, FileNotFoundError, PackFileDisappeared) as error:
            raise Busy from error

    def new_tree(self, tree: str, changes: Mapping[str, bytes | None], made: list[ShaFile]) -> str:
        """The id of `tree` with some paths replaced (None: removed); only folders on those paths are rebuilt.

        What has to be written is appended to `made`. Folders left empty disappear; "" is the empty tree.
        """
        nodes = dict(self.tree(tree)) if tree else {}
        folders: dict[str, dict[str, bytes | None]] = {}
        for path, content in changes.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = content
            elif content is None:
                nodes.pop(name, None)
            else:
                made.append(blob := Blob.from_string(content))
                nodes[name] = Node(FILE_MODE, blob.id.decode())
        for name, inside in folders.items():
            old = nodes.pop(name, None)
            if new := self.new_tree(old.id if old and old.is_folder else "", inside, made):
                nodes[name] = Node(TREE_MODE, new)
        if not nodes:
            return ""
        lines = {n.encode(errors="surrogateescape"): (node.mode, _oid(node.id)) for n, node in nodes.items()}
        raw = b"".join(serialize_tree(sorted_tree_items(lines, False)))
        built = ShaFile.from_raw_string(Tree.type_num, raw)
        made.append(built)
        return built.id.decode()


def new_commit(tree: str, parents: Sequence[str], author: str, committer: str, message: bytes) -> Commit:
    """A commit of now. `author` and `committer` are `Name <email>`."""
    now = time.time()
    offset = datetime.fromtimestamp(now).astimezone().utcoffset() or timedelta()
    commit = Commit()
    commit.tree = _oid(tree)
    commit.parents = [_oid(parent) for parent in parents]
    commit.author, commit.committer = author.encode(), committer.encode()
    commit.author_time = commit.commit_time = int(now)
    commit.author_timezone = commit.commit_timezone = int(offset.total_seconds())
    commit.message = message
    return commit


def _parse_commit(id: str, raw: bytes) -> CommitObject:
    head, _, message = raw.partition(b"\n\n")
    tree, parents, who = "", [], None
    for line in head.decode(errors="replace").split("\n"):
        key, _, value = line.partition(" ")
        if key == "tree":
            tree = value
        elif key == "parent":
            parents.append(value)
        elif key == "author":
            who = _IDENTITY.fullmatch(value)
    if not all(re.fullmatch(_ID, oid) for oid in (tree, *parents)):
        raise RegistryError(f"commit {id} of the registry is malformed")
    if who is None:
        return CommitObject(id, tree, tuple(parents), "unknown", "", datetime.fromtimestamp(0, UTC), message)
    name, email, seconds, sign, hours, minutes = who.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    try:
        when = datetime.fromtimestamp(int(seconds), timezone(offset))
    except (ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(0, UTC)
    return CommitObject(id, tree, tuple(parents), clean(name) or "unknown", clean(email), when, message)


def _oid(id: str) -> ObjectID:
    return ObjectID(id.encode())


def _reason(error: BaseException) -> str:
    return clean(str(error)) or type(error).__name__


def _damaged(id: str, why: str) -> RegistryError:
    return RegistryError(f"object {id} of the registry is damaged ({why}): run `micro-agi registry verify`")
