"""What a tool that broke out of its jail may ask http_client for: nothing that is not checked."""

from __future__ import annotations

import re
from typing import Any

import pytest
from http_kit import Names, Network, Policies
from hypothesis import given
from hypothesis import strategies as st

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.request import OPTIONS, HttpLimits, HttpRequest, parse_request
from micro_agi_kernel.host.http.url import Target

ODD_PATHS = ("", "/", "run/x", "/run/../x", "/run//x", "//run/x", "\0x", "/run/\0x", "/run/x/", "/" + "x" * 107)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ({"url": None}, "url must be a UTF-8 string"),
        ({"method": "GET", "url": b"http://\xff/"}, "url must be a UTF-8 string"),
        ({"method": "GET", "url": "http://a/\ud800"}, "url must be a UTF-8 string"),
        ({"method": "CONNECT", "url": "http://a/"}, "method: 'CONNECT' cannot be sent"),
        ({"method": "trace", "url": "http://a/"}, "method: 'TRACE' cannot be sent"),
        ({"method": "", "url": "http://a/"}, "method: '' cannot be sent"),
        ({"method": "G\u00cbT", "url": "http://a/"}, "cannot be sent"),
        ({"method": "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET", "url": "http://a/"}, "method:"),
        ({"method": 1, "url": "http://a/"}, "method must be a UTF-8 string"),
        ({"method": "GET", "url": ""}, "url: '' does not begin with http:// or https://"),
        ({"method": "GET", "url": "example.com/x"}, "does not begin with http"),
        ({"method": "GET", "url": "http:///x"}, "names no host"),
        ({"method": "GET", "url": "http://a\r\nX: y/"}, "url: percent-encode"),
        ({"method": "GET", "url": "http://a/\0"}, "url: percent-encode"),
        ({"method": "GET", "url": "http://a\\@b/"}, "url: percent-encode"),
        ({"method": "GET", "url": "http://u:p@a/"}, "url: a user name or password"),
        ({"method": "GET", "url": "http://@a/"}, "url: a user name or password"),
        ({"method": "GET", "url": "http://[fe80::1%25eth0]/"}, "url: the host may hold no %"),
        ({"method": "GET", "url": "http://a:99999/"}, "url: there is no port 99999"),
        ({"method": "GET", "url": "http://a/" + "x" * 9000}, "url: longer than"),
        ({"query": {"x": "x" * 9000}}, "url: longer than"),
        ({"query": {"x": {"y": 1}}}, "query.x must be a UTF-8 string"),
        ({"query": {"x\ny": {}}}, "query.'x\\ny' must be a UTF-8 string"),
        ({"query": {"x": float("nan")}}, "query.x must be a UTF-8 string"),
        ({"query": "x=1"}, "query must be a table"),
        ({"headers": {"X: y\r\nZ": "1"}}, "is not a header name"),
        ({"headers": {"": "1"}}, "is not a header name"),
        ({"headers": {"X": "a\r\nHost: b"}}, "headers.X must not hold a line break"),
        ({"headers": {"X": ["a", "b\0"]}}, "headers.X must not hold a line break"),
        ({"headers": {"HOST": "b"}}, "leave 'HOST' out"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "leave"),
        ({"headers": {"Proxy-Authorization": "x"}}, "leave"),
        ({"headers": {"X": "x" * 40_000}}, "headers: more than"),
        ({"headers": {"X": ["x"] * 101}}, "headers: more than"),
        ({"body": {"a": 1}}, "body must be a string; use json.encode"),
        ({"body": b"x" * (4 << 20) + b"x"}, "body: larger than 4194304 bytes"),
        ({"body": "x", "form": {}}, "body: give either a body, or form and files"),
        ({"body": "x", "files": []}, "body: give either a body, or form and files"),
        ({"form": "a=b"}, "form must be a table"),
        ({"form": {"a": ["x"] * 1_001}}, "form: more than 1000 values"),
        ({"query": {"a": [], "b": ["x"] * 1_001}}, "query: more than 1000 values"),
        ({"form": {"a": b"\xff"}}, "form.a must be a UTF-8 string"),
        ({"form": {"a": "x" * (4 << 20)}}, "body: larger than 4194304 bytes"),
        ({"form": {}, "headers": {"CONTENT-TYPE": "x/y"}}, "headers: leave 'content-type' out"),
        ({"files": {"name": "a"}}, "files must be a list of at most 100 files"),
        ({"files": [{}] * 101}, "files must be a list of at most 100 files"),
        ({"files": ["x"]}, "files[1] must be a table with name, filename"),
        ({"files": [{"name": "a"}]}, "files[1].content must be a string"),
        ({"files": [{"content": "a"}]}, "files[1].name must be a UTF-8 string"),
        ({"files": [{"name": "", "content": ""}]}, "files[1].name must not be empty"),
        ({"files": [{"name": "a", "reader": 1}]}, "files[1]: there is no 'reader'"),
        (
            {"files": [{"name": "a", "content": "", "filename": "b\r\nX: y"}]},
            "filename must not hold a line break",
        ),
        (
            {"files": [{"name": "a", "content": "", "content_type": "a/b\r\nX: y"}]},
            "content_type must be a type",
        ),
        (
            {"files": [{"name": "a", "content": "", "content_type": "a/b\r\n;c"}]},
            "content_type must be a type",
        ),
        (
            {"files": [{"name": "a", "content": "", "content_type": "a/b;\r\nc"}]},
            "content_type must be a type",
        ),
        ({"cookies": {"a": "b; c=d"}}, "cookies: percent-encode"),
        ({"cookies": {"a=b; c": "d"}}, "cookies: percent-encode"),
        ({"cookies": {"a": "b\r\nX: y"}}, "cookies: percent-encode"),
        ({"cookies": {"a": "b"}, "headers": {"Cookie": "c=d"}}, "headers: leave 'cookie' out"),
        ({"auth": {"user": "a:b"}}, "auth.user must not hold a colon"),
        ({"auth": {"user": "a\n"}}, "auth.user must not hold a line break"),
        ({"auth": {"pass": "a"}}, "auth.user must be a UTF-8 string"),
        ({"auth": {"user": "a", "token": "b"}}, "auth: there is no 'token'"),
        ({"auth": {"user": "a"}, "headers": {"Authorization": "b"}}, "headers: leave 'authorization' out"),
        ({"max_response_body": -1}, "max_response_body must be a whole number"),
        ({"max_response_body": "1"}, "max_response_body must be a whole number"),
        ({"max_response_body": float("inf")}, "max_response_body must be a whole number"),
        ({"redirects": 1.5}, "redirects must be a whole number"),
        ({"redirects": True}, "redirects must be a whole number"),
        ({"overlay_network": "tor"}, "no option 'overlay_network' here"),
        ({"stream": True}, "no option 'stream' here"),
        *(({"unix_socket": path}, "unix_socket must be an absolute path") for path in ODD_PATHS),
        ({"tls": {"cert": "x", "key": "y"}}, "tls.cert must be certificates as PEM text"),
        ({"tls": {"cert": "-----BEGIN X-----"}}, "tls: cert and key belong"),
        ({"tls": {"ca": "-----BEGIN " + "x" * 300_000}}, "tls.ca must be certificates as PEM text"),
        ({"tls": {"server_name": "a b"}}, "tls.server_name must be a host name"),
        ({"tls": {"server_name": "a\0b"}}, "tls.server_name must be a host name"),
        ({"tls": {"insecure_skip_verify": 1}}, "tls.insecure_skip_verify must be true"),
        ({"tls": {"verify": False}}, "tls: there is no 'verify'"),
        ({"tls": "x"}, "tls must be a table with cert, key"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"timeout": True}, "timeout must be"),
        (
            {"verify": False},
            "no option 'verify' here; it has auth, body, cookies, files, form, headers, "
            "max_response_body, query, redirects, stream, timeout, tls, unix_socket",
        ),
    ],
)
async def test_bad_arguments_say_what_to_mend(payload: dict[str, Any], complaint: str) -> None:
    names, network, policies = Names(), Network(), Policies()
    with pytest.raises(Refused) as caught:
        request = {"method": "POST", "url": "http://a/", **payload}
        await GuardedHttp(resolver=names, network=network).request(request, policies)
    assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INVALID, False)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).encode()
    assert (names.asked, network.asked, policies.asked) == ([], [], [])


