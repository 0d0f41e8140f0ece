"""Calling an entry by its id: permission, modules, libraries, limits, jail, host services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from micro_agi_kernel.arguments import check_arguments
from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.host.service import Grant, Host
from micro_agi_kernel.interfaces import MIB, CallContext, CallOutcome, Library, Limits, Program, Sandbox
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LIBRARY_KIND, LuaEntry, read_lua
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.registry.uses import UseCounter
from micro_agi_kernel.values import Value

MAX_LIBRARIES = 64
"""Libraries of one call, those that libraries import among them: far above any tool."""

State = Callable[[EntryId], Entry | None]
"""The entries that are imported, by id; of a snapshot, or of what a changeset makes of one. It raises EntryError."""


class Functions:
    """The Caller of this project: every call of an entry, by agent, tool or person, goes through here."""

    def __init__(
        self,
        registry: Registry,
        permissions: Permissions,
        sandbox: Sandbox,
        host: Host,
        modules: frozenset[str],
        limits: Limits,
        most: Limits,
        uses: UseCounter,
    ) -> None:
        """`limits` are those of an entry that asks for none, `most` what one may ask for in `meta.limits`.

        `uses` counts the calls that run.
        """
        self._registry = registry
        self._permissions = permissions
        self._sandbox = sandbox
        self._host = host
        self._modules = modules
        self._limits = limits
        self._most = most
        self._uses = uses

    async def call(self, id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        """Call the entry at the newest commit. What goes wrong with the entry is in the outcome.

        Raises RegistryError and SandboxError: what is wrong with the registry or the jail is for the person to mend.
        """
        try:
            entry, program = await asyncio.to_thread(self._program, id, input)
        except (Refused, EntryError) as error:
            return CallOutcome(error=error.as_error())
        grant = Grant(entry, program.modules, context)
        async with self._host.for_call(grant) as host:
            outcome = await self._sandbox.run(program, host, context.on_output)
        self._uses.count(id, ok=outcome.ok)
        return outcome

    def _program(self, id: EntryId, input: Value) -> tuple[Entry, Program]:
        snapshot = self._registry.snapshot()
        entry = snapshot.get(id)
        if entry is None:
            raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}")
        if entry.kind != FUNCTION_KIND:
            raise Refused(ErrorKind.INVALID, f"not callable: {entry.id} has the kind {entry.kind}, not {FUNCTION_KIND}")
        for action in ("tool.call", "funcs.call"):  # the second is the reference's name for the first
            self._permissions.tool_may(entry, action, str(entry.id))
        check_arguments(entry, input)
        lua = _read(entry)
        program = Program(
            source=lua.source,
            chunk_name=entry.id.name,
            input=input,
            method=lua.method,
            modules=self._permissions.check_modules(entry, self._modules),
            limits=self._limits_of(lua),
            imports=_keys(lua.imports),
            libraries=find_libraries(entry, lua, snapshot.get, self._permissions, snapshot),
        )
        return entry, program

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
