"""The Lua module `security`: actors, and named scopes of policies to ask about them."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules import BESIDE

MODULE = LuaModule(chunk=BESIDE, services=frozenset({"security.named_scope", "security.evaluate"}))
