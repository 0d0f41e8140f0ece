"""What is remembered of each client that is connected: its name for policies, its approvals, its calls under way."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, field
from typing import Any

from mcp.server import ServerRequestContext
from mcp_types import LoggingLevel
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from micro_agi_kernel.frontends.mcp.names import actor_of
from micro_agi_kernel.questions import Subject

SIDE_BY_SIDE = 8
"""Calls of one connection that run at once, of one name where the protocol knows no connections; each may hold a
process of 64 MiB."""

LEVELS: tuple[LoggingLevel, ...] = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""The lowest first."""


@dataclass(slots=True)
class Client:
    """One connection; where the protocol knows none (2026-07-28 over HTTP), one request."""

    actor: str
    slots: asyncio.Semaphore
    """Its calls that run at once."""
    approved: set[Subject] = field(default_factory=set)
    """What its person said yes to for as long as it is connected."""
    level: LoggingLevel = "info"
    """Below this no log is sent."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Its person is asked one thing after the other."""

    def wants(self, level: LoggingLevel) -> bool:
        """Whether it wants logs of that level."""
        return LEVELS.index(level) >= LEVELS.index(self.level)


class Clients:
    """Those that are connected. What is known of one goes with its connection."""

    def __init__(self, given: str) -> None:
        """`given`: the name that the person gave whoever connects, "" if none."""
        self._given = given
        self._known: dict[int, Client] = {}
        self._slots: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()
        """By actor, of clients without connections: while one of its requests is known."""

    def of(self, ctx: ServerRequestContext[Any, Any]) -> Client:
        """The client that sent a request."""
        params = ctx.session.client_params
        if params is None:
            return self._new(ctx, "")
        key = id(params)
        if key not in self._known:
            self._known[key] = self._new(ctx, params.client_info.name)
            weakref.finalize(params, self._known.pop, key, None)
        return self._known[key]

    def _new(self, ctx: ServerRequestContext[Any, Any], claimed: str) -> Client:
        actor, slots = actor_of(self._given, claimed), asyncio.Semaphore(SIDE_BY_SIDE)
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            slots = self._slots.setdefault(actor, slots)
        return Client(actor, slots)
