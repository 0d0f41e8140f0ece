"""The context of a call as Lua meets it: what the agent's entry gives to its tools, to be read only."""

from __future__ import annotations

from collections.abc import Mapping

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.arguments import text
from micro_agi_kernel.host.service import Grant, Handler, Payload
from micro_agi_kernel.values import Value, as_value, shorten


class CtxService:
    """Answers `ctx.*`."""

    module = "ctx"

    def __init__(self) -> None:
        self.handlers: Mapping[str, Handler] = {"ctx.get": self._get, "ctx.all": self._all}

    async def _get(self, payload: Payload, grant: Grant) -> Value:
        key, values = text(payload, "key"), grant.context.values
        if key not in values:
            shown = key if key.isprintable() else repr(key)
            raise Refused(ErrorKind.NOT_FOUND, f"key not found: {shorten(shown)}", retryable=False)
        return as_value(values[key])

    async def _all(self, payload: Payload, grant: Grant) -> Value:
        return as_value(dict(grant.context.values))
