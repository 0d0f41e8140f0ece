"""`text.splitter`: where long texts and Markdown are cut, and what is bounded."""

from __future__ import annotations

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = """
local text = require("text")
"""
SPLIT = """
local text = require("text")
return { handler = function(i)
  return assert(assert(text.splitter[i.kind](i.options)):split_text(i.text))
end }
"""

FOX = "The quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize(
    ("source", "options", "chunks"),
    [
        ("", {}, []),
        (" \n ", {}, []),
        (FOX, {}, [FOX]),
        (
            FOX,
            {"chunk_size": 20, "chunk_overlap": 8},
            ["The quick brown fox", "fox jumps over the", "over the lazy dog"],
        ),
        (FOX, {"chunk_size": 12, "chunk_overlap": 0}, ["The quick", "brown fox", "jumps over", "the lazy dog"]),
        ("one\n\ntwo three\nfour", {"chunk_size": 10, "chunk_overlap": 0}, ["one", "two three", "four"]),
        ("abcdefghij", {"chunk_size": 4, "chunk_overlap": 1}, ["abcd", "defg", "ghij"]),
        ("abcdefghi", {"chunk_size": 4, "chunk_overlap": 0}, ["abcd", "efgh", "i"]),
        ("日本語と日本", {"chunk_size": 4, "chunk_overlap": 0}, ["日本語と", "日本"]),
        ("ab", {"chunk_size": 1, "chunk_overlap": 0}, ["a", "b"]),
        ("abcdefgh i", {"chunk_size": 4, "chunk_overlap": 0, "separators": [" "]}, ["abcdefgh", "i"]),
        ("a,b,c", {"chunk_size": 3, "chunk_overlap": 0, "separators": [","], "keep_separator": True}, ["a,b", ",c"]),
        ("a,b,c", {"chunk_size": 3, "chunk_overlap": 0, "separators": [","]}, ["a,b", "c"]),
        ("a-b;c-d", {"chunk_size": 3, "chunk_overlap": 0, "separators": [";", "-"]}, ["a-b", "c-d"]),
        ("a b c d e", {"chunk_size": 3}, ["a b", "b c", "c d", "d e"]),  # the default overlap, as far as it fits
        ("\x1ca\x1c b", {"chunk_size": 3, "chunk_overlap": 0}, ["\x1ca\x1c", "b"]),  # no space for Go
    ],
)
async def test_recursive(run_lua: RunLua, source: str, options: dict[str, object], chunks: list[str]) -> None:
    got = (await run_lua(SPLIT, {"kind": "recursive", "options": options, "text": source})).value
    assert got == chunks


CODE = "Run:\n\n```sh\nmake all\n```\n\n    indented\n\tcode\n\nEnd.\n"
TABLE = "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | `x|y` |\n| 5 |\n"
LIST = "1. one\n   - sub *em*\n   - sub\n     more\n2. two\nlazy\n\n3) three\n"
LINKS = "See [one][A], [A], [b][], `[A]`, \\[A], [x](y) and [none].\n\n[a]: /u 'T'\n[b]:\n  <v w>\n"


