"""What is where in a tree, and the entries parsed from it; shared by all snapshots of a registry.

Everything is cached by content: a folder by the id of its tree, an entry by the ids of its files. A new
commit therefore costs only the folders and files that it changed, whichever snapshot asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from micro_agi_kernel.entries import MAX_FILE_BYTES, Entry, EntryId, from_document, source_file
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry import layout
from micro_agi_kernel.values import Json
from micro_agi_kernel.yaml_files import load_yaml

if TYPE_CHECKING:
    from micro_agi_kernel.registry.objects import Node, Objects

_FOLDERS = 65_536
_ENTRIES = 262_144


class EntryFiles(NamedTuple):
    """The files of one entry: its YAML, and its source if there is one."""

    yaml: Node
    lua: Node | None


@dataclass(frozen=True, slots=True)
class Folder:
    """A namespace's folder, sorted out."""

    entries: dict[str, EntryFiles]
    """By name."""
    folders: dict[str, str]
    """Namespaces below, by their full dotted name; the value is the id of the tree."""
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
    kind: str | None


class Index:
    """Answers about trees, by id."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.folder = lru_cache(maxsize=_FOLDERS)(self._folder)
        self._parsed = lru_cache(maxsize=_ENTRIES)(self._entry)
        self.lowered = lru_cache(maxsize=64)(self._lowered)

    def node(self, tree: str, path: str) -> Node | None:
        """The file or folder at `path`."""
        *folders, name = path.split("/")
        for part in folders:
            node = self.objects.tree(tree).get(part) if tree else None
            if node is None or not node.is_folder:
                return None
            tree = node.id
        return self.objects.tree(tree).get(name) if tree else None

    def files(self, tree: str, id: EntryId) -> tuple[Node | None, Node | None]:
        """What lies where the YAML and the source of an entry belong; reads only the folders above them."""
        folder = self.node(tree, layout.folder_of(id.namespace))
        if folder is None or not folder.is_folder:
            return None, None
        nodes = self.objects.tree(folder.id)
        return nodes.get(f"{id.name}.yaml"), nodes.get(source_file(id))

    def walk(self, tree: str) -> Iterator[tuple[str, Folder]]:
        """Every namespace folder with its dotted name, the root ("") included."""
        from micro_agi_kernel.registry.objects import MAX_FOLDERS

        todo = {"": tree} if tree else {}
        for _ in range(MAX_FOLDERS):
            if not todo:
                return
            namespace, id = todo.popitem()
            folder = self.folder(id, namespace)
            todo.update(folder.folders)
            yield namespace, folder
        raise RegistryError(f"the registry holds more than {MAX_FOLDERS} folders")

    def _lowered(self, tree: str) -> dict[str, str]:
        """The names in a tree, by what a file system that ignores case makes of them."""
        return {name.lower(): name for name in self.objects.tree(tree)}

    def _folder(self, tree: str, namespace: str) -> Folder:
        nodes = self.objects.tree(tree)
        entries: dict[str, EntryFiles] = {}
        folders: dict[str, str] = {}
        strays: dict[str, str] = {}
        for name, node in nodes.items():
            path = f"{namespace}.{name}" if namespace else name
            stem, _, suffix = name.rpartition(".")
            if not namespace and (name == layout.DOCS or name == layout.FORMAT_FILE):
                continue
            if node.is_folder and "." not in name and layout.is_namespace(path):
                folders[path] = node.id
            elif suffix == "yaml" and namespace and _is_entry(namespace, stem):
                entries[stem] = EntryFiles(node, nodes.get(f"{stem}.lua"))
            elif suffix != "lua" or f"{stem}.yaml" not in nodes or not namespace:
                strays[name] = _why_stray(name, node, namespace, suffix)
        return Folder(entries, folders, strays)

    def entry(self, id: EntryId, files: EntryFiles) -> Parsed | Broken:
        """The entry that these files hold, or why there is none; a damaged object breaks this entry only."""
        try:
            return self._parsed(id, files)
        except RegistryError as error:  # not remembered: the object may be mended
            return Broken(f"{layout.folder_of(id.namespace)}/{id.name}: {error}", None)

    def _entry(self, id: EntryId, files: EntryFiles) -> Parsed | Broken:
        """The entry that these files hold, or why there is none."""
        kind: str | None = None
        try:
            document = self._document(f"{id.name}.yaml", files.yaml)
            kind = _kind(document)
            lua = None if files.lua is None else self._content(source_file(id), files.lua)
            entry, is_source = from_document(id, document, lua)
            return Parsed(entry, lua is not None and not is_source)
        except EntryError as error:
            return Broken(f"{layout.folder_of(id.namespace)}/{error}", kind)

    def kind(self, name: str, node: Node) -> str | None:
        """The kind that a YAML file names, however broken the rest of it is."""
        try:
            return _kind(self._document(name, node))
        except EntryError:
            return None

    def _document(self, name: str, node: Node) -> Json:
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


def _is_entry(namespace: str, name: str) -> bool:
    try:
        EntryId.parse(f"{namespace}:{name}")
    except EntryError:
        return False
    return True


def _why_stray(name: str, node: Node, namespace: str, suffix: str) -> str:
    if node.is_folder:
        return "the folder's name cannot be part of a namespace"
    if suffix == "yaml" and namespace:
        return "the file's name cannot be the name of an entry"
    if suffix == "lua" and namespace:
        return "a Lua source without an entry's YAML beside it"
    return "not a file of an entry, nor of docs/"
