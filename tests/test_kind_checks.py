"""What is a JSON Schema: the metaschema in one piece says what the draft's own files say."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from conformance_kit import vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from micro_agi_kernel.kind_checks import schema_error

FORMATS = jsonschema.FormatChecker(["regex"])

KEYWORDS = (
    *("$id", "$ref", "$anchor", "$dynamicRef", "$defs", "$comment", "$vocabulary", "definitions", "dependencies"),
    *(
        "prefixItems",
        "items",
        "contains",
        "additionalProperties",
        "properties",
        "patternProperties",
        "dependentSchemas",
    ),
    *("propertyNames", "if", "then", "allOf", "anyOf", "not", "unevaluatedItems", "type", "enum", "multipleOf"),
    *("maximum", "maxLength", "pattern", "uniqueItems", "minContains", "required", "dependentRequired", "title"),
    *("default", "deprecated", "format", "contentSchema", "$recursiveRef", "$recursiveAnchor", "unknown"),
)
scalars = st.sampled_from([None, True, 0, -1, 1.5, "", "string", "#a", "a#b", "(", "object"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYWORDS, "a"]), inner, max_size=3),
    max_leaves=8,
)


def is_schema(schema: Any) -> bool:
    try:
        jsonschema.Draft202012Validator.check_schema(schema, format_checker=FORMATS)
    except jsonschema.SchemaError:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYWORDS), values, max_size=4))
def test_any_schema(schema: dict[str, Any]) -> None:
    assert (schema_error(schema) is None) == is_schema(schema)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_each_keyword_with_each_kind_of_value(keyword: str) -> None:
    for value in (None, True, -1, 1.5, "(", [], [1, 1], ["a", "a"], {}, {"a": 1}, {"a": {"type": 1}}, {"(": {}}):
        schema = {"properties": {"x": {keyword: value}}}
        error = schema_error(schema)
        assert (error is None) == is_schema(schema), schema
        assert error is None or list(error.absolute_path)[:3] in (["properties", "x"], ["properties", "x", keyword])


def test_the_schemas_of_the_suite() -> None:
    for vector in vectors("json_schema.jsonl.gz")[::5]:
        assert (schema_error(vector["schema"]) is None) == is_schema(vector["schema"])
