"""The Lua module `registry`: read entries and versions, and change entries in one commit."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules import BESIDE

MODULE = LuaModule(
    chunk=BESIDE,
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
