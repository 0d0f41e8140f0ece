"""What a request sends, and what its answer gives."""

from __future__ import annotations

import asyncio
import base64

import pytest
from hostile_server import HostileServer, Peer, Seen, redirect, response
from http_kit import Names, fetch, refusal

from micro_agi_kernel import __version__
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.request import HttpLimits


async def test_an_answer_has_status_headers_body_and_url(server: HostileServer) -> None:
    server.routes["/ip"] = response("grüezi".encode(), "418 Teapot", content_type="text/plain", etag='"1"')
    answer = await fetch(server.url("/ip"))
    assert answer == {
        "status_code": 418,
        "headers": {"Content-Length": "7", "Content-Type": "text/plain", "Etag": '"1"'},
        "cookies": {},
        "body": "grüezi",
        "url": server.url("/ip"),
    }


async def test_what_the_server_gets_to_see(server: HostileServer) -> None:
    server.routes["/search"] = response()
    await fetch(
        server.url("/search?fixed=1"),
        "POST",
        headers={"X-Token": "t", "Accept": ["text/plain", "text/html"], "X-Name": "Zoë"},
        query={"b": [1, 2.5, 3.0, 2.0**63], "a": "ä &", "c": True},
        body=b"\xff\x00",
    )
    seen = server.requests[0]
    assert (seen.method, seen.body) == ("POST", b"\xff\x00")
    assert seen.path == "/search?fixed=1&a=%C3%A4+%26&b=1&b=2.5&b=3&b=9.223372036854776e%2B18&c=true"
    assert seen.headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "text/html",  # the second of the two lines
        "accept-encoding": "gzip, deflate",
        "user-agent": f"micro-agi/{__version__}",
        "x-token": "t",
        "x-name": "Zoë".encode().decode("latin-1"),
        "connection": "close",
        "content-length": "2",
    }


