"""Lua modules for the sandbox's own tests, the tiniest that use each of `native`, `host` and `sleep`."""

from __future__ import annotations

import ctypes  # noqa: F401  (the probes of test_jail.py import these: nothing can be loaded inside the jail)
import mmap  # noqa: F401
import resource  # noqa: F401
import socket  # noqa: F401

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.values import Value


def load_all() -> dict[str, LuaModule]:
    return {
        "values": LuaModule(
            "local native = ... "
            "return { echo = function(...) return native('echo', ...) end, "
            "refuse = function() return native('refuse') end, break_ = function() return native('break_') end }",
            {
                "echo": lambda *values: list(values) if len(values) > 1 else values[0],
                "refuse": refuse,
                "break_": break_,
            },
        ),
        "service": LuaModule(
            "local _, host, sleep = ... "
            "return { ask = function(payload) return host('test.ask', payload) end, sleep = sleep }",
            services=frozenset({"test.ask"}),
        ),
        "python": LuaModule(
            "local native = ... return { run = function(source) return native('run', source) end }",
            {"run": run_python},
        ),
        "text": LuaModule(
            "return { shout = function(s) return string.format('%s!', s:upper()) end }",
        ),
    }


def refuse() -> Value:
    raise Refused(ErrorKind.RATE_LIMITED, "not now", retryable=True)


def break_() -> Value:
    raise ZeroDivisionError("a bug")


def run_python(source: str) -> Value:
    """Full Python in the child, for what a program that broke out of Lua could do: `result` is the answer."""
    scope: dict[str, Value] = {}
    exec(source, scope)
    return scope.get("result")
