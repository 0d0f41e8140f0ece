"""Calling an entry by its id: permission, modules, libraries, limits, jail, host services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from threading import Lock

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.host.service import Grant, Host
from micro_agi_kernel.imports import import_jsonschema
from micro_agi_kernel.interfaces import MIB, CallContext, CallOutcome, Library, Limits, Program, Sandbox
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LIBRARY_KIND, LuaEntry, read_lua
from micro_agi_kernel.lua_modules._json_schema import problems
from micro_agi_kernel.lua_modules._json_text import parse
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.values import Json, Value, shorten

MAX_LIBRARIES = 64
"""Libraries of one call, those that libraries import among them: far above any tool."""

_validating = Lock()
"""A validation counts its steps in what all of a process share, so there is one at a time."""

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
    ) -> None:
        """`limits` are those of an entry that asks for none, `most` what one may ask for in `meta.limits`."""
        self._registry = registry
        self._permissions = permissions
        self._sandbox = sandbox
        self._host = host
        self._modules = modules
        self._limits = limits
        self._most = most

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
            return await self._sandbox.run(program, host, context.on_output)

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


def check_arguments(entry: Entry, input: Value) -> None:
    """Raise Refused unless `input` is as the entry's `meta.input_schema` says; the line is for a model to act on.

    No input is no arguments. A member that is null is as good as none: Lua never sees it. What is an empty table in
    Lua may be an object and an array. An entry without a schema takes anything.
    """
    schema = entry.meta.get("input_schema")
    text = schema if isinstance(schema, str) else json.dumps(schema)
    if schema is None:
        return
    try:
        given = parse(json.dumps({} if input is None else input, default=_text_of))
    except (ValueError, RecursionError) as error:
        raise Refused(ErrorKind.INVALID, f"the arguments of {entry.id}: {error}") from error
    try:
        import_jsonschema()
        with _validating:
            found = problems(text, True, given, True)
            if found and (less := _without_nulls(given)) != given:
                found = problems(text, True, less, True) and found
    except BadSchema as error:
        raise Refused(ErrorKind.INVALID, f"{entry.id}: its input_schema cannot be used: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how Rust below jsonschema tells of a RecursionError
            raise
        reason = "its input_schema cannot be used: references nest without an end"
        raise Refused(ErrorKind.INVALID, f"{entry.id}: {reason}") from error
    if found:
        line = f"the arguments do not fit the input_schema of {entry.id}: {'; '.join(found)}"
        raise Refused(ErrorKind.INVALID, f"{line}{_taken(schema)}")


def preload_checks() -> None:
    """Import what the first check of arguments needs. Blocks for a tenth of a second."""
    import_jsonschema()
    with _validating:
        problems("{}", True, {}, True)


def _text_of(value: bytes) -> str:
    """A Lua string that is not UTF-8, as good as JSON can have it."""
    return value.decode(errors="replace")


def _without_nulls(value: Value) -> Value:
    match value:
        case list():
            return [_without_nulls(item) for item in value]
        case dict():
            return {key: _without_nulls(item) for key, item in value.items() if item is not None}
        case _:
            return value


def _taken(schema: Json) -> str:
    """The names that a schema for an object knows, for the end of an error line."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(properties, dict) or not properties:
        return ""
    listed = schema.get("required")
    required = listed if isinstance(listed, list) else []
    names = (f"{name} (required)" if name in required else name for name in properties)
    return f". It takes: {shorten(', '.join(names), 300)}"


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