@pytest.mark.parametrize(
    ("source", "options", "chunks"),
    [
        ("", {}, []),
        ("# A\n\nText\nof two.\n\n## B\n\nMore.", {}, ["# A\nText\nof two.", "## B\nMore."]),
        ("# A\n## B ##\nx\n# C", {"heading_hierarchy": True}, ["# A", "# A\n## B\nx", "# C"]),
        ("A\n===\n\nx\n\nB\n-\ny", {}, ["# A\nx", "## B\ny"]),
        ("aaa\n\nbbb\n\nccc", {"chunk_size": 8, "chunk_overlap": 0}, ["aaa\nbbb", "ccc"]),
        ("a\n\n***\nb", {}, ["a\n\n---\nb"]),
        (CODE, {}, ["Run:\nEnd."]),
        (CODE, {"code_blocks": True}, ["Run:\n\n```sh\nmake all\n```\n\n\n    indented\n    code\n    \nEnd."]),
        ("~~~\n```\n", {"code_blocks": True}, ["\n~~~\n```\n\n~~~\n"]),  # open to the end
        (LIST, {}, ["1. one\n  - sub *em*\n  - sub\n  more\n2. two\nlazy\n1. three"]),
        ("- a\n\n  b\n- ```\n  x\n  ```\n", {"code_blocks": True}, ["- a\n- b\n\n```\nx\n```\n"]),
        ("- a\n- b\n", {"chunk_size": 4, "chunk_overlap": 0}, ["- a", "- b"]),
        ("> q *r*\n> s\nlazy\n\nx", {}, ["> q *r*\n> s\n> lazy", "x"]),
        ("> - a\n>\n> # H\n> t", {}, ["> - a\n> # H\n> t"]),
        (
            TABLE,
            {},
            [f"| a | b |\n| --- | --- |\n| {row} |" for row in ("1 | 2", "3 | `x|y`", "5 | ")],
        ),
        (
            "Before.\n\n" + TABLE,
            {"join_table_rows": True},
            ["Before.\n| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | `x|y` |\n| 5 |  |"],
        ),
        ("|  |\n|--|\n| h |\n| x |", {}, ["| h |\n| --- |\n| x |"]),
        ("a|b\nc", {}, ["a|b\nc"]),
        (LINKS, {}, ["See [one][A], [A], [b][], `[A]`, \\[A], [x](y) and [none]."]),
        (
            LINKS,
            {"reference_links": True},
            ['See [one](/u "T"), [A](/u "T"), [b](v w), `[A]`, \\[A], [x](y) and [none].'],
        ),
        ("1986. A good year\n10) x", {}, ["1. A good year\n1. x"]),
        ("text\n2. no list\n-\n", {}, ["## text\n2. no list"]),
        ("<div>\nhtml\n</div>", {}, ["<div>\nhtml\n</div>"]),
        ("word " * 20, {"chunk_size": 20, "chunk_overlap": 0}, ["word word word word"] * 5),
        ("# T\n\n" + "word " * 8, {"chunk_size": 20, "chunk_overlap": 0}, ["# T\nword word word word"] * 2),
    ],
)
async def test_markdown(run_lua: RunLua, source: str, options: dict[str, object], chunks: list[str]) -> None:
    got = (await run_lua(SPLIT, {"kind": "markdown", "options": options, "text": source})).value
    assert got == chunks


