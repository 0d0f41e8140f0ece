"""The Lua module `url`: web addresses taken apart and put together as the WHATWG standard has it.

The standard's parser never says what it dropped or took for something else, so `build` lets no part
reach it that could be read as another part.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, text
from micro_agi_kernel.values import Value, shorten

if TYPE_CHECKING:
    from ada_url import URL

MAX_URL = 1 << 20
"""Characters. Browsers take two million; all that is done here takes time in proportion."""

_PARTS = ("href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash")
_NEED_HOST = ("http", "https", "ws", "wss", "ftp")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):?")
_SCHEMED = re.compile(r"[\x00-\x20]*[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROLS = {code: f"%{code:02X}" for code in range(0x20)}
"""Encoded before the parser sees them: it drops tabs and line ends, and what stood around one would be a part."""
_LAST_BLANKS = re.compile(" +$")
_HOST = re.compile(r"[^\x00-\x20\x7f/\\?#@]+")


def _parse(url: Value, base: Value) -> Value:
    """The parts of `url`, seen from `base` if that is not None. The decoded query is added in Lua."""
    found = _read(text(url, "url", MAX_URL), None if base is None else text(base, "base", MAX_URL))
    return {name: getattr(found, name) for name in _PARTS}


def _join(base: Value, reference: Value) -> Value:
    return _read(text(reference, "ref", MAX_URL), text(base, "base", MAX_URL)).href


def _read(url: str, base: str | None = None) -> URL:
    from ada_url import URL

    try:
        return URL(url, base)
    except ValueError as error:
        seen_from = "" if base is None else f" at the base {shorten(base)!r}"
        hint = "" if base is not None or _SCHEMED.match(url) else ": it begins with no scheme such as https:"
        raise invalid(f"{shorten(url)!r} is no URL{seen_from}{hint}") from error


def _build(parts: Value) -> Value:
    """The URL of `parts`: some of protocol, username, password, hostname, port, pathname, search, hash, all strings."""
    assert isinstance(parts, dict)
    given = {name: text(part, name, MAX_URL) for name, part in parts.items()}
    protocol, hostname, port = (given.pop(name, "") for name in ("protocol", "hostname", "port"))
    given = {name: part.translate(_CONTROLS) for name, part in given.items()}
    url = _read(_head(protocol, hostname, port, given))
    if hostname and not url.hostname and hostname.lower() != "localhost":  # which `file` drops, and means the same
        raise invalid(f"a URL of {shorten(protocol)} can have no hostname {shorten(hostname)!r}")
    for name, part in given.items():
        try:
            if part:
                setattr(url, name, part)
        except ValueError as error:
            raise invalid(f"a URL such as {shorten(url.href)!r} can have no {name}") from error
    return url.href


def _head(protocol: str, hostname: str, port: str, given: dict[str, str]) -> str:
    """The URL up to the path; with the path if it is one without a slash (`mailto:`), which is taken from `given`."""
    scheme = _SCHEME.fullmatch(protocol)
    if not scheme:
        raise invalid("protocol must be a scheme such as https:")
    if port and not (hostname and port.isdecimal() and port.isascii()):
        raise invalid(f"port must be a number, beside a hostname, not {shorten(port)!r}")
    if hostname:
        if not _HOST.fullmatch(hostname):
            raise invalid(f"hostname holds what no host can: {shorten(hostname)!r}")
        return f"{scheme[1]}://{hostname}{':' + port if port else ''}"
    name = scheme[1].lower()
    if name in _NEED_HOST:
        raise invalid(f"a URL of {name} needs a hostname")
    if name == "file" or given.get("pathname", "").startswith("/"):
        return f"{name}:///"
    path = given.pop("pathname", "").replace("?", "%3F").replace("#", "%23")
    return f"{name}:" + _LAST_BLANKS.sub(lambda blanks: "%20" * len(blanks[0]), path)


def preload() -> None:
    """Have the parser's library loaded, and its tables for international names with it."""
    _parse("https://bücher.example/?q=1#h", "http://[::1]/")
    _build({"protocol": "https", "hostname": "example.com", "username": "u", "search": "q"})


MODULE = LuaModule(functions={"parse": _parse, "join": _join, "build": _build})
