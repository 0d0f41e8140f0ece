"""Calling an entry by its id: permission, arguments, its program, jail, host services."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from micro_agi_kernel.arguments import check_arguments
from micro_agi_kernel.call_record import CallRecord
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, Refused
from micro_agi_kernel.host.service import Grant, Host
from micro_agi_kernel.interfaces import Allowance, CallContext, CallOutcome, Limits, Program, Sandbox
from micro_agi_kernel.pinning import Pin
from micro_agi_kernel.programs import Programs
from micro_agi_kernel.question_content import asks_tool, shown_input
from micro_agi_kernel.questions import Question
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.values import Value


class Functions:
    """The Caller of this project: every call of an entry, by agent, tool or person, goes through here."""

    def __init__(
        self,
        registry: Registry,
        pin: Pin,
        programs: Programs,
        sandbox: Sandbox,
        host: Host,
        record: CallRecord,
        most: Limits,
    ) -> None:
        """All calls below an outermost one have together what one may have at `most`."""
        self._registry = registry
        self._pin = pin
        self.most = most
        self._programs = programs
        self._sandbox = sandbox
        self._host = host
        self._record = record

    async def call(self, id: EntryId, input: Value, context: CallContext) -> CallOutcome:
        """Call the entry as the notebook sees it. What goes wrong with the entry is in the outcome.

        Raises RegistryError and SandboxError: what is wrong with the registry or the jail is for the person to mend.
        """
        if not context.callers:
            allowance = Allowance(self.most.host_calls, self.most.seconds, self.most.output)
            context = replace(context, allowance=allowance)
        try:
            entry, program, question = await asyncio.to_thread(self._program, id, input, context)
            if question is not None:
                await context.approver.approve(question)
        except (Refused, EntryError) as error:
            return CallOutcome(error=error.as_error())
        grant = Grant(entry, program.modules, context)
        async with self._host.for_call(grant) as host:
            outcome = await self._sandbox.run(program, host, context.on_output)
        await self._record.ended(entry, outcome, context)
        return outcome

    def _program(self, id: EntryId, input: Value, context: CallContext) -> tuple[Entry, Program, Question | None]:
        policies = self._registry.snapshot()
        state = partial(self._pin.runs, newest=policies)
        entry, program, asked = self._programs.of_call(id, input, context, policies, state)
        check_arguments(entry, input)
        asker = f"tool:{context.callers[-1].id}" if context.callers else context.actor
        if not asked:
            return entry, program, None
        return entry, program, asks_tool(asked, entry, asker, shown_input(input), program.libraries.values())
