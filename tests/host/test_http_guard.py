"""The network guard: what it lets through, what it refuses, and what a hostile server can do to it."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
import socket
import ssl
import subprocess
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from hostile_server import HostileServer, Peer, Seen, hostile_server, redirect, response
from hypothesis import given
from hypothesis import strategies as st

from micro_agi_kernel import __version__
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.addresses import parse_host, reach
from micro_agi_kernel.host.http import GuardedHttp
from micro_agi_kernel.host.http_request import HttpLimits, HttpRequest, Target, parse_request, parse_url

LIST = Path(__file__).parents[2].parent / "shared" / "conformance" / "ssrf_urls.jsonl"

PUBLIC = "93.184.215.14"
"""Some public address. Nothing here ever connects to it: `Network` leads every connection to loopback."""


class Network(httpcore.AsyncNetworkBackend):
    """Records which addresses are asked for, and leads to a server on loopback instead, if there is one."""

    def __init__(self, server: HostileServer | None = None, broken: Iterable[str] = ()) -> None:
        self.asked: list[str] = []
        self._server = server
        self._broken = set(broken)

    async def connect_tcp(self, host: str, port: int, *rest: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        if self._server is None or host in self._broken:
            raise httpcore.ConnectError("nobody there")
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self._server.port)


class Names:
    """A resolver that knows a few names; each may have a list of answers to give one after the other."""

    def __init__(self, **answers: list[str]) -> None:
        self.asked: list[str] = []
        self._answers = {name.replace("_", "."): answers for name, answers in answers.items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        known = self._answers.get(host)
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return (known.pop(0) if len(known) > 1 else known[0]).split()


class Policies:
    """Allows every request, and of the addresses that are not public only those named."""

    def __init__(self, *addresses: str, denied: Callable[[str], bool] = lambda url: False) -> None:
        self.asked: list[tuple[str, str]] = []
        self._addresses = addresses
        self._denied = denied

    def __call__(self, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        if action == "http_client.private_ip":
            return resource in self._addresses
        assert action == "http_client.request"
        return not self._denied(resource)


LOOPBACK = "127.0.0.1"


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with hostile_server() as running:
        yield running


async def fetch(url: str, method: str = "GET", *, http: GuardedHttp | None = None, **options: Any) -> dict[str, Any]:
    answer = await (http or GuardedHttp(resolver=Names())).request(
        {"method": method, "url": url, **options}, Policies(LOOPBACK)
    )
    assert isinstance(answer, dict)
    return answer


async def refusal(url: str, *, http: GuardedHttp | None = None, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await fetch(url, http=http, **options)
    return caught.value


# What an ordinary request gives.


async def test_an_answer_has_status_headers_body_and_url(server: HostileServer) -> None:
    server.routes["/ip"] = response("grüezi".encode(), "418 Teapot", content_type="text/plain", etag='"1"')
    answer = await fetch(server.url("/ip"))
    assert answer == {
        "status_code": 418,
        "headers": {"Content-Length": "7", "Content-Type": "text/plain", "Etag": '"1"'},
        "body": "grüezi",
        "url": server.url("/ip"),
    }


async def test_what_the_server_gets_to_see(server: HostileServer) -> None:
    server.routes["/search"] = response()
    await fetch(
        server.url("/search?fixed=1"),
        "POST",
        headers={"X-Token": "t", "Accept": ["text/plain", "text/html"], "X-Name": "Zoë"},
        query={"b": [1, 2.5, 3.0], "a": "ä &", "c": True},
        body=b"\xff\x00",
    )
    seen = server.requests[0]
    assert (seen.method, seen.body) == ("POST", b"\xff\x00")
    assert seen.path == "/search?fixed=1&a=%C3%A4+%26&b=1&b=2.5&b=3&c=true"
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


@pytest.mark.parametrize("method", ["get", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
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


# Addresses.


@pytest.mark.skipif(not LIST.exists(), reason="the conformance vectors are not beside this project")
@pytest.mark.parametrize("answer", ["169.254.169.254", ""], ids=["names-mean-metadata", "names-unknown"])
async def test_every_url_of_the_ssrf_list_is_refused_and_nothing_connected(answer: str) -> None:
    urls = [json.loads(line)["url"] for line in LIST.read_text().splitlines()]
    assert len(urls) == 228
    resolved = []

    async def resolver(host: str, port: int) -> Sequence[str]:
        assert re.fullmatch(r"[a-z0-9_.-]+", host), f"{host!r} is no name"
        with pytest.raises(OSError):  # whatever the C library takes for an address must not get here
            socket.inet_aton(host)
        resolved.append(host)
        return [answer] if answer else []

    network, policies = Network(), Policies()
    http = GuardedHttp(resolver=resolver, network=network)
    kinds: dict[str, ErrorKind] = {}
    for url in urls:
        with pytest.raises(Refused) as caught:
            await http.request({"method": "GET", "url": url}, policies)
        kinds[url] = caught.value.kind
    assert network.asked == []
    assert {"localhost", "metadata.google.internal", "instance-data", "169.254.169.254.nip.io"} <= set(resolved)
    assert kinds["http://169.254.169.254/latest/meta-data/"] is ErrorKind.PERMISSION_DENIED
    assert kinds["http://localhost"] is (ErrorKind.PERMISSION_DENIED if answer else ErrorKind.INTERNAL)
    assert kinds["file:///etc/passwd"] is ErrorKind.INVALID


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *((public, "public") for public in ("8.8.8.8", "1.1.1.1", PUBLIC, "2606:4700:4700::1111", "172.32.0.1")),
        *((private, "private") for private in ("10.1.2.3", "172.31.255.255", "192.168.0.1", "127.9.9.9", "::1")),
        *((special, "private") for special in ("169.254.169.254", "100.64.0.1", "192.0.0.192", "168.63.129.16")),
        *((testing, "private") for testing in ("192.0.2.1", "198.19.0.1", "203.0.113.9", "2001:db8::1", "3fff::1")),
        *((local, "private") for local in ("fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "2001:2::1", "100::1")),
        *((nobody, "never") for nobody in ("0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "ff02::1")),
        *((mapped, "never") for mapped in ("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:7f00:1")),
        *((tunnel, "never") for tunnel in ("64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:1::1")),
        *((hidden, "never") for hidden in ("fe80::1%eth0", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:a00:1")),
    ],
)
def test_reach(address: str, expected: str) -> None:
    assert reach(ip_address(address)) == expected


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.01", "1.2.3.256", "425.510.425.510"),
        *("1.2.3", "a.0x", "a.1", "exa$mple.com", "-a.com", "a-.com", "a..com", "example.com.", ".com", "a:b", ""),
    ],
)
def test_odd_spellings_of_a_host_are_refused(host: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_host(host)
    assert caught.value.kind is ErrorKind.INVALID


def test_hosts_as_they_should_be() -> None:
    assert parse_host("127.0.0.1") == ip_address("127.0.0.1")
    assert parse_host("::1") == ip_address("::1")
    for name in ("localhost", "a_b.example.com", "xn--bcher-kva.example", "1e100.net", "0x.example"):
        assert parse_host(name) is None


async def test_an_address_that_is_not_public_needs_a_policy(server: HostileServer) -> None:
    network, policies = Network(server), Policies()
    http = GuardedHttp(resolver=Names(intranet=["10.0.0.7"]), network=network)
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("intranet", "10.0.0.7, the address of intranet")):
        with pytest.raises(Refused) as caught:
            await http.request({"method": "GET", "url": server.url("/", host)}, policies)
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
        assert str(caught.value) == f"policy denied: http_client.private_ip on {shown}"
    assert network.asked == []
    assert [resource for action, resource in policies.asked if action.endswith("private_ip")] == [
        "127.0.0.1",
        "10.0.0.7",
    ]


async def test_a_public_address_is_reached_without_one(server: HostileServer) -> None:
    server.routes["/"] = response(b"hello")
    network, policies = Network(server), Policies()
    http = GuardedHttp(resolver=Names(example_com=[PUBLIC]), network=network)
    answer = await http.request({"method": "GET", "url": "http://EXAMPLE.com"}, policies)
    assert answer == {
        "status_code": 200,
        "headers": {"Content-Length": "5"},
        "body": "hello",
        "url": "http://example.com/",
    }
    assert network.asked == [PUBLIC]
    assert policies.asked == [("http_client.request", "http://example.com/")]
    assert server.requests[0].headers["host"] == "example.com"


async def test_no_policy_opens_an_address_within_an_address(server: HostileServer) -> None:
    network = Network(server)
    http = GuardedHttp(resolver=Names(example_com=["::ffff:127.0.0.1"]), network=network)
    for url in ("http://[::ffff:127.0.0.1]/", "http://0.0.0.0/", "http://[64:ff9b::7f00:1]/", "http://example.com/"):
        with pytest.raises(Refused) as caught:
            await http.request({"method": "GET", "url": url}, lambda action, resource: True)
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    assert network.asked == []


async def test_one_private_answer_spoils_the_public_ones(server: HostileServer) -> None:
    network = Network(server)
    http = GuardedHttp(resolver=Names(example_com=[f"{PUBLIC} 192.168.1.1"]), network=network)
    refused = await refusal("http://example.com/", http=http)
    assert "http_client.private_ip on 192.168.1.1" in str(refused)
    assert network.asked == []


async def test_a_name_that_changes_its_meaning_is_caught(server: HostileServer) -> None:
    server.routes["/"] = redirect("http://rebind.example/again")
    network, names = Network(server), Names(rebind_example=[PUBLIC, "127.0.0.2"])
    http = GuardedHttp(resolver=names, network=network)
    refused = await refusal("http://rebind.example/", http=http)
    assert refused.kind is ErrorKind.PERMISSION_DENIED
    # One question a hop, and the connection went to what the first one answered.
    assert names.asked == ["rebind.example", "rebind.example"]
    assert network.asked == [PUBLIC]


async def test_the_next_address_is_tried_when_one_is_down(server: HostileServer) -> None:
    server.routes["/"] = response(b"second")
    network = Network(server, broken=["2606:4700::1"])
    http = GuardedHttp(resolver=Names(example_com=[f"2606:4700::1 {PUBLIC}"]), network=network)
    assert (await fetch("http://example.com/", http=http))["body"] == "second"
    assert network.asked == ["2606:4700::1", PUBLIC]


async def test_a_name_with_many_addresses_is_no_scanner() -> None:
    network = Network()
    http = GuardedHttp(resolver=Names(example_com=[" ".join(f"8.8.8.{n}" for n in range(50))]), network=network)
    assert (await refusal("http://example.com/", http=http)).kind is ErrorKind.INTERNAL
    assert len(network.asked) == 4


async def test_the_system_resolver_knows_localhost(server: HostileServer) -> None:
    server.routes["/"] = response(b"here")
    http = GuardedHttp()
    answer = await http.request({"method": "GET", "url": server.url("/", "localhost")}, Policies("127.0.0.1", "::1"))
    assert isinstance(answer, dict) and answer["body"] == "here"
    await http.close()
    await http.close()


@pytest.mark.parametrize("answers", ["", "not-an-address"])
async def test_a_resolver_without_a_usable_answer(answers: str) -> None:
    refused = await refusal("http://example.com/", http=GuardedHttp(resolver=Names(example_com=[answers])))
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)
    assert str(refused) == "cannot resolve the host example.com"


# Policies on URLs.


async def test_a_denied_url_is_not_even_resolved() -> None:
    names, network = Names(example_com=[PUBLIC]), Network()
    http = GuardedHttp(resolver=names, network=network)
    with pytest.raises(Refused) as caught:
        await http.request({"method": "GET", "url": "http://example.com/x"}, Policies(denied=lambda url: True))
    assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    assert str(caught.value) == "policy denied: http_client.request on http://example.com/x"
    assert (names.asked, network.asked) == ([], [])


async def test_policies_may_answer_later_and_only_true_opens(server: HostileServer) -> None:
    server.routes["/"] = response()
    http = GuardedHttp(resolver=Names())

    async def later(action: str, resource: str) -> bool:
        await asyncio.sleep(0)
        return True

    await http.request({"method": "GET", "url": server.url("/")}, later)
    with pytest.raises(Refused):
        await http.request({"method": "GET", "url": server.url("/")}, lambda action, resource: "undefined")  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTPS://Example.COM:443/x/%2e%2E/%61dmin?q=%7e#part", "https://example.com/admin?q=~"),
        ("http://example.com", "http://example.com/"),
        ("http://example.com:0080?q", "http://example.com/?q"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://[0:0:0:0:0:0:0:1]:8080/", "http://[::1]:8080/"),
        ("http://a.example/../../etc/./passwd", "http://a.example/etc/passwd"),
    ],
)
def test_one_spelling_for_all_urls_that_mean_the_same(url: str, normal: str) -> None:
    assert str(parse_url(url)) == normal


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z.0-9\[\]:%@]{0,12}[/?#]?.{0,20}", fullmatch=True))
def test_any_text_is_refused_or_has_a_normal_form(text: str) -> None:
    try:
        target = parse_url(text)
    except Refused as refused:
        assert refused.kind is ErrorKind.INVALID
    else:
        assert parse_url(str(target)) == target


# Redirects.


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


# A hostile tool.


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ("http://example.com/", "a table with method and url"),
        ({"method": "GET"}, "url: UTF-8 text"),
        ({"method": "GET", "url": b"http://\xff/"}, "url: UTF-8 text"),
        ({"method": "GET", "url": "http://a/\ud800"}, "url: UTF-8 text"),
        ({"method": "CONNECT", "url": "http://a/"}, "method: 'CONNECT' is none of GET"),
        ({"method": "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET", "url": "http://a/"}, "method:"),
        ({"method": 1, "url": "http://a/"}, "method: UTF-8 text"),
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
        ({"method": "GET", "url": "http://a/", "query": {"x": "x" * 9000}}, "url: longer than"),
        ({"method": "GET", "url": "http://a/", "query": {"x": {"y": 1}}}, "query.x: UTF-8 text"),
        ({"method": "GET", "url": "http://a/", "query": {"x": float("nan")}}, "query.x: UTF-8 text"),
        ({"method": "GET", "url": "http://a/", "query": "x=1"}, "query: a table"),
        ({"method": "GET", "url": "http://a/", "headers": {"X: y\r\nZ": "1"}}, "is not a header name"),
        ({"method": "GET", "url": "http://a/", "headers": {"": "1"}}, "is not a header name"),
        (
            {"method": "GET", "url": "http://a/", "headers": {"X": "a\r\nHost: b"}},
            "the value of 'X' holds a line break",
        ),
        ({"method": "GET", "url": "http://a/", "headers": {"X": ["a", "b\0"]}}, "the value of 'X' holds a line break"),
        ({"method": "GET", "url": "http://a/", "headers": {"HOST": "b"}}, "leave 'HOST' out"),
        ({"method": "GET", "url": "http://a/", "headers": {"Transfer-Encoding": "chunked"}}, "leave"),
        ({"method": "GET", "url": "http://a/", "headers": {"Proxy-Authorization": "x"}}, "leave"),
        ({"method": "GET", "url": "http://a/", "headers": {"X": "x" * 40_000}}, "headers: more than"),
        ({"method": "GET", "url": "http://a/", "headers": {"X": ["x"] * 101}}, "headers: more than"),
        ({"method": "POST", "url": "http://a/", "body": {"a": 1}}, "body: a string is wanted; use json.encode"),
        ({"method": "POST", "url": "http://a/", "body": b"x" * (4 << 20) + b"x"}, "body: larger than 4194304 bytes"),
        ({"method": "GET", "url": "http://a/", "timeout": 0}, "timeout: a number of seconds above 0"),
        ({"method": "GET", "url": "http://a/", "timeout": float("nan")}, "timeout:"),
        ({"method": "GET", "url": "http://a/", "timeout": True}, "timeout:"),
        ({"method": "GET", "url": "http://a/", "verify": False}, "no option 'verify'; it has body, headers"),
    ],
)
async def test_bad_arguments_say_what_to_mend(payload: Any, complaint: str) -> None:
    names, network, policies = Names(), Network(), Policies()
    with pytest.raises(Refused) as caught:
        await GuardedHttp(resolver=names, network=network).request(payload, policies)
    assert caught.value.kind is ErrorKind.INVALID
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).encode()
    assert (names.asked, network.asked, policies.asked) == ([], [], [])


def test_a_timeout_can_only_shorten() -> None:
    for given_seconds, expected in ((None, 30.0), (2, 2.0), (10**400, 30.0), (0.5, 0.5)):
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
        {"method": st.just("POST"), "url": st.just("http://a/")},
        optional={"headers": _anything, "query": _anything, "body": _anything, "timeout": _anything},
    )
    | _anything
)
def test_any_payload_is_refused_or_sound(payload: Any) -> None:
    try:
        request = parse_request(payload, HttpLimits())
    except Refused as refused:
        assert refused.kind is ErrorKind.INVALID
        assert str(refused).encode()
    else:
        sent = b"".join(name.encode() + value for name, value in request.headers) + str(request.target).encode("ascii")
        assert not re.search(rb"[\r\n\0]", sent)
        assert 0 < request.seconds <= 30


# A hostile server.


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"plain")),
        ("X-GZIP", gzip.compress(b"pl") + gzip.compress(b"ain")),
        ("deflate", zlib.compress(b"plain")),
        ("deflate", zlib.compress(b"plain", wbits=-zlib.MAX_WBITS)),
        ("identity", b"plain"),
    ],
)
async def test_packed_answers_are_unpacked(server: HostileServer, encoding: str, packed: bytes) -> None:
    server.routes["/"] = response(packed, content_encoding=encoding)
    answer = await fetch(server.url("/"))
    assert answer["body"] == "plain"
    assert ("Content-Encoding" in answer["headers"]) == (encoding == "identity")


async def test_an_encoding_that_was_not_asked_for_stays(server: HostileServer) -> None:
    server.routes["/"] = response(b"\x0b\x02\x80plain\x03", content_encoding="br")
    answer = await fetch(server.url("/"))
    assert (answer["body"], answer["headers"]["Content-Encoding"]) == (b"\x0b\x02\x80plain\x03", "br")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_does_not_go_off(server: HostileServer, encoding: str) -> None:
    pack = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(64)) + pack.flush()
    server.routes["/"] = response(bomb, content_encoding=encoding)
    tracemalloc.start()
    try:
        refused = await refusal(server.url("/"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    assert (refused.kind, str(refused)) == (ErrorKind.INVALID, "the answer's body is larger than 4194304 bytes")


@pytest.mark.parametrize(
    "packed",
    [b"no gzip at all", gzip.compress(b"x" * 999)[:-9], b"\x1f\x8b", gzip.compress(b"") * 500],
    ids=["other", "cut", "begun", "members"],
)
async def test_broken_gzip_is_an_error(server: HostileServer, packed: bytes) -> None:
    server.routes["/"] = response(packed, content_encoding="gzip")
    refused = await refusal(server.url("/"))
    assert refused.kind is ErrorKind.INTERNAL
    assert "broken" in str(refused)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_without_end_is_cut_off(server: HostileServer, announced: bool) -> None:
    async def flood(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 9000000000\r\n\r\n" if announced else b"\r\n"))
        while True:
            await peer.send(bytes(1 << 16))

    server.routes["/"] = flood
    refused = await refusal(server.url("/"))
    assert "larger than 4194304 bytes" in str(refused)
    await server.quiet.wait()


async def test_a_body_at_the_limit_passes(server: HostileServer) -> None:
    http = GuardedHttp(resolver=Names(), limits=HttpLimits(response_body=1000))
    server.routes.update({"/at": response(b"x" * 1000), "/above": response(b"x" * 1001)})
    server.routes["/packed"] = response(gzip.compress(b"x" * 1001), content_encoding="gzip")
    assert len((await fetch(server.url("/at"), http=http))["body"]) == 1000
    for path in ("/above", "/packed"):
        assert "larger than 1000 bytes" in str(await refusal(server.url(path), http=http))


async def test_a_body_in_crumbs_leaves_time_for_others(server: HostileServer) -> None:
    async def crumbs(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await peer.send(b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n")

    server.routes["/"] = crumbs
    turns = 0
    fetching = asyncio.create_task(fetch(server.url("/")))
    while not fetching.done():
        turns += 1
        await asyncio.sleep(0)
    assert fetching.result()["body"] == "x" * 5_000
    assert turns > 5_000


async def test_a_drip_is_cut_off_by_the_total_time(server: HostileServer) -> None:
    async def drip(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.02)

    server.routes["/"] = drip
    refused = await refusal(server.url("/"), timeout=0.2)
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)
    assert str(refused) == f"no complete answer from http://127.0.0.1:{server.port} in 0.2 s"
    await server.quiet.wait()


async def test_the_total_time_holds_over_redirects_too(server: HostileServer) -> None:
    async def slow(peer: Peer) -> None:
        await asyncio.sleep(0.1)
        await peer.send(redirect("/"))

    server.routes["/"] = slow
    assert (await refusal(server.url("/"), timeout=0.25)).kind is ErrorKind.INTERNAL


async def test_a_name_that_never_resolves_times_out() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    refused = await refusal("http://example.com/", http=GuardedHttp(resolver=never), timeout=0.05)
    assert refused.kind is ErrorKind.INTERNAL


@pytest.mark.parametrize("line", [b"X-Filler: " + b"y" * 1000 + b"\r\n", b"y" * 1000], ids=["many", "one"])
async def test_endless_headers_are_cut_off(server: HostileServer, line: bytes) -> None:
    async def headers(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(line * 50)

    server.routes["/"] = headers
    assert (await refusal(server.url("/"))).kind is ErrorKind.INTERNAL
    await server.quiet.wait()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n",
        b"HTTP/1.1 200",
    ],
)
async def test_a_broken_answer_is_an_error(server: HostileServer, raw: bytes) -> None:
    server.routes["/"] = raw
    refused = await refusal(server.url("/"))
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)
    assert str(refused).startswith(f"no answer from http://127.0.0.1:{server.port}: ")


async def test_bytes_beyond_the_announced_body_are_left_out(server: HostileServer) -> None:
    server.routes["/"] = response(b"right", content_length="5") + b"HTTP/1.1 200 OK\r\n\r\nsmuggled"
    assert (await fetch(server.url("/")))["body"] == "right"


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = await refusal(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)


async def test_cancelling_closes_the_connection(server: HostileServer) -> None:
    server.routes["/"] = lambda peer: peer.gone()
    task = asyncio.create_task(fetch(server.url("/")))
    await server.busy.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.quiet.wait()


async def test_a_request_waits_for_its_turn(server: HostileServer) -> None:
    most = 0

    async def counted(peer: Peer) -> None:
        nonlocal most
        most = max(most, server.open)
        await asyncio.sleep(0.01)
        await peer.send(response())

    server.routes["/"] = counted
    http = GuardedHttp(resolver=Names(), limits=HttpLimits(concurrent=3))
    await asyncio.gather(*(fetch(server.url("/"), http=http) for _ in range(9)))
    assert (len(server.requests), most) == (9, 3)


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of tools.example, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=tools.example", "-addext", "subjectAltName=DNS:tools.example"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


async def test_tls_verifies_the_name_at_the_checked_address(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting = ssl.create_default_context(cafile=certificate[0])
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **options: trusting)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    asked_for: list[str | None] = []
    serving.sni_callback = lambda connection, name, context: asked_for.append(name)
    async with hostile_server(serving) as server:
        server.routes["/"] = response(b"secret")
        names = Names(tools_example=[PUBLIC], other_example=[PUBLIC])
        http = GuardedHttp(resolver=names, network=Network(server))
        answer = await fetch("https://tools.example/", http=http)
        assert (answer["body"], answer["url"]) == ("secret", "https://tools.example/")
        refused = await refusal("https://other.example/", http=http)
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, False)
    assert "certificate" in str(refused).lower()
    assert asked_for == ["tools.example", "other.example"]


async def test_an_unknown_authority_is_not_trusted(certificate: tuple[Path, Path]) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    async with hostile_server(serving) as server:
        http = GuardedHttp(resolver=Names(tools_example=[PUBLIC]), network=Network(server))
        refused = await refusal("https://tools.example/", http=http)
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, False)


async def test_a_handshake_that_hangs_leaves_no_socket() -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()
        left.set()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        refused = await refusal(f"https://127.0.0.1:{port}/", timeout=0.2)
        assert refused.kind is ErrorKind.INTERNAL
        await left.wait()
