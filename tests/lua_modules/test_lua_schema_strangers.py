"""JSON Schema from strangers: references that lead nowhere, patterns that run away, bombs that end in a named limit."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from lua_double import RunLua
from schema_kit import CHECK, DRAFTS, check

from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "reference",
    [
        *("http://127.0.0.1:1/x", "https://example.com/schema", "file:///etc/passwd", "other.json#/a", "http://[/"),
        *("#/nowhere", "#anchor", "#/minimum/x", "#/$comment/0/1", "#/enum/x"),
        *("#/allOf/-1", "#/allOf/01", "#/allOf/+1", "#/allOf/1_0", "#/allOf/%2D1", "#/allOf/-1/not", "#/allOf/2"),
    ],
)
async def test_a_reference_leads_nowhere_outside_of_the_schema(reference: str, run_lua: RunLua) -> None:
    schema = {"minimum": 1, "$comment": "text", "enum": [5], "allOf": [True, {"not": False}], "$ref": reference}
    valid, message = await check(run_lua, schema, 5)
    assert not valid
    assert message.startswith(f"schema: $ref '{reference}' leads to nothing")


async def test_what_a_reference_leads_to_must_be_a_schema(run_lua: RunLua) -> None:
    assert await check(run_lua, {"x": {"minLength": "1"}, "$ref": "#/x"}, "") == (
        False,
        "schema: at #/x/minLength: it must be a whole number from 0, not '1'",
    )
    assert (await check(run_lua, {"$ref": "#/x/01/1/not", "x": {"01": [1, {"not": {"minimum": 0}}]}}, 5))[0]
    assert (await check(run_lua, {"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": "string"}))[0]
    assert not (await check(run_lua, {"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": 1}))[0]


DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"allOf": [{"$schema": DRAFT_7, "pattern": "^(a+)+$"}]},
        {"$ref": "#/examples/0", "examples": [{"$schema": DRAFT_7, "pattern": "^(a+)+$"}]},
        {"not": {"not": {"$schema": DRAFT_7, "pattern": "^(a+)+$"}}},
    ],
)
async def test_no_pattern_runs_away(schema: Any, run_lua: RunLua) -> None:
    assert not (await check(run_lua, schema, "a" * 50_000 + "b"))[0]


def _doubling() -> dict[str, Any]:
    """A schema that looks at a value 2 ** 40 times."""
    twice = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    return {"$ref": "#/$defs/a0", "$defs": {**twice, "a40": {}}}


def _unevaluated(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"b": True}}
    for _ in range(levels):
        schema = {"anyOf": [schema, {"properties": {"a": True}}], "unevaluatedProperties": False}
    return schema


def _scopes(levels: int) -> tuple[dict[str, Any], Any]:
    """Two documents that lead to one another, and data on which each does so at each level, with many items below."""
    other = {"$id": "y", "$recursiveAnchor": True, "items": [{"$ref": "x"}], "additionalItems": {"$recursiveRef": "#"}}
    schema = {"$schema": DRAFTS["2019"], "$id": "http://x/x", "$recursiveAnchor": True, "items": {"$ref": "y"}}
    data: Any = [1] * 9_000
    for _ in range(levels):
        data = [data]
    return {**schema, "$defs": {"y": other}}, data


STEPS, ENDLESS, PATTERN = "more than 1,000,000 steps", "nest too deeply, or without an end", "schema: the pattern "

BOMBS: dict[str, tuple[Any, Any, str]] = {
    "a reference to itself": ({"$ref": "#"}, 1, ENDLESS),
    "two references in a ring": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        1,
        ENDLESS,
    ),
    "a dynamic reference to itself": ({"$dynamicAnchor": "a", "$dynamicRef": "#a"}, 1, ENDLESS),
    "references through many documents": (*_scopes(119), STEPS),
    "references that double": (_doubling(), 1, STEPS),
    "unevaluated within unevaluated": (_unevaluated(30), {"a": 1}, STEPS),
    "a large value compared often": (
        {"allOf": [{"$ref": "#/$defs/a"}] * 2_000, "$defs": {"a": {"const": [0] * 9_000}}},
        [0] * 9_000,
        STEPS,
    ),
    "many schemas that look at nothing": ({"allOf": [{"items": True}] * 9_000}, [0] * 9_000, STEPS),
    "many patterns for many keys": (
        {"patternProperties": {f"^k{n}$": {} for n in range(999)}},
        {f"k{n}": 0 for n in range(999)},
        STEPS,
    ),
    "many patterns for a long text": ({"anyOf": [{"pattern": "(x+x+)+y"}] * 999}, "x" * 999_999, STEPS),
    "messages that hold a large value": (
        {"allOf": [{"anyOf": [{"items": False}, {"items": False}]}] * 9_000},
        ["x" * 99] * 9_000,
        STEPS,
    ),
    "a pattern that is too large": ({"pattern": "((a{100}){100}){100}"}, "a", PATTERN),
    "patterns that look around": ({"pattern": "(?=a)b"}, "a", PATTERN),
    "a number beyond numbers": ("""{"multipleOf": 1e999}""", 1, "schema: a number is out of range"),
    "a schema of 200 levels": ("""{"not":""" * 200 + "true" + "}" * 200, 1, "schema: nested deeper than 128"),
    "data of 200 levels": ({}, "[" * 200 + "]" * 200, "validation failed: nested deeper than 128"),
}


SECONDS = {"unevaluated within unevaluated", "many schemas that look at nothing"}
"""What takes them, of the bombs."""


@pytest.mark.parametrize("name", [name for name in BOMBS if os.environ.get("MICRO_AGI_FULL") or name not in SECONDS])
async def test_schema_bombs_end_in_a_named_limit(name: str, run_lua: RunLua) -> None:
    schema, data, message = BOMBS[name]
    texts: list[Value] = [
        part if isinstance(part, str) and part[:1] in "[{" else json.dumps(part) for part in (schema, data)
    ]
    ran = await run_lua(CHECK, texts)
    assert isinstance(ran.value, list)
    assert ran.value[:2] == [False, "INVALID"]
    assert message in str(ran.value[2])


async def test_what_is_large_and_honest_is_validated(run_lua: RunLua) -> None:
    tree: Any = {}
    for _ in range(40):
        tree = {"children": [tree]}
    node = {
        "$defs": {"node": {"properties": {"children": {"items": {"$ref": "#/$defs/node"}}}}},
        "$ref": "#/$defs/node",
    }
    assert (await check(run_lua, node, tree))[0]
    assert (await check(run_lua, {"uniqueItems": True}, [{"id": [n]} for n in range(20_000)]))[0]
    assert not (await check(run_lua, {"uniqueItems": True}, [*({"id": [n]} for n in range(20_000)), {"id": [1.0]}]))[0]
    person = {
        "properties": {"name": {"type": "string", "pattern": "^[a-z ]+$"}, "age": {"minimum": 0}},
        "required": ["name"],
    }
    assert (await check(run_lua, {"items": person}, [{"name": "some one", "age": n} for n in range(10_000)]))[0]
