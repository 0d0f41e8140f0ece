"""The Lua module `funcs`: call another entry of the registry."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule

MODULE = LuaModule(services=frozenset({"funcs.call"}))
