"""The Lua module `url` beyond the standard's own tests: building, queries, encoding, and what it refuses."""

from __future__ import annotations

import pytest
from lua_double import RunLua

from micro_agi_kernel.values import Value

THERE_ARE = "there are protocol, username, password, host, hostname, port, pathname, search, query, hash, href"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _each(expressions: list[str], run_lua: RunLua) -> list[Value]:
    """What each expression gives: its value, or the text of its error."""
    tries = "\n".join(f"try({expression})" for expression in expressions)
    ran = await run_lua(f"""
        local url = require("url")
        local found = {{}}
        local function try(value, err) found[#found + 1] = value == nil and tostring(err) or value end
        {tries}
        return found
    """)
    assert isinstance(ran.value, list)
    return ran.value


async def test_parts_come_with_the_decoded_query(run_lua: RunLua) -> None:
    ran = await run_lua("""
        return (require("url").parse("HTTPS://me:pa%20ss@Bücher.example:8443/a/../b c?q=a+b&tag=x&tag=y&q2=%C3%A9#top"))
    """)
    assert ran.value == {
        "href": "https://me:pa%20ss@xn--bcher-kva.example:8443/b%20c?q=a+b&tag=x&tag=y&q2=%C3%A9#top",
        "protocol": "https:",
        "username": "me",
        "password": "pa%20ss",
        "host": "xn--bcher-kva.example:8443",
        "hostname": "xn--bcher-kva.example",
        "port": "8443",
        "pathname": "/b%20c",
        "search": "?q=a+b&tag=x&tag=y&q2=%C3%A9",
        "hash": "#top",
        "query": {"q": "a b", "tag": ["x", "y"], "q2": "é"},
    }


# -- build


async def test_a_url_is_built_from_few_parts_or_many(run_lua: RunLua) -> None:
    found = await _each(
        [
            'url.build({protocol = "https", hostname = "example.com"})',
            'url.build({protocol = "https:", host = "example.com", port = 8080, pathname = "a b", hash = "x y"})',
            'url.build({protocol = "http", host = "example.com:81", query = {b = 2, a = {"x", "ü"}, c = true}})',
            'url.build({protocol = "https", hostname = "[::1]", port = "0443", search = "a=1#2"})',
            'url.build({protocol = "https", hostname = "h", username = "a@b:c", password = "d/e"})',
            'url.build({protocol = "https", hostname = "h", pathname = "/?#%41 "})',
            'url.build({protocol = "mailto", pathname = "a@b.c", query = {subject = "hi there"}})',
            'url.build({protocol = "file", pathname = "/etc/passwd"})',
            'url.build({protocol = "redis", hostname = "h", port = 6379 / 1, pathname = "0"})',
            'url.build({protocol = "urn", pathname = "a?b#c"})',
            'url.build({protocol = "sqlite", pathname = "/data/x.db"})',
        ],
        run_lua,
    )
    assert found == [
        "https://example.com/",
        "https://example.com:8080/a%20b#x%20y",
        "http://example.com:81/?a=x&a=%C3%BC&b=2&c=true",
        "https://[::1]/?a=1%232",
        "https://a%40b%3Ac:d%2Fe@h/",
        "https://h/%3F%23%41%20",
        "mailto:a@b.c?subject=hi+there",
        "file:///etc/passwd",
        "redis://h:6379/0",
        "urn:a%3Fb%23c",
        "sqlite:///data/x.db",
    ]


