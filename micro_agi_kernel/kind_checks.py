"""What an entry of a kind, or a model, must be, beside a valid entry: one function for each that is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from micro_agi_kernel.arguments import require_usable, schema_problems
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.imports import import_jsonschema
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LIBRARY_KIND, read_lua
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.messages import NOT_AT_TOP
from micro_agi_kernel.models.catalog import MODEL_TYPE, read_spec
from micro_agi_kernel.policy import check_policy
from micro_agi_kernel.policy.policies import EXPRESSION_KIND, POLICY_KIND
from micro_agi_kernel.tool_tests import place_of_test, read_tests
from micro_agi_kernel.values import MAX_DEPTH, Json, Value, check_json, shorten

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

MAX_SOURCE = 16_000
"""Characters of a tool's source, as in the reference."""

MAX_DESCRIPTION = 2_000
MAX_SCHEMA = 16_000
MAX_SCHEMA_DEPTH = 32

_OF_EACH_TYPE: tuple[Value, ...] = (None, True, 0, "", [], {})
_STEPS = 1_000
"""That the validation of one of these may take: a schema that lets it pass is through much sooner."""

_LONE_RETURN = re.compile(r"\r(?!\n)")

_SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'

_MERGED = ("properties", "$defs")
"""What the files of the metaschema hold, beside what is the same in each."""


def _check_function(entry: Entry) -> None:
    _check_lua(entry)
    for number, test in enumerate(read_tests(entry), 1):
        if test.kind == "schema" and (test.wanted == [] or _fits_all(test.wanted)):
            told = 'say what it must be, such as {"type": "string"}'
            any_fits = f"any result fits {shorten(json.dumps(test.wanted))}"
            raise EntryError(f"{place_of_test(number)}: schema: {any_fits}: {told}")
    if entry.type != "tool":
        return
    description = entry.description
    if not description.strip() or len(description) > MAX_DESCRIPTION:
        most = f"1 to {MAX_DESCRIPTION} characters are required, not {len(description.strip())}"
        raise EntryError(f"description: {most}: say in one sentence what the tool does")
    _check_schema(entry.meta.get("input_schema"))


def _fits_all(schema: Json) -> bool:
    """Whether a schema lets everything pass, as far as one value of each type can tell."""
    try:
        return not any(schema_problems(json.dumps(schema), value, _STEPS) for value in _OF_EACH_TYPE)
    except BadSchema:  # its test says why
        return False


def _check_lua(entry: Entry) -> None:
    source = read_lua(entry).source
    if len(source) > MAX_SOURCE:
        what = f"{len(source)} characters, at most {MAX_SOURCE} are allowed"
        raise EntryError(f"source: {what}: leave out what is not needed")
    if source.startswith("\x1b"):
        raise EntryError("source: Lua text is required, not compiled code")
    if alone := _LONE_RETURN.search(source):  # Lua goes on in a new line there, and a diff shows it in the old one
        line = source.count("\n", 0, alone.start()) + 1
        raise EntryError(f"source: line ends are \\n: in line {line} stands a \\r without one")


def _check_library(entry: Entry) -> None:
    _check_lua(entry)
    if entry.calls:
        raise EntryError("calls: only a function has them: a library calls what the function that imports it lists")


def _check_schema(schema: Json) -> None:
    """Raise EntryError unless `schema` is a JSON Schema (2020-12) for an object, small enough to be sent."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise EntryError('input_schema: a JSON Schema with "type": "object" is required, such as ' + _SCHEMA)
    if wrong := sorted(NOT_AT_TOP & schema.keys()):
        instead = "put it below properties, or check that in the source"
        raise EntryError(f"input_schema: models refuse {wrong[0]} at the top of a schema: {instead}")
    check_json(schema, "input_schema", depth=MAX_DEPTH - MAX_SCHEMA_DEPTH)
    text = json.dumps(schema)
    if len(text) > MAX_SCHEMA:
        raise EntryError(f"input_schema: {len(text)} characters of JSON, at most {MAX_SCHEMA} are allowed")
    try:
        require_usable(text)  # what holds the arguments of a call to it
        error = schema_error(schema)
    except BadSchema as why:
        raise EntryError(f"input_schema: {str(why).removeprefix('schema: ')}") from why
    except (ValueError, OverflowError, RecursionError, re.error) as why:  # a pattern that no engine takes
        raise EntryError(f"input_schema: cannot be checked: {shorten(str(why), 200)}") from why
    if error is not None:
        path = "/".join(str(part) for part in error.absolute_path)
        raise EntryError(f"input_schema: {shorten(error.message, 200)} (at /{shorten(path)})")


def schema_error(schema: Json) -> ValidationError | None:
    """What makes `schema` no JSON Schema (2020-12), the best told of its faults; None when it is one."""
    validator = _metaschema()
    from jsonschema.exceptions import best_match

    error: ValidationError | None = best_match(validator.iter_errors(schema))
    return error


@cache
def _metaschema() -> Validator:
    """The draft's metaschema in one piece: as eight files that refer to one another it takes seven times as long."""
    import_jsonschema()
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema_specifications import REGISTRY

    base = "https://json-schema.org/draft/2020-12/"
    top = REGISTRY.contents(f"{base}schema")
    parts = [*(REGISTRY.contents(base + part["$ref"]) for part in top["allOf"]), top]
    merged = {key: {name: value for part in parts for name, value in part.get(key, {}).items()} for key in _MERGED}
    text = json.dumps({"type": top["type"], **merged}).replace('"$dynamicRef": "#meta"', '"$ref": "#"')
    whole = json.loads(re.sub(r'"meta/[a-z-]+#', '"#', text))
    # Of other formats, it depends on what else is installed whether they are checked.
    return Draft202012Validator(whole, format_checker=FormatChecker(["regex"]))


KIND_CHECKS: Mapping[str, Callable[[Entry], None]] = {
    FUNCTION_KIND: _check_function,
    LIBRARY_KIND: _check_library,
    POLICY_KIND: check_policy,
    EXPRESSION_KIND: check_policy,
}
"""The check of each kind; it raises EntryError with what the author must mend."""


def check_kind(entry: Entry) -> None:
    """Raise EntryError, with what the author must mend, unless `entry` is what its kind and its type demand."""
    if check := KIND_CHECKS.get(entry.kind):
        check(entry)
    if entry.type == MODEL_TYPE:
        read_spec(entry)
