"""What a call is given, held to the entry's input schema before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.imports import import_jsonschema
from micro_agi_kernel.lua_modules._json_schema import check_schema, problems
from micro_agi_kernel.lua_modules._json_text import parse
from micro_agi_kernel.lua_modules._json_work import MAX_STEPS, BadSchema
from micro_agi_kernel.values import Json, Value, shorten

UNFIT = "the arguments do not fit the input_schema"
"""How the line begins about what does not fit."""


def check_arguments(entry: Entry, input: Value, steps: int = MAX_STEPS) -> None:
    """Raise Refused unless `input` is as the entry's `meta.input_schema` says; the line is for a model to act on.

    No input is no arguments. A member that is null is as good as none: Lua never sees it. What is an empty table in
    Lua may be an object and an array. An entry without a schema takes anything. `steps` are what a validation may cost.
    """
    schema = entry.meta.get("input_schema")
    text = schema if isinstance(schema, str) else json.dumps(schema)
    if schema is None:
        return
    try:
        given = parse(json.dumps({} if input is None else input, default=_text_of))
    except (ValueError, RecursionError) as error:
        raise Refused(ErrorKind.INVALID, f"the arguments of {entry.id}: {error}") from error
    try:
        found = schema_problems(text, given, steps)
        if found and (less := _without_nulls(given)) != given:
            left = schema_problems(text, less, steps)
            found = left and ([line for line in found if line in left] or found)  # nulls that do no harm are left out
    except BadSchema as error:
        raise Refused(ErrorKind.INVALID, f"{entry.id}: its input_schema cannot be used: {error}") from error
    if found:
        line = f"{UNFIT} of {entry.id}: {'; '.join(found)}"
        raise Refused(ErrorKind.INVALID, f"{line}{_taken(schema)}")


def schema_problems(schema: str, given: Value, steps: int = MAX_STEPS) -> list[str]:
    """What is wrong with `given` by the text of a JSON Schema, none when it fits. Raises BadSchema.

    A line begins with its place: `/tests[1]/http[1]/body`, where items count from 1 as in all that a model is told.
    It raises that too when the validation takes more than `steps`.
    """
    with _checking():
        found = problems(schema, True, given, True, steps)
    return [_numbered(line, given) for line in found]


def require_usable(schema: str) -> None:
    """Raise BadSchema unless the text is a JSON Schema that `schema_problems` can use on any input."""
    with _checking():
        check_schema(schema)


@contextmanager
def _checking() -> Iterator[None]:
    import_jsonschema()
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how Rust below jsonschema tells of a RecursionError
            raise
        raise BadSchema("references nest without an end") from error


def preload_checks() -> None:
    """Import what the first check of arguments needs. Blocks for a tenth of a second."""
    import_jsonschema()
    problems("{}", True, {}, True)


def _text_of(value: bytes) -> str:
    """A Lua string that is not UTF-8, as good as JSON can have it."""
    return value.decode(errors="replace")


def _without_nulls(value: Value) -> Value:
    match value:
        case list():
            return [_without_nulls(item) for item in value]
        case dict():
            return {key: _without_nulls(item) for key, item in value.items() if item is not None}
        case _:
            return value


def _numbered(line: str, given: Value) -> str:
    """A line on `given` whose place is a JSON Pointer, with items as `[1]`; as it is when the place was cut."""
    place, colon, rest = line.partition(": ")
    first, *parts = place.split("/")
    at = given
    for part in parts:
        if isinstance(at, list) and part.isdecimal() and int(part) < len(at):
            at, first = at[int(part)], f"{first}[{int(part) + 1}]"
        elif isinstance(at, dict) and part in at:
            at, first = at[part], f"{first}/{part}"
        else:
            return line
    return f"{first}{colon}{rest}"


def _taken(schema: Json) -> str:
    """The names that a schema for an object knows, for the end of an error line."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(properties, dict) or not properties:
        return ""
    listed = schema.get("required")
    required = listed if isinstance(listed, list) else []
    names = (f"{name} (required)" if name in required else name for name in properties)
    return f". It takes: {shorten(', '.join(names), 300)}"
