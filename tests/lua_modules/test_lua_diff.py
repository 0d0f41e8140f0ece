"""`text.diff`: comparing, patches and their fuzzy application, options, and what is bounded."""

from __future__ import annotations

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.lua_modules._text_diff_engine import Characters
from micro_agi_kernel.lua_modules._text_patch_engine import Octets

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = """
local text = require("text")
local d = text.diff.new()
"""


@pytest.mark.parametrize(
    ("old", "new", "diffs"),
    [
        ("", "", []),
        ("same", "same", ["=same"]),
        ("", "a", ["+a"]),
        ("a", "", ["-a"]),
        ("the lazy dog", "the crazy dog", ["=the ", "-l", "+cr", "=azy dog"]),
        ("aé", "aè", ["=a", "-é", "+è"]),  # characters, not the bytes that they share
        ("ab\n𝄞", "ab\n𝄞x", ["=ab\n𝄞", "+x"]),
        (  # no edit of nothing, which the reference gives here
            "aabbaabbbbaabbaaaaa",
            "bbbbbabbbb",
            ["-aa", "=bb", "-aab", "=bbba", "-a", "+bb", "=bb", "-aaaaa"],
        ),
    ],
)
async def test_compare(run_lua: RunLua, old: str, new: str, diffs: list[str]) -> None:
    source = """
        return { handler = function(texts)
          local signs, found = {equal = "=", delete = "-", insert = "+"}, {}
          for i, diff in ipairs(d:compare(texts[1], texts[2])) do found[i] = signs[diff.operation] .. diff.text end
          return found
        end }
    """
    assert (await run_lua(TEXT + source, [old, new])).value == diffs


async def test_summary_and_pretty_forms(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + r"""
        local diffs = d:compare("a<b>\né", "a<c>\nè!")
        return { d:summarize(diffs), d:pretty_html(diffs), (d:pretty_text(diffs):gsub("\27", "^")),
                 d:pretty_text({{operation = "delete", text = "x\ny"}}) == "\27[31mx\27[0m\n\27[31my\27[0m",
                 d:pretty_html({}) }
    """)).value == [
        {"equals": 4, "deletions": 2, "insertions": 3},
        '<span>a&lt;</span><del style="background:#ffe6e6;">b</del><ins style="background:#e6ffe6;">c</ins>'
        '<span>&gt;&para;<br></span><del style="background:#ffe6e6;">é</del>'
        '<ins style="background:#e6ffe6;">è!</ins>',
        "a<^[31mb^[0m^[32mc^[0m>\n^[31mé^[0m^[32mè!^[0m",
        True,
        "",
    ]  # fmt: skip


async def test_patches(run_lua: RunLua) -> None:
    """Positions in the text of a patch count bytes; a patch finds its place in a text that has changed."""
    assert (await run_lua(TEXT + """
        local patches = d:patch_make("Zürich ist schön", "Zürich war schön")
        local texts = {}
        for i, patch in ipairs(patches) do texts[i] = patch.text end
        return { texts, {d:patch_apply(patches, "Ja: Zürich ist sehr schön")}, {d:patch_apply(patches, "qqqqqqqqqqqq")},
                 {d:patch_apply({}, "x")}, d:patch_make("a", "a") }
    """)).value == [
        ["@@ -5,11 +5,11 @@\n ich \n-ist\n+war\n  sch\n"],
        ["Ja: Zürich war sehr schön", True],
        ["qqqqqqqqqqqq", False],
        ["x", True],
        [],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "subject", "result"),
    [
        ("", "xxxx abc yyyy", ["xxxx aBc yyyy", True]),
        ("{match_threshold = 0}", "xxxx abd yyyy", ["xxxx abd yyyy", False]),
        ("{match_threshold = 0.5}", "xxxx abd yyyy", ["xxxx aBd yyyy", True]),
        ("{match_distance = 1}", ("q" * 300) + "xxxx abc yyyy", [("q" * 300) + "xxxx abc yyyy", False]),
        ("{match_distance = 0, patch_margin = 0, diff_edit_cost = 0}", "xxxx abc yyyy", ["xxxx aBc yyyy", True]),
    ],
)
async def test_options_of_matching(run_lua: RunLua, options: str, subject: str, result: list[object]) -> None:
    source = f"""
        local patches = d:patch_make("xxxx abc yyyy", "xxxx aBc yyyy")
        return {{ handler = function(subject) return {{text.diff.new({options}):patch_apply(patches, subject)}} end }}
    """
    assert (await run_lua(TEXT + source, subject)).value == result


