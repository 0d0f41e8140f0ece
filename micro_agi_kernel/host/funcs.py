"""Other entries as Lua meets them: `funcs.call`, with bounds on all calls that come of one.

Each nested call is a process of its own with limits of its own, so without these bounds 64 side by side, each with
64 of its own, would soon be a million.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.arguments import text
from micro_agi_kernel.host.service import Grant, Handler, Payload
from micro_agi_kernel.interfaces import Allowance, Caller
from micro_agi_kernel.lua_entries import read_lua
from micro_agi_kernel.reaching import MAX_DEPTH, too_deep
from micro_agi_kernel.sandbox.call import clock_stopped
from micro_agi_kernel.values import Value, shorten

AT_ONCE = 8
"""Nested calls of one depth that run at once; more wait. So they are AT_ONCE * MAX_DEPTH processes at most."""


class FuncsService:
    """Answers `funcs.call`."""

    module = "funcs"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        # A call waits only for deeper ones, and the deepest for none: whoever holds a turn gives it back.
        self._turns = [asyncio.Semaphore(AT_ONCE) for _ in range(MAX_DEPTH)]
        self.handlers: Mapping[str, Handler] = {"funcs.call": self._call}

    async def _call(self, payload: Payload, grant: Grant) -> Value:
        id = EntryId.parse(text(payload, "id"))
        _check_listed(grant.entry, id)
        callers = (*grant.context.callers, grant.entry)
        if len(callers) > MAX_DEPTH:
            raise too_deep([*(caller.id for caller in callers), id])
        left = grant.context.allowance
        with clock_stopped():
            async with self._turns[len(callers) - 1]:
                _take_call(left, callers[0].id)
                context = replace(grant.context, callers=callers)
                outcome = await self._caller.call(id, payload.get("input"), context)
                left.seconds -= outcome.seconds
                left.output -= outcome.shown
        if outcome.error is not None:
            raise Refused(outcome.error.kind, outcome.error.message, retryable=outcome.error.retryable)
        return outcome.value


def _check_listed(caller: Entry, id: EntryId) -> None:
    """Raise Refused unless `caller` lists `id`. One that no agent can write may list none, and then call any."""
    listed = read_lua(caller).calls
    if id not in listed and (listed or caller.id.namespace == GENERATED_NAMESPACE):
        lists = shorten(", ".join(map(str, listed)), 300) or "none"
        reason = f"{caller.id} does not list {id} in calls; it lists {lists}"
        raise Refused(ErrorKind.PERMISSION_DENIED, reason, retryable=False)


def _take_call(left: Allowance, outermost: EntryId) -> None:
    """Take one call. Raises Refused when all that was called below `outermost` has used something up."""
    for amount, kind, what in (
        (left.calls, ErrorKind.CALL_LIMIT, "calls"),
        (left.seconds, ErrorKind.TIMEOUT, "running time"),
        (left.output, ErrorKind.OUTPUT_LIMIT, "output"),
    ):
        if amount <= 0:
            reason = f"the calls below {outermost} have used up the {what} that they may have together"
            raise Refused(kind, reason, retryable=False)
    left.calls -= 1
