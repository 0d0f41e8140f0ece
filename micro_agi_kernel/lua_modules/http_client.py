"""The Lua module `http_client`: requests that the host makes, behind its guard."""

from __future__ import annotations

import re
from urllib.parse import quote_plus, unquote_to_bytes

from micro_agi_kernel.go_time import UNITS, parse_duration
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, octets, text
from micro_agi_kernel.values import Value


def _timeout(value: Value) -> Value:
    """Seconds from a number of seconds or a Go duration."""
    match value:
        case bool():
            seconds = 0.0
        case int() | float():
            seconds = float(value)
        case _:
            try:
                seconds = parse_duration(text(value, "timeout", 200)) / UNITS["s"]
            except ValueError as error:
                raise invalid(f"timeout: {error}") from error
    if not 0 < seconds < float("inf"):
        raise invalid('timeout must be a positive number of seconds or a duration such as "30s"')
    return seconds


_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2}).?.?", re.DOTALL)


def _encode_uri(value: Value) -> Value:
    return quote_plus(octets(value, "text"))


def _decode_uri(value: Value) -> Value:
    encoded = octets(value, "text")
    if wrong := _BAD_ESCAPE.search(encoded):
        raise invalid(f'invalid URL escape "{wrong[0].decode(errors="replace")}"')
    return unquote_to_bytes(encoded.replace(b"+", b" "))


MODULE = LuaModule(
    functions={"timeout": _timeout, "encode_uri": _encode_uri, "decode_uri": _decode_uri},
    services=frozenset({"http.request", "http.batch", "http.open", "http.read", "http.close"}),
)
