"""JSON Schema in the Lua module `json`: what is valid, and what is told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from lua_double import RunLua
from schema_kit import DRAFTS, check

from micro_agi_kernel.interfaces import Limits
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


PERSON = """{type = "object", required = {"name", "email"}, properties = {
    name = {type = "string", minLength = 1}, email = {type = "string", format = "email"},
    age = {type = "integer", minimum = 0, maximum = 150}}}"""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (f'validate({PERSON}, {{name = "A", email = "not-an-email", age = 30.0}})', None),
        (
            f'validate({PERSON}, {{name = "", email = "e"}})',
            'validation failed: /name: "" has 0 characters, fewer than 1',
        ),
        (f"validate({PERSON}, {{}})", 'the value: "name" is a required property; the value: "email" is a required'),
        (f"validate({PERSON}, {{1, 2}})", "validation failed: the value: [1, 2] is not of type object"),
        (f"""validate_string({PERSON}, '{{"name": null, "email": ""}}')""", "/name: null is not of type string"),
        (
            f"validate_string({PERSON}, '{{')",
            "validation failed: expected a key in quotes in an object, at byte 2 in line 1",
        ),
        (f"validate_string({PERSON}, '')", "validation failed: empty string is not valid JSON"),
        (f"validate_string({PERSON}, 5)", "data must be a JSON string"),
        ("""validate('{"type":"number","minimum":0}', 42)""", None),
        ("""validate('{"type":"number","minimum":0}', -1)""", "the value: -1 is less than the minimum of 0"),
        ("validate(nil, 1)", "schema is required"),
        ("validate_string(nil, '1')", "schema is required"),
        ("validate({}, nil)", "data is required"),
        ("validate(true, 1)", "schema must be a string or table"),
        ('validate("{", 1)', "schema: "),
        ('validate("\\xff", 1)', "schema: the text is not valid UTF-8"),
        ('validate({}, "\\xff")', "data: encode failed: a string is not valid UTF-8"),
        ("validate({1, a = 2}, 1)", "schema: encode failed: mixed table"),
        ("validate({type = 'strin'}, 1)", "schema: at /type: it must be one or several of array, boolean, integer"),
        ("validate({properties = {a = {minimum = 'x'}}}, 1)", "schema: at /properties/a/minimum: it must be a number"),
        ("validate({allOf = {{1}}}, 1)", "schema: at /allOf/0: a schema is an object or a boolean"),
        ("validate({pattern = '('}, 1)", "schema: the pattern '(': missing )"),
        ("validate({['$schema'] = 'urn:mine'}, 1)", "schema: $schema 'urn:mine' is not known: draft 4, 6, 7, 2019-09"),
    ],
)
async def test_validate(call: str, message: str | None, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local valid, err = require("json").{call}
        return {{valid, err and err:kind(), err and err:message(), err and err:retryable()}}
    """)
    assert isinstance(ran.value, list)
    if message is None:
        assert ran.value == [True]
    else:
        assert (ran.value[0], ran.value[1], ran.value[3]) == (False, "INVALID", False)
        assert message in str(ran.value[2])


