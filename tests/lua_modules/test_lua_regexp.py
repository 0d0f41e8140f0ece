"""`text.regexp`: Go's semantics where RE2 alone would differ, bytes that are no UTF-8, and what is bounded."""

from __future__ import annotations

import os

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind

FULL = os.environ.get("MICRO_AGI_FULL") == "1"

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = """
local text = require("text")
local function re(pattern) return assert(text.regexp.compile(pattern)) end
"""


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("re('x*'):find_all_string('axxb')", ["", "xx", ""]),
        ("re('x*'):find_all_string_index('axxb')", [[1, 0], [2, 3], [5, 4]]),
        ("re(''):find_all_string_index('aé')", [[1, 0], [2, 1], [4, 3]]),  # none inside a character
        ("re('x*'):replace_all_string('axxb', '-')", "-a-b-"),
        ("re('x'):find_all_string('abc')", []),
        ("re('x'):find_all_string_index('abc') == nil", True),
        ("re('x'):find_string('abc') == nil", True),
        ("re('x*'):find_string('abc') == nil", True),  # an empty match is nil here, as in the reference
        ("re('(a)|(b)'):find_string_submatch('b')", ["b", "", "b"]),
        ("re('é'):find_string_index('aé!')", [2, 3]),
        ("re('(?<n>a)(b)'):subexp_names()", ["", "n", ""]),
        (r"re([[\(((?P<n>[(]a))]]):subexp_names()", ["", "", "n"]),
        (r"re('\\Q(a\\E[[:alpha:](](]?(?:x))'):num_subexp()", 1),
        ("re('(?i)STRASSE'):match_string('Strasse')", True),
        (r"re([[\pN+]]):find_string('a١٢')", "١٢"),
        (r"re([[\Q.*\E]]):match_string('a.*b')", True),
        (r"re([[^a$]]):match_string('b\na')", False),
        (r"re([[(?m)^a$]]):match_string('b\na')", True),
        ("re('.'):match_string('\\n')", False),
    ],
)
async def test_matching(run_lua: RunLua, call: str, value: object) -> None:
    assert (await run_lua(TEXT + f"return {call}")).value == value


@pytest.mark.parametrize(
    ("pattern", "template", "result"),
    [
        ("(a)(b)", "$2$1", "ba"),
        ("(a)(b)", "${1}x$1x", "ax"),  # $1x is the group 1x
        ("(a)(b)", "$$1$0$3$", "$1ab$"),
        ("(a)(b)", "${", "${"),
        ("(a)(b)", "${1", "${1"),
        ("(a)(b)", "$01", ""),
        ("(?P<first>a)(?P<l_2>b)", "${l_2}$first.", "ba."),
        ("(?P<n>x)|(?P<n>a)b", "<$n>", "<a>"),  # of two with a name the one that took part
        ("(a)(b)", "$é", ""),
        ("ab", r"\1", r"\1"),
    ],
)
async def test_templates(run_lua: RunLua, pattern: str, template: str, result: str) -> None:
    source = "return { handler = function(i) return re(i[1]):replace_all_string('ab', i[2]) end }"
    assert (await run_lua(TEXT + source, [pattern, template])).value == result


@pytest.mark.parametrize(
    ("pattern", "subject", "n", "parts"),
    [
        (",", "a,b,c", -1, ["a", "b", "c"]),
        (",", "a,b,c", 2, ["a", "b,c"]),
        (",", "a,b,c", 1, ["a,b,c"]),
        (",", "a,b,c", 0, []),
        (",", ",a,", -1, ["", "a", ""]),
        (",", "", -1, [""]),
        ("", "", -1, []),
        ("", "aé", -1, ["a", "é"]),
        ("x*", "axbc", -1, ["a", "b", "c"]),
        ("x", "abc", 9, ["abc"]),
    ],
)
async def test_split(run_lua: RunLua, pattern: str, subject: str, n: int, parts: list[str]) -> None:
    source = "return { handler = function(i) return re(i[1]):split(i[2], i[3]) end }"
    assert (await run_lua(TEXT + source, [pattern, subject, n])).value == parts


@pytest.mark.parametrize(
    ("call", "value"),
    [
        # Each byte that is no UTF-8 is a character for Go, which `.` matches; positions are those in the bytes given.
        (r"re('.'):find_all_string_index('\xff\xe2\x82a')", [[1, 1], [2, 2], [3, 3], [4, 4]]),
        (r"re('(a)(.)'):find_string_submatch('\xffa\xfe')", [b"a\xfe", "a", b"\xfe"]),
        (r"re('a'):replace_all_string('\xffa\xfe', '\xfd$0')", b"\xff\xfda\xfe"),
        (r"re('é'):find_string_index('\xff\xffé')", [3, 4]),
        (r"re('b'):split('\xffb\xfe')", [b"\xff", b"\xfe"]),
        (r"re('\u{fffd}'):match_string('\xff')", True),
    ],
)
async def test_bytes_that_are_no_text(run_lua: RunLua, call: str, value: object) -> None:
    assert (await run_lua(TEXT + f"return {call}")).value == value


BAD_PATTERNS = [
    *["(", ")", "[", "[a", "a)", "*", "a**", "a{2,1}", "a{1001}", "(a{100}){100}", "[z-a]", "(?P<n", "(?P<>a)", "(?z)"],
    *[r"\C", r"a\C", r"\1", r"\Z", r"\pQ", "(?=a)", "(?<!a)", r"\8", "(?P<é>a)", "[[:x:]]", "\\", "a" * 100_001],
    *[r"[\pL\pN]{900}", "(?:[^x]" * 5 + "){9}{900}", "(((((x{1000}){1000}){1000}){1000}){1000})"],
]


