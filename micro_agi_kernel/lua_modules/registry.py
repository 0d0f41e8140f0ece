"""The Lua module `registry`: read entries and versions, and change entries in one commit."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules import BESIDE
from micro_agi_kernel.values import Value


def _empty_object() -> Value:
    """What `meta = {}` of an entry means: `{}` in Lua could be a list just as well."""
    return {}


MODULE = LuaModule(
    chunk=BESIDE,
    functions={"empty_object": _empty_object},
    services=frozenset(
        {
            "registry.get",
            "registry.find",
            "registry.entries",
            "registry.snapshot",
            "registry.apply",
            "registry.versions",
            "registry.history",
            "registry.apply_version",
        }
    ),
)
