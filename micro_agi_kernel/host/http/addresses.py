"""Which hosts a URL may name, and which addresses a tool may reach: the ground of the network guard.

Sources: the IANA special-purpose registries for IPv4 and IPv6; RFC 6052 (NAT64), 4380 (Teredo), 3056
(6to4), 5214 (ISATAP). They are listed here because `ipaddress.is_global` differs between Python
releases (3.11 calls 192.0.0.192, a cloud's metadata service, global) and does not look inside tunnels.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal, TypeAlias

from micro_agi_kernel.host.arguments import invalid
from micro_agi_kernel.values import shorten

Address: TypeAlias = IPv4Address | IPv6Address

Reach: TypeAlias = Literal["public", "private", "never"]
"""Whether a tool may connect: always; when a policy allows the address; or whatever a policy says."""

_IPV4_PRIVATE = tuple(
    IPv4Network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by number, but the platform's own service inside every Azure machine
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
    )
)
# 0.0.0.0 connects to this machine: another name for 127.0.0.1, which a policy on that would not see.
_IPV4_NEVER = tuple(IPv4Network(network) for network in ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"))

_IPV6_PUBLIC = IPv6Network("2000::/3")
_IPV6_PRIVATE = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_IPV6_LOOPBACK = IPv6Address("::1")
_IPV6_NEVER = tuple(
    IPv6Network(network)
    for network in (
        "::/96",  # unspecified, and IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local prefix
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "ff00::/8",  # multicast
    )
)
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOTTED_QUAD = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")


def reach(address: Address) -> Reach:
    """Whether `address` is open to tools.

    "never" are the addresses that stand for another one (an IPv4 address inside an IPv6 one, the
    unspecified address) and those that name no single machine: a policy that denies an address must
    not be walked around by spelling it differently, so no policy opens them.
    """
    if isinstance(address, IPv4Address):
        if any(address in network for network in _IPV4_NEVER):
            return "never"
        private = any(address in network for network in _IPV4_PRIVATE)
    else:
        if address == _IPV6_LOOPBACK:
            return "private"
        if address.scope_id or address.packed[8:12] in _ISATAP or any(address in network for network in _IPV6_NEVER):
            return "never"
        private = address not in _IPV6_PUBLIC or any(address in network for network in _IPV6_PRIVATE)
    # A newer Python may know of ranges that are not listed here.
    return "private" if private or not address.is_global else "public"


def parse_host(host: str) -> Address | None:
    """The address that `host` (ASCII, lower case, an IPv6 address without brackets) is, or None for a name.

    Raises Refused (INVALID) for what is neither: above all for the odd spellings of an address (127.1,
    2130706433, 0x7f.1, 0177.0.0.1) that a resolver would take for one. As in the WHATWG URL standard, a
    host whose last label is a number has to be an address.
    """
    if ":" in host or _DOTTED_QUAD.fullmatch(host):
        try:
            return ip_address(host)
        except ValueError as error:
            raise invalid(f"url: {shorten(host)!r} is not an IP address") from error
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise invalid(f"url: write the address {shorten(host)!r} as four decimal numbers")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise invalid(f"url: {shorten(host)!r} is not a host name")
    return None