async def test_a_parsed_url_is_changed_part_by_part(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local url = require("url")
        local function changed(change)
          local parts = url.parse("https://example.com:81/a?x&y=1%20#h")
          change(parts)
          return (url.build(parts))
        end
        return {
          changed(function() end),
          changed(function(parts) parts.query.y = {"2", 3} end),
          changed(function(parts) parts.query = {} end),
          changed(function(parts) parts.query, parts.search = nil, "?z" end),
          changed(function(parts) parts.port = "" end),
          changed(function(parts) parts.hostname, parts.pathname, parts.hash = "b", "/", nil end),
        }
    """)
    assert ran.value == [
        "https://example.com:81/a?x&y=1%20#h",  # as it was: a query that says the same does not rewrite the search
        "https://example.com:81/a?x=&y=2&y=3#h",
        "https://example.com:81/a#h",
        "https://example.com:81/a?z#h",
        "https://example.com/a?x&y=1%20#h",
        "https://b:81/?x&y=1%20",
    ]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("{}", "protocol must be a scheme such as https:"),
        ('{hostname = "example.com"}', "protocol must be a scheme such as https:"),
        ('{protocol = "https://evil.com/", hostname = "h"}', "protocol must be a scheme such as https:"),
        ('{protocol = "https", pathname = "//evil.com/"}', "a URL of https needs a hostname"),
        ('{protocol = "https", hostname = "h/x"}', "hostname holds what no host can: 'h/x'"),
        ('{protocol = "https", hostname = "good@evil"}', "hostname holds what no host can: 'good@evil'"),
        ('{protocol = "https", hostname = "h\\\\x"}', "hostname holds what no host can: 'h\\\\x'"),
        ('{protocol = "https", hostname = "h?x"}', "hostname holds what no host can: 'h?x'"),
        ('{protocol = "https", hostname = "h#x"}', "hostname holds what no host can: 'h#x'"),
        ('{protocol = "https", hostname = "ev\\til"}', "hostname holds what no host can: 'ev\\til'"),
        ('{protocol = "https", hostname = "a%2fb"}', "'https://a%2fb' is no URL"),
        ('{protocol = "https", hostname = "::1"}', "'https://::1' is no URL"),
        ('{protocol = "https", host = "h:1", port = 2}', "'https://h:1:2' is no URL"),
        ('{protocol = "https", hostname = "h", port = "80/x"}', "port must be a number, beside a hostname, not '80/x'"),
        ('{protocol = "https", hostname = "h", port = -1}', "port must be a number, beside a hostname, not '-1'"),
        ('{protocol = "https", hostname = "h", port = 2.5}', "port must be a number, beside a hostname, not '2.5'"),
        ('{protocol = "https", hostname = "h", port = 65536}', "'https://h:65536' is no URL"),
        ('{protocol = "mailto", pathname = "a", port = 1}', "port must be a number, beside a hostname, not '1'"),
        ('{protocol = "mailto", username = "u"}', "a URL such as 'mailto:' can have no username"),
        ('{protocol = "file", password = "p"}', "a URL such as 'file:///' can have no password"),
        ('{protocol = "https", hostname = "h", path = "/"}', f"a URL has no such part: path: {THERE_ARE}"),
        ('{protocol = "https", hostname = "h", pathname = 7}', "pathname must be a string"),
        ('{protocol = "https", hostname = "h", hash = "\\xff"}', "hash is not valid UTF-8"),
        ('{protocol = "https", hostname = "h", query = "a=1"}', "query must be a table"),
        ('{protocol = "https", hostname = "h", query = {1}}', "the names of a query must be strings"),
        ('{"https"}', f"a URL has no such part: number: {THERE_ARE}"),
        ('"https://h"', "parts must be a table"),
        ("nil", "parts must be a table"),
    ],
)
async def test_no_part_can_become_another_one(parts: str, message: str, run_lua: RunLua) -> None:
    assert await _each([f"url.build({parts})"], run_lua) == [f"INVALID: {message}"]


# -- queries


async def test_a_query_and_back(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local url = require("url")
        local query = {[""] = "", ["a b"] = "c&d=e", list = {"1", "", "ü"}, bytes = "\\xff\\0", plus = "+%"}
        query.nothing = {}
        local text = url.encode_query(query)
        local again = url.decode_query(text)
        query.nothing = nil
        local same = true
        for name, value in pairs(query) do
          if type(value) == "table" then same = same and table.concat(value, "|") == table.concat(again[name], "|")
          else same = same and value == again[name] end
        end
        return {text, same,
                (url.encode_query({n = 1, g = 0.5, h = 52.520006599999995, i = 2.0^63, j = 3.0, b = false,
                                   l = {1, true}}))}
    """)
    assert ran.value == [
        "=&a+b=c%26d%3De&bytes=%FF%00&list=1&list=&list=%C3%BC&plus=%2B%25",
        True,
        "b=false&g=0.5&h=52.520006599999995&i=9.223372036854776e%2B18&j=3&l=1&l=true&n=1",
    ]


async def test_a_query_is_read_leniently(run_lua: RunLua) -> None:
    found = await _each(
        [
            'url.decode_query("?a=1&&b&=c&d=e=f&a=2&a=3&%zz=%4&x%20y=+")',
            'url.decode_query("")',
            'url.decode_query("??a")',
            "url.decode_query(7)",
            "url.encode_query({})",
            "url.encode_query({a = {b = 1}})",
            "url.encode_query({a = {1, nil, 3}})",
            "url.encode_query({a = print})",
            "url.encode_query({a = 1/0})",
            'url.encode_query({"a"})',
            "url.encode_query(nil)",
        ],
        run_lua,
    )
    no_value = "INVALID: a value of a query must be a string, number, boolean or a list of them: a"
    assert found == [
        {"a": ["1", "2", "3"], "b": "", "": "c", "d": "e=f", "%zz": "%4", "x y": " "},
        {},
        {"?a": ""},
        "INVALID: query must be a string",
        "",
        no_value,
        no_value,
        no_value,
        no_value,
        "INVALID: the names of a query must be strings",
        "INVALID: query must be a table",
    ]


