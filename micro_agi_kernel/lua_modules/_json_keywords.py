"""The keywords of JSON Schema that could run away in the library, done within bounds, and the count of all steps."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from micro_agi_kernel.lua_modules._json_form import check_form
from micro_agi_kernel.lua_modules._json_work import BadSchema, Work
from micro_agi_kernel.values import Value, shorten

Keyword = Callable[[Any, Any, Any, Any], "Iterable[Any] | None"]


work = Work()
"""Of the validation that runs: a process that runs a tool has one at a time."""


def describe(error: Any) -> str:
    """An error of the library as a line: where, and what."""
    place = "".join(f"/{part}" for part in error.absolute_path)
    return f"{shorten(place, 100) or 'the value'}: {shorten(error.message, 200)}"


def counted(keyword: Keyword) -> Keyword:
    """`keyword`, with its steps counted: those of its own loops, and of its messages, which hold the whole value."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        work.spend(1 + (_size(value) + _size(instance)) // 16)
        for error in keyword(validator, value, instance, schema) or ():
            work.spend(len(error.message) // 16)
            yield error

    return check


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (list, dict)) else 0


def _error(message: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(message)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not work.matches(pattern, instance):
        yield _error(f"{reprlib.repr(instance)} does not match {pattern!r}")


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
        yield _error(f"additional properties are not allowed: {reprlib.repr(extras)}")


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
                yield _error(f"the item {reprlib.repr(item)} stands twice")
                return
            seen.add(identity)


def _enum(validator: Any, values: list[Value], instance: Any, schema: Any) -> Iterator[Any]:
    if work.identity(instance) not in work.identities(values):
        yield _error(f"{reprlib.repr(instance)} is not one of {reprlib.repr(values)}")


def _const(validator: Any, value: Value, instance: Any, schema: Any) -> Iterator[Any]:
    if work.identity(instance) != work.identity(value):
        yield _error(f"{reprlib.repr(value)} was expected")


def _any_of(validator: Any, schemas: list[Any], instance: Any, schema: Any) -> Iterator[Any]:
    if not any(_is_valid(validator, subschema, instance) for subschema in schemas):
        yield _error(f"{reprlib.repr(instance)} is not valid under any of the schemas of anyOf")


def _one_of(validator: Any, schemas: list[Any], instance: Any, schema: Any) -> Iterator[Any]:
    # The library keeps the errors of all schemas in memory.
    valid = sum(_is_valid(validator, subschema, instance) for subschema in schemas)
    if valid != 1:
        yield _error(f"{reprlib.repr(instance)} is valid under {valid} of the schemas of oneOf")


def _is_valid(validator: Any, subschema: Any, instance: Any) -> bool:
    return next(validator.descend(instance, subschema), None) is None


def _unevaluated_properties(validator: Any, unevaluated: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    seen = _evaluated(validator, instance, schema)
    rest = [key for key in instance if key not in seen]
    if unevaluated is not False:
        for key in rest:
            yield from validator.descend(instance[key], unevaluated, path=key)
    elif rest:
        yield _error(f"unevaluated properties are not allowed: {reprlib.repr(rest)}")


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
        from referencing.jsonschema import lookup_recursive_ref

        resolved = lookup_recursive_ref(validator._resolver)
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


def within(validator: Any, subschema: Any) -> Any:
    """`validator` for a part of its schema, which may have an `$id` of its own."""
    resource = resource_of(validator, subschema)
    return validator.evolve(schema=subschema, _resolver=validator._resolver.in_subresource(resource))


def resource_of(validator: Any, schema: Any) -> Any:
    """`schema` as something that has an identifier, parts, and anchors, which differ by the draft."""
    return _specification(validator.ID_OF(validator.META_SCHEMA)).create_resource(schema)


@cache
def _specification(draft: str) -> Any:
    import attrs
    from referencing.jsonschema import specification_with

    found: Any = specification_with(draft)

    def parts(contents: Any) -> Iterator[Any]:
        # The library gives what stands in `dependencies` for schemas when the first of it is one.
        return (part for part in found.subresources_of(contents) if isinstance(part, (dict, bool)))

    return attrs.evolve(found, subresources_of=parts)


def look_up(validator: Any, reference: str) -> Any:
    """What a `$ref` leads to. Raises BadSchema: other documents are not fetched."""
    from referencing.exceptions import Unresolvable

    work.spend(1 + len(reference) // 16)
    try:
        return validator._resolver.lookup(reference)
    # The others come from a pointer into a text or a number, an index that is none, and a broken URI.
    except (Unresolvable, TypeError, ValueError) as error:
        problem = "leads to nothing in the schema, and other documents are not fetched"
        raise BadSchema(f"schema: $ref {shorten(reference)!r} {problem}") from error


def _reference(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[Any]:
    resolved = look_up(validator, reference)
    check_form(resolved.contents, work, reference)
    yield from validator.descend(instance, resolved.contents, resolver=resolved.resolver)


OURS: Mapping[str, Keyword] = {
    "$ref": _reference,
    "$dynamicRef": _reference,
    "anyOf": _any_of,
    "additionalProperties": _additional_properties,
    "const": _const,
    "enum": _enum,
    "oneOf": _one_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
}
"""In place of the library's of the same name, where a draft has it."""
