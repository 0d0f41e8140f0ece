"""What is where in a tree, and the entries parsed from it; shared by all snapshots of a registry.

Everything is cached by content: a folder by the id of its tree, an entry by the ids of its files. A new
commit therefore costs only the folders and files that it changed, whichever snapshot asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from micro_agi_kernel.entries import MAX_FILE_BYTES, Entry, EntryId, from_document, source_file
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.layout import DOCS, FLAT, FORMAT_FILE, Layout, folder_of, is_namespace, read_format
from micro_agi_kernel.values import Json
from micro_agi_kernel.yaml_files import load_yaml

if TYPE_CHECKING:
    from micro_agi_kernel.registry.objects import Objects
    from micro_agi_kernel.registry.trees import Node

_FOLDERS = 32
_ENTRIES = 2_048


class EntryFiles(NamedTuple):
    """The files of one entry: its YAML, and its source if there is one."""

    yaml: Node
    lua: Node | None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a namespace, or the root, sorted out."""

    path: str
    """From the root, without a slash at the end; "" is the root."""
    namespace: str
    """To which its entries belong; "" for the root."""
    entries: dict[str, EntryFiles]
    """By name."""
    folders: dict[str, str]
    """Folders below that may hold entries (namespaces and shards), by path; the value is the id of the tree."""
    strays: dict[str, str]
    """File name → why it is no part of an entry."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An entry, and whether a Lua file lies beside it that is not its source."""

    entry: Entry
    unused_source: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry that cannot be read; `kind` is what its YAML says, if that much can be read."""

    reason: str
    """Begins with the name of the file, without its folder."""
    kind: str | None


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


class TreeEntries:
    """Answers about trees, by id."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.folder = lru_cache(maxsize=_FOLDERS)(self._folder)
        self._parsed = lru_cache(maxsize=_ENTRIES)(self._entry)
        self.lowered = lru_cache(maxsize=64)(self._lowered)
        self._format = lru_cache(maxsize=64)(self._read_format)

    def node(self, tree: str, path: str) -> Node | None:
        """The file or folder at `path`."""
        *folders, name = path.split("/")
        for part in folders:
            node = self.objects.tree(tree).get(part)
            if node is None or not node.is_folder:
                return None
            tree = node.id
        return self.objects.tree(tree).get(name)

    def files(self, tree: str, id: EntryId) -> tuple[Node | None, Node | None]:
        """What lies where the YAML and the source of an entry belong; reads only the folders above them."""
        folder = self.node(tree, self.layout(tree).folder(id))
        if folder is None or not folder.is_folder:
            return None, None
        nodes = self.objects.tree(folder.id)
        return nodes.get(f"{id.name}.yaml"), nodes.get(source_file(id))

    def layout(self, tree: str) -> Layout:
        """Where things lie in a tree. A `registry.yaml` that cannot be read says nothing here: opening refuses it."""
        node = self.node(tree, FORMAT_FILE)
        return self._format(node.id) if node is not None and node.is_file else FLAT

    def _read_format(self, blob: str) -> Layout:
        content = self.objects.blob(blob)
        try:
            return read_format(content)
        except RegistryError:
            return FLAT

    def namespace(self, tree: str, namespace: str) -> Iterator[Folder]:
        """The folders that hold the entries of one namespace."""
        layout = self.layout(tree)
        if is_namespace(namespace):
            for path in {folder_of(namespace): None, **dict.fromkeys(layout.folders(namespace))}:
                node = self.node(tree, path)
                if node is not None and node.is_folder:
                    yield self.folder(node.id, path, layout)

    def walk(self, tree: str) -> Iterator[Folder]:
        """Every folder that may hold entries, and the root."""
        from micro_agi_kernel.registry.objects import MAX_FOLDERS

        layout = self.layout(tree)
        todo = {"": tree} if tree else {}
        for _ in range(MAX_FOLDERS):
            if not todo:
                return
            path, id = todo.popitem()
            folder = self.folder(id, path, layout)
            todo.update(folder.folders)
            yield folder
        raise RegistryError(f"the registry holds more than {MAX_FOLDERS} folders")

    def _lowered(self, tree: str) -> dict[str, str]:
        """The names in a tree, by what a file system that ignores case makes of them."""
        return {name.lower(): name for name in self.objects.tree(tree)}

    def _folder(self, tree: str, folder: str, layout: Layout) -> Folder:
        nodes = self.objects.tree(tree)
        entries: dict[str, EntryFiles] = {}
        folders: dict[str, str] = {}
        strays: dict[str, str] = {}
        for name, node in nodes.items():
            path = f"{folder}/{name}" if folder else name
            stem, _, suffix = name.rpartition(".")
            if path in (DOCS, FORMAT_FILE):
                continue
            if "/" in name:  # only a hostile tree has such names; they would pass for paths
                strays[name] = "a name that no checkout can have"
            elif node.is_folder and layout.namespace(path) is not None:
                folders[path] = node.id
            elif suffix == "yaml" and layout.entry_id(path) is not None:
                entries[stem] = EntryFiles(node, nodes.get(f"{stem}.lua"))
            elif suffix != "lua" or f"{stem}.yaml" not in nodes or not folder:
                reason = layout.why_stray(path, node.is_folder)
                if reason or not (node.is_file or node.is_folder):
                    strays[name] = reason or "not an ordinary file"
        return Folder(folder, (folder and layout.namespace(folder)) or "", entries, folders, strays)

    def entry(self, id: EntryId, files: EntryFiles) -> Parsed | Broken:
        """The entry that these files hold, or why there is none; a damaged object breaks this entry only."""
        try:
            return self._parsed(id, files)
        except RegistryError as error:  # not remembered: the object may be mended
            return Broken(f"{id.name}.yaml: {error}", None)

    def _entry(self, id: EntryId, files: EntryFiles) -> Parsed | Broken:
        return self.read(id, files, self.document)

    def read(self, id: EntryId, files: EntryFiles, parse: Callable[[str, Node], Json]) -> Parsed | Broken:
        """The entry that these files hold, or why there is none; `parse` is `document`, or knows what that gives.

        Raises RegistryError when an object is damaged.
        """
        kind: str | None = None
        try:
            document = parse(f"{id.name}.yaml", files.yaml)
            kind = _kind(document)
            lua = None if files.lua is None else self._content(source_file(id), files.lua)
            entry, is_source = from_document(id, document, lua)
            return Parsed(entry, lua is not None and not is_source)
        except EntryError as error:
            return Broken(str(error), kind)

    def kind(self, name: str, node: Node) -> str | None:
        """The kind that a YAML file names, however broken the rest of it is."""
        try:
            return _kind(self.document(name, node))
        except EntryError:
            return None

    def document(self, name: str, node: Node) -> Json:
        """What a YAML file says. Raises EntryError, and RegistryError when the object is damaged."""
        return load_yaml(self._content(name, node), name)

    def _content(self, name: str, node: Node) -> bytes:
        if not node.is_file:
            raise EntryError(f"{name}: not an ordinary file")
        content = self.objects.blob(node.id)
        if len(content) > MAX_FILE_BYTES:
            raise EntryError(f"{name}: larger than {MAX_FILE_BYTES} bytes")
        return content


def _kind(document: Json) -> str | None:
    kind = document.get("kind") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else None
