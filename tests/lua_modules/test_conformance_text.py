"""The module `text` against the shared vectors: answers of Go's regexp, RE2's own search tests, and of go-diff."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_kit import vectors
from lua_double import RunLua

pytestmark = pytest.mark.asyncio(loop_scope="module")

GO_REGEXP = """
local text = require("text")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local re, s = text.regexp.compile(case.re), case.text
    found[i] = re ~= nil and {
      match = re:match_string(s), names = re:subexp_names(), find = re:find_string(s) or "",
      find_all = re:find_all_string(s), find_index = re:find_string_index(s) or false,
      submatch = re:find_string_submatch(s) or false, all_submatch = re:find_all_string_submatch(s),
      replace = re:replace_all_string(s, case.repl), split = re:split(s, -1),
    }
    assert(not re or re:string() == case.re and re:num_subexp() == #found[i].names - 1)
    assert(not re or #(re:find_all_string_index(s) or {}) == #found[i].find_all)
  end
  return found
end
return {handler = handler}
"""


def as_lua_has_it(case: dict[str, Any]) -> Any:
    """Where Go gives nil, Lua has an empty list or nil, and positions count from 1, the last one included."""
    if "error" in case:
        return False
    index = case["find_index"]
    return {
        **{name: case[name] for name in ("match", "names", "find", "replace", "split")},
        "find_all": case["find_all"] or [],
        "find_index": [index[0] + 1, index[1]] if index else False,
        "submatch": case["submatch"] or False,
        "all_submatch": case["all_submatch"] or [],
    }


async def test_regexp_gives_what_go_gives(run_lua: RunLua) -> None:
    cases = vectors("go_regexp.jsonl.gz")
    assert len(cases) == 1_384
    got = (await run_lua(GO_REGEXP, cases)).value
    assert isinstance(got, list)
    wrong = [
        (case["re"], case["text"]) for case, answer in zip(cases, got, strict=True) if answer != as_lua_has_it(case)
    ]
    assert wrong == []


RE2 = """
local text = require("text")
local function spans(pattern, s)
  local re = assert(text.regexp.compile(pattern))
  return {re:find_string_index(s) or false, re:find_string_submatch(s) or false}
end
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    found[i] = {spans(case.re, case.text), spans("\\\\A(?:" .. case.re .. ")\\\\z", case.text)}
  end
  return found
end
return {handler = handler}
"""
"""The longest match, which the vectors give too, is nothing that Go's default or the module offers."""


def as_spans(subject: str, spans: list[list[int]] | None) -> list[Any]:
    if spans is None:
        return [False, False]
    data = subject.encode()
    texts = [data[start:end].decode() if start >= 0 else "" for start, end in spans]
    return [[spans[0][0] + 1, spans[0][1]], texts]


async def test_regexp_finds_what_re2_finds(run_lua: RunLua) -> None:
    cases = vectors("re2_search.jsonl.gz")
    assert len(cases) == 1_888
    # \C is one byte, also from the middle of a character: Go refuses it, and so do we.
    cases = [case for case in cases if "\\C" not in case["re"]]
    assert len(cases) == 1_808
    got = (await run_lua(RE2, cases)).value
    assert isinstance(got, list)
    for case, answer in zip(cases, got, strict=True):
        assert answer == [as_spans(case["text"], case["find"]), as_spans(case["text"], case["full"])], case


DIFF = """
local text = require("text")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    -- The vectors were made without a limit of time, and so without the short cut that a limit brings.
    local differ = text.diff.new({diff_timeout = 0})
    local diffs, patches = differ:compare(case.a, case.b), differ:patch_make(case.a, case.b)
    local pairs_, texts, sums = {}, {}, differ:summarize(diffs)
    for j, diff in ipairs(diffs) do pairs_[j] = {diff.operation, diff.text} end
    for j, patch in ipairs(patches) do texts[j] = patch.text end
    local applied, ok = differ:patch_apply(patches, case.a)
    found[i] = {
      diffs = pairs_, patch_text = table.concat(texts), applied = applied, applied_ok = ok,
      pretty_text = differ:pretty_text(diffs), pretty_html = differ:pretty_html(diffs),
      size_a = sums.equals + sums.deletions, size_b = sums.equals + sums.insertions,
    }
  end
  return found
end
return {handler = handler}
"""
"""`levenshtein`, which the vectors give too, is nothing that the module offers."""


@pytest.mark.parametrize("part", range(3))
async def test_diff_gives_what_the_reference_gives(run_lua: RunLua, part: int) -> None:
    every = vectors("diff.jsonl.gz")
    assert len(every) == 600
    cases = every[part * 200 : part * 200 + 200]
    got = (await run_lua(DIFF, [{"a": case["a"], "b": case["b"]} for case in cases])).value
    assert isinstance(got, list)
    for case, answer in zip(cases, got, strict=True):
        names = ("diffs", "patch_text", "applied", "pretty_text", "pretty_html")
        expected = {name: case[name] for name in names} | {"applied_ok": all(case["applied_ok"])}
        assert answer == expected | {"size_a": len(case["a"]), "size_b": len(case["b"])}
