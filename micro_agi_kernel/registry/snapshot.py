"""A frozen view of the registry: everything that one commit holds, and nothing that came later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from micro_agi_kernel.entries import Action, Entry, EntryId, source_file
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.filters import check_filter
from micro_agi_kernel.registry.layout import FORMAT_FILE, SHARD_ABOVE, Layout, folder_of, read_format
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.registry.sidecar_query import CommitRows, Head
from micro_agi_kernel.registry.similar import Similar, similar_tools
from micro_agi_kernel.registry.tree_entries import Broken, EntryFiles, Parsed, Problem
from micro_agi_kernel.values import Json, short_commit

if TYPE_CHECKING:
    from micro_agi_kernel.registry.tree_entries import TreeEntries
    from micro_agi_kernel.registry.trees import Node
    from micro_agi_kernel.registry.versions import History

T = TypeVar("T")

_SEVERAL = 100


class Snapshot:
    """What one commit holds. `commit` is "" for a registry that has no commit yet."""

    def __init__(self, tree_entries: TreeEntries, history: History, commit: str, tree: str) -> None:
        self._tree_entries = tree_entries
        self._history = history
        self.commit = commit
        self.tree = tree

    def __repr__(self) -> str:
        return f"<Snapshot {short_commit(self.commit) or 'empty'}>"

    @property
    def layout(self) -> Layout:
        """Where things lie in it."""
        return self._tree_entries.layout(self.tree)

    @property
    def number(self) -> int:
        """The running number of the commit: 1 for the first on its first-parent line, 0 when there is none."""
        return self._history.number(self.commit) if self.commit else 0

    def get(self, id: EntryId) -> Entry | None:
        """The entry, or None. Raises EntryError when its files are there but broken.

        Reads the folders above the entry and its one or two files, whatever else the registry holds.
        """
        yaml, lua = self._tree_entries.files(self.tree, id)
        if yaml is None:
            return None
        found = self._tree_entries.entry(id, EntryFiles(yaml, lua))
        if isinstance(found, Broken):
            raise EntryError(f"{self.layout.folder(id)}/{found.reason}")
        return found.entry

    def get_if_sound(self, id: EntryId) -> Entry | None:
        """As `get`; None, too, when its files are broken."""
        with suppress(EntryError):
            return self.get(id)
        return None

    def has(self, id: EntryId) -> bool:
        """Whether the entry's YAML is there, readable or not."""
        return self._tree_entries.files(self.tree, id)[0] is not None

    def ids(self, namespace: str | None = None) -> list[EntryId]:
        """The ids of all entries (of one namespace), broken ones included, sorted."""
        if namespace is None:
            return self._ask(CommitRows.ids)
        return sorted(id for id, _ in self._each(namespace))

    def namespaces(self) -> list[str]:
        """Namespaces that hold an entry, sorted."""
        return self._ask(CommitRows.namespaces)

    def entries(self, namespace: str | None = None) -> list[Entry]:
        """All readable entries (of one namespace), sorted by id; what is broken is in `problems`.

        Those of one namespace are read from Git's objects alone, as policies must be.
        """
        if namespace is None:
            return self.find({})
        found = (self._tree_entries.entry(id, files) for id, files in self._each(namespace))
        return sorted((each.entry for each in found if isinstance(each, Parsed)), key=lambda entry: entry.id)

    def find(self, filter: Mapping[str, Json]) -> list[Entry]:
        """Readable entries that match every field of `filter`, sorted by id.

        ".kind", ".name" and ".id" compare as a whole, ".ns" too unless it ends in "*" (then the rest is a
        prefix). "meta.x" (or just "x") compares with meta: where the entry has a list, each wanted value
        must be in it. Raises Refused for another field that begins with a dot.
        """
        check_filter(filter)
        return self._ask(lambda state: state.find(filter))

    def search(self, query: str, filter: Mapping[str, Json], limit: int | None = None) -> tuple[list[Head], int]:
        """The first `limit` of the entries that match `filter` and hold the words of `query`, and how many do.

        Words are looked for in id, title, comment and description: all of them must be there, case aside, and the
        last may be the beginning of one. With words the best come first (a word in the title says most), without
        them all are sorted by id. No source is read. Raises Refused as `find` does.
        """
        check_filter(filter)
        return self._ask(lambda state: state.search(query, filter, limit))

    @property
    def is_indexed(self) -> bool:
        """Whether the index's file answers for the commit; else its rows are made in memory, each time."""
        return self._ask(lambda state: state.whole)

    def near(self, name: str) -> list[Head]:
        """Entries with a word in the id that begins as a word of `name` does; of many the newest only."""
        return self._ask(lambda state: state.near(name))

    def similar(self, entry: Entry) -> list[Similar]:
        """Other tools that may already do what `entry` is meant for: those of its code first, then of its purpose.

        That takes the same few questions of the index whatever the registry holds; of many, not all are named.
        """
        return self._ask(lambda state: similar_tools(state, entry))

    def users(self, ids: Iterable[EntryId], most: int) -> list[EntryId]:
        """The entries that import or call one of `ids`, directly or not, without these: `most` of them, nearest first.

        The index is asked, so that it takes as long as there are users, whatever else the registry holds.
        """
        return self._ask(lambda state: state.users(ids, most))

    def several(self, ids: Iterable[EntryId]) -> Iterator[Entry]:
        """The readable ones of these entries, in their order, read a few at a time."""
        rest = iter(ids)
        while some := list(islice(rest, _SEVERAL)):
            yield from self._ask(partial(CommitRows.entries, ids=some))

    def problems(self, namespace: str | None = None) -> list[Problem]:
        """Every file (of one namespace) that is no part of a readable entry, sorted by path.

        As with `entries`, those of one namespace are read from Git's objects alone.
        """
        if namespace is None:
            found = self._ask(lambda state: state.problems(self.layout))
        else:
            found = list(self._problems(namespace))
        return sorted(found, key=lambda problem: problem.path)

    def file(self, path: str) -> bytes | None:
        """The content of any file; None when there is none (or a folder, link or the like)."""
        node = self._tree_entries.node(self.tree, path)
        return self._tree_entries.objects.blob(node.id) if node is not None and node.is_file else None

    def files(self, prefix: str = "") -> list[str]:
        """Paths of the files that are no entry (pages, the format file, strays) and begin with `prefix`."""
        layout = self.layout
        paths = (path for path, node in self._walk(prefix.rpartition("/")[0]) if node.is_file)
        return sorted(path for path in paths if path.startswith(prefix) and layout.entry_id(path) is None)

    def folder(self, path: str) -> str:
        """The id of the tree at `path`: equal when nothing below it differs. "" when no folder lies there."""
        if not path:
            return self.tree
        node = self._tree_entries.node(self.tree, path)
        return node.id if node is not None and node.is_folder else ""

    def last_commit(self, id: EntryId) -> str:
        """The commit on the first-parent line that last changed an entry of this snapshot."""
        found = self._ask(lambda state: state.last_commit(id) if state.whole else None)
        return found or self._history.last_changes(self.commit, {id})[id]

    def last_commits(self) -> dict[EntryId, str]:
        """For every entry, the commit that last changed it."""
        found = self._ask(lambda state: state.last_commits() if state.whole else None)
        return self._history.last_changes(self.commit, set(self.ids())) if found is None else found

    def changes_to(self, after: Snapshot) -> tuple[tuple[tuple[Action, EntryId], ...], tuple[str, ...]]:
        """What differs in `after`: operations on entries, and paths of files that are no entry; sorted."""
        return self._history.changes(self.tree, after.tree)

    def nodes(self, id: EntryId) -> tuple[Node | None, Node | None]:
        """What lies where the YAML and the source of an entry belong; equal means that the entry is the same."""
        return self._tree_entries.files(self.tree, id)

    def is_crowded(self, namespace: str) -> bool:
        """Whether so many entries lie in one folder that the namespace should be sharded. Reads no more than it."""
        if namespace in self.layout.sharded or not (tree := self.folder(folder_of(namespace))):
            return False
        names = self._tree_entries.objects.tree(tree)
        return len(names) > SHARD_ABOVE and sum(name.endswith(".yaml") for name in names) > SHARD_ABOVE

    def is_folder(self, path: str) -> bool | None:
        """Whether a folder lies at `path`; None when nothing does."""
        node = self._tree_entries.node(self.tree, path)
        return None if node is None else node.is_folder

    def twin(self, path: str) -> str:
        """The path in the same folder that differs from `path` in case only, or `path` itself."""
        folder, slash, name = path.rpartition("/")
        tree = self.folder(folder)
        if not tree or name in self._tree_entries.objects.tree(tree):
            return path
        return f"{folder}{slash}{self._tree_entries.lowered(tree).get(name.lower(), name)}"

    def check_format_once(self, known: set[str]) -> None:
        """Raise RegistryError when this is no registry that we can read; `known` remembers what was checked."""
        node = self._tree_entries.node(self.tree, FORMAT_FILE)
        if self.commit and (node is None or not node.is_file):
            raise RegistryError(f"not a registry: branch main has no {FORMAT_FILE}")
        if node is not None and node.id not in known:
            read_format(self._tree_entries.objects.blob(node.id))
            known.add(node.id)

    def _ask(self, question: Callable[[CommitRows], T]) -> T:
        return self._history.sidecar.ask(self.commit, self.tree, question)

    def _each(self, namespace: str) -> Iterator[tuple[EntryId, EntryFiles]]:
        for folder in self._tree_entries.namespace(self.tree, namespace):
            for name, files in folder.entries.items():
                yield EntryId(folder.namespace, name), files

    def _walk(self, folder: str) -> Iterator[tuple[str, Node]]:
        """Everything below `folder` that is no folder itself, with its path."""
        base = f"{folder}/" if folder else ""
        for path, _, node in self._tree_entries.objects.changed("", self.folder(folder)):
            if node is not None:
                yield base + path, node

    def _problems(self, namespace: str) -> Iterator[Problem]:
        for folder in self._tree_entries.namespace(self.tree, namespace):
            base, where = f"{folder.path}/", folder.namespace or None
            for name, reason in folder.strays.items():
                node = self._tree_entries.node(self.tree, base + name)
                kind = self._tree_entries.kind(name, node) if node and name.endswith((".yaml", ".yml")) else None
                yield Problem(clean(base + name, MAX_PATH), reason, where, kind=kind)
            for name, files in folder.entries.items():
                id = EntryId(folder.namespace, name)
                path, found = f"{base}{name}.yaml", self._tree_entries.entry(id, files)
                if isinstance(found, Broken):
                    yield Problem(path, f"{base}{found.reason}".removeprefix(f"{path}: "), where, id, found.kind)
                elif found.unused_source:
                    yield Problem(f"{base}{source_file(id)}", "the entry beside it has another source", where)
