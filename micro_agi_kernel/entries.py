"""Entries: what the registry holds, how one is named, and how one looks as files.

An entry is `{id: "namespace:name", kind, meta, data}`. On disk it is one YAML file, and one Lua file
beside it for the source of a Lua kind; where in the repository those files lie is `registry/layout.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.values import Json, check_json, shorten
from micro_agi_kernel.yaml_files import dump_yaml, load_yaml

GENERATED_NAMESPACE = "app.generated"
"""The only namespace that an agent may write to."""

TOOLS_NAMESPACE = "app.tools"
"""The built-in tools."""

AGENT = "service:agent"
"""The actor of everything that Lua writes, whoever started it."""

INSTALLER = "service:installer"
"""The actor that brings the seed."""

MAX_PART = 64
MAX_NAME = 128
MAX_ID = 200
MAX_FILE_BYTES = 1 << 20
"""Size cap of one file of an entry: far above any tool (16,000 characters), far below a nuisance."""

_NAMESPACE_PART = re.compile(r"[a-z][a-z0-9_-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Stricter than messages.TOOL_NAME and as long: said again, since this module stands below that one.
_GENERATED_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WINDOWS_RESERVED = frozenset(
    ["con", "prn", "aux", "nul"] + [f"{device}{digit}" for device in ("com", "lpt") for digit in range(1, 10)]
)
_NOT_NAMESPACES = frozenset({"docs"})


@dataclass(frozen=True, slots=True, order=True)
class EntryId:
    """`namespace:name`; make one with `EntryId.parse`, which validates."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """The id that `text` spells. Raises EntryError with the rule that it breaks."""
        if not isinstance(text, str) or text.count(":") != 1:
            raise EntryError(f"not an entry id (namespace:name): {shorten(str(text))!r}")
        namespace, name = text.split(":")
        parts = namespace.split(".")
        if len(text) > MAX_ID or len(name) > MAX_NAME or any(len(part) > MAX_PART for part in parts):
            raise EntryError(f"entry id too long: {shorten(text)!r}")
        if not all(_NAMESPACE_PART.fullmatch(part) for part in parts):
            raise EntryError(f"bad namespace in {text!r}: each part is a lower-case letter, then a-z, 0-9, _ or -")
        if not _NAME.fullmatch(name):
            raise EntryError(f"bad name in {text!r}: a letter or _, then letters, digits, _, . or -")
        for part in (*parts, name):
            stem = part.split(".", 1)[0].lower()
            if stem in _WINDOWS_RESERVED or part.endswith(".") or part.lower().endswith((".git", ".lock")):
                raise EntryError(f"{part!r} in {text!r} is a name that a file system or Git reserves")
        if parts[0] in _NOT_NAMESPACES:
            raise EntryError(f"{parts[0]!r} is no namespace: that folder holds other files")
        return cls(namespace, name)

    @classmethod
    def generated(cls, name: str) -> EntryId:
        """The id of a tool that the agent names: stricter, since a model function name comes from it."""
        if not _GENERATED_NAME.fullmatch(name):
            raise EntryError(
                f"bad tool name {shorten(name)!r}: a lower-case letter, then a-z, 0-9 or _, 64 characters at most"
            )
        return cls.parse(f"{GENERATED_NAMESPACE}:{name}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One registry entry. `meta` and `data` are plain JSON; treat them as read-only."""

    id: EntryId
    kind: str
    meta: Mapping[str, Json] = field(default_factory=dict)
    data: Mapping[str, Json] = field(default_factory=dict)

    @property
    def type(self) -> str | None:
        """`meta.type` when it is text: "tool", "llm.model", "agent.gen1" ..."""
        value = self.meta.get("type")
        return value if isinstance(value, str) else None

    @property
    def source(self) -> str | None:
        value = self.data.get("source")
        return value if isinstance(value, str) else None

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that the entry lists; what it may really require is for the policies to say."""
        return _texts(self.data.get("modules"))

    @property
    def imports(self) -> tuple[str, ...]:
        """Libraries that the entry names, by id; whether these are ids is for `read_lua` to say."""
        named = self.data.get("imports")
        return _texts([*named.values()]) if isinstance(named, dict) else ()

    @property
    def calls(self) -> tuple[str, ...]:
        """Functions that the entry lists, by id, as with imports."""
        return _texts(self.data.get("calls"))

    @property
    def description(self) -> str:
        """What models read of it: `meta.llm_description`, or its comment."""
        return self.text("llm_description") or self.text("comment")

    @property
    def is_tool(self) -> bool:
        return self.kind.startswith("function.") and self.type == "tool"

    def text(self, key: str) -> str:
        """`meta[key]` when it is text, else an empty string."""
        value = self.meta.get(key)
        return value if isinstance(value, str) else ""

    def as_json(self) -> dict[str, Json]:
        return {"id": str(self.id), "kind": self.kind, "meta": dict(self.meta), "data": dict(self.data)}


def _texts(value: Json) -> tuple[str, ...]:
    """The texts in a list; of anything else none."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


