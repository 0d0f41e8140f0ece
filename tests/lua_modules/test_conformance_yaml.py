"""The Lua module `yaml` against the YAML test-suite, where the suite and the reference's parser are both right."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from conformance_kit import vectors
from lua_double import RunLua

pytestmark = pytest.mark.asyncio(loop_scope="module")

DECODE = """
local yaml, json, base64 = require("yaml"), require("json"), require("base64")

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do if not same(value, b[key]) then return false end end
  for key in pairs(b) do if a[key] == nil then return false end end
  return true
end

local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local value, err = yaml.decode(case.text)
    found[i] = err and "error" or "another value"
    for _, want in ipairs(case.wants) do
      if not err and same(value, json.decode(want)) then found[i] = "value" end
    end
  end
  return found
end
return {handler = handler}
"""

OTHERWISE = {
    "AVM7": "an empty text is an INVALID error, as the reference documents",
    "4ABK": "libyaml refuses a colon at the end of a plain scalar in a flow map; the reference's port of it does not",
    "MUS6/01": "the mistake lies behind the first document, and only that is read",
    "565N": "bytes, which JSON cannot say: checked below",
}


def wanted(case: dict[str, Any]) -> tuple[bool, list[str]]:
    """Whether an error is right, and the values that are, as JSON. A null in Lua is nothing, on both sides."""
    values = []
    if "go_value" in case:
        values.append(_with_seconds(case["go_value"]))
    if not case["error"] and "docs" in case:
        values.append(case["docs"][0] if case["docs"] else None)
    return case["error"] or "go_error" in case, [json.dumps(value) for value in values]


def _with_seconds(value: Any) -> Any:
    """A moment, which the reference's parser gives its own type, reaches Lua as seconds."""
    match value:
        case dict():
            return {key: _with_seconds(item) for key, item in value.items()}
        case list():
            return [_with_seconds(item) for item in value]
        case str() if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value):
            return int(datetime.fromisoformat(value).timestamp())
        case _:
            return value


async def test_yaml_is_what_the_suite_or_the_reference_says(run_lua: RunLua) -> None:
    cases = vectors("yaml.jsonl.gz")
    assert len(cases) == 402
    wants = [wanted(case) for case in cases]
    ran = await run_lua(
        DECODE, [{"text": case["yaml"], "wants": values} for case, (_, values) in zip(cases, wants, strict=True)]
    )
    assert isinstance(ran.value, list)
    wrong = {
        case["id"]
        for case, (may_fail, _), got in zip(cases, wants, ran.value, strict=True)
        if not (got == "value" or (got == "error" and may_fail))
    }
    assert wrong == set(OTHERWISE)


async def test_binary_is_bytes(run_lua: RunLua) -> None:
    case = next(case for case in vectors("yaml.jsonl.gz") if case["id"] == "565N")
    ran = await run_lua(
        "return {handler = function(text) return require('yaml').decode(text).canonical end}", case["yaml"]
    )
    assert isinstance(ran.value, bytes)
    assert ran.value.startswith(b"GIF89a") and len(ran.value) == 185
