"""Git's trees in memory: folders of names, read when they are asked for, and the most recent ones kept."""

from __future__ import annotations

from binascii import unhexlify
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import NamedTuple

from dulwich.objects import parse_tree

FILE_MODE = 0o100644
TREE_MODE = 0o040000
_KIND = 0o170000

KEPT_LINES = 30_000
"""Lines of trees in memory, each about 300 bytes: by number of trees alone, large folders would take gigabytes."""


class Node(NamedTuple):
    """One line of a tree: a file or a folder."""

    mode: int
    id: str

    @property
    def is_file(self) -> bool:
        return self.mode & _KIND == 0o100000

    @property
    def is_as_we_write_it(self) -> bool:
        """An ordinary file that is not executable."""
        return self.mode == FILE_MODE

    @property
    def is_folder(self) -> bool:
        return self.mode & _KIND == 0o040000


Lines = dict[bytes, tuple[int, bytes]]
"""Mode and hexadecimal id by name, as Git has them."""


class Tree(Mapping[str, Node]):
    """A tree by name. Names that are no UTF-8 keep their bytes as surrogates.

    A line becomes a node when it is looked at: of a folder with thousands, few are.
    """

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def __getitem__(self, name: str) -> Node:
        mode, id = self.lines[encoded(name)]
        return Node(mode, id.decode())

    def __iter__(self) -> Iterator[str]:
        return map(decoded, self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def differing(self, other: Tree) -> Iterator[tuple[str, Node | None, Node | None]]:
        """The names of which the two say something else, with what both say."""
        for name in {name for name, _ in self.lines.items() ^ other.lines.items()}:
            yield decoded(name), self.get(decoded(name)), other.get(decoded(name))

    def stored(self) -> bytes:
        """The tree as it is stored: in Git's order, in which a folder's name ends in a slash."""
        lines = sorted(
            (name + b"/" if mode & _KIND == TREE_MODE else name, b"%o %b\0%b" % (mode, name, unhexlify(id)))
            for name, (mode, id) in self.lines.items()
        )
        return b"".join([line for _, line in lines])


EMPTY = Tree({})


def read_tree(raw: bytes) -> Tree:
    """A tree as it is stored. Raises what dulwich does for one that is damaged."""
    return Tree({name: (mode, id) for name, mode, id in parse_tree(raw, 20)})


def encoded(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


def decoded(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


class RecentTrees:
    """The trees read or made last, at most KEPT_LINES lines of them together; for several threads."""

    def __init__(self) -> None:
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self._lines = 0
        self._guard = Lock()

    def get(self, id: str) -> Tree | None:
        with self._guard:
            if (tree := self._trees.get(id)) is not None:
                self._trees.move_to_end(id)
            return tree

    def keep(self, id: str, tree: Tree) -> None:
        with self._guard:
            if id not in self._trees:
                self._trees[id] = tree
                self._lines += len(tree) + 1
            while self._lines > KEPT_LINES and len(self._trees) > 1:
                self._lines -= len(self._trees.popitem(last=False)[1]) + 1