async def test_options_of_making(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        local old, new = "abcdefghijklm", "abcdefGhijklm"
        local function make(options) return text.diff.new(options):patch_make(old, new)[1].text end
        return { make(), make({patch_margin = 2}), make({diff_edit_cost = 9, diff_timeout = 2.5}) }
    """)).value == [
        "@@ -3,9 +3,9 @@\n cdef\n-g\n+G\n hijk\n",
        "@@ -5,5 +5,5 @@\n ef\n-g\n+G\n hi\n",
        "@@ -3,9 +3,9 @@\n cdef\n-g\n+G\n hijk\n",
    ]  # fmt: skip


async def test_a_large_deletion_and_several_patches(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        local lines = {}
        for i = 1, 400 do lines[i] = "line " .. i .. " is here\\n" end
        local old = table.concat(lines)
        for i = 100, 250 do lines[i] = "" end
        for i = 10, 400, 40 do lines[i] = "edited\\n" end
        local new = table.concat(lines)
        local patches = d:patch_make(old, new)
        local result, ok = d:patch_apply(patches, old)
        local shifted, ok2 = d:patch_apply(patches, "first\\n" .. old)
        return { #patches > 3, result == new, ok, shifted == "first\\n" .. new, ok2 }
    """)).value == [True] * 5  # fmt: skip


async def test_each_long_patch_is_cut_into_pieces(run_lua: RunLua) -> None:
    """Also the second one, whose place has changed: in one piece it would be put together wrongly."""
    assert (await run_lua(TEXT + """
        local rest = "gamma gamma delta delta gamma alpha beta delta eps gamma delta delta delta eps gamma beta beta "
        local function make(a, b) return "delta alpha beta alpha alpha delta eps delta " .. a .. rest .. b end
        local behind = "eps beta delta beta gamma eps eps beta beta gamma beta beta delta"
        local old1, new1 = "alpha alpha gamma alpha eps delta beta gamma eps delta alpha ",
                           "alXha alXha gamma alXha epX deXta beXa gaXma epX deXta alpha "
        local old2, new2 = "alpha gamma gamma delta alpha eps gamma eps beta beta alpha " .. behind,
                           "alpha gamma gamma delta alXha epX gaXma epX beXa beXa alXha " .. behind
        local patches = d:patch_make(make(old1, old2), make(new1, new2))
        local result, ok = d:patch_apply(patches, make(old1, (old2:gsub("beta beta", "qq beta", 1))))
        return { #patches > 1, result == make(new1, (new2:gsub("beXa beXa", "beXqq beXa", 1))), ok }
    """)).value == [True, True, True]  # fmt: skip


