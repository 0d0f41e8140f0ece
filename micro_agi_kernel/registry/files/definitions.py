"""Definition files: entries as people write them by hand, several to a file, as the reference's `_index.yaml` does.

    version: "1.0"
    namespace: app.greetings
    entries:
      - name: greet
        kind: function.lua
        meta: {comment: Greets a person}
        source: file://greet.lua
        modules: [time]

What stands beside name, kind and meta is the entry's data, unless there is a `data` that holds it. Text that is
`file://PATH` stands for the content of that file; ours must lie in the folder of the definition file. A `meta` of the
file is for every entry, and one entry may stand in a file without a list. A file with an `id` holds that one entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.registry.files.folders import Reader, files_below
from micro_agi_kernel.values import Json, shorten
from micro_agi_kernel.yaml_files import load_yaml

INDEX_FILE = "_index.yaml"

MAX_DEFINITIONS = 4 << 20
"""Bytes of one definition file: a hundred times the largest of the reference's own modules."""

_FILE = "file://"
_OF_THE_FILE = frozenset({"version", "namespace", "requirements", "entries"})


def read_tree(folder: Path) -> list[Entry]:
    """The entries of every `_index.yaml` in a project's folder and below. Raises EntryError that names the file."""
    reader = Reader()
    files = [folder / path for path in files_below(folder) if Path(path).name == INDEX_FILE]
    if not files:
        raise EntryError(f"{folder}: holds neither an {INDEX_FILE} nor a registry.yaml, as an exported registry does")
    return [entry for file in files for entry in _read(file, reader)]


def read_definitions(file: Path) -> list[Entry]:
    """The entries of one definition file. Raises EntryError that names the file."""
    return _read(file, Reader())


def _read(file: Path, reader: Reader) -> list[Entry]:
    content = reader.read(file, file.parent)
    if len(content) > MAX_DEFINITIONS:
        raise EntryError(f"{file}: larger than {MAX_DEFINITIONS} bytes")
    document = load_yaml(content, str(file))
    if not isinstance(document, dict) or not ("id" in document or "namespace" in document):
        raise EntryError(f"{file}: an index file has namespace and entries, the file of one entry has id and kind")
    entries = []
    for id, fields, meta in _definitions(document, file):
        where = f"{file}: {id}"
        kind = fields.pop("kind", None)
        if not isinstance(kind, str) or not kind:
            raise EntryError(f"{where}: kind is missing")
        inlined = {key: _inline(value, file, reader) for key, value in (("meta", meta), ("data", _data(fields, where)))}
        entries.append(Entry(id, kind, inlined["meta"], inlined["data"]))
    return entries


def _definitions(document: dict[str, Json], file: Path) -> Iterator[tuple[EntryId, dict[str, Json], dict[str, Json]]]:
    """Each entry of a file: its id, its fields without name and meta, its meta with that of the file."""
    shared = _mapping(document.pop("meta", None), f"{file}: meta")
    if "id" in document:
        # `commit` is what `registry show --json` adds.
        fields = {key: value for key, value in document.items() if key not in ("id", "commit")}
        yield _id(document["id"], str(file)), fields, shared
        return
    namespace, listed = document["namespace"], document.get("entries")
    if "name" in document and not listed:
        fields = {key: value for key, value in document.items() if key not in _OF_THE_FILE}
        yield _id(f"{namespace}:{fields.pop('name')}", str(file)), fields, shared
        return
    if not isinstance(listed, list):
        raise EntryError(f"{file}: entries must be a list")
    for number, item in enumerate(listed, 1):
        where = f"{file}: entry {number}"
        fields = dict(_mapping(item, where))
        own = _mapping(fields.pop("meta", None), f"{where}: meta")
        yield _id(f"{namespace}:{fields.pop('name', '')}", where), fields, {**shared, **own}


def _data(fields: Mapping[str, Json], where: str) -> dict[str, Json]:
    if "data" not in fields:
        return dict(fields)
    if beside := sorted(fields.keys() - {"data"}):
        raise EntryError(f"{where}: {shorten(beside[0])!r} stands beside data, where it would be lost: put it in there")
    return _mapping(fields["data"], f"{where}: data")


def _inline(value: dict[str, Json], file: Path, reader: Reader) -> dict[str, Json]:
    """`value` with the content of a file in place of each `file://PATH`."""

    def replaced(value: Json) -> Json:
        match value:
            case str() if value.startswith(_FILE):
                named = file.parent / value.removeprefix(_FILE)
                try:
                    return reader.read(named, file.parent).decode()
                except UnicodeDecodeError as error:
                    raise EntryError(f"{named}: not UTF-8 text") from error
            case list():
                return [replaced(item) for item in value]
            case dict():
                return {key: replaced(item) for key, item in value.items()}
            case _:
                return value

    return {key: replaced(item) for key, item in value.items()}


def _id(text: Json, where: str) -> EntryId:
    try:
        return EntryId.parse(str(text))
    except EntryError as error:
        raise EntryError(f"{where}: {error}") from error


def _mapping(value: Json, where: str) -> dict[str, Json]:
    if not isinstance(value, dict | None):
        raise EntryError(f"{where} must be a mapping")
    return value or {}
