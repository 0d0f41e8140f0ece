"""What an entry reaches: all that it imports and calls, directly or not, and the commits that changed any of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from micro_agi_kernel.entries import GENERATED_NAMESPACE, TOOLS_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.interfaces import Library
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LIBRARY_KIND, LUA_KINDS, LuaEntry, read_lua
from micro_agi_kernel.permissions import FUNCS, Permissions
from micro_agi_kernel.registry import Registry, Snapshot, Version
from micro_agi_kernel.values import short_commit

MAX_LIBRARIES = 64
"""Libraries of one call, those that libraries import among them: far above any tool."""

MAX_CALLED = 64
"""Functions that one entry calls, those that these call among them: far above any tool."""

MAX_DEPTH = 8
"""Calls nest below a call."""

CALL_ACTIONS = ("tool.call", "funcs.call")
"""What policies are asked of a call; the second is the reference's name for the first."""

EntryLookup = Callable[[EntryId], Entry | None]
"""Entries by id: of a snapshot, or of what a changeset makes of one. It raises EntryError."""


@dataclass(frozen=True, slots=True)
class ChangeOfReach:
    """A commit that changed some of what an entry reaches, itself among that."""

    version: Version
    changed: tuple[EntryId, ...]
    """What it changed of that; the entry itself first."""

    @property
    def short(self) -> str:
        return short_commit(self.version.commit)

    def undo(self) -> str:
        """The cell that undoes what it changed: of several entries all, since one alone may not fit the others."""
        return f"%revert {self.short}" + (f" {self.changed[0]}" if len(self.changed) == 1 else "")


def find_libraries(
    caller: Entry, lua: LuaEntry, state: EntryLookup, permissions: Permissions, snapshot: Snapshot
) -> Mapping[str, Library]:
    """All libraries that `caller` imports, those that they import among them, under the policies of `snapshot`.

    Raises Refused and EntryError unless all are there and `caller` may have them.
    """
    found: dict[str, Library] = {}
    wanted = [*lua.imports.values()]
    while wanted:
        id = wanted.pop()
        if str(id) in found:
            continue
        if len(found) == MAX_LIBRARIES:
            raise Refused(ErrorKind.INVALID, f"{caller.id}: more than {MAX_LIBRARIES} libraries, with theirs")
        if id.namespace == GENERATED_NAMESPACE != caller.id.namespace:  # it would run with what `caller` was granted
            reason = f"{caller.id} may not import {id}: an agent can rewrite that"
            raise Refused(ErrorKind.PERMISSION_DENIED, reason)
        permissions.check_action(caller, "tool.load", str(id), snapshot)
        entry = state(id)
        if entry is None:
            raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}, which {caller.id} imports")
        if entry.kind != LIBRARY_KIND:
            raise Refused(ErrorKind.INVALID, f"not a library: {id} has the kind {entry.kind}, not {LIBRARY_KIND}")
        library = read_named(entry)
        found[str(id)] = Library(library.source, id.name, ids_by_alias(library.imports))
        wanted += library.imports.values()
    return found


def check_calls(caller: Entry, lua: LuaEntry, state: EntryLookup, permissions: Permissions, snapshot: Snapshot) -> None:
    """Raise Refused or EntryError unless `caller` may call all that it lists, under the policies of `snapshot`."""
    for id in lua.calls:
        callable_function(id, caller.id, state)
        for action in CALL_ACTIONS:
            permissions.decide_for_tool(caller, action, str(id), snapshot)
    called_below(caller.id, lua, state)


def called_below(caller: EntryId, lua: LuaEntry, state: EntryLookup) -> frozenset[EntryId]:
    """All that `caller` calls by the lists of `calls`, directly or not.

    Raises Refused and EntryError when calls go in a circle, nest deeper than MAX_DEPTH, or reach too many.
    """
    found: dict[EntryId, int] = {}
    _depth(lua.calls, (caller,), state, found)
    return frozenset(found)


