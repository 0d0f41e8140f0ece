"""What a tool asks http_client to do, checked field by field: the hostile payload becomes an HttpRequest.

Everything here refuses with INVALID and one line that tells the tool's author what to mend.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urljoin

import httpx

from micro_agi_kernel import __version__
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.addresses import Address, parse_host
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.values import Value, shorten

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

MAX_URL = 8_192
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
"""Of all request headers together; servers commonly stop at 8 to 16 KiB a line."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_OPTIONS = ("body", "headers", "query", "timeout")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_UNRESERVED = re.compile(r"%(2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOP_BY_HOP = re.compile(
    r"connection|content-length|expect|host|http2-settings|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade"
)
_CREDENTIALS = frozenset({"authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one request may use."""

    seconds: float = 30.0
    """From the first policy question to the last byte, redirects included."""
    request_body: int = 4 * MIB
    response_body: int = 4 * MIB
    """Bytes, on the wire as well as unpacked."""
    redirects: int = 10
    concurrent: int = 16
    """Requests under way at once; more wait, and their waiting counts."""


DEFAULT_LIMITS = HttpLimits()


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


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that is fit to be sent; whether it may be is for the policies and the guard to say."""

    method: str
    target: Target
    headers: tuple[tuple[str, bytes], ...]
    """Names in lower case."""
    body: bytes | None
    seconds: float

    def redirected(self, status: int, location: str) -> HttpRequest:
        """The request that follows a redirect, by the rules of browsers (the WHATWG Fetch standard).

        Credentials stay behind when the origin changes. Raises Refused when `location` cannot be followed.
        """
        _plain(location, "the redirect's location")
        try:
            target = parse_url(urljoin(str(self.target), location))
        except ValueError as error:
            raise _invalid(f"url: cannot follow the redirect to {shorten(location)!r}") from error
        request = replace(self, target=target)
        if target.origin != self.target.origin:
            request = request._without(_CREDENTIALS)
        if (status in (301, 302) and self.method == "POST") or (status == 303 and self.method not in ("GET", "HEAD")):
            content = {name for name, _ in request.headers if name.startswith("content-")}
            request = replace(request._without(content), method="GET", body=None)
        return request

    def _without(self, names: Iterable[str]) -> HttpRequest:
        return replace(self, headers=tuple(header for header in self.headers if header[0] not in names))


def parse_request(payload: Value, limits: HttpLimits) -> HttpRequest:
    """The request that `payload` describes: {method, url, headers?, query?, body?, timeout?}."""
    if not isinstance(payload, dict):
        raise _invalid("http.request takes a table with method and url")
    unknown = sorted(set(payload) - {"method", "url", *_OPTIONS})
    if unknown:
        raise _invalid(f"http_client has no option {shorten(unknown[0])!r}; it has {', '.join(_OPTIONS)}")
    method = _text(payload.get("method"), "method").upper()
    if method not in METHODS:
        raise _invalid(f"method: {shorten(method)!r} is none of {', '.join(METHODS)}")
    target = parse_url(_text(payload.get("url"), "url"))
    if query := _query(payload.get("query")):
        target = replace(target, path=f"{target.path}{'&' if '?' in target.path else '?'}{query}")
        if len(target.path) > MAX_URL:
            raise _invalid(f"url: longer than {MAX_URL} characters with its query")
    body = _body(payload.get("body"), limits.request_body)
    if body is None and method in ("POST", "PUT", "PATCH"):
        body = b""
    seconds = _seconds(payload.get("timeout"), limits.seconds)
    return HttpRequest(method, target, _headers(payload.get("headers")), body, seconds)


def parse_url(text: str) -> Target:
    """The target of an absolute http or https URL; one spelling for all that mean the same.

    Lower-case host, IDNA, no default port, no dot segments, no needless escapes, no fragment: a policy on
    `https://example.com/admin*` also meets `HTTPS://EXAMPLE.com:443/x/%2e%2e/%61dmin`.
    """
    _plain(text, "url")
    authority = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        raise _invalid("url: a user name or password does not belong in a URL; send an Authorization header")
    if "%" in authority:
        raise _invalid("url: the host may hold no % (escape or zone)")
    try:
        url = httpx.URL(_UNRESERVED.sub(lambda match: chr(int(match[1], 16)), text))
    except (httpx.InvalidURL, ValueError) as error:
        raise _invalid(f"url: {shorten(text)!r} is not a URL") from error
    if url.scheme not in _DEFAULT_PORTS:
        raise _invalid(f"url: {shorten(text)!r} does not begin with http:// or https://")
    host = url.raw_host.decode("ascii")
    if not host:
        raise _invalid(f"url: {shorten(text)!r} names no host")
    address = parse_host(host)
    port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if port > 65_535:
        raise _invalid(f"url: there is no port {shorten(str(port))}")
    return Target(url.scheme, host if address is None else str(address), address, port, url.raw_path.decode("ascii"))


def _plain(text: str, name: str) -> None:
    if len(text) > MAX_URL:
        raise _invalid(f"{name}: longer than {MAX_URL} characters")
    if _NOT_IN_URL.search(text):
        raise _invalid(f"{name}: percent-encode spaces, backslashes and control characters in {shorten(text)!r}")


def _query(value: Value) -> str:
    """Sorted by name, since a Lua table has no order and the same call should make the same URL."""
    return urlencode([(name, item) for name, items in _table(value, "query") for item in items])


def _headers(value: Value) -> tuple[tuple[str, bytes], ...]:
    headers: list[tuple[str, bytes]] = []
    for name, items in _table(value, "headers"):
        if not _TOKEN.fullmatch(name):
            raise _invalid(f"headers: {shorten(name)!r} is not a header name")
        key = name.lower()
        if _HOP_BY_HOP.fullmatch(key):
            raise _invalid(f"headers: leave {name!r} out; http_client sets what the connection needs")
        for item in items:
            if _CONTROL.search(item):
                raise _invalid(f"headers: the value of {name!r} holds a line break or control character")
            headers.append((key, item.strip(" \t").encode()))
    if len(headers) > MAX_HEADERS or sum(len(name) + len(item) for name, item in headers) > MAX_HEADER_BYTES:
        raise _invalid(f"headers: more than {MAX_HEADERS}, or than {MAX_HEADER_BYTES} bytes of them")
    given = {name for name, _ in headers}
    defaults = {
        "accept": b"*/*",
        "accept-encoding": b"gzip, deflate",
        "user-agent": f"micro-agi/{__version__}".encode(),
    }
    return (*((name, item) for name, item in defaults.items() if name not in given), *headers)


def _table(value: Value, name: str) -> list[tuple[str, list[str]]]:
    """The pairs of a Lua table, each value as a list of texts; an empty table may come as a list."""
    if value is None or value == []:
        return []
    if not isinstance(value, dict):
        raise _invalid(f"{name}: a table of names and values is wanted, not a {type(value).__name__}")
    pairs = [(_text(key, name), items if isinstance(items, list) else [items]) for key, items in sorted(value.items())]
    return [(key, [_scalar(item, f"{name}.{shorten(key)}") for item in items]) for key, items in pairs]


def _scalar(value: Value, name: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() else repr(value)
        case _:
            return _text(value, name)


def _body(value: Value, limit: int) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str | bytes):
        raise _invalid("body: a string is wanted; use json.encode for a table")
    body = value if isinstance(value, bytes) else _text(value, "body").encode()
    if len(body) > limit:
        raise _invalid(f"body: larger than {limit} bytes")
    return body


def _seconds(value: Value, limit: float) -> float:
    if value is None:
        return limit
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _invalid("timeout: a number of seconds above 0 is wanted")
    return float(min(value, limit))


def _text(value: Value, name: str) -> str:
    """`value` if it is text that UTF-8 can carry."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            pass
        else:
            return value
    raise _invalid(f"{name}: UTF-8 text is wanted")


def _invalid(message: str) -> Refused:
    return Refused(ErrorKind.INVALID, message)