@pytest.mark.parametrize("method", ["get", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"])
async def test_every_method_is_sent(server: HostileServer, method: str) -> None:
    server.routes["/"] = response()
    assert (await fetch(server.url("/"), method))["status_code"] == 200
    assert server.requests[0].method == method.upper()
    assert ("content-length" in server.requests[0].headers) == (method in ("POST", "PUT", "PATCH"))


async def test_neither_the_environment_nor_cookies_have_a_say(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.routes["/"] = response(set_cookie="session=1; Path=/")
    http = GuardedHttp(resolver=Names())
    for _ in range(2):
        await fetch(server.url("/"), http=http)
    assert "cookie" not in server.requests[1].headers


async def test_a_body_that_is_no_text_comes_as_bytes(server: HostileServer) -> None:
    server.routes["/"] = response(b"\x89PNG\xff", content_type="text/plain; charset=utf-8")
    assert (await fetch(server.url("/")))["body"] == b"\x89PNG\xff"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_body(server: HostileServer, status: str) -> None:
    server.routes["/"] = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\n\r\n".encode()
    assert (await fetch(server.url("/")))["body"] == ""


async def test_head_takes_no_body_whatever_its_headers_promise(server: HostileServer) -> None:
    server.routes["/"] = response(content_length="99", content_encoding="gzip")
    answer = await fetch(server.url("/"), "HEAD")
    assert (answer["body"], answer["headers"]["Content-Length"]) == ("", "99")


async def test_several_headers_of_one_name_are_joined(server: HostileServer) -> None:
    server.routes["/"] = b"HTTP/1.1 200 OK\r\nvary: a\r\nVARY: b\r\nX: \xe9\r\nContent-Length: 0\r\n\r\n"
    headers = (await fetch(server.url("/")))["headers"]
    assert (headers["Vary"], headers["X"]) == ("a, b", "é")


async def test_a_form(server: HostileServer) -> None:
    server.routes["/"] = response()
    await fetch(server.url("/"), "POST", form={"b": "x y&=+", "a": [1, True], "ü": "é"})
    seen = server.requests[0]
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.body == b"a=1&a=true&b=x+y%26%3D%2B&%C3%BC=%C3%A9"


async def test_files(server: HostileServer) -> None:
    server.routes["/"] = response()
    files = [
        {
            "name": "report",
            "filename": 'a "b".csv',
            "content": b"\xff\r\n--",
            "content_type": "text/csv; charset=utf-8",
        },
        {"name": "naïve", "content": ""},
    ]
    await fetch(server.url("/"), "POST", form={"title": "T\r\nX: y"}, files=files)
    assert parts_of(server.requests[0]) == [
        ('form-data; name="title"', None, b"T\r\nX: y"),
        ('form-data; name="report"; filename="a %22b%22.csv"', "text/csv; charset=utf-8", b"\xff\r\n--"),
        ('form-data; name="naïve"; filename="naïve"', "application/octet-stream", b""),
    ]


def parts_of(seen: Seen) -> list[tuple[str, str | None, bytes]]:
    """Disposition, content type and content of each part of a multipart body."""
    kind, _, boundary = seen.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    opening, *parts, closing = (b"\r\n" + seen.body).split(f"\r\n--{boundary}".encode())
    assert (opening, closing) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        found.append((headers.pop("Content-Disposition"), headers.pop("Content-Type", None), content))
        assert not headers
    return found


async def test_auth_and_cookies(server: HostileServer) -> None:
    server.routes["/"] = response()
    await fetch(server.url("/"), auth={"user": "zoë", "pass": "s:e"}, cookies={"b": "2", "a": [1, "x=y"]})
    headers = server.requests[0].headers
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == "zoë:s:e"
    assert headers["cookie"] == "a=1; a=x=y; b=2"


async def test_the_cookies_of_an_answer(server: HostileServer) -> None:
    cookies = [b"id=7; Path=/; HttpOnly", b' quoted = "a b" ; Secure', b"empty=", b"no cookie", b"=x", b"id=8"]
    lines = b"".join(b"Set-Cookie: " + cookie + b"\r\n" for cookie in cookies)
    server.routes["/"] = b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 0\r\n\r\n"
    assert (await fetch(server.url("/")))["cookies"] == {"id": "8", "quoted": "a b", "empty": ""}


async def test_a_tool_may_want_less_of_a_body(server: HostileServer) -> None:
    server.routes["/"] = response(b"x" * 100)
    assert (await fetch(server.url("/"), max_response_body=100.0))["body"] == "x" * 100
    assert "larger than 99 bytes" in str(await refusal(server.url("/"), max_response_body=99))
    server.routes["/"] = response(bytes((4 << 20) + 1))
    for wanted in (0, 1 << 50):
        assert "larger than 4194304 bytes" in str(await refusal(server.url("/"), max_response_body=wanted))


async def test_waiting_for_a_policy_takes_no_time_of_the_network(server: HostileServer) -> None:
    server.routes.update({"/": redirect("/end"), "/end": response(b"end")})
    asked = []

    async def hesitant(action: str, resource: str, method: str = "") -> None:
        asked.append(action)
        await asyncio.sleep(0.1)

    http = GuardedHttp(resolver=Names())
    answer = await http.request({"method": "GET", "url": server.url("/"), "timeout": 0.3}, hesitant)
    assert answer["body"] == "end"
    assert asked == ["http_client.request", "http_client.private_ip"] * 2


async def test_waiting_for_a_turn_takes_no_time_of_the_network(server: HostileServer) -> None:
    async def slow(peer: Peer) -> None:
        await asyncio.sleep(0.5)
        await peer.send(response())

    server.routes.update({"/slow": slow, "/": response(b"my turn")})
    http = GuardedHttp(resolver=Names(), limits=HttpLimits(concurrent=1))
    first = asyncio.create_task(fetch(server.url("/slow"), http=http))
    await server.busy.wait()
    assert (await fetch(server.url("/"), http=http, timeout=0.4))["body"] == "my turn"
    await first
