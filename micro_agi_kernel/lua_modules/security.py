"""The Lua module `security`: actors, and named scopes of policies to ask about them."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule

MODULE = LuaModule(services=frozenset({"security.named_scope", "security.evaluate"}))