Action = Literal["create", "update", "delete"]


def action_between(was: bool, is_there: bool) -> Action:
    """What became of something that was there before, or was not, and is there now, or is not."""
    return "update" if was and is_there else "create" if is_there else "delete"


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a changeset. `entry` is None for a delete."""

    action: Action
    id: EntryId
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A change to a file that is no entry (a documentation page, `registry.yaml`); None deletes it."""

    path: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Changeset:
    """What becomes one commit."""

    operations: tuple[Operation, ...]
    files: tuple[FileChange, ...] = ()


def source_file(id: EntryId) -> str:
    """The file beside an entry's YAML that holds its Lua source."""
    return f"{id.name}.lua"


def to_files(entry: Entry) -> dict[str, bytes]:
    """The files of an entry, by file name within its folder: `NAME.yaml`, and `NAME.lua` for a source.

    The same entry always gives the same bytes (stable key order, block style, final newline), so that
    one change is one small diff. Raises EntryError for what cannot be kept: values that are no JSON,
    text that is no Unicode, files above MAX_FILE_BYTES.
    """
    check_json(entry.as_json(), str(entry.id))
    if not entry.kind:
        raise EntryError(f"{entry.id}: kind is missing")
    data = dict(entry.data)
    files: dict[str, bytes] = {}
    if entry.source is not None and entry.kind.endswith(".lua"):
        files[source_file(entry.id)] = entry.source.encode()
        data["source"] = f"file://{source_file(entry.id)}"
    document: dict[str, Json] = {"kind": entry.kind, "meta": dict(entry.meta), "data": data}
    files[f"{entry.id.name}.yaml"] = dump_yaml({key: value for key, value in document.items() if value != {}})
    for name, content in files.items():
        if len(content) > MAX_FILE_BYTES:
            raise EntryError(f"{name} of {entry.id} is larger than {MAX_FILE_BYTES} bytes")
    return files


def from_files(id: EntryId, files: Mapping[str, bytes]) -> Entry:
    """The entry that `NAME.yaml` (and `NAME.lua`) describe; the inverse of `to_files`.

    Raises EntryError that names the file for anything a person or a remote may have got wrong.
    """
    yaml_name = f"{id.name}.yaml"
    for name, content in files.items():
        if len(content) > MAX_FILE_BYTES:
            raise EntryError(f"{name}: larger than {MAX_FILE_BYTES} bytes")
    return from_document(id, load_yaml(files[yaml_name], yaml_name), files.get(source_file(id)))[0]


def from_document(id: EntryId, document: Json, lua: bytes | None) -> tuple[Entry, bool]:
    """As `from_files`, from the parsed YAML and the file beside it; and whether that file is the entry's source."""
    yaml_name, lua_name = f"{id.name}.yaml", source_file(id)
    if not isinstance(document, dict):
        raise EntryError(f"{yaml_name}: an entry is a mapping with kind, meta and data")
    unknown = sorted(set(document) - {"kind", "meta", "data"})
    kind, meta, data = document.get("kind"), document.get("meta", {}), document.get("data", {})
    if unknown:
        raise EntryError(f"{yaml_name}: unknown key {shorten(unknown[0])!r} (an entry has kind, meta and data)")
    if not isinstance(kind, str) or not kind:
        raise EntryError(f"{yaml_name}: kind is missing")
    if not isinstance(meta, dict) or not isinstance(data, dict):
        raise EntryError(f"{yaml_name}: meta and data are mappings")
    source = data.get("source")
    if not (kind.endswith(".lua") and isinstance(source, str) and source.startswith("file://")):
        return Entry(id, kind, meta, data), False
    if source != f"file://{lua_name}":
        raise EntryError(f"{yaml_name}: source {shorten(source)!r} is not the file {lua_name} beside it")
    if lua is None:
        raise EntryError(f"{yaml_name}: its source, the file {lua_name} beside it, is missing")
    try:
        return Entry(id, kind, meta, {**data, "source": lua.decode()}), True
    except UnicodeDecodeError as error:
        raise EntryError(f"{lua_name}: not UTF-8 text") from error
