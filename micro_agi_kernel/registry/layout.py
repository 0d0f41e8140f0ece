"""Where things lie in the repository: which path an entry has, and which entry a path belongs to.

registry.yaml                     the format, and which namespaces are sharded
app/tools/create_tool.yaml        the entry app.tools:create_tool: namespace dots are folders, the name is the stem
app/tools/create_tool.lua         its source
app/generated/_07/new_tool.yaml   the entry app.generated:new_tool, where app.generated is sharded
docs/lua/core/time.md             pages; `docs` is no namespace
README.md                         somebody's own: any file, in any folder, that is no YAML and no Lua

A commit costs what the folders on its paths hold, so a namespace of thousands is sharded over 64 folders.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from micro_agi_kernel.entries import EntryId, source_file
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.values import Json, shorten
from micro_agi_kernel.yaml_files import dump_yaml, load_yaml

BRANCH = "refs/heads/main"
ID = "[0-9a-f]{40}"
"""The id of an object, as a pattern."""
FORMAT_FILE = "registry.yaml"
DOCS = "docs"
FORMAT = 1
"""Only a higher number is a newer version's; anything else that cannot be read is damage."""
FORMAT_CONTENT = b"""\
# A registry of Micro AGI. Namespace dots are folders, the name is the file stem,
# the Lua source of an entry lies beside it; docs/ holds pages and is no namespace.
format: 1
layout: folders
"""
"""What `registry.yaml` holds as long as nothing is sharded."""

CROWDED = 500
"""Entries in one folder from which on commits get noticeably slower."""
SHARD_ABOVE = 2_000
"""Entries in one folder above which its namespace is sharded: by then a commit takes several times as long."""
SHARDS = 64

