"""The Lua module `ctx`: what the agent's entry gives to its tools."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule

MODULE = LuaModule(services=frozenset({"ctx.all", "ctx.get"}))
