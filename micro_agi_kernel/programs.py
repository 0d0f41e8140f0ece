"""An entry as a program of the jail: its source, and the modules, libraries and limits that it may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.interfaces import MIB, Library, Limits, Program
from micro_agi_kernel.lua_entries import LIBRARY_KIND, LuaEntry, read_lua
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import Value

MAX_LIBRARIES = 64
"""Libraries of one call, those that libraries import among them: far above any tool."""

State = Callable[[EntryId], Entry | None]
"""The entries that are imported, by id; of a snapshot, or of what a changeset makes of one. It raises EntryError."""


class Programs:
    """Makes programs of entries, under the policies of a snapshot."""

    def __init__(self, permissions: Permissions, modules: frozenset[str], limits: Limits, most: Limits) -> None:
        """`modules` are those that exist, `limits` what an entry has that asks for none, `most` what one may ask for
        in `meta.limits`."""
        self._permissions = permissions
        self._modules = modules
        self._limits = limits
        self._most = most

    def of(self, entry: Entry, input: Value, snapshot: Snapshot, state: State) -> Program:
        """`entry` with `input`; its libraries are found in `state`. Raises Refused and EntryError."""
        lua = _read(entry)
        return Program(
            source=lua.source,
            chunk_name=entry.id.name,
            input=input,
            method=lua.method,
            modules=self._permissions.check_modules(entry, self._modules, snapshot),
            limits=self._limits_of(lua),
            imports=_keys(lua.imports),
            libraries=find_libraries(entry, lua, state, self._permissions, snapshot),
        )

    def _limits_of(self, lua: LuaEntry) -> Limits:
        """What the entry asks for, within what the settings allow."""
        usual, most, asked = self._limits, self._most, lua.limits
        return Limits(
            seconds=min(asked.get("timeout", usual.seconds), most.seconds),
            memory=min(int(asked.get("memory", usual.memory / MIB) * MIB), most.memory),
            output=min(int(asked.get("output", usual.output / MIB) * MIB), most.output),
            host_calls=min(int(asked.get("host_calls", usual.host_calls)), most.host_calls),
        )


def find_libraries(
    caller: Entry, lua: LuaEntry, state: State, permissions: Permissions, snapshot: Snapshot
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
        permissions.tool_may(caller, "tool.load", str(id), snapshot)
        entry = state(id)
        if entry is None:
            raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}, which {caller.id} imports")
        if entry.kind != LIBRARY_KIND:
            raise Refused(ErrorKind.INVALID, f"not a library: {id} has the kind {entry.kind}, not {LIBRARY_KIND}")
        library = _read(entry)
        found[str(id)] = Library(library.source, id.name, _keys(library.imports))
        wanted += library.imports.values()
    return found


def _read(entry: Entry) -> LuaEntry:
    try:
        return read_lua(entry)
    except EntryError as error:
        raise EntryError(f"{entry.id}: {error}") from error


def _keys(imports: Mapping[str, EntryId]) -> dict[str, str]:
    return {alias: str(id) for alias, id in imports.items()}