def test_a_timeout_has_an_end() -> None:
    for given_seconds, expected in ((None, 30.0), (2, 2.0), (10**400, 300.0), (0.5, 0.5), (60, 60.0)):
        request = parse_request({"method": "GET", "url": "http://a/", "timeout": given_seconds}, HttpLimits())
        assert request.seconds == expected


def test_empty_tables_may_come_as_lists() -> None:
    request = parse_request({"method": "GET", "url": "http://a/", "headers": [], "query": []}, HttpLimits())
    assert isinstance(request, HttpRequest) and request.target == Target("http", "a", None, 80, "/")


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"method": st.just("POST") | st.text(max_size=8), "url": st.just("http://a/")},
        optional=dict.fromkeys(OPTIONS, _anything),
    )
    | st.dictionaries(st.text(max_size=8), _anything, max_size=3)
)
def test_any_payload_is_refused_or_sound(payload: dict[str, Any]) -> None:
    try:
        request = parse_request(payload, HttpLimits())
    except Refused as refused:
        assert refused.kind is ErrorKind.INVALID
        assert str(refused).encode() and "\n" not in str(refused)
    else:
        sent = b"".join(name.encode() + value for name, value in request.headers) + str(request.target).encode("ascii")
        assert not re.search(rb"[\r\n\0]", sent + request.method.encode("ascii"))
        assert 0 < request.seconds <= 300


_text = st.text(st.sampled_from('\r\n\0\t\x0b\x85\u2028":;=,<> aé-'), max_size=12)
_table = st.dictionaries(_text, _text, max_size=2)
_files = st.fixed_dictionaries({"name": _text, "content": _text}, optional={"filename": _text, "content_type": _text})


@given(
    st.fixed_dictionaries(
        {"method": st.just("POST"), "url": st.just("http://a/")},
        optional={
            "headers": st.dictionaries(st.just("X-A") | _text, _text, max_size=2),
            "cookies": _table,
            "auth": st.fixed_dictionaries({"user": _text}, optional={"pass": _text}),
        },
    ),
    _table,
    st.lists(_files, max_size=2),
)
def test_no_text_breaks_out_of_its_line(payload: Any, form: dict[str, str], files: list[Any]) -> None:
    """Whatever a name or a value holds, a form has the parts that it should have, and each of them its lines."""
    try:
        request = parse_request({**payload, "form": form, "files": files}, HttpLimits())
    except Refused as refused:
        assert refused.kind is ErrorKind.INVALID
        return
    assert all(not re.search(rb"[\r\n\0\x0b]", name.encode() + value) for name, value in request.headers)
    boundary = dict(request.headers)["content-type"].partition(b"boundary=")[2]
    parts = (request.body or b"").split(b"--" + boundary)[1:-1]
    assert len(parts) == len(form) + len(files)
    for index, part in enumerate(parts):
        lines = part.partition(b"\r\n\r\n")[0].removeprefix(b"\r\n").split(b"\r\n")
        assert (len(lines), lines[0].count(b'"')) == ((1, 2) if index < len(form) else (2, 4))