async def test_a_batch_keeps_the_metadata(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        local splitter = text.splitter.recursive({chunk_size = 5, chunk_overlap = 0})
        local about = {page = 1, channel = channel.new()} -- of any kind: it never leaves Lua
        local chunks, err = splitter:split_batch({
          {content = "aaaa bbbb", metadata = about}, {content = ""}, {content = "cc"},
        })
        local texts = {}
        for i, chunk in ipairs(chunks) do texts[i] = chunk.content end
        return { texts, chunks[1].metadata == about and chunks[2].metadata == about, next(chunks[3].metadata) == nil,
                 err == nil, splitter:split_batch({}) }
    """)).value == [["aaaa", "bbbb", "cc"], True, True, True, []]  # fmt: skip


@pytest.mark.parametrize(
    ("splitter", "subject", "count"),
    [
        ("recursive()", "('a'):rep(1000000)", 2427),
        ("recursive()", "('𝄞'):rep(500000)", 1214),
        ("recursive()", "(' '):rep(300000)", 0),
        ("recursive({chunk_size = 2, chunk_overlap = 0})", "('a '):rep(100000)", 100000),
        ("markdown()", "('- '):rep(100000) .. 'x'", None),
        ("markdown()", "('>'):rep(100000)", None),
        ("markdown()", "('> a\\nb\\n'):rep(30000)", None),
        ("markdown({chunk_size = 1000000})", "('a\\n\\n'):rep(50000)", 1),
        ("markdown({reference_links = true})", "'[a]: b\\n\\n' .. ('['):rep(500000)", None),
        ("markdown({reference_links = true})", "'[a]: b\\n\\n' .. ('[a][b'):rep(100000)", None),
        ("markdown({reference_links = true})", "('[a]: b\\n'):rep(50000)", 0),
        ("markdown()", "'|a\\n|-\\n' .. ('`|'):rep(200000)", None),
    ],
)
async def test_large_texts(run_lua: RunLua, splitter: str, subject: str, count: int | None) -> None:
    """In quadratic time each would be the time limit."""
    source = f"local chunks, err = text.splitter.{splitter}:split_text({subject}) return err and err:kind() or #chunks"
    got = (await run_lua(TEXT + source)).value
    assert isinstance(got, int) or got == "INVALID"
    assert count is None or got == count


TOO_MUCH = "the chunks are larger than 8 MiB together: repeat less"


@pytest.mark.parametrize(
    ("splitter", "subject", "message"),
    [
        ("recursive()", "('a'):rep(2000000)", "text is longer than 1048576 characters"),
        ("recursive()", "'\\xff'", "text is not valid UTF-8"),
        ("recursive({chunk_size = 1000, chunk_overlap = 999})", "('a'):rep(1000000)", TOO_MUCH),
        ("recursive({chunk_size = 1000, chunk_overlap = 999})", "(' '):rep(1000000)", TOO_MUCH),
        ("markdown()", "'# ' .. ('h'):rep(100000) .. ('\\n\\n- x\\n\\n# y'):rep(1) .. ('\\n\\nz'):rep(9)", None),
        ("markdown()", "'# ' .. ('h'):rep(100000) .. ('\\n\\n' .. ('w '):rep(400)):rep(200)", TOO_MUCH),
        ("markdown()", "'|' .. ('h'):rep(100000) .. '|\\n|-|\\n' .. ('|x|\\n'):rep(1000)", TOO_MUCH),
        ("markdown()", "'|a|\\n' .. ('|-'):rep(200000) .. '|\\n' .. ('|\\n'):rep(200000)", TOO_MUCH),
        (
            "markdown({reference_links = true})",
            "'[a]: /' .. ('u'):rep(100000) .. '\\n\\n' .. ('[a] '):rep(1000)",
            TOO_MUCH,
        ),
    ],
)
async def test_limits(run_lua: RunLua, splitter: str, subject: str, message: str | None) -> None:
    error = (await run_lua(TEXT + f"return text.splitter.{splitter}:split_text({subject})")).outcome.error
    if message is None:
        assert error is None
    else:
        assert error is not None
        assert (error.kind, error.message) == (ErrorKind.INVALID, message)


WRONG = """
local found = {}
local things = {nil, true, -1, 2.5, 0/0, "x", {7}, {a = {}}, print, coroutine.create(print), errors.new("e"), "\\xff"}
local function wrong(what, ok, value, err)
  local problem = not ok and value or value == nil and err
  if not errors.is(problem, errors.INVALID) then found[#found + 1] = what .. ": " .. tostring(problem) end
end
for _, make in ipairs{text.splitter.recursive, text.splitter.markdown} do
  local splitter = make()
  for i = 1, 12 do
    local thing, kind = things[i], type(things[i])
    if kind ~= "nil" and (kind ~= "table" or i == 11) then wrong("new" .. i, pcall(make, thing)) end
    if kind ~= "nil" and i ~= 5 then -- NaN crosses to Python as nil
      wrong("chunk_size" .. i, pcall(make, {chunk_size = thing}))
      wrong("chunk_overlap" .. i, pcall(make, {chunk_overlap = thing}))
      if i ~= 2 then
        local flags = {"keep_separator", "code_blocks", "heading_hierarchy", "join_table_rows", "reference_links"}
        for _, name in ipairs(flags) do wrong(name .. i, pcall(make, {[name] = thing})) end
      end
      wrong("separators" .. i, pcall(text.splitter.recursive, {separators = thing}))
      -- An error crosses to Python as its text.
      wrong("separators" .. i, pcall(make, {separators = {(i == 6 or i == 11) and 1 or thing}}))
    end
    if i ~= 6 then wrong("split_text" .. i, pcall(splitter.split_text, splitter, thing)) end
    if i ~= 8 then wrong("split_batch" .. i, pcall(splitter.split_batch, splitter, thing)) end
    if i > 1 then wrong("split_batch" .. i, pcall(splitter.split_batch, splitter, {thing})) end
    if i ~= 6 then wrong("content" .. i, pcall(splitter.split_batch, splitter, {{content = thing}})) end
    if i > 1 and i ~= 7 and i ~= 8 then
      wrong("metadata" .. i, pcall(splitter.split_batch, splitter, {{content = "x", metadata = thing}}))
    end
    wrong("self", pcall(splitter.split_text, thing, "x"))
    wrong("self", pcall(splitter.split_batch, thing, {}))
  end
  wrong("size", pcall(make, {chunk_size = 0}))
  wrong("overlap", pcall(make, {chunk_size = 10, chunk_overlap = 10}))
  wrong("overlap", pcall(make, {chunk_overlap = 512}))
end
local many = {}
for i = 1, 101 do many[i] = "x" end
wrong("unknown", pcall(text.splitter.recursive, {size = 1}))
wrong("other", pcall(text.splitter.recursive, {code_blocks = true}))
wrong("another", pcall(text.splitter.markdown, {separators = {"x"}}))
wrong("many", pcall(text.splitter.recursive, {separators = many}))
return found
"""


async def test_wrong_arguments(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + WRONG)).value == []


async def test_an_object_that_a_tool_tampered_with_is_its_own_problem_only(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        local kinds = {}
        local broken = {
          {_options = 7}, {_options = "x"}, {_options = {1}}, {_options = {separators = 3}},
          {_kind = {}}, {_kind = "x"},
        }
        for i, fields in ipairs(broken) do
          local splitter = text.splitter.recursive()
          for name, value in pairs(fields) do splitter[name] = value end
          local chunks, err = splitter:split_text("x")
          kinds[i] = chunks and "chunks" or err:kind()
        end
        return kinds
    """)).value == ["INVALID"] * 6  # fmt: skip
