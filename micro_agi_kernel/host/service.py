"""Services of the host: what a Lua module may ask of the main process, and the check that it may.

A service answers the operations of one module. The child's word is worth nothing: an operation is
answered only when its module was granted to the entry that runs, and the service then asks the policies
for what is asked of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol, Self

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.host.arguments import invalid
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.values import Value, shorten

Payload = Mapping[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """One call: which entry runs, with which modules, on whose behalf. It equals no other."""

    entry: Entry
    modules: frozenset[str]
    context: CallContext
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What a service wants done when the call has ended, however it ended."""


Handler = Callable[[Payload, Grant], Awaitable[Value]]
"""Answers one operation. It must not block: what reads files goes through `in_thread`."""


def in_thread(read: Callable[[Payload, Grant], Value]) -> Handler:
    """The handler that runs the whole of `read` in a thread, since it blocks, as reading the registry does."""

    async def handler(payload: Payload, grant: Grant) -> Value:
        return await asyncio.to_thread(read, payload, grant)

    return handler


class Service(Protocol):
    """The host's side of a Lua module."""

    @property
    def module(self) -> str: ...

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """By the operation's name that crosses the pipe, "registry.get"."""


class Host:
    """All services. `async with host.for_call(grant)` gives one call its view of them, for as long as it runs."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._handlers = {
            name: (service.module, handler) for service in services for name, handler in service.handlers.items()
        }

    def for_call(self, grant: Grant) -> _HostOfCall:
        return _HostOfCall(self._handlers, grant)


class _HostOfCall:
    """The HostService of one call."""

    def __init__(self, handlers: Mapping[str, tuple[str, Handler]], grant: Grant) -> None:
        self._handlers = handlers
        self._grant = grant

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._grant.closing.aclose()

    async def request(self, op: str, payload: Value) -> Value:
        module, handler = self._handlers.get(op, ("", None))
        if handler is None or module not in self._grant.modules:
            raise Refused(ErrorKind.PERMISSION_DENIED, f"not granted: {shorten(op)}")
        if payload == []:  # how an empty table of Lua arrives
            payload = {}
        if not isinstance(payload, dict):
            raise invalid(f"the arguments of {op} must be a table of names and values")
        return await handler(payload, self._grant)
