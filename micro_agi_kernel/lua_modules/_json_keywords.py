"""The keywords of JSON Schema that in the library could run away or would speak Python, and the count of all steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from micro_agi_kernel.lua_modules._json_form import check_form
from micro_agi_kernel.lua_modules._json_messages import describe, shown
from micro_agi_kernel.lua_modules._json_references import look_up, within
from micro_agi_kernel.lua_modules._json_work import EmptyTable, work
from micro_agi_kernel.values import Value, shorten

Keyword = Callable[[Any, Any, Any, Any], "Iterable[Any] | None"]

_BRANCHES = 3
"""Schemas of anyOf and oneOf whose problems are told."""
_BRANCH = 80
"""Characters of each."""


def counted(keyword: Keyword) -> Keyword:
    """`keyword`, with its steps counted: those of its own loops, and of its messages, which hold the whole value."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        work.spend(1 + (_size(value) + _size(instance)) // 8)
        for error in keyword(validator, value, instance, schema) or ():
            work.spend(len(error.message) // 16)
            yield error

    return check


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (list, dict)) else 0


def _error(message: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(message)


def not_allowed(instance: Any, path: str | int | None) -> Any:
    """The error of a value, below another one at `path`, where the schema is `false`."""
    error = _error(f"the schema false does not allow {shown(instance)}")
    if path is not None:
        error.path.appendleft(path)
    return error


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not work.matches(pattern, instance):
        yield _error(f"{shown(instance)} does not match {shown(pattern)}")


def _pattern_properties(validator: Any, patterns: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, subschema in patterns.items():
            for key in instance:
                if work.matches(pattern, key):
                    yield from validator.descend(instance[key], subschema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, additional: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    extras = [key for key in instance if not _is_named(key, schema)]
    if additional is not False:
        for key in extras:
            yield from validator.descend(instance[key], additional, path=key)
    elif extras:
        yield _error(f"additional properties are not allowed: {shown(extras)}")


def _is_named(key: str, schema: Mapping[str, Any]) -> bool:
    """Whether `properties` or `patternProperties` of `schema` are about a key."""
    patterns = schema.get("patternProperties", {})
    return key in schema.get("properties", {}) or any(work.matches(pattern, key) for pattern in patterns)


def _unique_items(validator: Any, unique: bool, instance: Any, schema: Any) -> Iterator[Any]:
    if unique and isinstance(instance, list):
        seen = set()
        for item in instance:
            identity = work.identity(item)
            if identity in seen:
                yield _error(f"the item {shown(item)} stands twice")
                return
            seen.add(identity)


def _enum(validator: Any, values: list[Value], instance: Any, schema: Any) -> Iterator[Any]:
    if work.identity(instance, loose=work.loose) not in work.identities(values):
        yield _error(f"{shown(instance)} is not one of {shown(values)}")


def _const(validator: Any, value: Value, instance: Any, schema: Any) -> Iterator[Any]:
    if work.identity(instance, loose=work.loose) != work.identity(value, loose=work.loose):
        yield _error(f"{shown(value)} was expected")


def _multiple_of(validator: Any, step: float, instance: Any, schema: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "number"):
        return
    if isinstance(instance, int) and isinstance(step, int):
        rest: object = instance % step
    else:  # exact, on the digits as they were written: in floating point 19.99 is no multiple of 0.01
        work.spend(5)
        rest = Fraction(repr(instance)) % Fraction(repr(step))
    if rest:
        yield _error(f"{shown(instance)} is not a multiple of {shown(step)}")


def _any_of(validator: Any, schemas: list[Any], instance: Any, schema: Any) -> Iterator[Any]:
    valid, problems = _tried(validator, schemas, instance, enough=1)
    if not valid:
        yield _error(f"{shown(instance)} is as no schema of anyOf says: {problems}")


def _one_of(validator: Any, schemas: list[Any], instance: Any, schema: Any) -> Iterator[Any]:
    valid, problems = _tried(validator, schemas, instance, enough=2)
    if not valid:
        yield _error(f"{shown(instance)} is as no schema of oneOf says: {problems}")
    elif valid > 1:
        yield _error(f"{shown(instance)} is as more than one schema of oneOf says")


def _tried(validator: Any, schemas: list[Any], instance: Any, enough: int) -> tuple[int, str]:
    """How many schemas hold for `instance`, `enough` at most, and the first problem under each of the first others.

    The library keeps all errors of all schemas in memory.
    """
    valid = 0
    firsts: list[tuple[int, Any]] = []
    for number, subschema in enumerate(schemas, 1):
        error = next(validator.descend(instance, subschema), None)
        if error is None:
            valid += 1
            if valid == enough:
                break
        elif len(firsts) < _BRANCHES:
            firsts.append((number, error))
    told = [f"({number}) {shorten(describe(error), _BRANCH)}" for number, error in firsts]
    return valid, "; ".join([*told, "…"] if len(schemas) > _BRANCHES else told)


def _not(validator: Any, subschema: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.evolve(schema=subschema).is_valid(instance):
        yield _error(f"{shown(instance)} should not be as this says: {shown(subschema)}")


def _type(validator: Any, types: str | list[str], instance: Any, schema: Any) -> Iterator[Any]:
    names = [types] if isinstance(types, str) else types
    if not any(validator.is_type(instance, name) for name in names):
        yield _error(f"{shown(instance)} is not of type {' or '.join(names)}")


def _required(validator: Any, names: list[str], instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield _error(f"{shown(name)} is a required property")


def _counts(kind: str, unit: str, *, least: bool) -> Keyword:
    """`minLength` and its like: the least or the most that a value may have of something."""

    def check(validator: Any, bound: float, instance: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, kind) and (len(instance) < bound if least else len(instance) > bound):
            than = "fewer" if least else "more"
            yield _error(f"{shown(instance)} has {len(instance)} {unit}, {than} than {bound}")

    return check


def _dependencies(validator: Any, dependencies: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for key, dependency in dependencies.items():
        if key not in instance:
            continue
        if not isinstance(dependency, (list, EmptyTable)):
            yield from validator.descend(instance, dependency, schema_path=key)
            continue
        for name in dependency:
            if name not in instance:
                yield _error(f"{shown(name)} is a required property beside {shown(key)}")


def _unevaluated_properties(validator: Any, unevaluated: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    seen = _evaluated(validator, instance, schema)
    rest = [key for key in instance if key not in seen]
    if unevaluated is not False:
        for key in rest:
            yield from validator.descend(instance[key], unevaluated, path=key)
    elif rest:
        yield _error(f"unevaluated properties are not allowed: {shown(rest)}")


def _unevaluated_items(validator: Any, unevaluated: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, list):
        return
    seen = _evaluated(validator, instance, schema)
    rest = [index for index in range(len(instance)) if index not in seen]
    if unevaluated is not False:
        for index in rest:
            yield from validator.descend(instance[index], unevaluated, path=index)
    elif rest:
        yield _error(f"unevaluated items are not allowed: {len(rest)}, the first at {rest[0]}")


def _evaluated(validator: Any, instance: Any, schema: Any, *, nested: bool = False) -> set[Any]:
    """The keys or indexes of a valid `instance` that `schema` says something of, beside its own `unevaluated...`."""
    if isinstance(schema, bool):
        return set()
    work.spend(1 + len(instance) // 16)
    of = _evaluated_keys if isinstance(instance, dict) else _evaluated_indexes
    seen = of(validator, instance, schema, nested)
    for inner in _applied(validator, instance, schema):
        if len(seen) == len(instance):
            break
        seen |= _evaluated(inner, instance, inner.schema, nested=True)
    return seen


def _evaluated_keys(validator: Any, instance: Any, schema: Any, nested: bool) -> set[Any]:
    if "additionalProperties" in schema or (nested and "unevaluatedProperties" in schema):
        return set(instance)
    return {key for key in instance if _is_named(key, schema)}


def _evaluated_indexes(validator: Any, instance: Any, schema: Any, nested: bool) -> set[Any]:
    items, whole = schema.get("items"), range(len(instance))
    if (nested and "unevaluatedItems" in schema) or ("additionalItems" in schema and "items" in schema):
        return set(whole)
    if isinstance(items, list):  # of draft 2019-09
        return set(whole[: len(items)])
    if items is not None:
        return set(whole)
    if "prefixItems" not in validator.VALIDATORS:
        return set()
    seen = set(whole[: len(schema.get("prefixItems", ()))])
    if "contains" in schema:
        contains = validator.evolve(schema=schema["contains"])
        seen.update(index for index in whole if contains.is_valid(instance[index]))
    return seen


def _applied(validator: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """A validator for each subschema that `schema` applies to `instance` itself, and that it meets."""
    for name in ("$ref", "$dynamicRef"):
        if name in schema:
            resolved = look_up(validator, schema[name])
            yield validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
    if "$recursiveRef" in schema:
        resolved = look_up(validator, "#", recursive=True)
        yield validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
    for subschema in _in_place(validator, instance, schema):
        inner = within(validator, subschema)
        if inner.is_valid(instance):
            yield inner


def _in_place(validator: Any, instance: Any, schema: Any) -> Iterator[Any]:
    for name in ("allOf", "anyOf", "oneOf"):
        yield from schema.get(name, ())
    if "if" in schema:
        yield schema["if"]
        branch = "then" if within(validator, schema["if"]).is_valid(instance) else "else"
        if branch in schema:
            yield schema[branch]
    if isinstance(instance, dict):
        for key, subschema in schema.get("dependentSchemas", {}).items():
            if key in instance:
                yield subschema


def _reference(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[Any]:
    resolved = look_up(validator, reference)
    check_form(resolved.contents, work, validator.draft, reference)
    yield from validator.descend(instance, resolved.contents, resolver=resolved.resolver)


def _recursive_reference(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[Any]:
    resolved = look_up(validator, "#", recursive=True)
    yield from validator.descend(instance, resolved.contents, resolver=resolved.resolver)


OURS: Mapping[str, Keyword] = {
    "$ref": _reference,
    "$dynamicRef": _reference,
    "$recursiveRef": _recursive_reference,
    "anyOf": _any_of,
    "additionalProperties": _additional_properties,
    "const": _const,
    "dependencies": _dependencies,
    "dependentRequired": _dependencies,
    "enum": _enum,
    "maxItems": _counts("array", "items", least=False),
    "maxLength": _counts("string", "characters", least=False),
    "maxProperties": _counts("object", "properties", least=False),
    "minItems": _counts("array", "items", least=True),
    "minLength": _counts("string", "characters", least=True),
    "minProperties": _counts("object", "properties", least=True),
    "multipleOf": _multiple_of,
    "not": _not,
    "oneOf": _one_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "required": _required,
    "type": _type,
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
}
"""In place of the library's of the same name, where a draft has it."""
