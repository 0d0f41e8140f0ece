"""The Lua module `security`: actors, and named scopes of policies to ask about them."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules import BESIDE
from micro_agi_kernel.values import Value


def _empty_object() -> Value:
    """What `meta = {}` means: `{}` in Lua could be a list just as well."""
    return {}


MODULE = LuaModule(
    chunk=BESIDE,
    functions={"empty_object": _empty_object},
    services=frozenset({"security.named_scope", "security.evaluate"}),
)
