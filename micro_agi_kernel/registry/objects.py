"""The Git objects and the branch of a registry, on top of dulwich's object store; loaded with the first `open`.

Only plumbing: dulwich's porcelain and work tree read the branch twice in a commit and lose concurrent
updates, and its commit graph is broken, so neither is ever called. Commits and trees are parsed here,
leniently, since a remote or a person may have written them.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from pathlib import Path

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
)
from dulwich.pack import PackFileDisappeared
from dulwich.refs import DiskRefsContainer, Ref

from micro_agi_kernel.errors import RegistryError
from micro_agi_kernel.registry import trees
from micro_agi_kernel.registry.commits import CommitObject, parse_commit
from micro_agi_kernel.registry.layout import BRANCH, ID
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.storing import NewObject, new_object, store, sync_folders
from micro_agi_kernel.registry.trees import FILE_MODE, TREE_MODE, Node, RecentTrees, encoded, read_tree

MAX_OBJECT = 64 << 20
"""Bytes of one object; a few bytes of zlib can claim to be gigabytes."""

MAX_FOLDERS = 200_000
"""Folders that one walk visits: a few trees that hold one another many times over can claim any number."""
MAX_DEPTH = 250
_TRIES = 3
_BRANCH = Ref(BRANCH.encode())
_CACHED = 8_192
_DAMAGED = (
    zlib.error,
    struct.error,
    IndexError,
    FileFormatException,
    ChecksumMismatch,
    ValueError,
    EOFError,
    AssertionError,
)


Written = Mapping[str, bytes | Node | None]
"""What a commit writes, by path: the content of a file, a node that is there already, or None, which removes."""


class Busy(Exception):
    """Another process holds or moved a file that is needed now; the whole step is to be tried again."""


class Objects:
    """Read and write objects by hexadecimal id; read and swap the branch."""

    def __init__(self, path: Path, pushed: Path | None = None) -> None:
        """`pushed` is a folder of objects that are read too: those of a push, while its hook runs."""
        self._store = DiskObjectStore(
            path / "objects",
            fsync_object_files=True,
            loose_object_size_limit=MAX_OBJECT,
            alternates=[pushed] if pushed else None,
        )
        self._refs = DiskRefsContainer(path)
        self._folder = path
        self._trees = RecentTrees()
        self.commit = lru_cache(maxsize=_CACHED)(self._commit)

    def close(self) -> None:
        with suppress(BufferError):  # the error that ends its use still looks into a damaged pack
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
        if not re.fullmatch(ID.encode(), found):
            raise RegistryError(
                f"{BRANCH} of the registry does not name a commit: run `micro-agi registry verify --repair`"
            )
        return found.decode()

    def other_branches(self) -> bool:
        """Whether there are refs at all; asked when the branch is missing."""
        return any(self._refs.subkeys(Ref(b"refs/")))

    def lost_history(self) -> bool:
        """Whether a commit with a parent lies here; asked when the branch is missing. Reads every object."""
        return any(commit.parents for commit in self.commits())

    def commits(self) -> Iterator[CommitObject]:
        """Every commit that lies here, whether a branch leads to it or not. Reads every object."""
        for oid in self._store:
            with suppress(RegistryError):  # a damaged one says nothing
                id = oid.decode()
                found, raw = self._read(id, None)
                if found == Commit.type_num:
                    yield parse_commit(id, raw)

    def swap_head(self, old: str | None, new: str) -> bool:
        """Move the branch from `old` to `new`; False when it is no longer at `old`.

        Raises Busy, or OSError when it could not be moved.
        """
        try:
            # To dulwich None means "whatever it is"; the zero id means "there is none".
            moved = self._refs.set_if_equals(_BRANCH, _oid(old) if old else ZERO_SHA, _oid(new))
        except (FileLocked, FileNotFoundError) as error:
            raise Busy from error
        if moved:
            with suppress(OSError):  # it has moved, whatever the disk says of a power cut: nobody shall write it again
                sync_folders([self._folder / "refs" / "heads"])
        return moved

    def _commit(self, id: str) -> CommitObject:
        return parse_commit(id, self._read(id, Commit.type_num)[1])

    def stored(self, id: str) -> NewObject:
        """An object of any type, as it is stored."""
        type_num, raw = self._read(id, None)
        return NewObject(type_num, raw, id)

    def blob(self, id: str) -> bytes:
        return self._read(id, Blob.type_num)[1]

    def tree(self, id: str) -> trees.Tree:
        """The tree of that id; "" is the empty one."""
        if not id:
            return trees.EMPTY
        tree = self._trees.get(id)
        if tree is None:
            _, raw = self._read(id, Tree.type_num)
            try:
                tree = read_tree(raw)
            except _DAMAGED as error:
                raise _damaged(id, _reason(error)) from error
            self._trees.keep(id, tree)
        return tree

    def _read(self, id: str, type_num: int | None) -> tuple[int, bytes]:
        """Type and content of an object; its id is checked, since dulwich reads a file cut short without a word."""
        for _ in range(_TRIES):
            try:
                found, raw = self._store.get_raw(_oid(id))
            except (KeyError, FileNotFoundError, PackFileDisappeared):
                continue  # a repack beside us may just have moved it from one place to another
            except OSError as error:
                raise _unreadable(id, error) from error
            except _DAMAGED as error:
                raise _damaged(id, _reason(error)) from error
            if new_object(found, raw).id != id:
                raise _damaged(id, "its content has another id")
            if type_num is not None and found != type_num:
                raise RegistryError(f"object {id} of the registry is not what its place demands")
            return found, raw
        raise RegistryError(f"object {id} of the registry is missing: run `micro-agi registry verify --repair`")

    def commits_with_prefix(self, prefix: str) -> list[str]:
        """Ids of all commits that begin with `prefix`, at least two hexadecimal digits."""
        for _ in range(_TRIES):
            try:
                found = [oid.decode() for oid in self._store.iter_prefix(prefix.encode())]
                return [
                    id for id in found if re.fullmatch(ID, id) and self._store.get_raw(_oid(id))[0] == Commit.type_num
                ]
            except (KeyError, FileNotFoundError, PackFileDisappeared):
                self._forget_packs()
            except OSError as error:
                raise _unreadable(prefix, error) from error
            except _DAMAGED as error:
                raise _damaged(prefix, _reason(error)) from error
        return []

    def _forget_packs(self) -> None:
        """Make dulwich drop the packs that a repack removed: looking anything up does, listing does not."""
        with suppress(KeyError):
            self._store.get_raw(ObjectID(ZERO_SHA))

    def changed(self, before: str, after: str, skip: str = "") -> Iterator[tuple[str, Node | None, Node | None]]:
        """The files that differ between two trees ("" is the empty one), as path, node before, node after.

        `skip` names a folder of the root that is left out.
        """
        todo = [("", before, after)]
        for step in count():
            if not todo:
                return
            folder, old_id, new_id = todo.pop()
            if old_id == new_id:
                continue
            if step > MAX_FOLDERS or folder.count("/") > MAX_DEPTH:
                raise RegistryError(
                    f"the registry holds more than {MAX_FOLDERS} folders, or some deeper than {MAX_DEPTH}"
                )
            for name, a, b in self.tree(old_id).differing(self.tree(new_id)):
                if not folder and name == skip:
                    continue
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

    def write(self, new: Sequence[NewObject]) -> None:
        """Store the objects durably. Raises Busy, or OSError."""
        try:
            store(self._folder / "objects", new)
        except FileNotFoundError as error:  # a repack beside us removes folders that it emptied
            raise Busy from error

    def new_tree(self, tree: str, changes: Written, made: list[NewObject]) -> str:
        """The id of `tree` with some paths replaced; only folders on those paths are rebuilt.

        What has to be written is appended to `made`. Folders left empty disappear; "" is the empty tree.
        """
        lines = dict(self.tree(tree).lines)
        folders: dict[str, dict[str, bytes | Node | None]] = {}
        for path, content in changes.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = content
            elif content is None:
                lines.pop(encoded(name), None)
            elif isinstance(content, Node):
                lines[encoded(name)] = content.mode, content.id.encode()
            else:
                made.append(blob := new_object(Blob.type_num, content))
                lines[encoded(name)] = FILE_MODE, blob.id.encode()
        for name, inside in folders.items():
            old = self.tree(tree).get(name)
            lines.pop(encoded(name), None)
            if new := self.new_tree(old.id if old and old.is_folder else "", inside, made):
                lines[encoded(name)] = TREE_MODE, new.encode()
        if not lines:
            return ""
        whole = trees.Tree(lines)
        made.append(built := new_object(Tree.type_num, whole.stored()))
        self._trees.keep(built.id, whole)  # the next commit begins with it
        return built.id


def _oid(id: str) -> ObjectID:
    return ObjectID(id.encode())


def _reason(error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) else str(error)
    return clean(said or "") or type(error).__name__


def _unreadable(id: str, error: OSError) -> RegistryError:
    return RegistryError(f"cannot read object {id} of the registry: {_reason(error)}")


def _damaged(id: str, why: str) -> RegistryError:
    return RegistryError(f"object {id} of the registry is damaged ({why}): run `micro-agi registry verify --repair`")
