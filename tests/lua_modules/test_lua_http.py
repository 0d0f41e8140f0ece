"""`http_client` as a tool meets it: what reaches the host, and what a tool makes of the answers."""

from __future__ import annotations

import pytest
from lua_double import RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

E = "https://example.com/"


async def test_the_host_is_asked_for_exactly_what_was_said(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local http_client = require("http_client")
        local response = http_client.request("put", "https://example.com/a", {
          headers = {["X-A"] = {"1", 2}}, query = {page = 2, all = true}, body = "\\xff", timeout = "1m30s"})
        http_client.get("https://example.com/", {headers = {}, query = {}, timeout = 5, stream = false})
        http_client.post("https://example.com/")
        return {response.headers["x-request-id"], response.headers["X-Request-Id"], response.headers.nothing == nil,
          response.body_size, response.cookies.id, response.url}
    """)
    assert ran.value == ["7", "7", True, 1, "8", "https://example.com/a?all=true&page=2"]
    assert ran.asked == [
        (
            "http.request",
            {
                "method": "put",
                "url": "https://example.com/a",
                "headers": {"X-A": ["1", 2]},
                "query": {"page": 2, "all": True},
                "body": b"\xff",
                "timeout": 90.0,
            },
        ),
        ("http.request", {"method": "GET", "url": E, "headers": [], "query": [], "timeout": 5.0}),
        ("http.request", {"method": "POST", "url": E}),
    ]


async def test_every_method_and_option_crosses(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local http_client = require("http_client")
        for _, name in ipairs({"get", "post", "put", "patch", "delete", "head"}) do
          assert(http_client[name]("https://example.com/", {redirects = 0, max_response_body = 10}))
        end
        assert(http_client.request("PROPFIND", "https://example.com/", {
          form = {a = 1}, files = {{name = "f", content = "\\xff", content_type = "text/csv"}}, cookies = {a = "b"},
          auth = {user = "u", pass = "p"}, tls = {insecure_skip_verify = true}, unix_socket = "/run/x"}))
    """)
    assert ran.outcome.ok, ran.outcome.error
    assert [payload["method"] for _, payload in ran.asked[:-1]] == ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
    assert ran.asked[-1][1] == {
        "method": "PROPFIND",
        "url": E,
        "form": {"a": 1},
        "files": [{"name": "f", "content": b"\xff", "content_type": "text/csv"}],
        "cookies": {"a": "b"},
        "auth": {"user": "u", "pass": "p"},
        "tls": {"insecure_skip_verify": True},
        "unix_socket": "/run/x",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        *("", "5", '"", {}', '"https://e", 5', '"https://e", {"list"}', '"https://e", {url = "http://other/"}'),
        *('"https://e", {method = "PUT"}', '"https://e", {stream = 1}', '"https://e", {print = print}'),
        *('"https://e", {timeout = 0}', '"https://e", {timeout = -1}', '"https://e", {timeout = 1/0}'),
        *('"https://e", {timeout = "soon"}', '"https://e", {timeout = true}', '"https://e", {timeout = {}}'),
    ],
)
async def test_wrong_arguments_do_not_reach_the_host(arguments: str, run_lua: RunLua) -> None:
    ran = await run_lua(f'return require("http_client").get({arguments})')
    assert ran.outcome.error is not None
    assert ran.outcome.error.kind is ErrorKind.INVALID
    assert ran.asked == []


@pytest.mark.parametrize(
    "options",
    [
        *("headers = 1", 'headers = {"x"}', "query = {a = {{}}}", "body = {}", 'body = "x", form = {}'),
        *("files = {{}}", 'overlay_network = "tor"', "verify = false", 'unix_socket = "x"', "tls = {cert = 1}"),
        *("redirects = -1", "max_response_body = {}", "auth = {}", "cookies = {a = ' '}"),
    ],
)
async def test_wrong_options_are_refused_by_the_host(options: str, run_lua: RunLua) -> None:
    ran = await run_lua(f'return require("http_client").get("{E}", {{{options}}})')
    assert ran.outcome.error is not None
    assert ran.outcome.error.kind is ErrorKind.INVALID
    assert "\n" not in ran.outcome.error.message


# Streams.


