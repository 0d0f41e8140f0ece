"""Where a tool may connect to: addresses, names, and the policies on URLs."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hostile_server import HostileServer, redirect, response
from http_kit import PUBLIC, Names, Network, Policies, fetch, refusal
from hypothesis import given
from hypothesis import strategies as st

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.http.addresses import parse_host, reach
from micro_agi_kernel.host.http.guarded import GuardedHttp
from micro_agi_kernel.host.http.url import parse_url


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
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("intranet", "10.0.0.7; 10.0.0.7 is the address of intranet")):
        with pytest.raises(Refused) as caught:
            await http.request({"method": "GET", "url": server.url("/", host)}, policies)
        assert (caught.value.kind, caught.value.retryable) == (ErrorKind.PERMISSION_DENIED, False)
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
        "cookies": {},
        "body": "hello",
        "url": "http://example.com/",
    }
    assert network.asked == [PUBLIC]
    assert policies.asked == [("http_client.request", "http://example.com/")]
    assert server.requests[0].headers["host"] == "example.com"


async def test_no_policy_opens_an_address_within_an_address(server: HostileServer) -> None:
    async def open_to_all(action: str, resource: str, method: str = "") -> None:
        pass

    network = Network(server)
    http = GuardedHttp(resolver=Names(example_com=["::ffff:127.0.0.1"]), network=network)
    for url in ("http://[::ffff:127.0.0.1]/", "http://0.0.0.0/", "http://[64:ff9b::7f00:1]/", "http://example.com/"):
        with pytest.raises(Refused) as caught:
            await http.request({"method": "GET", "url": url}, open_to_all)
        assert (caught.value.kind, caught.value.retryable) == (ErrorKind.PERMISSION_DENIED, False)
        assert "http_client never connects to" in str(caught.value)
    address = ip_address("::ffff:127.0.0.1")  # which Python 3.13 writes in another way
    assert str(caught.value).endswith(f"; {address} is the address of example.com")
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


@pytest.mark.parametrize("answers", ["", "not-an-address"])
async def test_a_resolver_without_a_usable_answer(answers: str) -> None:
    refused = await refusal("http://example.com/", http=GuardedHttp(resolver=Names(example_com=[answers])))
    assert (refused.kind, refused.retryable) == (ErrorKind.INTERNAL, True)
    assert str(refused) == "cannot resolve the host example.com"


async def test_a_denied_url_is_not_even_resolved() -> None:
    names, network = Names(example_com=[PUBLIC]), Network()
    http = GuardedHttp(resolver=names, network=network)
    with pytest.raises(Refused) as caught:
        await http.request({"method": "GET", "url": "http://example.com/x"}, Policies(denied=lambda url: True))
    assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    assert str(caught.value) == "policy denied: http_client.request on http://example.com/x"
    assert (names.asked, network.asked) == ([], [])


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
