"""The Lua module `http_client`: requests that the host makes, behind its guard."""

from __future__ import annotations

from micro_agi_kernel.go_time import UNITS, parse_duration
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, text
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


MODULE = LuaModule(
    functions={"timeout": _timeout},
    services=frozenset({"http.request", "http.batch", "http.open", "http.read", "http.close"}),
)