def reached_by(entry: Entry, state: EntryLookup) -> dict[EntryId, Entry | None] | None:
    """`entry`, first, and all that it imports or calls, directly or not, by id: what a call of it depends on.

    None when nobody can say: it may call whatever it likes, or one of them is broken.
    """
    found: dict[EntryId, Entry | None] = {entry.id: entry}
    waiting = [entry]
    try:
        while waiting:
            at = waiting.pop()
            lua = read_lua(at)
            if FUNCS in at.modules and not lua.calls:
                return None
            for id in lua.needs:
                if id not in found:
                    found[id] = other = state(id)
                    if other is not None and other.kind in LUA_KINDS:
                        waiting.append(other)
    except EntryError:
        return None
    return found


def steps_of(registry: Registry, ids: Iterable[EntryId] | None, most: int) -> list[ChangeOfReach]:
    """The newest commits of the first-parent line that changed one of `ids`, at most so many, the newest first.

    Of None, which is what nobody can say, all commits. Blocks.
    """
    if ids is None:
        return [
            ChangeOfReach(version, tuple(id for _, id in version.operations)) for version in registry.versions(most)
        ]
    found: dict[str, ChangeOfReach] = {}
    for id in ids:
        for version in registry.versions(most, id=id):
            before = found.get(version.commit)
            found[version.commit] = ChangeOfReach(version, (*(before.changed if before else ()), id))
    return sorted(found.values(), key=lambda step: -step.version.number)[:most]


def _depth(calls: Iterable[EntryId], chain: tuple[EntryId, ...], state: EntryLookup, found: dict[EntryId, int]) -> int:
    """How deep calls nest below the last of `chain`, which lists `calls`; `found` has it of all below."""
    depth = 0
    for id in calls:
        if id in chain:
            raise Refused(ErrorKind.INVALID, f"calls go in a circle: {shown_chain((*chain, id))}")
        if id not in found and len(chain) <= MAX_DEPTH:
            entry = state(id)
            lists = read_named(entry).calls if entry is not None and entry.kind == FUNCTION_KIND else ()
            found[id] = _depth(lists, (*chain, id), state, found)
        if len(found) > MAX_CALLED:
            raise Refused(ErrorKind.INVALID, f"{chain[0]}: more than {MAX_CALLED} functions, with those that they call")
        if len(chain) + found.get(id, 0) > MAX_DEPTH:
            raise too_deep((*chain, id))
        depth = max(depth, 1 + found[id])
    return depth


def too_deep(chain: Iterable[EntryId]) -> Refused:
    """What is said of a chain of calls that is too long, a circle among them."""
    return Refused(ErrorKind.INVALID, f"calls nest deeper than {MAX_DEPTH}: {shown_chain(chain)}")


def shown_chain(chain: Iterable[EntryId]) -> str:
    """`a -> b -> c`; of a chain that comes back to where it was, its first circle alone."""
    seen: list[EntryId] = []
    for id in chain:
        seen.append(id)
        if id in seen[:-1]:
            seen = seen[seen.index(id) :]
            break
    return " -> ".join(map(str, seen))


def callable_function(id: EntryId, caller: EntryId | None, state: EntryLookup) -> Entry:
    """The function `id`, which `caller` may reach, whatever the policies say. Raises Refused and EntryError.

    A generated tool reaches generated tools. What others may do that it may not, it must not do through them: so of
    these it reaches only those that say `meta.callable: true`, and none of the built-in tools.
    """
    entry = state(id)
    if entry is None:
        raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}" + (f", which {caller} calls" if caller else ""))
    if entry.kind != FUNCTION_KIND:
        raise Refused(ErrorKind.INVALID, f"not callable: {id} has the kind {entry.kind}, not {FUNCTION_KIND}")
    if caller and caller.namespace == GENERATED_NAMESPACE != id.namespace:
        if id.namespace == TOOLS_NAMESPACE:
            raise Refused(ErrorKind.PERMISSION_DENIED, f"{caller} may not call {id}: tools cannot call built-in ones")
        if entry.meta.get("callable") is not True:
            reason = f"{caller} may not call {id}: its entry does not say meta.callable: true"
            raise Refused(ErrorKind.PERMISSION_DENIED, reason)
    return entry


def read_named(entry: Entry) -> LuaEntry:
    """As `read_lua`; its EntryError begins with the id: the entry may be another than the one asked about."""
    try:
        return read_lua(entry)
    except EntryError as error:
        raise EntryError(f"{entry.id}: {error}") from error


def ids_by_alias(imports: Mapping[str, EntryId]) -> dict[str, str]:
    return {alias: str(id) for alias, id in imports.items()}