# -- encoding, joining


async def test_one_component_and_back(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local url = require("url")
        local every = {}
        for byte = 0, 255 do every[#every + 1] = string.char(byte) end
        every = table.concat(every)
        local plain = every:gsub("[^A-Za-z0-9._~-]", "")
        return {url.encode("a b/ü?&=+%"), url.encode(plain) == plain, url.decode(url.encode(every)) == every,
          url.decode("a+b%2f%C3%BC%c3%Bc%C3%bC"), #url.encode(every)}
    """)
    assert ran.value == ["a%20b%2F%C3%BC%3F%26%3D%2B%25", True, True, "a+b/üüü", 66 + 190 * 3]
    broken = await _each([f'url.decode("{text}")' for text in ("%", "%4", "a%zzb", "%%41", "%4%411")], run_lua)
    assert broken == ["INVALID: a % without two hexadecimal digits behind it"] * 5
    wrong = await _each(["url.decode(nil)", "url.encode(7)", "url.encode({})"], run_lua)
    assert wrong == ["INVALID: text must be a string"] * 3


async def test_references_are_resolved(run_lua: RunLua) -> None:
    base = '"https://example.com/a/b?q#h"'
    found = await _each(
        [
            *(f'url.join({base}, "{reference}")' for reference in ("c", "../c", "/c", "//other/c", "?p", "#i", "")),
            f'url.join({base}, "mailto:a@b")',
            'url.join("/a", "b")',
            'url.join("mailto:a@b", "c")',
            f"url.join({base})",
            f'url.join({base}, "http://[")',
            'url.parse("../x", "https://h/a/b/")',
        ],
        run_lua,
    )
    last = found.pop()
    assert isinstance(last, dict) and last["href"] == "https://h/a/x"
    assert found == [
        "https://example.com/a/c",
        "https://example.com/c",
        "https://example.com/c",
        "https://other/c",
        "https://example.com/a/b?p",
        "https://example.com/a/b?q#i",
        "https://example.com/a/b?q",
        "mailto:a@b",
        "INVALID: 'b' is no URL at the base '/a'",
        "INVALID: 'c' is no URL at the base 'mailto:a@b'",
        "INVALID: ref must be a string",
        "INVALID: 'http://[' is no URL at the base 'https://example.com/a/b?q#h'",
    ]


async def test_sizes_are_bounded(run_lua: RunLua) -> None:
    found = await _each(
        [
            '#url.parse("data:," .. ("x"):rep((1 << 20) - 6)).href',
            'url.parse("data:," .. ("x"):rep(1 << 20))',
            'url.join(("x"):rep((1 << 20) + 1), "a")',
            'url.build({protocol = "data", pathname = ("x"):rep((1 << 20) + 1)})',
            'url.parse("http://" .. ("ü."):rep(300000))',
            'url.parse("example.com/a")',
            'url.parse("http://h/" .. ("../"):rep(300000)).href',
            '#url.decode_query(("a=1&"):rep(100000)).a',
            'url.parse(("x"):rep(9 << 20))',
        ],
        run_lua,
    )
    assert found == [
        1 << 20,
        "INVALID: url is longer than 1048576 characters",
        "INVALID: base is longer than 1048576 characters",
        "INVALID: pathname is longer than 1048576 characters",
        "INVALID: 'http://" + "ü." * 36 + "…' is no URL",
        "INVALID: 'example.com/a' is no URL: it begins with no scheme such as https:",
        "http://h/",
        100_000,
        "INVALID: an argument: larger than 8 MiB",
    ]


async def test_no_part_becomes_another_by_what_a_parser_drops(run_lua: RunLua) -> None:
    """The standard's parser drops tabs and line ends before it reads anything, and blanks at the ends."""
    ran = await run_lua(r"""
        local url = require("url")
        local none, err = url.build({protocol = "file", hostname = "C|", pathname = "/etc/passwd"})
        return {url.build({protocol = "foo", pathname = "\t//evil.example/x"}),
          url.build({protocol = "https", hostname = "h", pathname = "/files/.\t./secret"}),
          url.build({protocol = "https", hostname = "h", search = "x\ny"}),
          url.build({protocol = "data", pathname = "text ", hash = "x"}),
          url.build({protocol = "file", hostname = "localhost", pathname = "/a"}), none == nil and err:kind()}
    """)
    assert ran.value == [
        *("foo:%09//evil.example/x", "https://h/files/.%09./secret", "https://h/?x%0Ay", "data:text%20#x"),
        *("file:///a", "INVALID"),
    ]
