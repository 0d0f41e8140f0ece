"""The Lua module `json` against JSONTestSuite and the test-suite of JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conformance_kit import vectors
from lua_double import RunLua

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARSING = """
local json, base64 = require("json"), require("base64")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local text = base64.decode(case.bytes_base64)
    local _, err = json.decode(text)
    found[i] = {err and "reject" or "accept", json.validate_string("true", text) and "accept" or "reject"}
  end
  return found
end
return {handler = handler}
"""


async def test_json_accepts_what_is_json_and_nothing_else(run_lua: RunLua) -> None:
    cases = vectors("json_parsing.jsonl.gz")
    assert len(cases) == 318
    ran = await run_lua(PARSING, cases)
    assert isinstance(ran.value, list)
    for case, got in zip(cases, ran.value, strict=True):
        # What is decoded is read in Lua and what is validated in Python: they must agree where either would be right.
        assert got == ([case["expect"]] * 2 if case["expect"] != "either" else [got[0]] * 2), case["name"]


SCHEMAS = """
local json = require("json")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local valid, err = json.validate_string(case[1], case[2])
    if err and not err:message():find("^validation failed") then valid = err:message() end
    found[i] = valid
  end
  return found
end
return {handler = handler}
"""

NO_ASSERTIONS = {
    # A format is a note, as in the reference, and as the mandatory part of the suite has it ("only an annotation").
    **{
        f"optional/format/{name}.json": count
        for name, count in {
            "date-time": 38,
            "date": 116,
            "duration": 25,
            "ecmascript-regex": 12,
            "email": 20,
            "hostname": 70,
            "idn-email": 4,
            "idn-hostname": 108,
            "ipv4": 60,
            "ipv6": 50,
            "iri-reference": 4,
            "iri": 12,
            "json-pointer": 24,
            "regex": 2,
            "relative-json-pointer": 24,
            "time": 56,
            "uri-reference": 22,
            "uri-template": 26,
            "uri": 50,
            "uuid": 13,
        }.items()
    },
    # So is what a text contains: draft 2020-12 says so, and the library treats draft 7 alike.
    "optional/content.json": 4,
}
"""How many cases of a file want something refused that a keyword only notes; all others of it pass."""


def asked(case: dict[str, Any]) -> list[str]:
    """The texts of schema and data; the suite's draft 7 does not name its draft."""
    schema = case["schema"]
    if case["draft"] == "draft7" and isinstance(schema, dict):
        schema = {**schema, "$schema": "http://json-schema.org/draft-07/schema#"}
    return [json.dumps(schema), json.dumps(case["data"])]


async def test_schemas_validate_as_the_suite_says(run_lua: RunLua) -> None:
    cases = vectors("json_schema.jsonl.gz")
    assert len(cases) == 3_841
    assert not any(case["needs_remote"] for case in cases)
    ran = await run_lua(SCHEMAS, [asked(case) for case in cases])
    assert isinstance(ran.value, list)
    left_out: dict[str, int] = {}
    for case, got in zip(cases, ran.value, strict=True):
        if case["file"] in NO_ASSERTIONS and case["valid"] is False and got is True:
            left_out[case["file"]] = left_out.get(case["file"], 0) + 1
        else:
            assert got is case["valid"], case
    assert left_out == NO_ASSERTIONS
