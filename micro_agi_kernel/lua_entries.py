"""A Lua entry as a call needs it: source, method, imports, calls and limits, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.values import Json, shorten

FUNCTION_KIND = "function.lua"
LIBRARY_KIND = "library.lua"
LUA_KINDS = frozenset({FUNCTION_KIND, LIBRARY_KIND})

DEFAULT_METHOD = "handler"

MAX_IMPORTS = 32
"""Libraries of one entry: far above any tool."""

MAX_CALLS = 32
"""Functions that one entry may list in `calls`: far above any tool."""

LIMITS = {"timeout": 0.001, "memory": 1, "output": 1, "host_calls": 1}
"""What `meta.limits` may name, as the settings do, and the least of each: seconds, MiB, MiB, a number."""

MOST = 1_000_000_000
"""No limit may be that or more. The settings decide what a call gets; this keeps their arithmetic finite."""

_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class LuaEntry:
    """What a Lua entry says of how it is to be run."""

    source: str
    method: str
    imports: Mapping[str, EntryId]
    """Libraries, by the name that the source requires them by."""
    calls: tuple[EntryId, ...]
    """Functions that it may call with the module funcs, and then no others."""
    limits: Mapping[str, float]
    """Some of LIMITS; within what the settings allow, they stand for the settings."""

    @property
    def needs(self) -> tuple[EntryId, ...]:
        """What it imports and calls itself."""
        return (*self.imports.values(), *self.calls)


def read_lua(entry: Entry) -> LuaEntry:
    """What `entry`, of a kind in LUA_KINDS, says. Raises EntryError with the field that its author must mend."""
    if not entry.source:
        raise EntryError("source: Lua source is required")
    method = entry.data.get("method", DEFAULT_METHOD)
    if not isinstance(method, str) or not method.isidentifier():
        raise EntryError(f"method: the name of a function in the returned table, not {shorten(repr(method))}")
    modules = entry.data.get("modules", [])
    if not isinstance(modules, list) or not all(isinstance(module, str) for module in modules):
        raise EntryError('modules: a list of module names is required, such as ["time", "json"]')
    imports = _imports(entry.data.get("imports", {}))
    if clash := sorted(imports.keys() & entry.modules):
        raise EntryError(f"imports: {clash[0]!r} is also among modules; choose another alias")
    calls = _calls(entry.data.get("calls", []), entry.id)
    return LuaEntry(entry.source, method, imports, calls, _limits(entry.meta.get("limits", {})))


def _imports(value: Json) -> dict[str, EntryId]:
    if value == []:  # an empty table of Lua
        return {}
    if not isinstance(value, dict):
        raise EntryError('imports: a mapping of alias to entry id is required, such as {"helpers": "app.lib:helpers"}')
    if len(value) > MAX_IMPORTS:
        raise EntryError(f"imports: at most {MAX_IMPORTS} are allowed")
    imports = {}
    for alias, id in value.items():
        if not _ALIAS.fullmatch(alias):
            raise EntryError(f"imports: {shorten(alias)!r} is no alias: a letter or _, then letters, digits or _")
        if not isinstance(id, str):
            raise EntryError(f"imports.{alias}: the id of a {LIBRARY_KIND} entry is required")
        try:
            imports[alias] = EntryId.parse(id)
        except EntryError as error:
            raise EntryError(f"imports.{alias}: {error}") from error
    return imports


def _calls(value: Json, caller: EntryId) -> tuple[EntryId, ...]:
    if not isinstance(value, list) or not all(isinstance(id, str) for id in value):
        raise EntryError('calls: a list of the ids of functions is required, such as ["app.generated:add"]')
    if len(value) > MAX_CALLS:
        raise EntryError(f"calls: at most {MAX_CALLS} are allowed")
    try:
        calls = tuple(dict.fromkeys(EntryId.parse(cast(str, id)) for id in value))
    except EntryError as error:
        raise EntryError(f"calls: {error}") from error
    if caller in calls:
        raise EntryError(f"calls: {caller} cannot call itself; use a local function of its source")
    return calls


def _limits(value: Json) -> dict[str, float]:
    if value == []:  # an empty table of Lua
        return {}
    if not isinstance(value, dict):
        raise EntryError(f"meta.limits: a mapping of some of {', '.join(LIMITS)} is required")
    limits = {}
    for name, number in value.items():
        if name not in LIMITS:
            raise EntryError(f"meta.limits: there is no limit {shorten(name)!r}; there are: {', '.join(LIMITS)}")
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not LIMITS[name] <= number < MOST:
            raise EntryError(f"meta.limits.{name}: a number, {LIMITS[name]} or more and below {MOST:,}, is required")
        limits[name] = number
    return limits
