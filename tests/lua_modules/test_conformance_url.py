"""The Lua module `url` against the URL tests of the browsers, and `build` against what `parse` makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_kit import vectors
from lua_double import RunLua

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTS = ("href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash")
"""All that a case may tell but `origin`: that is what a page may share, and no part of ours."""

PARSE = """
local url = require("url")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local parts, err = url.parse(case.input, case.base)
    if case.base then
      local joined, same = url.join(case.base, case.input)
      assert(joined == (parts and parts.href) and (not same or same:message() == err:message()))
    end
    found[i] = parts or {failure = err:kind()}
  end
  return found
end
return {handler = handler}
"""

BUILD = """
local url = require("url")
local function handler(all)
  local found = {}
  for i, parts in ipairs(all) do
    local built = url.build(parts)
    found[i] = {href = built, again = url.parse(built), query = url.encode_query(parts.query)}
  end
  return found
end
return {handler = handler}
"""


def _text(value: str) -> str:
    """Half a surrogate pair is no text in Lua; the standard reads it as U+FFFD."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


async def _parse(run_lua: RunLua, cases: list[dict[str, Any]]) -> list[Any]:
    inputs = [{key: _text(case[key]) for key in ("input", "base") if case[key] is not None} for case in cases]
    ran = await run_lua(PARSE, inputs)
    assert isinstance(ran.value, list) and len(ran.value) == len(cases)
    return ran.value


async def test_addresses_are_read_as_browsers_read_them(run_lua: RunLua) -> None:
    cases = vectors("url.jsonl.gz")
    assert len(cases) == 891
    for case, got in zip(cases, await _parse(run_lua, cases), strict=True):
        if case.get("failure"):
            assert got == {"failure": "INVALID"}, case
        else:
            assert {name: got.get(name) for name in PARTS} == {name: case[name] for name in PARTS}, case


async def test_what_was_taken_apart_is_put_together_with_the_same_parts(run_lua: RunLua) -> None:
    cases = [case for case in vectors("url.jsonl.gz") if not case.get("failure")]
    assert len(cases) == 624
    parsed = await _parse(run_lua, cases)
    ran = await run_lua(BUILD, parsed)
    assert isinstance(ran.value, list)
    same = 0
    for case, parts, got in zip(cases, parsed, ran.value, strict=True):
        assert got["again"] == {**parts, "href": got["href"]}, case
        assert got["query"] == case.get("searchParams", got["query"]), case
        same += got["href"] == case["href"]
        # Of these the parts do not tell: an empty query or fragment, and whether there is an empty host or none.
        if got["href"] != case["href"]:
            assert case["href"].endswith(("?", "#")) or "?#" in case["href"] or not case["host"], case
    assert same == 566
