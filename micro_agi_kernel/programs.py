"""An entry as a program of the jail: its source, and the modules, libraries, limits and calls that it may have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from micro_agi_kernel.entries import GENERATED_NAMESPACE, TOOLS_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.interfaces import MIB, CallContext, Library, Limits, Program
from micro_agi_kernel.lua_entries import FUNCTION_KIND, LIBRARY_KIND, LUA_KINDS, LuaEntry, read_lua
from micro_agi_kernel.permissions import FUNCS, Permissions, Ruling
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.questions import Subject
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import Value

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


class Programs:
    """Makes programs of entries, under the policies of a snapshot."""

    def __init__(self, permissions: Permissions, modules: frozenset[str], limits: Limits, most: Limits) -> None:
        """`modules` are those that exist, `limits` what an entry has that asks for none, `most` what one may ask for
        in `meta.limits`."""
        self._permissions = permissions
        self._modules = modules
        self._limits = limits
        self._most = most

    def of(self, entry: Entry, input: Value, snapshot: Snapshot, state: EntryLookup) -> Program:
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

    def of_call(
        self, id: EntryId, input: Value, context: CallContext, snapshot: Snapshot, state: EntryLookup
    ) -> tuple[Entry, Program, list[Ruling]]:
        """The entry `id` of `state`, as it is called in `context`, with what is left there; and what of that a person
        must be asked.

        Raises Refused and EntryError.
        """
        entry = _function(id, context.callers[-1].id if context.callers else None, state)
        asked = self._asked(entry, snapshot, context)
        program = self.of(entry, input, snapshot, state)
        left, limits = context.allowance, program.limits
        # Tenths of seconds: a child in waiting has its limit already, and would not fit each remainder. What runs
        # beside this call may have used up all since it was let in.
        seconds = max(1, math.ceil(left.seconds * 10)) / 10
        limits = replace(limits, seconds=min(limits.seconds, seconds), output=min(limits.output, max(1, left.output)))
        return entry, replace(program, limits=limits), asked

    def _asked(self, entry: Entry, snapshot: Snapshot, context: CallContext) -> list[Ruling]:
        """What the policies want asked of a call. Its actor is who calls, if that is an entry, then who is called."""
        asked: dict[Subject, Decision] = {}
        for actor in (*context.callers[-1:], entry):
            for action in CALL_ACTIONS:
                subject = (action, str(entry.id))
                decision = self._permissions.decide_for_tool(actor, *subject, snapshot)
                if decision.effect == "ask":
                    asked.setdefault(subject, decision)
        return [*asked.items()]

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
        library = _read(entry)
        found[str(id)] = Library(library.source, id.name, _keys(library.imports))
        wanted += library.imports.values()
    return found


def check_calls(caller: Entry, lua: LuaEntry, state: EntryLookup, permissions: Permissions, snapshot: Snapshot) -> None:
    """Raise Refused or EntryError unless `caller` may call all that it lists, under the policies of `snapshot`."""
    for id in lua.calls:
        _function(id, caller.id, state)
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
    """`entry` and all that it imports or calls, directly or not, by id: what a call of it depends on.

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
            for id in (*lua.imports.values(), *lua.calls):
                if id not in found:
                    found[id] = other = state(id)
                    if other is not None and other.kind in LUA_KINDS:
                        waiting.append(other)
    except EntryError:
        return None
    return found


def _depth(calls: Iterable[EntryId], chain: tuple[EntryId, ...], state: EntryLookup, found: dict[EntryId, int]) -> int:
    """How deep calls nest below the last of `chain`, which lists `calls`; `found` has it of all below."""
    depth = 0
    for id in calls:
        if id in chain:
            raise Refused(ErrorKind.INVALID, f"calls go in a circle: {shown_chain((*chain, id))}")
        if id not in found and len(chain) <= MAX_DEPTH:
            entry = state(id)
            lists = _read(entry).calls if entry is not None and entry.kind == FUNCTION_KIND else ()
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


def _function(id: EntryId, caller: EntryId | None, state: EntryLookup) -> Entry:
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


def _read(entry: Entry) -> LuaEntry:
    try:
        return read_lua(entry)
    except EntryError as error:
        raise EntryError(f"{entry.id}: {error}") from error


def _keys(imports: Mapping[str, EntryId]) -> dict[str, str]:
    return {alias: str(id) for alias, id in imports.items()}
