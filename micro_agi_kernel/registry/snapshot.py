"""A frozen view of the registry: everything that one commit holds, and nothing that came later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import Action, Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused, RegistryError
from micro_agi_kernel.registry import layout
from micro_agi_kernel.registry.index import Broken, EntryFiles, Parsed
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.values import Json, shorten

if TYPE_CHECKING:
    from micro_agi_kernel.registry.index import Folder, Index
    from micro_agi_kernel.registry.objects import Node
    from micro_agi_kernel.registry.versions import History


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is no part of a readable entry: a stray one, or a broken entry."""

    path: str
    reason: str
    namespace: str | None
    """The namespace in whose folder it lies; None outside of every namespace."""
    id: EntryId | None = None
    """The entry that is broken; None for a stray file."""
    kind: str | None = None
    """The kind that the YAML names, where that much can be read."""


class Snapshot:
    """What one commit holds. `commit` is "" for a registry that has no commit yet."""

    def __init__(self, index: Index, history: History, commit: str, tree: str) -> None:
        self._index = index
        self._history = history
        self.commit = commit
        self.tree = tree

    def __repr__(self) -> str:
        return f"<Snapshot {self.commit[:12] or 'empty'}>"

    @property
    def number(self) -> int:
        """The running number of the commit: 1 for the first on its first-parent line, 0 when there is none."""
        return self._history.number(self.commit) if self.commit else 0

    def get(self, id: EntryId) -> Entry | None:
        """The entry, or None. Raises EntryError when its files are there but broken.

        Reads the folders above the entry and its one or two files, whatever else the registry holds.
        """
        yaml, lua = self._index.files(self.tree, id)
        if yaml is None:
            return None
        found = self._index.entry(id, EntryFiles(yaml, lua))
        if isinstance(found, Broken):
            raise EntryError(found.reason)
        return found.entry

    def has(self, id: EntryId) -> bool:
        """Whether the entry's YAML is there, readable or not."""
        return self._index.files(self.tree, id)[0] is not None

    def ids(self) -> list[EntryId]:
        """The ids of all entries, broken ones included, sorted."""
        return sorted(id for id, _ in self._each())

    def namespaces(self) -> list[str]:
        """Namespaces that hold an entry, sorted."""
        return sorted(namespace for namespace, folder in self._index.walk(self.tree) if folder.entries)

    def entries(self, namespace: str | None = None) -> list[Entry]:
        """All readable entries (of one namespace), sorted by id; what is broken is in `problems`."""
        found = (self._index.entry(id, files) for id, files in self._each(namespace))
        return sorted((each.entry for each in found if isinstance(each, Parsed)), key=lambda entry: entry.id)

    def find(self, filter: Mapping[str, Json]) -> list[Entry]:
        """Readable entries that match every field of `filter`, sorted by id.

        ".kind", ".name" and ".id" compare as a whole, ".ns" too unless it ends in "*" (then the rest is a
        prefix). "meta.x" (or just "x") compares with meta: where the entry has a list, each wanted value
        must be in it. Raises Refused for another field that begins with a dot.
        """
        for key in filter:
            if not key or key[0] in "~*^$" or (key.startswith(".") and key not in (".kind", ".name", ".id", ".ns")):
                raise Refused(
                    ErrorKind.INVALID, f"unknown filter {shorten(key)!r}: use .kind, .ns, .name, .id or meta.NAME"
                )
        wanted = filter.get(".ns")
        exact = wanted if isinstance(wanted, str) and not wanted.endswith("*") else None
        return [e for e in self.entries(exact) if all(_matches(e, key, value) for key, value in filter.items())]

    def problems(self, namespace: str | None = None) -> list[Problem]:
        """Every file (of one namespace) that is no part of a readable entry, sorted by path. Reads its entries once."""
        return sorted(self._problems(namespace), key=lambda problem: problem.path)

    def file(self, path: str) -> bytes | None:
        """The content of any file; None when there is none (or a folder, link or the like)."""
        node = self._index.node(self.tree, path)
        return self._index.objects.blob(node.id) if node is not None and node.is_file else None

    def files(self, prefix: str = "") -> list[str]:
        """Paths of the files that are no entry (pages, the format file, strays) and begin with `prefix`."""
        paths = (path for path, node in self._walk(prefix.rpartition("/")[0]) if node.is_file)
        return sorted(path for path in paths if path.startswith(prefix) and layout.entry_id(path) is None)

    def folder(self, path: str) -> str:
        """The id of the tree at `path`: equal when nothing below it differs. "" when no folder lies there."""
        if not path:
            return self.tree
        node = self._index.node(self.tree, path)
        return node.id if node is not None and node.is_folder else ""

    def last_commit(self, id: EntryId) -> str:
        """The commit on the first-parent line that last changed an entry of this snapshot."""
        return self.last_commits()[id]

    def last_commits(self) -> dict[EntryId, str]:
        """For every entry, the commit that last changed it: one walk back through the history."""
        return self._history.last_changes(self.commit, set(self.ids()))

    def changes_to(self, after: Snapshot) -> tuple[tuple[tuple[Action, EntryId], ...], tuple[str, ...]]:
        """What differs in `after`: operations on entries, and paths of files that are no entry; sorted."""
        return self._history.changes(self.tree, after.tree)

    def nodes(self, id: EntryId) -> tuple[Node | None, Node | None]:
        """What lies where the YAML and the source of an entry belong; equal means that the entry is the same."""
        return self._index.files(self.tree, id)

    def is_folder(self, path: str) -> bool | None:
        """Whether a folder lies at `path`; None when nothing does."""
        node = self._index.node(self.tree, path)
        return None if node is None else node.is_folder

    def twin(self, path: str) -> str:
        """The path in the same folder that differs from `path` in case only, or `path` itself."""
        folder, slash, name = path.rpartition("/")
        tree = self.folder(folder)
        if not tree or name in self._index.objects.tree(tree):
            return path
        return f"{folder}{slash}{self._index.lowered(tree).get(name.lower(), name)}"

    def check_format_once(self, known: set[str]) -> None:
        """Raise RegistryError when this is no registry that we can read; `known` remembers what was checked."""
        node = self._index.node(self.tree, layout.FORMAT_FILE)
        if self.commit and (node is None or not node.is_file):
            raise RegistryError(f"not a registry: branch main has no {layout.FORMAT_FILE}")
        if node is not None and node.id not in known:
            layout.check_format(self._index.objects.blob(node.id))
            known.add(node.id)

    def _each(self, namespace: str | None = None) -> Iterator[tuple[EntryId, EntryFiles]]:
        for found, folder in self._folders(namespace):
            for name, files in folder.entries.items():
                yield EntryId(found, name), files

    def _folders(self, namespace: str | None) -> Iterator[tuple[str, Folder]]:
        """The folder of `namespace`, or those of all, each with its dotted name."""
        if namespace is None:
            yield from self._index.walk(self.tree)
        elif layout.is_namespace(namespace) and (tree := self.folder(layout.folder_of(namespace))):
            yield namespace, self._index.folder(tree, namespace)

    def _walk(self, folder: str) -> Iterator[tuple[str, Node]]:
        """Everything below `folder` that is no folder itself, with its path."""
        base = f"{folder}/" if folder else ""
        for path, _, node in self._index.objects.changed("", self.folder(folder)):
            if node is not None:
                yield base + path, node

    def _problems(self, wanted: str | None) -> Iterator[Problem]:
        for namespace, folder in self._folders(wanted):
            base = f"{layout.folder_of(namespace)}/" if namespace else ""
            where = namespace or None
            for name, reason in folder.strays.items():
                node = self._index.node(self.tree, base + name)
                kind = self._index.kind(name, node) if node and name.endswith((".yaml", ".yml")) else None
                yield Problem(clean(base + name), reason, where, kind=kind)
            for name, files in folder.entries.items():
                id = EntryId(namespace, name)
                found = self._index.entry(id, files)
                if isinstance(found, Broken):
                    path = layout.entry_path(id)
                    yield Problem(path, found.reason.removeprefix(f"{path}: "), where, id, found.kind)
                elif found.unused_source:
                    yield Problem(layout.source_path(id), "the entry beside it has another source", where)
        for path, node in self._walk(layout.DOCS) if wanted is None else ():
            if not node.is_file:
                yield Problem(clean(path), "not an ordinary file", None)


def _matches(entry: Entry, key: str, wanted: Json) -> bool:
    match key:
        case ".kind":
            return entry.kind == wanted
        case ".name":
            return entry.id.name == wanted
        case ".id":
            return str(entry.id) == wanted
        case ".ns":
            if isinstance(wanted, str) and wanted.endswith("*"):
                return entry.id.namespace.startswith(wanted[:-1])
            return entry.id.namespace == wanted
    key = key.removeprefix("meta.")
    if key not in entry.meta:
        return False
    actual = entry.meta[key]
    if not isinstance(actual, list):
        return _same(actual, wanted)
    return all(any(_same(item, one) for item in actual) for one in (wanted if isinstance(wanted, list) else [wanted]))


def _same(a: Json, b: Json) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b
