"""Other entries as Lua meets them: `funcs.call`, with a bound on how deep calls nest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.host.arguments import invalid, text
from micro_agi_kernel.host.service import Grant, Handler, Payload
from micro_agi_kernel.interfaces import Caller
from micro_agi_kernel.values import Value

MAX_DEPTH = 8


class FuncsService:
    """Answers `funcs.call`."""

    module = "funcs"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.handlers: Mapping[str, Handler] = {"funcs.call": self._call}

    async def _call(self, payload: Payload, grant: Grant) -> Value:
        context = replace(grant.context, depth=grant.context.depth + 1)
        if context.depth > MAX_DEPTH:
            raise invalid(f"calls nest deeper than {MAX_DEPTH}")
        outcome = await self._caller.call(EntryId.parse(text(payload, "id")), payload.get("input"), context)
        if outcome.error is not None:
            raise Refused(outcome.error.kind, outcome.error.message, retryable=outcome.error.retryable)
        return outcome.value