async def test_the_lengths_in_the_head_of_a_patch_are_not_believed(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        return { (d:patch_apply({{text = "@@ -1,999999999999999 +1,1 @@\\n ab\\n-c\\n+X\\n de\\n"}}, "abcde")),
                 (d:patch_apply({{text = "@@ -999999999999999 +1 @@\\n ab\\n-c\\n+%58\\n de\\n\\n"}}, "abcde")),
                 (d:patch_apply({{text = "@@ -0,0 +1,2 @@\\n+%C3%A9+\\n"}}, "")),
                 (d:patch_apply({{text = "@@ -1 +1 @@\\n+%ff\\n"}}, "a")) }
    """)).value == ["abXde", "abXde", "é+", b"a\xff"]  # fmt: skip


PSEUDO_RANDOM = """
local function random(seed, size)
  local out = {}
  for i = 1, size do
    seed = (seed * 1103515245 + 12345) % 2147483648
    out[i] = string.char(97 + seed // 65536 % 26)
  end
  return table.concat(out)
end
"""


async def test_the_answer_for_texts_without_likeness_is_coarse(run_lua: RunLua) -> None:
    """It is bounded by steps, not by the clock: the same on any machine."""
    assert (await run_lua(TEXT + PSEUDO_RANDOM + """
        local a, b = random(1, 30000), random(2, 30000)
        local diffs = text.diff.new({diff_timeout = 0.1}):compare(a, b)
        local old, new = "", ""
        for _, diff in ipairs(diffs) do
          if diff.operation ~= "insert" then old = old .. diff.text end
          if diff.operation ~= "delete" then new = new .. diff.text end
        end
        return { #diffs, old == a, new == b }
    """)).value == [2, True, True]  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        "d:compare('x' .. ('a'):rep(1000000) .. 'y', 'z' .. ('a'):rep(1000000) .. 'w')",
        "d:compare('x' .. ('ab'):rep(400000) .. 'y', 'z' .. ('ba'):rep(500000))",
        "d:patch_make('b' .. ('a'):rep(100000), ('a'):rep(100000) .. 'c')",
        "d:patch_make(('a\\n'):rep(100000) .. 'x', ('b\\na\\n'):rep(50000))",
        "d:patch_make(('a'):rep(200000), ('a'):rep(100000) .. 'b' .. ('a'):rep(100000))",
    ],
)
async def test_texts_that_repeat_themselves(run_lua: RunLua, call: str) -> None:
    assert (await run_lua(TEXT + f"return #({call}) > 0")).value is True  # in quadratic time it would be the time limit


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return d:compare(('a'):rep(2000000), 'b')", "text1 is longer than 1048576 characters"),
        ("return d:compare('b', '\\xff')", "text2 is not valid UTF-8"),
        ("return d:patch_make('b', ('a'):rep(2000000))", "text2 is longer than 1048576 characters"),
        ("return d:patch_apply({}, ('a'):rep(2000000))", "text is longer than 1048576 characters"),
        ("return d:patch_apply({{text = 'hello'}}, '')", "no patch: 'hello'"),
        ("return d:patch_apply({{text = '+a'}}, '')", "no patch: '+a'"),
        ("return d:patch_apply({{text = '@@ -1 +1 @@\\n*a'}}, '')", "no patch: '*a'"),
        (
            "return d:patch_apply({{text = '@@ -1 +1 @@\\n' .. ('+\\n'):rep(200000)}}, 'a')",
            "the patches are longer than 8388608 characters or 100000 lines",
        ),
        (
            "return d:patch_apply({{text = '@@ -1 +1 @@\\n' .. (' ab\\n-c\\n+d\\n'):rep(30000)}}, ('abc'):rep(200000))",
            "too much work: the text and its patches are too large together",
        ),
    ],
)
async def test_limits(run_lua: RunLua, source: str, message: str) -> None:
    error = (await run_lua(TEXT + source)).outcome.error
    assert error is not None
    assert (error.kind, error.message) == (ErrorKind.INVALID, message)


async def test_the_fuzzy_search_has_a_bound() -> None:
    engine = Octets(Characters(1000), work=100_000)
    assert engine.match_main("abxdefghij" * 100, "abcdef", 0) == 0
    with pytest.raises(Refused, match="too much work"):
        for place in range(1000):
            engine.match_main("abxdefghij" * 1000, "abcdef", place)


WRONG = """
local found = {}
local things = {nil, true, 7, 2.5, 0/0, "x", {1}, {a = {}}, print, coroutine.create(print), errors.new("e"), "\\xff"}
local function wrong(what, ok, value, err)
  local problem = not ok and value or value == nil and err
  if not errors.is(problem, errors.INVALID) then found[#found + 1] = what .. ": " .. tostring(problem) end
end
for i = 1, 12 do
  local thing, kind = things[i], type(things[i])
  if kind ~= "nil" and (kind ~= "table" or errors.is(thing, errors.UNKNOWN)) then
    wrong("new " .. i, pcall(text.diff.new, thing))
  end
  for _, name in ipairs{"diff_timeout", "diff_edit_cost", "match_threshold", "match_distance",
      "patch_delete_threshold", "patch_margin"} do
    if kind ~= "nil" and i ~= 3 and i ~= 4 and i ~= 5 then
      wrong(name .. i, pcall(text.diff.new, {[name] = thing}))
    end
    wrong(name, pcall(text.diff.new, {[name] = -1}))
    wrong(name, pcall(text.diff.new, {[name] = 1e300}))
  end
  for _, name in ipairs{"compare", "patch_make"} do
    if i ~= 6 then wrong(name .. i, pcall(d[name], d, thing, "x")) end
    if i ~= 6 then wrong(name .. i, pcall(d[name], d, "x", thing)) end
  end
  for _, name in ipairs{"summarize", "pretty_text", "pretty_html"} do
    if i ~= 8 then wrong(name .. i, pcall(d[name], d, thing)) end
    wrong(name .. i, pcall(d[name], d, {{operation = thing, text = "x"}}))
    if i ~= 6 and i ~= 12 then wrong(name .. i, pcall(d[name], d, {{operation = "equal", text = thing}})) end
  end
  if i ~= 8 then wrong("patch_apply" .. i, pcall(d.patch_apply, d, thing, "x")) end
  wrong("patch_apply" .. i, pcall(d.patch_apply, d, {{text = thing}}, "x"))
  if i ~= 6 then wrong("patch_apply" .. i, pcall(d.patch_apply, d, {}, thing)) end
  for _, name in ipairs{"compare", "patch_make", "patch_apply", "summarize", "pretty_text", "pretty_html"} do
    wrong("self of " .. name, pcall(d[name], thing, "x", "y"))
  end
end
wrong("part", pcall(text.diff.new, {patch_margin = 1.5}))
wrong("margin", pcall(text.diff.new, {patch_margin = 16}))
wrong("unknown", pcall(text.diff.new, {timeout = 1}))
return found
"""


async def test_wrong_arguments(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + WRONG)).value == []


async def test_an_object_that_a_tool_tampered_with_is_its_own_problem_only(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        local kinds = {}
        for i, options in ipairs{7, "x", {1}, {patch_margin = 99}, {diff_timeout = {}}} do
          local other = text.diff.new()
          other._options = options
          kinds[i] = select(2, other:patch_make("a", "b")):kind()
        end
        return kinds
    """)).value == ["INVALID"] * 5  # fmt: skip
