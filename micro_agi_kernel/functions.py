"""Calling an entry by its id: permission, modules, jail, host services."""

from __future__ import annotations

import asyncio

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.host.service import Grant, Host
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Limits, Program, Sandbox
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.values import Value

FUNCTION_KIND = "function.lua"
DEFAULT_METHOD = "handler"


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
    ) -> None:
        self._registry = registry
        self._permissions = permissions
        self._sandbox = sandbox
        self._host = host
        self._modules = modules
        self._limits = limits

    async def call(self, id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        """Call the entry at the newest commit. What goes wrong with the entry is in the outcome.

        Raises RegistryError and SandboxError: what is wrong with the registry or the jail is for the person to mend.
        """
        try:
            entry, program = await asyncio.to_thread(self._program, id, input)
        except (Refused, EntryError) as error:
            return CallOutcome(error=error.as_value())
        grant = Grant(entry, program.modules, context)
        return await self._sandbox.run(program, self._host.for_call(grant), context.on_output)

    def _program(self, id: EntryId, input: Value) -> tuple[Entry, Program]:
        entry = self._registry.snapshot().get(id)
        if entry is None:
            raise Refused(ErrorKind.NOT_FOUND, f"not found: {id}")
        if entry.kind != FUNCTION_KIND:
            raise Refused(ErrorKind.INVALID, f"not callable: {entry.id} has the kind {entry.kind}, not {FUNCTION_KIND}")
        for action in ("tool.call", "funcs.call"):  # the second is the reference's name for the first
            self._permissions.tool_may(entry, action, str(entry.id))
        method = entry.data.get("method", DEFAULT_METHOD)
        if entry.source is None or not isinstance(method, str):
            raise Refused(ErrorKind.INVALID, f"{entry.id}: data.source and data.method are text")
        modules = self._permissions.check_modules(entry, self._modules)
        return entry, Program(entry.source, entry.id.name, input, method, modules, self._limits)