async def test_an_empty_table_is_a_list_or_an_object_as_the_schema_has_it(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local json = require("json")
        local object, list = {type = "object", properties = {}}, {type = "array", items = {}, maxItems = 0}
        local both = {properties = {a = object, b = list, c = {}}, required = {}}
        local old = {["$schema"] = "http://json-schema.org/draft-07/schema#", items = {{}}, additionalItems = object}
        local valid = {}
        for i, case in ipairs({{object, {}}, {list, {}}, {both, {a = {}, b = {}, c = {}}}, {{type = "string"}, {}},
                               {{enum = {{}, 1}}, {}}, {old, {}}, {{uniqueItems = true}, {{}, {}}}}) do
          valid[i] = json.validate(case[1], case[2])
        end
        return {valid, (json.validate_string(object, "[]")), (json.validate_string(list, "{}"))}
    """)
    assert ran.value == [[True, True, True, False, True, True, False], False, False]


async def test_an_empty_table_is_equal_to_an_empty_list_and_to_an_empty_object(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local json = require("json")
        local valid, schema = {}, {const = {a = {}}}
        for i, case in ipairs({
          {'{"const": []}', {}}, {'{"const": {}}', {}}, {'{"enum": [[]]}', {}}, {'{"enum": [1, {}]}', {}},
          {'{"const": {"a": []}}', {a = {}}}, {'{"const": [{}]}', {{}}},
          {'{"const": "[]"}', {}}, {'{"const": [[]]}', {}}, {'{"enum": ["{}"]}', "[]"},
        }) do valid[i] = json.validate(case[1], case[2]) end
        local texts = {}
        for i, case in ipairs({
          {{const = {}}, "[]"}, {{const = {}}, "{}"}, {{enum = {{}}}, "[]"}, {schema, '{"a": []}'},
          {schema, '{"a": {}}'},
          {{const = {}}, "[[]]"}, {{uniqueItems = true}, "[[], {}]"}, {{uniqueItems = true}, "[[], []]"},
          {'{"const": []}', "[]"}, {'{"const": []}', "{}"}, {'{"enum": [{}]}', "[]"},
        }) do texts[i] = json.validate_string(case[1], case[2]) end
        return {valid, texts}
    """)
    assert ran.value == [[True] * 6 + [False] * 3, [*[True] * 5, False, True, False, True, False, False]]


@pytest.mark.parametrize(
    ("step", "numbers", "others"),
    [
        ("0.01", ["19.99", "4.35", "0", "-0.07", "1e22", "1e300", "5"], ["0.005", "1e-300", "0.0100000000001"]),
        ("2.5", ["7.5", "9223372036854775805"], ["9223372036854775807", "9007199254740993"]),
        ("3", ["9", "9.0", "9007199254740993"], ["10", "9007199254740992", "0.3", "1e22"]),
        ("5e-324", ["1e308", "1"], ["7.4e-323"]),
        ("1e308", ["1e308", "0"], ["9007199254740993"]),
    ],
)
async def test_multiples_are_exact(step: str, numbers: list[str], others: list[str], run_lua: RunLua) -> None:
    source = """return {handler = function(given)
      local found = {}
      for i, number in ipairs(given[2]) do
        found[i] = require("json").validate_string('{"multipleOf": ' .. given[1] .. "}", number)
      end
      return found
    end}"""
    ran = await run_lua(source, [step, [*numbers, *others]])
    assert ran.value == [True] * len(numbers) + [False] * len(others)


@pytest.mark.parametrize(
    ("draft", "data", "valid"),
    [
        ("http://json-schema.org/draft-04/schema#", 5, False),  # where exclusiveMinimum is a flag
        ("http://json-schema.org/draft-06/schema#", 5, False),
        ("http://json-schema.org/draft-07/schema#", 6, True),
        ("https://json-schema.org/draft/2019-09/schema", 5, False),
        ("https://json-schema.org/draft/2020-12/schema", 6, True),
        ("http://json-schema.org/draft/2020-12/schema#", 6, True),
    ],
)
async def test_drafts(draft: str, data: int, valid: bool, run_lua: RunLua) -> None:
    bound: dict[str, Any] = {"exclusiveMinimum": True, "minimum": 5} if "04" in draft else {"exclusiveMinimum": 5}
    assert (await check(run_lua, {"$schema": draft, **bound}, data))[0] is valid