async def test_a_stream_is_read_to_its_end(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local response = require("http_client").get("https://api.example.com/large", {stream = true})
        local stream, sizes = response.stream, {}
        local before = stream:stat()
        for chunk in function() return stream:read(300) end do sizes[#sizes + 1] = #chunk end
        local again, none = stream:read()
        local after = stream:stat()
        return {sizes = sizes, body = response.body == nil, body_size = response.body_size, again = again == nil and
          none == nil, before = before, after = after, closed = {stream:close(), stream:close()}}
    """)
    stat: dict[str, Value] = {"size": 1000, "readable": True, "writable": False, "seekable": False}
    assert ran.value == {
        "sizes": [300, 300, 300, 100],
        "body": True,
        "body_size": -1,
        "again": True,
        "before": {**stat, "position": 0},
        "after": {**stat, "position": 1000},
        "closed": [True, True],
    }
    assert "http.close" not in [op for op, _ in ran.asked]  # it closed itself at its end


async def test_what_a_stream_refuses(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local stream = require("http_client").get("https://api.example.com/large", {stream = true}).stream
        local found = {}
        local function note(value, err) found[#found + 1] = value == nil and err:kind() .. ": " .. err:message() end
        note(stream:read(-1)); note(stream:read("x")); note(stream:read(1.5))
        note(stream:scanner("pages")); note(stream:scanner({})); note(stream:seek("set", 0))
        stream:close()
        note(stream:read()); note(stream:stat()); note(stream:scanner())
        return found
    """)
    assert isinstance(ran.value, list)
    kinds = [str(line).partition(":")[0] for line in ran.value]
    assert kinds == ["INVALID"] * 5 + ["INTERNAL"] * 4
    assert ran.value[-1] == "INTERNAL: the stream is closed"
    assert [op for op, _ in ran.asked] == ["http.open", "http.close"]


@pytest.mark.parametrize(
    ("page", "split", "tokens"),
    [
        ("lines", '"lines"', ["first", "second", "", "fourth"]),
        ("lines", "", ["first", "second", "", "fourth"]),
        ("lines", '"words"', ["first", "second", "fourth"]),
        ("bytes", '"bytes"', ["a", "b", b"\xff", b"\xe2", b"\x82", b"\xac", b"\xe2", b"\x82"]),
        ("bytes", '"runes"', ["a", "b", "\ufffd", "\u20ac", "\ufffd", "\ufffd"]),
        ("none", '"lines"', []),
        ("none", '"words"', []),
    ],
)
async def test_scanners(page: str, split: str, tokens: list[Value], run_lua: RunLua) -> None:
    """Whatever the pieces in which it comes."""
    source = """
        local stream = require("http_client").get("https://api.example.com/PAGE", {stream = true}).stream
        local read = stream.read
        function stream.read(self) return read(self, 1) end
        local scanner, found = stream:scanner(SPLIT), {}
        assert(scanner:text() == "")
        while scanner:scan() do found[#found + 1] = scanner:text() end
        assert(scanner:text() == "" and scanner:err() == nil and scanner:scan() == false)
        return found
    """
    ran = await run_lua(source.replace("PAGE", page).replace("SPLIT", split))
    assert ran.value == tokens


async def test_a_scanner_gives_up_on_endless_lines(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local stream = require("http_client").get("https://api.example.com/large", {stream = true}).stream
        function stream.read() return ("x"):rep(100000) end
        local scanner = stream:scanner("lines")
        local found, err = scanner:scan()
        local again, same = scanner:scan()
        return {found, err:kind(), scanner:err(), again, same == err}
    """)
    assert ran.value == [False, "INTERNAL", "a token has more than 1048576 bytes", False, True]


# Several at once.


async def test_a_batch(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local http_client = require("http_client")
        local responses, failed = http_client.request_batch({
          {"get", "https://example.com/a"}, {"GET", "http://192.168.1.1/"},
          {"POST", "https://example.com/", {body = "x"}}})
        local all, none = http_client.request_batch({{"GET", "https://example.com/a"}})
        return {responses[1].url, responses[2], responses[3].body, responses[3].body_size, failed[1], failed[2]:kind(),
          failed[3], #failed, all[1].headers["x-request-id"], none == nil}
    """)
    assert ran.value == [f"{E}a", False, "x", 1, False, "PERMISSION_DENIED", False, 3, "7", True]
    assert ran.asked[0] == (
        "http.batch",
        {
            "requests": [
                {"method": "get", "url": f"{E}a"},
                {"method": "GET", "url": "http://192.168.1.1/"},
                {"method": "POST", "url": E, "body": "x"},
            ]
        },
    )


@pytest.mark.parametrize(
    ("requests", "complaint"),
    [
        *((nothing, "request_batch takes a list") for nothing in ("", "{}", "5", "{a = 1}")),
        ('{"https://e"}', "request 1 must be {method, url, options}"),
        ('{{"GET", "https://e"}, {"GET"}}', "request 2: url must be a string"),
        ('{{"GET", "https://e", {stream = true}}}', "request 1: a batch has no streams"),
        ('{{"GET", "https://e", {timeout = 0}}}', "request 1: timeout must be"),
    ],
)
async def test_a_batch_that_is_none(requests: str, complaint: str, run_lua: RunLua) -> None:
    ran = await run_lua(f'return require("http_client").request_batch({requests})')
    assert ran.outcome.error is not None
    assert ran.outcome.error.kind is ErrorKind.INVALID
    assert ran.outcome.error.message.startswith(complaint)
    assert ran.asked == []


# Text in URLs.


async def test_text_in_urls(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local http_client = require("http_client")
        local bytes = {}
        for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
        local all = table.concat(bytes)
        local wrong = {}
        for _, text in ipairs({"%", "a%4", "%4g", "%%41", "%41%"}) do
          local decoded, err = http_client.decode_uri(text)
          wrong[#wrong + 1] = decoded == nil and err:kind() .. " " .. err:message()
        end
        return {http_client.encode_uri("hello wörld & Zo-_.~/?"), http_client.decode_uri("a+b%2bc%C3%A9"),
          http_client.decode_uri(http_client.encode_uri(all)) == all, wrong, pcall(http_client.encode_uri),
          (select(2, http_client.decode_uri({}))):kind()}
    """)
    assert ran.value == [
        "hello+w%C3%B6rld+%26+Zo-_.~%2F%3F",
        "a b+cé",
        True,
        [f'INVALID invalid URL escape "{part}"' for part in ("%", "%4", "%4g", "%%4", "%")],
        False,
        "INVALID",
    ]
