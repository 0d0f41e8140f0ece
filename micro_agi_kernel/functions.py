"""Calling an entry by its id: permission, arguments, its program, jail, host services."""

from __future__ import annotations

import asyncio

from micro_agi_kernel.arguments import check_arguments
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.host.service import Grant, Host
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Program, Sandbox
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.programs import Programs
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.uses import UseCounter
from micro_agi_kernel.values import Value


class Functions:
    """The Caller of this project: every call of an entry, by agent, tool or person, goes through here."""

    def __init__(
        self,
        registry: Registry,
        permissions: Permissions,
        programs: Programs,
        sandbox: Sandbox,
        host: Host,
        uses: UseCounter,
    ) -> None:
        """`uses` counts the calls that run."""
        self._registry = registry
        self._permissions = permissions
        self._programs = programs
        self._sandbox = sandbox
        self._host = host
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
        return entry, self._programs.of(entry, input, snapshot, snapshot.get)
