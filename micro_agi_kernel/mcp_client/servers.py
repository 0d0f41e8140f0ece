"""All MCP servers of the settings: what they offer the agent, and calls of that, under the policies and the limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from micro_agi_kernel.arguments import check_arguments
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, Refused
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Limits
from micro_agi_kernel.mcp_client.connection import START_SECONDS, Connection
from micro_agi_kernel.mcp_client.definitions import MAX_DEFINITIONS, MAX_TOOLS, Offer, beyond_bounds, size_of
from micro_agi_kernel.mcp_client.results import read_result
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.permissions import Ruling
from micro_agi_kernel.question_content import asks_tool, shown_input
from micro_agi_kernel.values import Value, as_value


class McpServers:
    """The servers that the person named; none by default. Use it on one event loop."""

    def __init__(
        self,
        named: tuple[McpServer, ...],
        rulings: Callable[[Entry, CallContext], list[Ruling]],
        limits: Callable[[], Limits],
    ) -> None:
        """`rulings` gives what the policies want asked of a call; it blocks, and raises Refused where they forbid it.
        `limits` are those of a tool that asks for none."""
        self._connections = {connection.namespace: connection for connection in map(Connection, named)}
        self._rulings = rulings
        self._limits = limits
        self._cut: tuple[tuple[Offer, ...], dict[str, Offer]] = ((), {})
        self._told: dict[str, tuple[str, ...]] = {}
        """By namespace, what the person was told last."""

    def start(self) -> None:
        """Start all that were never started, beside whatever else is done."""
        for connection in self._connections.values():
            if not connection.tried:
                connection.start()

    async def ready(self) -> list[str]:
        """Wait until each has started once, or failed to; lines about what the person was not told yet.

        One that has ended is started again beside the turn, which does not wait for it.
        """
        if not self._connections:
            return []
        self.start()
        first = [each.start() for each in self._connections.values() if not each.tried]
        if first:
            await asyncio.wait(first, timeout=START_SECONDS)
        for connection in self._connections.values():
            if connection.tried and connection.problem:
                connection.start()
        await asyncio.gather(*(each.list_again() for each in self._connections.values()))
        return self._untold()

    def _untold(self) -> list[str]:
        lines = list[str]()
        for namespace, connection in self._connections.items():
            left_out = self._offers[namespace].left_out
            said = tuple(f"{namespace}: {line}" for line in left_out)
            if connection.problem:
                said = (f"{namespace} {connection.problem}",)
            if said != self._told.get(namespace, ()):
                self._told[namespace] = said
                lines += said
        return lines

    @property
    def _offers(self) -> dict[str, Offer]:
        """What each offers, by namespace, within what all may have together: those that are named first come first."""
        every = tuple(connection.offer for connection in self._connections.values())
        of, cut = self._cut
        if len(of) != len(every) or any(a is not b for a, b in zip(of, every, strict=True)):
            cut, tools, size = {}, 0, 0
            for namespace, connection in self._connections.items():
                kept: dict[EntryId, Entry] = {}
                offer = connection.offer
                for id, entry in offer.entries.items():
                    if tools < MAX_TOOLS and size + size_of(entry) <= MAX_DEFINITIONS:
                        kept[id], tools, size = entry, tools + 1, size + size_of(entry)
                beyond = len(offer.entries) - len(kept)
                lines = (*offer.left_out, beyond_bounds(beyond, connection.server)) if beyond else offer.left_out
                cut[namespace] = Offer(kept, lines)
            self._cut = (every, cut)
        return cut

    @property
    def states(self) -> dict[str, str]:
        """What there is to tell of each in a line, by namespace."""
        offers = self._offers
        return {
            namespace: "; ".join((connection.state, *offers[namespace].left_out))
            for namespace, connection in self._connections.items()
        }

    @property
    def offering(self) -> tuple[str, ...]:
        """The namespaces in which there are tools."""
        return tuple(namespace for namespace, offer in self._offers.items() if offer.entries)

    def entries(self, namespace: str) -> tuple[Entry, ...] | None:
        """The tools of that namespace; None: it is of no server."""
        offer = self._offers.get(namespace)
        return None if offer is None else tuple(offer.entries.values())

    def entry(self, id: EntryId) -> Entry | None:
        """The tool of that id, if a server offers it."""
        offer = self._offers.get(id.namespace)
        return None if offer is None else offer.entries.get(id)

    async def find(self, said: str) -> Entry | None:
        """What `named` gives; where that is nothing yet, the server of the id or name is started and waited for."""
        if (found := self.named(said)) is not None:
            return found
        for connection in self._connections.values():
            if said.startswith((f"{connection.namespace}:", connection.server.alias_prefix)):
                await asyncio.wait([connection.start()], timeout=START_SECONDS)
                await connection.list_again()
        return self.named(said)

    def named(self, said: str) -> Entry | None:
        """The tool of that id, or of the name that the model uses."""
        every = (entry for offer in self._offers.values() for entry in offer.entries.values())
        return next((entry for entry in every if said in (str(entry.id), entry.text("llm_alias"))), None)

    async def call(self, entry: Entry, input: Value, context: CallContext) -> CallOutcome:
        """Call a tool of a server; what goes wrong is in the outcome."""
        limits, started = self._limits(), time.monotonic()
        try:
            asked = await asyncio.to_thread(self._rulings, entry, context)
            await asyncio.to_thread(check_arguments, entry, input)
            if asked:
                await context.approver.approve(asks_tool(asked, entry, context.actor, shown_input(input)))
            started = time.monotonic()
            connection = self._connections[entry.id.namespace]
            arguments = input if isinstance(input, dict) else {}
            raw = await connection.call(str(entry.data["tool"]), arguments, limits.seconds)
            value, shown = await asyncio.to_thread(read_result, connection.namespace, raw)
        except (Refused, EntryError) as error:
            return CallOutcome(error=error.as_error(), seconds=time.monotonic() - started)
        size = 0
        for display in shown:
            size += sum(len(data) for data in display.data.values() if isinstance(data, bytes))
            if size <= limits.output:
                context.on_output(display)
        return CallOutcome(as_value(value), seconds=time.monotonic() - started, shown=size)

    async def close(self) -> None:
        """End all servers; harmless when repeated."""
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))
