"""JSON Schema within bounds: the library's validators, with each step counted and what could run away replaced.

A schema comes from a model or a stranger. In the library a pattern may run for years, `uniqueItems` compares each item
with each, `unevaluatedProperties` looks at everything again at each level, a message holds the whole value, and a
`$schema` further inside takes another validator. So keywords are counted, patterns are RE2's, a reference leads nowhere
outside of the schema, and one draft holds for all of it.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import islice
from typing import Any

from micro_agi_kernel.imports import import_jsonschema
from micro_agi_kernel.lua_modules._json_form import check_form
from micro_agi_kernel.lua_modules._json_keywords import OURS, counted, not_allowed
from micro_agi_kernel.lua_modules._json_messages import describe
from micro_agi_kernel.lua_modules._json_references import check_references, resource_of
from micro_agi_kernel.lua_modules._json_text import parse
from micro_agi_kernel.lua_modules._json_work import MAX_STEPS, BadSchema, EmptyTable, loosened, work
from micro_agi_kernel.values import Value, shorten

_PROBLEMS = 10
"""How many are told."""

_DRAFTS = {
    "json-schema.org/draft-04/schema": (4, "Draft4Validator"),
    "json-schema.org/draft-06/schema": (6, "Draft6Validator"),
    "json-schema.org/draft-07/schema": (7, "Draft7Validator"),
    "json-schema.org/draft/2019-09/schema": (2019, "Draft201909Validator"),
    "json-schema.org/draft/2020-12/schema": (2020, "Draft202012Validator"),
}
"""The drafts, and the library's classes, by what `$schema` names."""

_LATEST = "json-schema.org/draft/2020-12/schema"
"""Assumed without `$schema`; the only draft that the reference has."""


def problems(schema: str, schema_is_table: bool, data: Value, data_is_table: bool, steps: int = MAX_STEPS) -> list[str]:
    """What is wrong with `data`, some lines at most, each with its place; none when it is valid.

    `schema` is the text of a JSON Schema; `steps` are what the validation may cost. Raises BadSchema.
    """
    work.begin(steps, loose=schema_is_table or data_is_table)
    data = loosened(data) if data_is_table else data
    try:
        validator, work.known = _compiled(schema, schema_is_table)
        errors = validator.iter_errors(data)
        found = [describe(error) for error in islice(errors, _PROBLEMS)]
        return [*found, "and more"] if next(errors, None) else found
    except RecursionError as error:
        raise BadSchema("schema: references or parts of it nest too deeply, or without an end") from error


def check_schema(schema: str) -> None:
    """Raise BadSchema unless the text of a JSON Schema can be used on any data: no `$ref` of it leads nowhere."""
    problems(schema, True, {}, True)
    check_references(_compiled(schema, True)[0])


@lru_cache(maxsize=8)
def _compiled(schema: str, is_table: bool) -> tuple[Any, dict[object, Any]]:
    """The validator of a schema that has been checked, and what is known of it then."""
    from jsonschema_specifications import REGISTRY
    from referencing import Registry

    known = work.known = {}
    try:
        found = parse(schema)
    except ValueError as error:
        raise BadSchema(f"schema: {error}") from error
    if is_table:
        found = loosened(found)
    if not isinstance(found, (dict, bool)):
        raise BadSchema("schema: a schema is an object or a boolean")
    draft = _draft_of(found)
    check_form(found, work, draft.draft)
    resource = resource_of(draft, found)
    try:
        uri = resource.id() or ""
        registry = REGISTRY.with_resource(uri, resource).crawl()
    except ValueError as error:  # an $id that is no URI
        raise BadSchema(f"schema: an $id cannot be read: {error}") from error
    return draft(found, registry=Registry(), _resolver=registry.resolver(uri)), known


def _draft_of(schema: Value) -> Any:
    named = schema.get("$schema", _LATEST) if isinstance(schema, dict) else _LATEST
    name = str(named).removeprefix("https://").removeprefix("http://").removesuffix("#")
    if name not in _DRAFTS:
        raise BadSchema(f"schema: $schema {shorten(str(named))!r} is not known: draft 4, 6, 7, 2019-09 and 2020-12 are")
    return _bounded(name)


@cache
def _bounded(name: str) -> Any:
    """The library's validator of a draft, within our bounds."""
    import jsonschema

    draft, class_name = _DRAFTS[name]
    original: Any = getattr(jsonschema, class_name)
    keywords = {**original.VALIDATORS}
    keywords["dependencies"] = OURS["dependencies"]  # of draft 7, and still written by many
    keywords = {name: counted(OURS.get(name, keyword)) for name, keyword in keywords.items()}
    types = original.TYPE_CHECKER.redefine("array", lambda _, value: isinstance(value, (list, EmptyTable)))
    extend: Any = jsonschema.validators.extend
    bounded = extend(original, keywords, type_checker=types)
    bounded.draft = draft
    bounded.evolve = _evolve
    bounded.iter_errors = _unless_false(original.iter_errors)
    bounded.descend = _unless_false(original.descend)
    return bounded


def _unless_false(method: Any) -> Any:
    """A method that applies a schema; what `false` does not allow stands in no message as a whole, and has its path."""

    def apply(self: Any, instance: Any, schema: Any = None, path: Any = None, **more: Any) -> Any:
        if (self.schema if schema is None else schema) is False:
            return iter([not_allowed(instance, path)])
        if schema is None:
            return method(self, instance)
        return method(self, instance, schema, path=path, **more)

    return apply


def _evolve(self: Any, **changes: Any) -> Any:
    """The same validator for another schema; the library's own takes the class that a `$schema` inside names."""
    work.spend(1)
    kept = {"schema": self.schema, "registry": self._registry, "_resolver": self._resolver}
    return type(self)(**{**kept, **changes})


def preload_schemas() -> None:
    """Read the metaschemas, and let each draft be gone once."""
    import_jsonschema()
    for name in _DRAFTS:
        schema = f'{{"$schema": "http://{name}", "properties": {{"a": {{"pattern": "b"}}}}}}'
        assert problems(schema, False, {"a": "c"}, False)
