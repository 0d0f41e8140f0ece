"""Where a request goes: URLs taken apart and put into the one normal form that policies are asked about."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from micro_agi_kernel.host.arguments import invalid
from micro_agi_kernel.host.http.addresses import Address, parse_host
from micro_agi_kernel.values import shorten

MAX_URL = 8_192

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_UNRESERVED = re.compile(r"%(2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """Where one request goes. `str(target)` is the URL in its normal form, which policies are asked about."""

    scheme: str
    host: str
    address: Address | None
    """What `host` is when it is no name."""
    port: int
    path: str
    """Path and query, encoded, from the first slash."""

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


def parse_url(text: str) -> Target:
    """The target of an absolute http or https URL; one spelling for all that mean the same.

    Lower-case host, IDNA, no default port, no dot segments, no needless escapes, no fragment: a policy on
    `https://example.com/admin*` also meets `HTTPS://EXAMPLE.com:443/x/%2e%2e/%61dmin`.
    """
    require_plain(text, "url")
    authority = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        raise invalid("url: a user name or password does not belong in a URL; use the option auth")
    if "%" in authority:
        raise invalid("url: the host may hold no % (escape or zone)")
    try:
        url = httpx.URL(_UNRESERVED.sub(lambda match: chr(int(match[1], 16)), text))
    except (httpx.InvalidURL, ValueError) as error:
        raise invalid(f"url: {shorten(text)!r} is not a URL") from error
    if url.scheme not in _DEFAULT_PORTS:
        raise invalid(f"url: {shorten(text)!r} does not begin with http:// or https://")
    host = url.raw_host.decode("ascii")
    if not host:
        raise invalid(f"url: {shorten(text)!r} names no host")
    address = parse_host(host)
    port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if port > 65_535:
        raise invalid(f"url: there is no port {shorten(str(port))}")
    return Target(url.scheme, host if address is None else str(address), address, port, url.raw_path.decode("ascii"))


def require_plain(text: str, name: str) -> None:
    """Raise Refused where a parser of URLs could see other parts than another one does."""
    if len(text) > MAX_URL:
        raise invalid(f"{name}: longer than {MAX_URL} characters")
    if _NOT_IN_URL.search(text):
        raise invalid(f"{name}: percent-encode spaces, backslashes and control characters in {shorten(text)!r}")
