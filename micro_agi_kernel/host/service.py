"""Services of the host: what a Lua module may ask of the main process, and the check that it may.

A service answers the operations of one module. The child's word is worth nothing: an operation is
answered only when its module was granted to the entry that runs, and the service then asks the policies
for what is asked of it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol, Self, cast

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import ErrorKind, Refused
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


Reading = Callable[[Payload, Grant], Value]
"""An operation that may block, as reading the registry does; the host runs the whole of it in a thread."""

Acting = Callable[[Payload, Grant], Awaitable[Value]]
"""An operation that waits for others; a coroutine function, which must not block."""

Operation = Reading | Acting


class Service(Protocol):
    """The host's side of a Lua module."""

    @property
    def module(self) -> str: ...

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By the name that crosses the pipe, "registry.get"."""


class Host:
    """All services. `async with host.for_call(grant)` gives one call its view of them, for as long as it runs."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._operations = {
            name: (service.module, operation) for service in services for name, operation in service.operations.items()
        }

    def for_call(self, grant: Grant) -> _HostOfCall:
        return _HostOfCall(self._operations, grant)


class _HostOfCall:
    """The HostService of one call."""

    def __init__(self, operations: Mapping[str, tuple[str, Operation]], grant: Grant) -> None:
        self._operations = operations
        self._grant = grant

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._grant.closing.aclose()

    async def request(self, op: str, payload: Value) -> Value:
        module, operation = self._operations.get(op, ("", None))
        if operation is None or module not in self._grant.modules:
            raise Refused(ErrorKind.PERMISSION_DENIED, f"not granted: {shorten(op)}")
        if not isinstance(payload, dict):
            raise Refused(ErrorKind.INVALID, f"{op}: a table of named arguments is required")
        if inspect.iscoroutinefunction(operation):
            return await cast(Acting, operation)(payload, self._grant)
        return await asyncio.to_thread(cast(Reading, operation), payload, self._grant)


def text(payload: Payload, name: str) -> str:
    """The argument `name`, which must be text. Raises Refused."""
    value = payload.get(name)
    if not isinstance(value, str):
        raise Refused(ErrorKind.INVALID, f"{name}: text is required")
    return value


def optional_text(payload: Payload, name: str) -> str | None:
    """The argument `name`, text or absent. Raises Refused."""
    return None if payload.get(name) is None else text(payload, name)


def count(payload: Payload, name: str, default: int, most: int) -> int:
    """The argument `name`, a whole number from 1 to `most`. Raises Refused."""
    value = payload.get(name, default)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Refused(ErrorKind.INVALID, f"{name}: a whole number from 1 to {most} is required")
    return value
