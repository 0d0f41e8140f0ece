"""The one module that test_lua_suite.py adds to a child: a compiler, since no tool has `load`.

A text becomes a module, and `require` of its name compiles it. Names are from a pool that the program may require.
"""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.values import Value

MODULES: dict[str, LuaModule] = {}
NAMES = frozenset(f"chunk{number}" for number in range(1, 5001)) | {"compiler"}


class AnyBytes(str):
    """Text that may hold bytes that are no UTF-8, as Lua's may."""

    def encode(self, *_: str) -> bytes:
        return super().encode("utf-8", "surrogateescape")


def load_all() -> dict[str, LuaModule]:
    MODULES["compiler"] = LuaModule("local native = ... return function(...) native('add', ...) end", {"add": add})
    return MODULES


def add(name: str, source: str | bytes) -> Value:
    text = source.decode("utf-8", "surrogateescape") if isinstance(source, bytes) else source
    MODULES[name] = LuaModule(AnyBytes(text))
    return None
