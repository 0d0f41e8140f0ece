"""Redirects: each passes the gate again, and credentials stay behind."""

from __future__ import annotations

import pytest
from hostile_server import HostileServer, Peer, Seen, redirect, response
from http_kit import LOOPBACK, PUBLIC, Names, Network, Policies, fetch, refusal

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.request import HttpLimits, parse_request


async def test_redirects_are_followed_to_the_final_url(server: HostileServer) -> None:
    server.routes.update(
        {"/a": redirect("b?x=1"), "/b": redirect(f"//127.0.0.1:{server.port}/c"), "/c": response(b"end")}
    )
    answer = await fetch(server.url("/a#top"))
    assert (answer["body"], answer["url"]) == ("end", server.url("/c"))
    assert [seen.path for seen in server.requests] == ["/a", "/b?x=1", "/c"]


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://169.254.169.254/latest/meta-data/", ErrorKind.PERMISSION_DENIED),
        ("http://[::1]/", ErrorKind.PERMISSION_DENIED),
        ("http://10.0.0.1/", ErrorKind.PERMISSION_DENIED),
        ("//0x7f.1/", ErrorKind.INVALID),
        ("http://[::1", ErrorKind.INVALID),
        ("file:///etc/passwd", ErrorKind.INVALID),
        ("gopher://127.0.0.1:25/_HELO", ErrorKind.INVALID),
        ("http://user:secret@127.0.0.1/", ErrorKind.INVALID),
        ("/with space", ErrorKind.INVALID),
        ("/with\ttab", ErrorKind.INVALID),
        ("http://unknown.example/", ErrorKind.INTERNAL),
    ],
)
async def test_a_redirect_passes_the_same_gate(server: HostileServer, location: str, kind: ErrorKind) -> None:
    server.routes["/"] = redirect(location)
    network = Network(server)
    refused = await refusal(server.url("/"), http=GuardedHttp(resolver=Names(), network=network))
    assert refused.kind is kind
    assert network.asked == [LOOPBACK]


async def test_a_redirect_is_asked_of_the_policies_again(server: HostileServer) -> None:
    server.routes.update({"/": redirect("/admin"), "/admin": response()})
    policies = Policies(LOOPBACK, denied=lambda url: url.endswith("/admin"))
    with pytest.raises(Refused, match=r"policy denied: http_client\.request on .*/admin"):
        await GuardedHttp(resolver=Names()).request({"method": "GET", "url": server.url("/")}, policies)
    assert len(server.requests) == 1


async def test_a_redirect_loop_ends(server: HostileServer) -> None:
    server.routes["/"] = redirect("/")
    refused = await refusal(server.url("/"))
    assert refused.kind is ErrorKind.INVALID
    assert str(refused) == f"stopped after 10 redirects, before {server.url('/')}"
    assert len(server.requests) == 11


async def test_a_redirect_without_location_is_an_answer(server: HostileServer) -> None:
    server.routes["/"] = response(b"where?", "302 Found")
    assert (await fetch(server.url("/")))["status_code"] == 302


async def test_the_body_of_a_redirect_is_not_read(server: HostileServer) -> None:
    async def endless(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 1000000000\r\n\r\n")
        await peer.gone()

    server.routes.update({"/": endless, "/end": response(b"end")})
    assert (await fetch(server.url("/")))["body"] == "end"


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        ("301 Moved", "POST", "GET", b""),
        ("302 Found", "POST", "GET", b""),
        ("302 Found", "PUT", "PUT", b"data"),
        ("303 See Other", "PUT", "GET", b""),
        ("303 See Other", "HEAD", "HEAD", b""),
        ("307 Temporary", "POST", "POST", b"data"),
        ("308 Permanent", "PATCH", "PATCH", b"data"),
    ],
)
async def test_methods_change_as_in_a_browser(
    server: HostileServer, status: str, method: str, then: str, body: bytes
) -> None:
    server.routes.update({"/": redirect("/next", status), "/next": response()})
    options = {} if method == "HEAD" else {"body": "data", "headers": {"Content-Type": "text/plain"}}
    await fetch(server.url("/"), method, **options)
    second = server.requests[1]
    assert (second.method, second.body) == (then, body)
    assert ("content-type" in second.headers) == (body == b"data")


async def test_credentials_stay_with_their_origin(server: HostileServer) -> None:
    secrets = {"Authorization": "Bearer s", "Cookie": "session=s", "X-Other": "kept"}
    server.routes["/"] = redirect("/same")
    server.routes["/same"] = redirect(f"http://other.example:{server.port}/away")
    server.routes["/away"] = redirect(server.url("/back"))
    server.routes["/back"] = response()
    http = GuardedHttp(resolver=Names(other_example=[PUBLIC]), network=Network(server))
    await fetch(server.url("/"), http=http, headers=secrets)
    assert [_secrets(seen) for seen in server.requests] == [2, 2, 0, 0]
    assert all(seen.headers["x-other"] == "kept" for seen in server.requests)


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/elsewhere", True),
        ("http://A.example:80/", True),
        ("http://a.example:8080/", False),
        ("https://a.example/", False),
        ("http://b.example/", False),
        ("//sub.a.example/", False),
    ],
)
def test_another_scheme_host_or_port_is_another_origin(location: str, kept: bool) -> None:
    payload = {"method": "GET", "url": "http://a.example/", "headers": {"Authorization": "s", "COOKIE": "s"}}
    request = parse_request(payload, HttpLimits()).redirected(302, location)
    secrets = [name for name, _ in request.headers if name in ("authorization", "cookie")]
    assert len(secrets) == (2 if kept else 0)


def _secrets(seen: Seen) -> int:
    return len({"authorization", "cookie"} & set(seen.headers))


async def test_a_tool_may_want_fewer_redirects(server: HostileServer) -> None:
    server.routes.update({"/a": redirect("/b"), "/b": redirect("/c"), "/c": response(b"end")})
    first = await fetch(server.url("/a"), redirects=0)
    assert (first["status_code"], first["headers"]["Location"], first["url"]) == (302, "/b", server.url("/a"))
    refused = await refusal(server.url("/a"), redirects=1)
    assert (refused.kind, str(refused)) == (ErrorKind.INVALID, f"stopped after 1 redirects, before {server.url('/c')}")
    assert (await fetch(server.url("/a"), redirects=2))["body"] == "end"
    assert (await fetch(server.url("/a"), redirects=99))["body"] == "end"


async def test_what_options_imply_stays_with_its_origin_too(server: HostileServer) -> None:
    server.routes["/"] = redirect(f"http://other.example:{server.port}/away", "307 Temporary Redirect")
    server.routes["/away"] = response()
    http = GuardedHttp(resolver=Names(other_example=[PUBLIC]), network=Network(server))
    await fetch(server.url("/"), "POST", http=http, auth={"user": "u", "pass": "p"}, cookies={"a": "b"}, form={"x": 1})
    assert [_secrets(seen) for seen in server.requests] == [2, 0]
    assert server.requests[1].body == b"x=1"
