"""Where things lie in the repository: which path an entry has, and which entry a path belongs to.

registry.yaml                 the format
app/tools/create_tool.yaml    the entry app.tools:create_tool: namespace dots are folders, the name is the stem
app/tools/create_tool.lua     its source
docs/lua/core/time.md         pages; `docs` is no namespace
"""

from __future__ import annotations

from micro_agi_kernel.entries import EntryId, source_file
from micro_agi_kernel.errors import EntryError, RegistryError
from micro_agi_kernel.registry.message import MAX_PATH, clean
from micro_agi_kernel.values import shorten
from micro_agi_kernel.yaml_files import load_yaml

FORMAT_FILE = "registry.yaml"
DOCS = "docs"
FORMAT_CONTENT = b"""\
# A registry of Micro AGI. Namespace dots are folders, the name is the file stem,
# the Lua source of an entry lies beside it; docs/ holds pages and is no namespace.
format: 1
layout: folders
"""
"""What `registry.yaml` holds; the only format there is so far."""

_FORBIDDEN = frozenset('\\:*?"<>|')
_RESERVED = frozenset({".git", "git~1", ".gitmodules", ".gitattributes"})


def folder_of(namespace: str) -> str:
    return namespace.replace(".", "/")


def entry_path(id: EntryId) -> str:
    return f"{folder_of(id.namespace)}/{id.name}.yaml"


def source_path(id: EntryId) -> str:
    return f"{folder_of(id.namespace)}/{source_file(id)}"


def entry_id(path: str) -> EntryId | None:
    """The entry that a path belongs to (as its YAML or as its source), or None for any other file."""
    folder, slash, file = path.rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    if not slash or not dot or suffix not in ("yaml", "lua") or "." in folder:
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
    an entry's path is refused, so that no entry is ever written past the checks that entries get.
    """
    shown = repr(shorten(path))
    if entry_id(path) is not None:
        raise EntryError(f"{shown} is the path of an entry: change it as an entry")
    if clean(path, MAX_PATH) != path or not _FORBIDDEN.isdisjoint(path):
        raise EntryError(f"bad file path {shown}: too long, or a character that not every file system can hold")
    for part in path.split("/"):
        if part in ("", ".", "..") or part.strip(" ") != part or part.endswith(".") or part.lower() in _RESERVED:
            raise EntryError(f"bad file path {shown}: {part!r} is a name that a file system or Git reserves")


def check_format(content: bytes) -> None:
    """Raise RegistryError unless `registry.yaml` names the format that this version reads and writes.

    Unknown keys are refused too: a rule that says where files lie, overlooked, would hide entries.
    """
    try:
        document = load_yaml(content, FORMAT_FILE)
    except EntryError as error:
        raise RegistryError(f"{error}; restore {FORMAT_FILE} from an earlier commit") from error
    if document != {"format": 1, "layout": "folders"}:
        raise RegistryError(f"{FORMAT_FILE} names a format that this version cannot read: upgrade micro-agi-kernel")
