"""What `find` takes: the filter's fields, which entries match them, and the tokens by which an index finds those."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.values import Json, shorten

FIELDS = (".kind", ".name", ".id", ".ns")
"""The fields that are no meta fields."""

_TOKEN_TEXT = 256
"""Characters of a text by which it is looked up; the rest is compared with what was found."""


def check_filter(filter: Mapping[str, Json]) -> None:
    """Raise Refused for a field that begins with a dot and is none of FIELDS, and for the reference's operators."""
    for key in filter:
        if not key or key[0] in "~*^$" or (key.startswith(".") and key not in FIELDS):
            raise Refused(
                ErrorKind.INVALID, f"unknown filter {shorten(key)!r}: use .kind, .ns, .name, .id or meta.NAME"
            )


def meta_fields(filter: Mapping[str, Json]) -> dict[str, Json]:
    """The fields of `filter` that compare with meta, by their name there."""
    return {key.removeprefix("meta."): wanted for key, wanted in filter.items() if key not in FIELDS}


def matches(id: EntryId, kind: str, meta: Mapping[str, Json], filter: Mapping[str, Json]) -> bool:
    """Whether an entry has all that `filter` wants; `Snapshot.find` says what that is."""
    own = {".kind": kind, ".name": id.name, ".id": str(id)}
    for key, wanted in filter.items():
        if key == ".ns":
            if isinstance(wanted, str) and wanted.endswith("*"):
                found = id.namespace.startswith(wanted[:-1])
            else:
                found = id.namespace == wanted
        elif key in own:
            found = own[key] == wanted
        else:
            found = _has(meta, key.removeprefix("meta."), wanted)
        if not found:
            return False
    return True


def _has(meta: Mapping[str, Json], key: str, wanted: Json) -> bool:
    if key not in meta:
        return False
    actual = meta[key]
    if not isinstance(actual, list):
        return _same(actual, wanted)
    return all(any(_same(item, one) for item in actual) for one in (wanted if isinstance(wanted, list) else [wanted]))


def _same(a: Json, b: Json) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b


def tokens(meta: Mapping[str, Json]) -> set[int]:
    """A number for each value of each field, and for each item of a list.

    An entry that matches a filter has all of `wanted_tokens`; the reverse has to be checked.
    """
    return {_token(key, one) for key, value in meta.items() for one in _values(value)}


def wanted_tokens(filter: Mapping[str, Json]) -> set[int]:
    return {_token(key, one) for key, value in meta_fields(filter).items() for one in _values(value)}


def _values(value: Json) -> Iterator[Json]:
    """The value, and if it is a list its items."""
    yield value
    if isinstance(value, list):
        yield from value


def _token(key: str, value: Json) -> int:
    """64 bits of a hash, signed as SQLite has its integers. What `_same` takes for equal has the same."""
    match value:
        case bool() | None:
            text = str(value)
        case int() | float():
            try:
                text = f"={float(value) + 0.0}"  # 1 is 1.0, and -0.0 is 0
            except OverflowError:
                text = "=large"
        case str():
            text = f'"{value[:_TOKEN_TEXT]}'
        case list():
            text = "["
        case dict():
            text = "{"
    raw = f"{key}\0{text}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big", signed=True)
