"""Where the references of a JSON Schema lead: to places in the schema itself and to the metaschemas, nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

from micro_agi_kernel.lua_modules._json_work import BadSchema, work
from micro_agi_kernel.values import shorten

_HEADROOM = 40
"""Calls that a look-up nests, with some to spare."""

_INDEX = re.compile("0|[1-9][0-9]*")
"""Of an item, in a JSON pointer."""


def within(validator: Any, subschema: Any) -> Any:
    """`validator` for a part of its schema, which may have an `$id` of its own."""
    work.spend(1)
    resource = resource_of(validator, subschema)
    return validator.evolve(schema=subschema, _resolver=validator._resolver.in_subresource(resource))


def resource_of(validator: Any, schema: Any) -> Any:
    """`schema` as something that has an identifier, parts, and anchors, which differ by the draft."""
    return _specification(validator.ID_OF(validator.META_SCHEMA)).create_resource(schema)


@cache
def _specification(draft: str) -> Any:
    """How the identifiers of a draft are found, also in what no one has checked: a pointer leads through anything."""
    import attrs
    from referencing.jsonschema import specification_with

    found: Any = specification_with(draft)

    def id_of(contents: Any) -> Any:
        name = "id" if draft.startswith("http://json-schema.org/draft-04/") else "$id"
        is_named = isinstance(contents, dict) and isinstance(contents.get(name), str)
        return found.id_of(contents) if is_named else None

    def parts(contents: Any) -> Iterator[Any]:
        for part in found.subresources_of(contents):
            # The library gives what stands in `dependencies` for schemas when the first of it is one.
            if isinstance(part, bool):
                yield part
            elif isinstance(part, dict):
                # It would read a part that has a `$schema` by another draft.
                yield {key: part[key] for key in part if key != "$schema"} if "$schema" in part else part

    return attrs.evolve(found, id_of=id_of, subresources_of=parts)


def look_up(validator: Any, reference: str, *, recursive: bool = False) -> Any:
    """What a `$ref`, or a `$recursiveRef`, leads to. Raises BadSchema: other documents are not fetched.

    Raises RecursionError before the library gets into the depth where one would be raised below Rust, which panics.
    """
    _need(_HEADROOM)
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import lookup_recursive_ref

    # The documents that the references before it led through: one of them may have the anchor.
    scope = 0 if reference.startswith("#/") else sum(1 for _ in validator._resolver.dynamic_scope())
    work.spend(4 + len(reference) // 4 + scope * (8 if recursive else 1))
    try:
        if recursive:
            return lookup_recursive_ref(validator._resolver)
        found = validator._resolver.lookup(reference)
        document, _, pointer = reference.partition("#")
        if pointer.startswith("/"):
            _check_indexes(validator._resolver.lookup(f"{document}#").contents, pointer)
    # The others come from a pointer into a text or a number, an index that is none, and a broken URI.
    except (Unresolvable, TypeError, ValueError) as error:
        problem = "leads to nothing in the schema: define it there, in $defs; other documents are not fetched"
        raise BadSchema(f"schema: $ref {shorten(reference)!r} {problem}") from error
    return found


def check_references(validator: Any) -> None:
    """Raise BadSchema if a `$ref` anywhere in the schema leads nowhere; who validates sees only where it comes by."""
    waiting = [(validator.schema, validator._resolver)]
    while waiting:
        schema, resolver = waiting.pop()
        work.spend(1)
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if isinstance(reference, str):
            look_up(validator.evolve(schema=schema, _resolver=resolver), reference)
        for part in resource_of(validator, schema).subresources():
            waiting.append((part.contents, resolver.in_subresource(part)))


def _need(calls: int) -> None:
    """Raise RecursionError unless so many calls may still be nested."""
    if calls:
        _need(calls - 1)


def _check_indexes(contents: Any, pointer: str) -> None:
    """Raise ValueError for what RFC 6901 does not take for an index; the library takes what `int` reads, -1 too."""
    for segment in unquote(pointer[1:]).split("/"):
        if not isinstance(contents, list):
            contents = contents[segment.replace("~1", "/").replace("~0", "~")]
        elif _INDEX.fullmatch(segment):
            contents = contents[int(segment)]
        else:
            raise ValueError(segment)
