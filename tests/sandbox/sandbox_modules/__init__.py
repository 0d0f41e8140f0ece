"""Lua modules for the sandbox's own tests, the tiniest that use each of `native`, `host` and `sleep`."""

from __future__ import annotations

import ctypes  # the probes of jail_probes.py import these too: nothing can be loaded inside the jail
import mmap
import platform
import resource  # noqa: F401
import socket  # noqa: F401
import sys

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


def gate(number: int) -> int:
    """The i386 system call `number`, by code that was made before the jail. On Linux, x86-64, only."""
    assert _CODE is not None
    address = ctypes.addressof(ctypes.c_char.from_buffer(_CODE))
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(address)(number)


def _make_gate() -> mmap.mmap | None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return None
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("89f8 53 cd80 5b c3"))  # mov eax, edi; push rbx; int 0x80; pop rbx; ret
    return page


_CODE = _make_gate()
