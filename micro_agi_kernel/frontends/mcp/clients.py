"""What is remembered of each client that is connected: its name for policies, its approvals, its calls under way."""

from __future__ import annotations

import asyncio
import re
import weakref
from dataclasses import dataclass, field

from mcp_types import LoggingLevel

from micro_agi_kernel.frontends.mcp.asking import Context, asks_by_result
from micro_agi_kernel.permissions import CLIENT, UNPROVEN
from micro_agi_kernel.questions import Subject

SIDE_BY_SIDE = 8
"""Calls of one connection that run at once, of one name where the protocol knows no connections; each may hold a
process of 64 MiB."""

LEVELS: tuple[LoggingLevel, ...] = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""The lowest first."""

MAX_CLIENT = 48
"""Characters of a client's name."""

_CLIENT_NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_CLIENT - 1}}}")


def is_client_name(name: str) -> bool:
    """Whether the person may give a client this name."""
    return _CLIENT_NAME.fullmatch(name) is not None


def actor_of(given: str, claimed: str) -> str:
    """The actor whose calls policies are asked about: `mcp:NAME` as the person named the client, or
    `mcp:unproven:NAME` as it names itself, which nobody checked and which therefore never is one of the former.
    """
    if given:
        return f"{CLIENT}{given}"
    safe = re.sub(r"[^a-z0-9._-]+", "-", claimed[: 4 * MAX_CLIENT].lower()).strip("-._")[:MAX_CLIENT]
    return f"{UNPROVEN}{safe or 'nameless'}"


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

    def of(self, ctx: Context) -> Client:
        """The client that sent a request."""
        params = ctx.session.client_params
        if params is None:
            return self._new(ctx, "")
        key = id(params)
        if key not in self._known:
            self._known[key] = self._new(ctx, params.client_info.name)
            weakref.finalize(params, self._known.pop, key, None)
        return self._known[key]

    def _new(self, ctx: Context, claimed: str) -> Client:
        actor, slots = actor_of(self._given, claimed), asyncio.Semaphore(SIDE_BY_SIDE)
        if asks_by_result(ctx):
            slots = self._slots.setdefault(actor, slots)
        return Client(actor, slots)