BAD_FORMS: list[tuple[str, str, str]] = [
    ("2020", '{"items": [{"type": "string"}]}', "schema: at /items: use prefixItems, or name draft 7 in $schema"),
    ("", '{"not": {"items": []}}', "schema: at /not/items: use prefixItems, or name draft 7 in $schema"),
    ("", '{"$id": 5}', "schema: at /$id: it must be a URI"),
    ("", '{"properties": {"a": {"$schema": ["x"]}}}', "schema: at /properties/a/$schema: it must be a string"),
    ("", '{"$schema": ["x"]}', "schema: $schema"),
    ("", '{"$id": "http://["}', "schema: at /$id: it must be a URI"),
    ("", '{"$ref": "#/x", "x": {"allOf": [{"$id": "http://["}]}}', "schema: at #/x/allOf/0/$id: it must be a URI"),
    ("", '{"$ref": "#/x/items/y", "x": {"items": {"$id": 5}}}', "schema: $ref '#/x/items/y' leads to nothing"),
    ("", '{"minimum": 0, "exclusiveMinimum": true}', "schema: at /exclusiveMinimum: it must be a number"),
    ("6", '{"maximum": 0, "exclusiveMaximum": true}', "schema: at /exclusiveMaximum: it must be a number"),
    ("4", '{"id": {}}', "schema: at /id: it must be a URI"),
    ("4", '{"exclusiveMaximum": 5}', "schema: at /exclusiveMaximum: it must be a boolean"),
    ("4", '{"definitions": {"a": true}}', "schema: at /definitions/a: a schema is an object in draft 4"),
    ("4", '{"$ref": "#/x", "x": true}', "schema: at #/x: a schema is an object in draft 4"),
    (
        "2019",
        '{"$ref": "#/x", "x": {"not": {"allOf": [{"$id": "y", "$recursiveRef": "#"}]}}}',
        "schema: $ref '#' leads",
    ),
    ("7", '{"$ref": "#/x/items/y", "x": {"items": {"$id": 5}}}', "schema: $ref '#/x/items/y' leads to nothing"),
]


@pytest.mark.parametrize(("draft", "schema", "message"), BAD_FORMS)
async def test_the_form_of_a_schema_is_its_drafts(draft: str, schema: str, message: str, run_lua: RunLua) -> None:
    valid, told = await check(run_lua, {**({"$schema": DRAFTS[draft]} if draft else {}), **json.loads(schema)}, 1)
    assert not valid
    assert told.startswith(message)


@pytest.mark.parametrize(
    ("draft", "schema"),
    [
        ("4", {"additionalItems": True, "additionalProperties": False, "minimum": 0, "exclusiveMinimum": True}),
        ("7", {"items": [{}, {"type": "string"}], "definitions": {"a": True}}),
        ("2019", {"items": [True, False]}),
        ("", {"properties": {"a": {"$schema": DRAFTS["4"], "definitions": {"a": True}}}}),
        ("", {"const": 1, "examples": [{"$id": 5, "$schema": []}], "properties": {"$id": True, "items": True}}),
    ],
)
async def test_forms_that_a_draft_has(draft: str, schema: Any, run_lua: RunLua) -> None:
    assert await check(run_lua, {**({"$schema": DRAFTS[draft]} if draft else {}), **schema}, 1) == (True, "")


def _any_schemas(seed: int, count: int) -> Iterator[tuple[dict[str, Any], Any]]:
    """Keywords of all drafts with values that most of them do not take."""
    random = Random(seed)
    parts: list[Any] = [
        None,
        True,
        False,
        0,
        -1,
        2.5,
        1e300,
        "",
        "a",
        "#",
        "#/items/0",
        "(",
        "http://[",
        [],
        [1],
        ["a"],
    ]
    parts += [[{}], [[]], {}, {"a": 1}, {"a": True}, {"a": ["b"]}, {"a": {}}, {"(": {}}, {"$ref": "#"}, {"$id": 5}]
    parts += [{"type": "string"}, {"$schema": DRAFTS["4"], "definitions": {"a": True}}, {"not": {"$id": "http://["}}]
    values = [None, True, 1, 2.5, "a", [], [1, "a"], {}, {"a": 1, "b": []}]
    for _ in range(count):
        schema = {random.choice(KEYWORDS): random.choice(parts) for _ in range(random.randint(1, 4))}
        if random.random() < 0.3:
            schema = {random.choice(("properties", "x")): {"a": schema}, "items": schema, "$ref": "#/x/a"}
        if name := random.choice([None, None, *DRAFTS.values()]):
            schema["$schema"] = name
        yield schema, random.choice(values)


KEYWORDS = [
    "$anchor",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentSchema",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "id",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "then",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
]


