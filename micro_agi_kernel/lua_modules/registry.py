"""The Lua module `registry`: read entries and versions, and change entries in one commit."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule

MODULE = LuaModule(
    services=frozenset(
        {
            "registry.get",
            "registry.find",
            "registry.similar",
            "registry.entries",
            "registry.snapshot",
            "registry.apply",
            "registry.version",
            "registry.versions",
            "registry.history",
            "registry.uses",
            "registry.delta",
            "registry.apply_version",
        }
    ),
)
