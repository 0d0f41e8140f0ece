"""Small calls that ask for large work: each ends in a limit that has a name, and the next call is clean.

Where a module says no, its error names the limit. What Lua itself spends, a tool's own tables and loops, meets the
limits of the call.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import pytest
from lua_double import RunLua
from lua_surface import with_modules

from micro_agi_kernel.interfaces import MIB, Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Bomb:
    source: str
    limit: str
    """Words of the error that name it."""
    full: bool = False
    """It takes seconds: with MICRO_AGI_FULL=1 only."""


_TOO_LARGE = "larger than 8 MiB"
_TEXT = "the limit of [0-9,]+ bytes of text"
_STEPS = "the limit of [0-9,]+ steps"
_LETS = """
local lets = {{"let a0 = {0}; "}}
for i = 1, 60 do lets[#lets + 1] = ("let a%d = {1}; "):format(i, i - 1, i - 1) end
return expr.eval(table.concat(lets) .. "{2}")
"""

REFUSED = {
    "a base64 text of 60 MB": Bomb('return base64.encode(("x"):rep(60000000))', _TOO_LARGE),
    "a hash of 60 MB": Bomb('return hash.sha512(("x"):rep(60000000))', _TOO_LARGE),
    "a name of 9 MB for a UUID": Bomb(
        'return uuid.v5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", ("x"):rep(9000000))', _TOO_LARGE
    ),
    "an encryption of 9 MB": Bomb('return crypto.encrypt.aes(("x"):rep(9000000), ("k"):rep(32))', _TOO_LARGE),
    "a thousand million random bytes": Bomb("return crypto.random.bytes(1000000000)", r"1048576 bytes"),
    "a random text as long": Bomb("return crypto.random.string(1000000000)", r"1048576 bytes"),
    "a thousand million rounds of PBKDF2": Bomb('return crypto.pbkdf2("p", "s", 1000000000, 32)', "maximum.*10000000"),
    "many rounds for each of many blocks": Bomb('return crypto.pbkdf2("p", "s", 10000000, 4096)', "maximum.*78125"),
    "a key of a terabyte": Bomb('return crypto.pbkdf2("p", "s", 1, 1 << 40)', "maximum.*4096 bytes"),
    "a token of 2 MB": Bomb('return crypto.jwt.verify(("a"):rep(2000000) .. ".a.a", "k")', "1048576 characters"),
    "claims of 5 MB": Bomb('return crypto.jwt.encode({sub = ("x"):rep(5000000)}, "k")', "1048576 characters"),
    "a table that holds another twice, forty times over, as JSON": Bomb(
        "local t = {} for _ = 1, 40 do t = {t, t} end return json.encode(t)", _TOO_LARGE
    ),
    "a thousand times the same megabyte, as JSON": Bomb(
        'local t, text = {}, ("x"):rep(1 << 20) for n = 1, 1000 do t[n] = text end return json.encode(t)', _TOO_LARGE
    ),
    "a pattern that looks at all that follows for each match": Bomb(
        'return text.regexp.compile("a.*b|a"):find_all_string(("a"):rep(400000))', "5 seconds", full=True
    ),
    "a large pattern for a large text": Bomb(
        r'return text.regexp.compile("(\\pL{1,150}|[^a-c]{1,100})x"):match_string(("é"):rep(500000))', "too much work"
    ),
    "a patch of 20 bytes that is searched in all of a megabyte": Bomb(
        "return text.diff.new({match_threshold = 1, match_distance = 1000000}):patch_apply({{text = "
        '"@@ -500000,20 +500000,20 @@\\n-zyxwvutsrqponmlkjihg\\n+A\\n"}}, ("abcdefghij"):rep(100000))',
        "too much work",
    ),
    "a display of 9 MB": Bomb('display({["text/plain"] = ("x"):rep(9000000)})', _TOO_LARGE),
    "a filter of 9 MB": Bomb('return registry.find({a = ("x"):rep(9000000)})', _TOO_LARGE),
    "a query of 100,000 fields": Bomb(
        """local query = {}
        for i = 1, 100000 do query["k" .. i] = "v" end
        return http_client.get("https://api.example.com/", {query = query})""",
        "more than 1000 values",
    ),
    "100,000 coroutines": Bomb(
        'for _ = 1, 100000 do coroutine.spawn(function() time.sleep("1h") end) end', "limit of 10000 coroutines"
    ),
    "100,000 timers": Bomb(
        'for _ = 1, 100000 do local _, err = time.timer("1h") if err then return nil, err end end', "too many timers"
    ),
    "a layout of 700,000 characters": Bomb('return time.now():format(("January"):rep(100000))', "1000 characters"),
    "a duration of 200,000 characters": Bomb('return time.parse_duration(("1h"):rep(100000))', "200 characters"),
    "a year beyond all calendars": Bomb("return time.date(1 << 62, 1, 1)", "out of range"),
    "a URL of 10 MB": Bomb('return url.parse("https://a/" .. ("x"):rep(10000000))', _TOO_LARGE),
    "a URL of 2 MB": Bomb('return url.parse("https://a/" .. ("x"):rep(2000000))', "1048576 characters"),
    "YAML aliases of aliases": Bomb(
        """local lines = {"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"}
        for i = 1, 12 do
          lines[#lines + 1] = ("a%d: &a%d [%s]"):format(i, i, ("*a" .. i - 1 .. ", "):rep(10))
        end
        return yaml.decode(table.concat(lines, "\\n"))""",
        "aliases expand to more than 8 MiB",
    ),
    "YAML merged again and again": Bomb(
        """local keys = {}
        for i = 1, 3000 do keys[i] = "k" .. i .. ": 1" end
        local lines = {"a: &a {" .. table.concat(keys, ", ") .. "}"}
        for i = 1, 3000 do lines[#lines + 1] = "b" .. i .. ": {<<: *a}" end
        return yaml.decode(table.concat(lines, "\\n"))""",
        "aliases expand to more than 8 MiB",
    ),
    "YAML of 100,000 levels": Bomb('return yaml.decode(("["):rep(100000))', "nested deeper than 128"),
    "YAML of 100,000 levels in block style": Bomb('return yaml.decode(("- "):rep(100000))', "nested deeper than 128"),
    "YAML of two million values": Bomb(
        'return yaml.decode("[" .. ("0,"):rep(2000000) .. "0]")', "more than 500,000 values", full=True
    ),
    "a table that holds itself twice, forty times over, as YAML": Bomb(
        "local t = {} for _ = 1, 40 do t = {t, t} end return yaml.encode(t)", "about a million is the most"
    ),
    "JSON of a million levels": Bomb('return json.decode(("["):rep(1000000))', "nested deeper than 128"),
    "an expression of a million characters": Bomb('return expr.eval(("1 + "):rep(300000) .. "1")', "65,536 characters"),
    "an expression of 30,000 brackets": Bomb('return expr.eval(("("):rep(30000))', "nested more than 100 deep"),
    "an expression of 30,000 signs": Bomb('return expr.eval(("-"):rep(30000) .. "1")', "nested more than 100 deep"),
    "an expression of 10,000 additions": Bomb(
        'return expr.eval(("1 + "):rep(10000) .. "1")', "nested more than 100 deep"
    ),
    "a range of a thousand million": Bomb('return expr.eval("map(1..1000000000, #)")', "1,000,000 elements"),
    "loops in loops": Bomb(
        'return expr.eval("sum(map(1..1000, sum(map(1..1000, sum(map(1..1000, #))))))")', "1,000,000 elements"
    ),
    "loops in loops without lists": Bomb(
        'return expr.eval("count(a, count(a, count(a, # > 0) > 0) > 0)", {a = {table.unpack(N, 1, 200)}})'.replace(
            "{table.unpack(N, 1, 200)}", "(function() local n = {} for i = 1, 1000 do n[i] = i end return n end)()"
        ),
        _STEPS,
    ),
    "a text repeated a thousand million times": Bomb(
        'return expr.eval("repeat(\\"a\\", 1000000000)")', "1,000,000 repetitions"
    ),
    "a text doubled sixty times": Bomb(_LETS.format('\\"xxxx\\"', "a%d + a%d", "len(a60)"), _TEXT),
    "lists flattened that hold themselves twice": Bomb(
        _LETS.format("[1, 2]", "[a%d, a%d]", "len(flatten(a60))"), "1,000,000 elements"
    ),
    "lists as JSON that hold themselves twice": Bomb(_LETS.format("[1, 2]", "[a%d, a%d]", "len(toJSON(a60))"), _TEXT),
    "a text replaced by itself": Bomb(
        'return expr.eval("len(replace(s, \\"a\\", s))", {s = ("a"):rep(100000)})', _TEXT
    ),
    "a join of 1 GB": Bomb('return expr.eval("len(join(map(1..100000, s)))", {s = ("x"):rep(10000)})', _TEXT),
    "a million pieces of a text": Bomb(
        'return expr.eval("len(split(s, \\"\\"))", {s = ("a"):rep(4000000)})', "1,000,000 elements"
    ),
    "a list doubled sixty times and given back": Bomb(
        _LETS.format("[1, 2]", "[a%d, a%d]", "a60"), "1,000,000 elements"
    ),
    "nested lists compared with one another": Bomb(
        'return expr.eval("let a = map(1..1000, [#]); count(1..100000, [0] in a)")', _STEPS, full=True
    ),
    "a search of a search": Bomb(
        """
        return expr.eval("count(1..100000, s contains t)", {s = ("x"):rep(1000000), t = ("x"):rep(1000) .. "y"})""",
        _STEPS,
        full=True,
    ),
    "a pattern of 9,000 characters in an expression": Bomb(
        'return expr.eval("s matches p", {s = "a", p = ("(a{1000})"):rep(1000)})', "more than 4,096"
    ),
    "a schema that refers to itself": Bomb('return json.validate({["$ref"] = "#"}, 1)', "without an end"),
    "a schema that lies elsewhere": Bomb(
        'return json.validate({["$ref"] = "http://169.254.169.254/x"}, 1)', "other documents are not fetched"
    ),
    "a schema whose parts double thirty times": Bomb(
        """local defs = {a31 = {type = "integer"}}
        for i = 1, 30 do
          local next = {["$ref"] = "#/$defs/a" .. i + 1}
          defs["a" .. i] = {allOf = {next, next}}
        end
        return json.validate({["$defs"] = defs, ["$ref"] = "#/$defs/a1"}, 1)""",
        "1,000,000 steps",
        full=True,
    ),
    "a schema with two thousand patterns": Bomb(
        """local patterns, data = {}, {}
        for i = 1, 2000 do patterns["^k" .. i .. "$"] = true data["k" .. i] = 1 end
        return json.validate({patternProperties = patterns}, data)""",
        "1,000,000 steps",
    ),
    "a schema with a pattern of 9,000 characters": Bomb(
        'return json.validate({pattern = ("(a{1000})"):rep(1000)}, "a")', "pattern too large"
    ),
    "a schema of 120 levels of tables": Bomb(
        "local s = {} for _ = 1, 120 do s = {properties = {a = s}} end return json.validate(s, {})",
        "nested deeper than 128",
    ),
    "a pattern of a million characters": Bomb(
        'return text.regexp.compile(("a"):rep(1000000))', "longer than 100000 characters"
    ),
    "repetitions of repetitions": Bomb(
        'return text.regexp.compile("((((a{100}){100}){100}){100})")', "invalid repetition size"
    ),
    "a pattern that becomes too large": Bomb('return text.regexp.compile(("\\\\pL"):rep(10000))', "pattern too large"),
    "four million matches": Bomb(
        'return text.regexp.compile("a"):find_all_string(("a"):rep(4000000))', "more than 1,000,000 matches", full=True
    ),
    "a million replacements of a million bytes": Bomb(
        'return text.regexp.compile("a"):replace_all_string(("a"):rep(1000000), ("b"):rep(1000000))',
        "larger than 8 MiB",
    ),
    "a million replacements by 100,000 groups": Bomb(
        'return text.regexp.compile("(a+)"):replace_all_string(("a"):rep(1000000), ("$1"):rep(100000))',
        "larger than 8 MiB",
    ),
    "the difference of texts of 4 MB": Bomb(
        'return text.diff.new():compare(("ab"):rep(2000000), ("cd"):rep(2000000))', "longer than 1048576 characters"
    ),
    "a margin of a million": Bomb("return text.diff.new({patch_margin = 1000000})", "from 0 to 15"),
    "a patch found anywhere": Bomb(
        """local differ = text.diff.new({match_threshold = 1, match_distance = 1 << 30})
        local patches = {}
        for i = 1, 1000 do patches[i] = {text = "@@ -1,30 +1,31 @@\\n " .. ("ab"):rep(15) .. "\\n+c\\n"} end
        return differ:patch_apply(patches, ("ba"):rep(500000))""",
        "too much work",
    ),
    "patches that add 9 MB": Bomb(
        """local patches = {}
        for i = 1, 450 do patches[i] = {text = "@@ -1,0 +1,20000 @@\\n+" .. ("b"):rep(20000) .. "\\n"} end
        return text.diff.new():patch_apply(patches, "")""",
        _TOO_LARGE,
    ),
    "chunks that repeat all but a letter": Bomb(
        """local splitter = text.splitter.recursive({chunk_size = 10000, chunk_overlap = 9999})
        return splitter:split_text(("a b "):rep(250000))""",
        "larger than 8 MiB together",
    ),
    "a splitter for chunks of nothing": Bomb("return text.splitter.recursive({chunk_size = 0})", "at least 1"),
    "a document of 4 MB": Bomb(
        'return text.splitter.markdown():split_text(("word "):rep(800000))', "longer than 1048576 characters"
    ),
    "a hundred thousand separators": Bomb(
        """local separators = {}
        for i = 1, 100000 do separators[i] = "x" .. i end
        return text.splitter.recursive({separators = separators})""",
        "at most 100",
    ),
    "quotes in quotes": Bomb(
        'return text.splitter.markdown():split_text(("> "):rep(100000) .. "a")', "larger than 8 MiB together"
    ),
}
"""The module says no."""

ENDED = {
    "values in a channel": Bomb(
        'local ch = channel.new(math.maxinteger) while true do ch:send(("x"):rep(100)) end', "MEMORY_LIMIT"
    ),
    "an error wrapped for ever": Bomb(
        'local err = errors.new("x") while true do err = errors.wrap(err, ("y"):rep(100000)) end', "MEMORY_LIMIT"
    ),
}
"""What a tool's own loop or table is: it meets the limit of the call, the kind of which `limit` is."""

BORNE = {
    "a number of four million digits": 'return #yaml.decode("a: " .. ("9"):rep(4000000)).a == 4000000',
    "four million empty YAML documents": 'return yaml.decode(("---\\n"):rep(1000000)) == nil',
    "a host of 400,000 labels": 'return url.parse("https://" .. ("a."):rep(400000) .. "/") ~= 1',
    "a host of 200,000 labels that are no ASCII": 'return url.parse("https://" .. ("é."):rep(200000) .. "/") == nil',
    "a path that goes up 200,000 times": 'return #url.parse("https://a/" .. ("a/../"):rep(200000)).href == 10',
    "the most rounds of PBKDF2": 'return #crypto.pbkdf2("p", "s", 1000000, 32) == 32',
    "brackets that never close": 'return #text.splitter.markdown():split_text(("["):rep(100000)) > 0',
    "letters that may be emphasis": 'return #text.splitter.markdown():split_text(("*a_ "):rep(50000)) > 0',
    "lists in lists": 'return #text.splitter.markdown():split_text(("- "):rep(20000) .. "a") > 0',
    "texts with nothing in common": """
        local a, b = {}, {}
        for i = 1, 20000 do a[i], b[i] = math.random(1000000), math.random(1000000) end
        return #text.diff.new():compare(table.concat(a, " "), table.concat(b, " ")) > 0""",
    "a pattern that others try for ever": """
        return text.regexp.compile("(x+x+)+y"):match_string(("x"):rep(1000000)) == false""",
    "a pattern of a schema that others try for ever": """
        return json.validate({pattern = "^(a+)+$"}, ("a"):rep(100000) .. "b") == false""",
    "a pattern of an expression that others try for ever": """
        return expr.eval('s matches "(a+)+$"', {s = ("a"):rep(100000) .. "b"}) == false""",
}
"""Looks like a bomb and is none: it must be done in the time that a call has."""


def chosen() -> dict[str, Bomb]:
    full = os.environ.get("MICRO_AGI_FULL") == "1"
    return {name: bomb for name, bomb in REFUSED.items() if full or not bomb.full}


@pytest.mark.parametrize("name", chosen())
async def test_a_bomb_ends_in_an_error_that_names_the_limit(name: str, run_lua: RunLua) -> None:
    bomb = REFUSED[name]
    source = f"""
        local raised, value, err = pcall(function() {bomb.source} end)
        return tostring(raised and err or value)
    """
    ran = await run_lua(with_modules(source), limits=Limits(memory=256 * MIB))
    assert re.search(bomb.limit, str(ran.value))
    assert (await run_lua("return 1")).value == 1


@pytest.mark.parametrize("name", ENDED)
async def test_what_lua_itself_spends_ends_with_the_call(name: str, run_lua: RunLua) -> None:
    ran = await run_lua(with_modules(ENDED[name].source), limits=Limits(memory=16 * MIB))
    assert ran.outcome.error is not None and ran.outcome.error.kind == ENDED[name].limit
    assert (await run_lua("return 1")).value == 1


@pytest.mark.parametrize("name", BORNE)
async def test_what_only_looks_like_a_bomb_is_done(name: str, run_lua: RunLua) -> None:
    assert (await run_lua(with_modules(BORNE[name]))).value is True