async def test_whatever_a_schema_is_the_answer_is_an_answer(run_lua: RunLua) -> None:
    count = 50_000 if os.environ.get("MICRO_AGI_FULL") else 3_000
    source = """
        local json = require("json")
        return {handler = function(cases)
          local wrong = {}
          for _, case in ipairs(cases) do
            local schema, data = json.decode(case[1]), json.decode(case[2])
            local ways = {{"validate_string", case[1], case[2]}, {"validate_string", schema, case[2]}}
            if data ~= nil then ways[3], ways[4] = {"validate", case[1], data}, {"validate", schema, data} end
            for _, way in ipairs(ways) do
              local ok, valid, err = pcall(json[way[1]], way[2], way[3])
              if not ok or not (valid == true or valid == false and err:kind() == "INVALID") then
                wrong[#wrong + 1] = {way[1], case, ok and err:message() or tostring(valid)}
              end
            end
          end
          return wrong
        end}
    """
    cases: Value = [[json.dumps(part) for part in case] for case in _any_schemas(1, count)]
    assert (await run_lua(source, cases, limits=Limits(seconds=300))).value == []


async def test_what_draft_2019_has_looked_at(run_lua: RunLua) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "properties": {
            "list": {"allOf": [{"items": [{}, {}]}], "unevaluatedItems": False},
            "next": {"$recursiveRef": "#"},
        },
        "anyOf": [{"properties": {"list": {}}}, {"properties": {"next": {}}}],
        "unevaluatedProperties": False,
    }
    assert (await check(run_lua, schema, {"list": [1, 2], "next": {"next": {}}}))[0]
    for wrong in ({"list": [1, 2, 3]}, {"other": 1}, {"next": {"other": 1}}):
        valid, message = await check(run_lua, schema, wrong)
        assert not valid and "unevaluated" in message


@pytest.mark.parametrize(
    ("schema", "data", "message"),
    [
        ({"type": "integer"}, True, "true is not of type integer"),
        ({"type": ["integer", "null"]}, "it's", 'the value: "it\'s" is not of type integer or null'),
        ({"type": "string"}, {"a": [1, None, [2]]}, '{"a": [1, null, […]]} is not of type string'),
        ({"enum": ["a", None, False]}, 7, '7 is not one of ["a", null, false]'),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"extra": 1}, 'are not allowed: ["extra"]'),
        ({"dependentRequired": {"a": ["b"]}}, {"a": True}, '"b" is a required property beside "a"'),
        ({"not": {"const": None}}, None, 'null should not be as this says: {"const": null}'),
        ({"prefixItems": [{}], "items": False}, [1, True], "there are more items than the schema has"),
        ({"contains": {"type": "null"}}, [True], "no item is as the schema of contains says"),
        ({"minItems": 2}, [True], "[true] has 1 items, fewer than 2"),
        ({"properties": {"a": False}}, {"a": True}, "/a: the schema false does not allow true"),
        (
            {"anyOf": [{"type": "null"}, {"properties": {"kind": {"const": "x"}}}]},
            {"kind": "y"},
            'no schema of anyOf says: (1) the value: {"kind": "y"} is not of type null; (2) /kind: "x" was expected',
        ),
        ({"oneOf": [{"type": "integer"}, {"minimum": 1}]}, 1, "1 is as more than one schema of oneOf says"),
        ({"oneOf": [{"type": "null"}] * 9}, 1, "(3) the value: 1 is not of type null; …"),
    ],
)
async def test_values_are_told_as_json(schema: Any, data: Any, message: str, run_lua: RunLua) -> None:
    valid, told = await check(run_lua, schema, data)
    assert not valid and message in told


async def test_some_problems_are_told_and_each_is_short(run_lua: RunLua) -> None:
    valid, message = await check(run_lua, {"items": {"type": "string"}}, [["x" * 1000]] * 50)
    assert not valid
    assert message.count("is not of type string") == 10
    assert message.count("; ") == 10 and message.endswith("; and more")
    assert len(message) < 3_000
