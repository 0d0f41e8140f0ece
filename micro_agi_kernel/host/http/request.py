"""What a tool asks http_client to do, checked field by field: the hostile payload becomes an HttpRequest.

Everything here refuses with INVALID and one line that tells the tool's author what to mend.
"""

from __future__ import annotations

import base64
import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urljoin

from micro_agi_kernel import __version__
from micro_agi_kernel.host.arguments import invalid, utf8
from micro_agi_kernel.host.http import checks
from micro_agi_kernel.host.http.body import parse_body
from micro_agi_kernel.host.http.tls import TlsOptions, parse_tls
from micro_agi_kernel.host.http.url import MAX_URL, Target, parse_url, require_plain
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.questions import READING
from micro_agi_kernel.values import Value, shorten

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
"""Of all request headers together; servers commonly stop at 8 to 16 KiB a line."""
MAX_BODY = 1 << 40
"""Any number that a tool may say; what counts then is the smaller one of this and the limits."""
MAX_SOCKET_PATH = 107
"""Bytes that Linux has room for."""

OPTIONS = (
    *("auth", "body", "cookies", "files", "form", "headers", "max_response_body"),
    *("query", "redirects", "timeout", "tls", "unix_socket"),
)
_NEVER = ("CONNECT", "TRACE", "TRACK")
"""Methods that make a tunnel, or that show a server's own view of a request."""
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_HOP_BY_HOP = re.compile(
    r"connection|content-length|expect|host|http2-settings|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade"
)
_OVERRIDES = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
"""Headers by which many servers take a request for one of another method."""
_CREDENTIALS = frozenset({"authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one request may use."""

    seconds: float = 30.0
    """On the network, redirects included; reading the policies and waiting for a turn does not count."""
    most_seconds: float = 300.0
    """What a request may ask for; the time of its call ends it anyway."""
    request_body: int = 4 * MIB
    response_body: int = 4 * MIB
    """Bytes, unpacked."""
    stream_body: int = 64 * MIB
    """The same for a body that is read piece by piece."""
    redirects: int = 10
    concurrent: int = 16
    """Requests under way at once; more wait."""


DEFAULT_LIMITS = HttpLimits()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that is fit to be sent; whether it may be is for the policies and the guard to say."""

    method: str
    target: Target
    headers: tuple[tuple[str, bytes], ...]
    """Names in lower case."""
    body: bytes | None
    seconds: float
    max_body: int | None
    """Bytes of the answer's body; None leaves it to the limits."""
    redirects: int
    """How many to follow; 0 takes the redirect itself as the answer."""
    tls: TlsOptions
    unix_socket: str
    """Path of the socket to connect to in place of the URL's host; empty for none."""

    @property
    def does(self) -> str:
        """What a server may take the method for: the one that is sent, or, instead of or beside it, those of headers
        that override it, as in `POST/DELETE`. Of several only those are named that are more than reading.
        """
        named = [self.method, *(value.decode().upper() for name, value in self.headers if _overrides(name))]
        return "/".join(dict.fromkeys(method for method in named if method not in READING)) or self.method

    def redirected(self, status: int, location: str) -> HttpRequest:
        """The request that follows a redirect, by the rules of browsers (the WHATWG Fetch standard).

        Credentials, client certificate and socket stay behind when the origin changes. Raises Refused when
        `location` cannot be followed.
        """
        require_plain(location, "the redirect's location")
        try:
            target = parse_url(urljoin(str(self.target), location))
        except ValueError as error:
            raise invalid(f"url: cannot follow the redirect to {shorten(location)!r}") from error
        request = replace(self, target=target)
        if target.origin != self.target.origin:
            request = replace(request._without(_CREDENTIALS), tls=self.tls.elsewhere(), unix_socket="")
        if (status in (301, 302) and self.method == "POST") or (status == 303 and self.method not in READING):
            content = {name for name, _ in request.headers if name.startswith("content-")}
            request = replace(request._without(content), method="GET", body=None)
        return request

    def _without(self, names: Iterable[str]) -> HttpRequest:
        return replace(self, headers=tuple(header for header in self.headers if header[0] not in names))


def parse_request(payload: Mapping[str, Value], limits: HttpLimits) -> HttpRequest:
    """The request that `payload` describes: method and url, and any of the options."""
    payload = {name: value for name, value in payload.items() if value is not None}
    unknown = sorted(set(payload) - {"method", "url", *OPTIONS})
    if unknown:
        raise invalid(
            f"http_client has no option {shorten(unknown[0])!r} here; it has {', '.join(sorted((*OPTIONS, 'stream')))}"
        )
    method = utf8(payload.get("method"), "method").upper()
    _check_method(method, "method")
    target = parse_url(utf8(payload.get("url"), "url"))
    if query := _query(payload.get("query")):
        target = replace(target, path=f"{target.path}{'&' if '?' in target.path else '?'}{query}")
        if len(target.path) > MAX_URL:
            raise invalid(f"url: longer than {MAX_URL} characters with its query")
    content_type, body = parse_body(payload, limits.request_body)
    if body is None and method in ("POST", "PUT", "PATCH"):
        body = b""
    return HttpRequest(
        method,
        target,
        _headers(payload, content_type),
        body,
        seconds=_seconds(payload.get("timeout", limits.seconds), limits.most_seconds),
        max_body=checks.whole(payload.get("max_response_body", 0), "max_response_body", MAX_BODY) or None,
        redirects=checks.whole(payload.get("redirects", limits.redirects), "redirects", limits.redirects),
        tls=parse_tls(payload.get("tls")),
        unix_socket=_socket(payload.get("unix_socket")),
    )


def _overrides(name: str) -> bool:
    return name.replace("_", "-") in _OVERRIDES  # many servers take the one for the other


def _check_method(method: str, what: str) -> None:
    if not checks.TOKEN.fullmatch(method) or method.upper() in _NEVER:
        raise invalid(f"{what}: {shorten(method)!r} cannot be sent")


def _query(value: Value) -> str:
    """Sorted by name, since a Lua table has no order and the same call should make the same URL."""
    return urlencode([(name, item) for name, items in checks.table(value, "query") for item in items])


def _headers(payload: dict[str, Value], content_type: str | None) -> tuple[tuple[str, bytes], ...]:
    """What the tool says in `headers`, what its other options imply, and our own where it says nothing."""
    headers: list[tuple[str, bytes]] = []
    for name, items in checks.table(payload.get("headers"), "headers"):
        if not checks.TOKEN.fullmatch(name):
            raise invalid(f"headers: {shorten(name)!r} is not a header name")
        key = name.lower()
        if _HOP_BY_HOP.fullmatch(key):
            raise invalid(f"headers: leave {name!r} out; http_client sets what the connection needs")
        if _overrides(key):
            for item in items:
                _check_method(checks.header_text(item, f"headers.{name}").strip(" \t"), f"headers.{name}")
        headers += [(key, checks.header_text(item, f"headers.{name}").strip(" \t").encode()) for item in items]
    given = {name for name, _ in headers}
    implied = {"authorization": _auth(payload.get("auth")), "cookie": _cookies(payload.get("cookies"))}
    implied["content-type"] = content_type
    for key, value in implied.items():
        if value is not None:
            if key in given:
                raise invalid(f"headers: leave {key!r} out; another option sets it")
            headers.append((key, value.encode()))
    if len(headers) > MAX_HEADERS or sum(len(name) + len(item) for name, item in headers) > MAX_HEADER_BYTES:
        raise invalid(f"headers: more than {MAX_HEADERS}, or than {MAX_HEADER_BYTES} bytes of them")
    defaults = {
        "accept": b"*/*",
        "accept-encoding": b"gzip, deflate",
        "user-agent": f"micro-agi/{__version__}".encode(),
    }
    return (*((name, item) for name, item in defaults.items() if name not in given), *headers)


def _auth(value: Value) -> str | None:
    """The option `auth`: {user, pass}, for Basic authentication."""
    if value is None:
        return None
    fields = checks.record(value, "auth", ("user", "pass"))
    user = checks.header_text(fields.get("user"), "auth.user")
    password = checks.header_text(fields.get("pass", ""), "auth.pass")
    if ":" in user:
        raise invalid("auth.user must not hold a colon")
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _cookies(value: Value) -> str | None:
    pairs: list[str] = []
    for name, items in checks.table(value, "cookies"):
        for item in items:
            if not checks.TOKEN.fullmatch(name) or not _COOKIE_VALUE.fullmatch(item):
                raise invalid(f"cookies: percent-encode name and value of {shorten(name)!r}")
            pairs.append(f"{name}={item}")
    return "; ".join(pairs) or None


def _seconds(value: Value, limit: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise invalid("timeout must be a number of seconds above 0")
    return float(min(value, limit))


def _socket(value: Value) -> str:
    """The path of a socket in its one spelling, so that a policy on a folder cannot be left with `..`."""
    if value is None:
        return ""
    path = utf8(value, "unix_socket")
    sound = path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path
    if not sound or path == "/" or not path.isprintable() or len(path.encode()) > MAX_SOCKET_PATH:
        raise invalid(f"unix_socket must be an absolute path without '..', at most {MAX_SOCKET_PATH} bytes")
    return path
