"""An entry as a program of the jail: its source, and the modules, libraries and limits that it has."""

from __future__ import annotations

import math
from dataclasses import replace

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.interfaces import MIB, CallContext, Limits, Program
from micro_agi_kernel.lua_entries import LuaEntry
from micro_agi_kernel.permissions import CLIENT, Permissions, Ruling
from micro_agi_kernel.policy import Decision
from micro_agi_kernel.questions import Subject
from micro_agi_kernel.reaching import (
    CALL_ACTIONS,
    EntryLookup,
    callable_function,
    find_libraries,
    ids_by_alias,
    read_named,
)
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.values import Value


class Programs:
    """Makes programs of entries, under the policies of a snapshot."""

    def __init__(self, permissions: Permissions, modules: frozenset[str], limits: Limits, most: Limits) -> None:
        """`modules` are those that exist, `limits` what an entry has that asks for none, `most` what one may ask for
        in `meta.limits`."""
        self._permissions = permissions
        self._modules = modules
        self.limits = limits
        self.most = most

    def of(self, entry: Entry, input: Value, snapshot: Snapshot, state: EntryLookup) -> Program:
        """`entry` with `input`; its libraries are found in `state`. Raises Refused and EntryError."""
        lua = read_named(entry)
        return Program(
            source=lua.source,
            chunk_name=entry.id.name,
            input=input,
            method=lua.method,
            modules=self._permissions.check_modules(entry, self._modules, snapshot),
            limits=self._limits_of(lua),
            imports=ids_by_alias(lua.imports),
            libraries=find_libraries(entry, lua, state, self._permissions, snapshot),
        )

    def of_call(
        self, id: EntryId, input: Value, context: CallContext, snapshot: Snapshot, state: EntryLookup
    ) -> tuple[Entry, Program, list[Ruling]]:
        """The entry `id` of `state`, as it is called in `context`, with what is left there; and what of that a person
        must be asked.

        Raises Refused and EntryError.
        """
        entry = callable_function(id, context.callers[-1].id if context.callers else None, state)
        asked = self.rulings(entry, snapshot, context)
        program = self.of(entry, input, snapshot, state)
        left, limits = context.allowance, program.limits
        # Tenths of seconds: a child in waiting has its limit already, and would not fit each remainder. What runs
        # beside this call may have used up all since it was let in.
        seconds = max(1, math.ceil(left.seconds * 10)) / 10
        limits = replace(limits, seconds=min(limits.seconds, seconds), output=min(limits.output, max(1, left.output)))
        return entry, replace(program, limits=limits), asked

    def rulings(self, entry: Entry, snapshot: Snapshot, context: CallContext) -> list[Ruling]:
        """What the policies want asked of a call. Its actor is who calls, if that is an entry, then who is called.

        A client is asked about too, however many entries stand between it and this one.
        """
        asked: dict[Subject, Decision] = {}
        for action in CALL_ACTIONS:
            subject = (action, str(entry.id))
            decisions = [
                self._permissions.decide_for_tool(actor, *subject, snapshot) for actor in (*context.callers[-1:], entry)
            ]
            if context.actor.startswith(CLIENT):
                decisions.append(self._permissions.decide_for_client(context.actor, *subject, snapshot))
            if asks := [decision for decision in decisions if decision.effect == "ask"]:
                asked[subject] = asks[0]
        return [*asked.items()]

    def _limits_of(self, lua: LuaEntry) -> Limits:
        """What the entry asks for, within what the settings allow."""
        usual, most, asked = self.limits, self.most, lua.limits
        return Limits(
            seconds=min(asked.get("timeout", usual.seconds), most.seconds),
            memory=min(int(asked.get("memory", usual.memory / MIB) * MIB), most.memory),
            output=min(int(asked.get("output", usual.output / MIB) * MIB), most.output),
            host_calls=min(int(asked.get("host_calls", usual.host_calls)), most.host_calls),
        )
