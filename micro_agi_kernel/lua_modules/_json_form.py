"""Whether a JSON value has the form of a JSON Schema: each keyword with a value of the kind that it takes.

The metaschemas say the same, but to ask them takes a thousand steps for each part of a schema. What a reference leads
to is asked too, since it need not stand where schemas stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from micro_agi_kernel.lua_modules._json_work import BadSchema, EmptyTable, Work
from micro_agi_kernel.values import shorten

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_uri(value: Any) -> bool:
    try:
        return isinstance(value, str) and urlsplit(value) is not None
    except ValueError:
        return False


def _is_texts(value: Any) -> bool:
    return isinstance(value, (list, EmptyTable)) and all(isinstance(item, str) for item in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, EmptyTable))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == value // 1


def _is_step(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_type(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return isinstance(names, list) and bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _is_texts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_texts, value.values()))


_VALUES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("$id", "id"), (_is_uri, "a URI")),
    **dict.fromkeys(("$anchor", "$dynamicAnchor", "$schema"), (_is_text, "a string")),
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "pattern"), (_is_text, "a string")),
    **dict.fromkeys(("minimum", "maximum"), (_is_number, "a number")),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), (_is_number, "a number")),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), (_is_count, "a whole number from 0")),
    **dict.fromkeys(("minProperties", "maxProperties"), (_is_count, "a whole number from 0")),
    **dict.fromkeys(("minContains", "maxContains"), (_is_count, "a whole number from 0")),
    "multipleOf": (_is_step, "a number above 0"),
    "uniqueItems": (_is_flag, "a boolean"),
    "$recursiveAnchor": (_is_flag, "a boolean"),
    "enum": (_is_list, "a list"),
    "required": (_is_texts, "a list of strings"),
    "dependentRequired": (_is_texts_by_name, "an object of lists of strings"),
    "type": (_is_type, f"one or several of {', '.join(sorted(_TYPES))}"),
}

_VALUES_OF_DRAFT_4 = {**_VALUES, **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), (_is_flag, "a boolean"))}

_SCHEMA = frozenset(
    {
        *("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
        *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS_BY_NAME = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})


def check_form(schema: Any, work: Work, draft: int, where: str = "") -> None:
    """Raise BadSchema unless `schema` and all its parts have the form of one; also for a pattern that is none.

    What has passed is in `work.known`. `draft` is 4, 6, 7, 2019 or 2020, `where` the path to the schema.
    """
    if id(schema) in work.known:
        return
    if isinstance(schema, bool):
        if draft == 4 and not where.endswith(("/additionalItems", "/additionalProperties")):
            raise _bad(where, "a schema is an object in draft 4")
        return
    if not isinstance(schema, dict):
        raise _bad(where, "a schema is an object or a boolean")
    work.known[id(schema)] = True
    work.spend(1 + len(schema))
    values = _VALUES_OF_DRAFT_4 if draft == 4 else _VALUES
    for keyword, value in schema.items():
        place = f"{where}/{keyword}"
        if keyword in values:
            fits, kind = values[keyword]
            if not fits(value):
                raise _bad(
                    place, f"it must be {kind}" + (f", not {shorten(value)!r}" if isinstance(value, str) else "")
                )
        if keyword == "items" and isinstance(value, list) and draft == 2020:
            raise _bad(place, "use prefixItems, or name draft 7 in $schema")
        for name, part in _parts(keyword, value, place):
            check_form(part, work, draft, f"{place}{name}")
    for pattern in schema.get("patternProperties", ()):
        work.compiled(pattern)
    if "pattern" in schema:
        work.compiled(schema["pattern"])


def _parts(keyword: str, value: Any, place: str) -> list[tuple[str, Any]]:
    """The schemas in the value of a keyword, with the ends of their paths."""
    if keyword in _SCHEMA and not (keyword == "items" and isinstance(value, list)):
        return [("", value)]
    if keyword in _SCHEMAS or keyword == "items":
        if not _is_list(value):
            raise _bad(place, "it must be a list of schemas")
        return [(f"/{index}", item) for index, item in enumerate(value)]
    if keyword in _SCHEMAS_BY_NAME or keyword == "dependencies":
        if not isinstance(value, dict):
            raise _bad(place, "it must be an object of schemas")
        names = keyword == "dependencies"  # whose values may be lists of names
        return [(f"/{name}", item) for name, item in value.items() if not (names and _is_texts(item))]
    return []


def _bad(where: str, problem: str) -> BadSchema:
    return BadSchema(f"schema: at {shorten(where, 100) or 'its root'}: {problem}")
