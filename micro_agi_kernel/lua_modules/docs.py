"""The Lua module `docs`: pages of the documentation, and search in them."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule

MODULE = LuaModule(services=frozenset({"docs.page", "docs.search", "docs.remote"}))