_SHARD = re.compile(r"_([0-5][0-9]|6[0-3])")
_FORBIDDEN = frozenset('\\:*?"<>|')
_RESERVED = frozenset({".git", "git~1", ".gitmodules", ".gitattributes"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Which path has which entry in one tree; `read_format` makes it from the tree's registry.yaml."""

    sharded: frozenset[str] = frozenset()
    """Namespaces whose entries lie in 64 folders below their own."""

    def folder(self, id: EntryId) -> str:
        """The folder of the entry's files."""
        folder = folder_of(id.namespace)
        return f"{folder}/{_shard(id.name)}" if id.namespace in self.sharded else folder

    def entry_path(self, id: EntryId) -> str:
        return f"{self.folder(id)}/{id.name}.yaml"

    def source_path(self, id: EntryId) -> str:
        return f"{self.folder(id)}/{source_file(id)}"

    def entry_id(self, path: str) -> EntryId | None:
        """The entry that a path belongs to (as its YAML or as its source), or None for any other file."""
        id = _spelled(path)
        return id if id is not None and self.folder(id) == path.rpartition("/")[0] else None

    def folders(self, namespace: str) -> list[str]:
        """Every folder that may hold entries of the namespace."""
        folder = folder_of(namespace)
        return [f"{folder}/_{n:02}" for n in range(SHARDS)] if namespace in self.sharded else [folder]

    def namespace(self, folder: str) -> str | None:
        """The namespace whose entries or shards a folder holds; None for a folder that may hold neither."""
        parent, _, last = folder.rpartition("/")
        if _SHARD.fullmatch(last) and (namespace := parent.replace("/", ".")) in self.sharded:
            return namespace
        dotted = folder.replace("/", ".")
        return dotted if "." not in folder and is_namespace(dotted) else None

    def why_stray(self, path: str, is_folder: bool = False) -> str:
        """The reason why what lies at `path`, of which `entry_id` knows no entry, should not lie there.

        "" for a page, and for an ordinary file of somebody's own (a README, a picture): no problem, and no entry.
        """
        folder, _, name = path.rpartition("/")
        namespace = self.namespace(folder) if folder else None
        if is_folder:
            if _SHARD.fullmatch(name) and namespace:
                return f"a shard's folder, but {FORMAT_FILE} does not list {namespace} as sharded"
            return "the folder's name cannot be part of a namespace"
        if (id := _spelled(path)) is not None and self.folder(id) != folder:
            return f"the namespace is sharded: the entry belongs into {self.folder(id)}"
        if path.startswith(f"{DOCS}/") or not name.endswith((".yaml", ".yml", ".lua")):
            return _why_bad(path)
        if name.endswith(".yaml") and namespace:
            return "the file's name cannot be the name of an entry"
        if name.endswith(".lua") and namespace:
            return "a Lua source without an entry's YAML beside it"
        return "not a file of an entry, nor of docs/"


FLAT = Layout()
"""Nothing is sharded: every registry begins so, and so the seed lies."""


def folder_of(namespace: str) -> str:
    return namespace.replace(".", "/")


def _shard(name: str) -> str:
    """The shard of an entry. Names that differ in case only share one, where the check for twins meets them."""
    return f"_{zlib.crc32(name.lower().encode()) % SHARDS:02}"


def _spelled(path: str) -> EntryId | None:
    """The entry that the parts of a path spell, in whichever shard, or in none, it lies."""
    folder, _, file = path.rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    parent, slash, last = folder.rpartition("/")
    if slash and _SHARD.fullmatch(last):
        folder = parent
    if not folder or not dot or suffix not in ("yaml", "lua") or "." in folder:
        return None
    try:
        return EntryId.parse(f"{folder.replace('/', '.')}:{stem}")
    except EntryError:
        return None


def is_namespace(text: str) -> bool:
    """Whether a folder with these (dotted) parts is a namespace."""
    try:
        EntryId.parse(f"{text}:x")
    except EntryError:
        return False
    return True


def check_file_path(path: str) -> None:
    """Raise EntryError unless `path` is one that a file which is no entry may have.

    It has to be good for every checkout, so nothing that Git, Windows or a shell reads in its own way; and
    an entry's path is refused (sharded or not), so that no entry is ever written past the checks that entries get.
    """
    if _spelled(path) is not None:
        raise EntryError(f"{shorten(path)!r} is the path of an entry: change it as an entry")
    if reason := _why_bad(path):
        raise EntryError(reason)


def _why_bad(path: str) -> str:
    """Why not every checkout can have a file at `path`, or nothing."""
    bad = f"bad file path {shorten(path)!r}: "
    if clean(path, MAX_PATH) != path or not _FORBIDDEN.isdisjoint(path):
        return bad + "too long, or a character that not every file system can hold"
    for part in path.split("/"):
        if part in ("", ".", "..") or part.strip(" ") != part or part.endswith(".") or part.lower() in _RESERVED:
            return bad + f"{part!r} is a name that a file system or Git reserves"
    return ""


def read_format(content: bytes) -> Layout:
    """The layout that `registry.yaml` names. Raises RegistryError for one that this version cannot read and write.

    Unknown keys are refused too: a rule that says where files lie, overlooked, would hide entries.
    """
    mend = "put it back as an earlier commit of that registry has it"
    try:
        document = load_yaml(content, FORMAT_FILE)
    except EntryError as error:
        raise RegistryError(f"{error}; {mend}") from error
    number = document.get("format") if isinstance(document, dict) else None
    if type(number) is int and number > FORMAT:
        raise RegistryError(f"{FORMAT_FILE} names a format that this version cannot read: upgrade micro-agi-kernel")
    sharded = document.get("sharded") if isinstance(document, dict) else None
    names = [name for name in sharded if isinstance(name, str)] if isinstance(sharded, list) else []
    if document != _format(names) or names != sorted(set(names)) or not all(map(is_namespace, names)):
        rule = f"`format: {FORMAT}`, `layout: folders` and at most `sharded`, a sorted list of namespaces"
        raise RegistryError(f"{FORMAT_FILE}: must hold {rule}; {mend}")
    return Layout(frozenset(names))


def format_content(layout: Layout) -> bytes:
    """What `registry.yaml` holds for a layout."""
    comment = FORMAT_CONTENT[: FORMAT_CONTENT.index(b"format:")]
    return comment + dump_yaml(_format(sorted(layout.sharded)))


def _format(sharded: list[str]) -> dict[str, Json]:
    rule: dict[str, Json] = {"format": FORMAT, "layout": "folders"}
    return {**rule, "sharded": list(sharded)} if sharded else rule