async def test_bad_patterns(run_lua: RunLua) -> None:
    source = """
        return { handler = function(patterns)
          local kinds = {}
          for i, pattern in ipairs(patterns) do
            local found, err = text.regexp.compile(pattern)
            kinds[i] = found == nil and err:kind() .. tostring(err:retryable()) or pattern
          end
          return kinds
        end }
    """
    kinds = (await run_lua(TEXT + source, BAD_PATTERNS)).value
    assert kinds == ["INVALIDfalse"] * len(BAD_PATTERNS)


@pytest.mark.parametrize(
    "pattern",
    [
        "('(' ):rep(10000) .. 'a' .. (')'):rep(10000)",
        "('(?:'):rep(9000) .. 'a' .. (')*'):rep(9000)",
        r"'[ab]*a[ab]{400}c'",
        r"'(x+x+)+y|(a|b|ab)*c(.*)(.*)(.*)'",
        r"'(?i)(\\pL|x){30}[^z]{1,900}'",
        "('a|b|'):rep(20000) .. 'ab'",
        r"'[' .. ('[:alpha:]'):rep(9000) .. ']'",
    ],
)
async def test_a_large_pattern_works_or_is_an_error(run_lua: RunLua, pattern: str) -> None:
    """In the jail, where an allocation that fails must not end the process."""
    ran = await run_lua(TEXT + f"""
        local found, err = text.regexp.compile({pattern})
        if found then return type(found:match_string(("abba"):rep(20000))) end
        return err:kind()
    """)  # fmt: skip
    assert ran.value in ("boolean", "INVALID")


async def test_many_large_patterns_that_are_compiled_only(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        for i = 1, COUNT do re("\\\\pL{200}x{" .. i .. "}") end -- three megabytes each
        return re("x"):match_string("x")
    """.replace("COUNT", "60" if FULL else "6"))).value is True  # fmt: skip


async def test_many_large_patterns_in_one_call(run_lua: RunLua) -> None:
    """The compiled ones are kept, but not all: each of these takes megabytes when it is used."""
    assert (await run_lua(TEXT + """
        local subject, found = ("abba"):rep(5000), 0
        for i = 1, 40 do
          local pattern = re("[ab]*a[ab]{" .. 400 + i .. "}c")
          found = found + (pattern:match_string(subject) and 1 or 0)
          pattern:find_string_submatch("abc")
        end
        return found
    """)).value == 0  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("re(('(a)'):rep(99)):find_all_string_submatch(('a'):rep(2000000))", "more than 1,000,000 matches and groups"),
        ("re('a'):replace_all_string(('a'):rep(100000), ('b'):rep(100))", "the replaced text is larger than 8 MiB"),
        ("re('(x)?a'):replace_all_string(('a'):rep(9000), ('$1'):rep(9000))", "too much to replace"),
        ("re('a'):match_string(('\\xff'):rep(2000000))", "s is not valid UTF-8 and longer than 1048576 bytes"),
    ],
)
async def test_limits(run_lua: RunLua, call: str, message: str) -> None:
    error = (await run_lua(TEXT + f"return {call}")).outcome.error
    assert error is not None
    assert (error.kind, error.message) == (ErrorKind.INVALID, message)


WRONG = """
local found = {}
local things = {nil, true, 7, 2.5, 0/0, {}, {1}, {a = {}}, print, coroutine.create(print), errors.new("e")}
local function wrong(ok, value, err)
  local problem = not ok and value or value == nil and err
  found[#found + 1] = errors.is(problem, errors.INVALID) or tostring(problem)
end
for i = 1, 11 do
  wrong(pcall(text.regexp.compile, things[i]))
  for _, name in ipairs{"match_string", "find_string", "find_all_string", "find_string_submatch",
      "find_all_string_submatch", "find_string_index", "find_all_string_index", "replace_all_string", "split"} do
    local r = re("a")
    wrong(pcall(r[name], r, things[i], "x"))
    wrong(pcall(r[name], things[i], "x", "x"))
  end
  wrong(pcall(re("a").replace_all_string, re("a"), "x", things[i]))
  if i > 1 and i ~= 3 then wrong(pcall(re("a").split, re("a"), "x", things[i])) end
  wrong(pcall(re("a").split, re("a"), "x", "7"))
  wrong(pcall(re("a").string, things[i]))
  wrong(pcall(re("a").num_subexp, things[i]))
  wrong(pcall(re("a").subexp_names, things[i]))
end
wrong(pcall(text.regexp.compile, "\\xff"))
wrong(pcall(re("a").split, re("a"), 5))
return found
"""


async def test_wrong_arguments(run_lua: RunLua) -> None:
    kinds = (await run_lua(TEXT + WRONG)).value
    assert isinstance(kinds, list)
    assert len(kinds) > 250
    assert kinds == [True] * len(kinds)


async def test_an_object_that_a_tool_tampered_with_is_its_own_problem_only(run_lua: RunLua) -> None:
    assert (await run_lua(TEXT + """
        local kinds = {}
        for i, pattern in ipairs{"(", 7, {}, "\\xff", ("a"):rep(100001)} do
          local r = re("a")
          r._pattern = pattern
          kinds[i] = select(2, pcall(r.find_all_string_submatch, r, "a")):kind()
        end
        return kinds
    """)).value == ["INVALID"] * 5  # fmt: skip
