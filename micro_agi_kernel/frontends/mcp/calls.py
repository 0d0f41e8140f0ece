"""Calls of clients: in the sandbox and under the policies of every call, so many at once, with their person's word."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
from mcp_types import CallToolRequestParams, CallToolResult, InputRequiredResult

from micro_agi_kernel.approval import Approvals, Standing
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind, MicroAgiError, Refused
from micro_agi_kernel.events import EntryPublished, Event, Notice
from micro_agi_kernel.frontends.mcp.asking import (
    WAITS,
    Context,
    answer_of,
    asks_by_result,
    can_ask,
    elicitation,
    elicited,
)
from micro_agi_kernel.frontends.mcp.clients import Client
from micro_agi_kernel.frontends.mcp.content import error_result, result_of
from micro_agi_kernel.frontends.mcp.telling import Teller
from micro_agi_kernel.interfaces import CallContext, CallOutcome, Provenance
from micro_agi_kernel.questions import Answer, Question
from micro_agi_kernel.values import Json, as_value, check_json
from micro_agi_kernel.workspace import RegistryTools, Workspace

AT_ONCE = 16
"""Calls of all clients that run at once."""
OPEN = 256
"""Calls that run or wait for a place; one more is refused."""
PARKED = 32
"""Calls that wait for a person whose client sends its request again; for one more the answer is no."""
PARKED_OF_ONE = 16
"""Those of one name."""

_APPROVAL = "approval"


@dataclass(eq=False, slots=True)
class OpenCall:
    """A call under way, and what it asks its person meanwhile."""

    client: Client
    teller: Teller
    place: Place
    """Among the calls of its client."""
    asked: asyncio.Queue[Standing] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[CallToolResult] | None = None
    standing: Standing | None = None
    """The question that its client has taken away."""


class Place:
    """A call's place among those that run at once; whoever waits for a person may give it back."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False
        self._taking = asyncio.Lock()

    async def __aenter__(self) -> Place:
        await self.take()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give_back()

    async def take(self) -> None:
        """Wait for a place, unless it is held: a call may ask several things at once."""
        async with self._taking:
            if not self._held:
                await self._slots.acquire()
                self._held = True

    @contextlib.asynccontextmanager
    async def given_back(self) -> AsyncIterator[None]:
        """While the body waits; a body that fails leaves it so."""
        self.give_back()
        yield
        await self.take()

    def give_back(self) -> None:
        """Let another one have it, if it is held."""
        if self._held:
            self._held = False
            self._slots.release()


class Calls:
    """Calls entries on behalf of clients."""

    def __init__(self, workspace: Workspace, published: Callable[[], None], say: Callable[[str], None]) -> None:
        """`published` is called when a call wrote something; `say` shows the person of this server a line."""
        self._workspace = workspace
        self._published = published
        self._say = say
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._open = 0
        self._parked: dict[str, tuple[OpenCall, asyncio.TimerHandle]] = {}

    async def call(
        self, ctx: Context, client: Client, name: str, entry: Entry, arguments: Json
    ) -> CallToolResult | InputRequiredResult:
        """The result of calling `entry`, or what the client's person must be asked first.

        Cancelling it ends the call and its process.
        """
        if self._open >= OPEN:
            line = f"more than {OPEN} calls are open: wait for some of them"
            return error_result(CallError(ErrorKind.RATE_LIMITED, line, retryable=True))
        call = OpenCall(client, Teller(ctx, client, name), Place(client.slots))
        self._open += 1
        call.task = asyncio.create_task(self._run(call, entry, arguments, can_ask(ctx)))
        call.task.add_done_callback(self._ended)
        return await self._follow(ctx, call)

    async def go_on(
        self, ctx: Context, client: Client, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        """What comes of a call whose client has brought its person's answer."""
        call, timer = self._parked.get(params.request_state or "", (None, None))
        if call is None or timer is None or call.client.actor != client.actor:
            line = "no call waits for that answer (any more): call the tool again"
            return error_result(CallError(ErrorKind.NOT_FOUND, line))
        timer.cancel()
        del self._parked[params.request_state or ""]
        call.teller.ctx = ctx
        return await self._follow(ctx, call, answer_of((params.input_responses or {}).get(_APPROVAL)))

    async def close(self) -> None:
        """End the calls that wait for an answer which cannot come any more."""
        for call, timer in self._parked.values():
            timer.cancel()
            await _end(call)
        self._parked.clear()

    async def _follow(
        self, ctx: Context, call: OpenCall, brought: Answer | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Wait for the end of a call, or for the next question of it; `brought` is the answer to the last one."""
        assert call.task is not None
        try:
            if brought is not None and call.standing is not None:
                await call.place.take()  # given back while its client was away
                await call.standing.settle(partial(_said, brought), call.client.approved)
            while True:
                asked = asyncio.ensure_future(call.asked.get())
                try:
                    await asyncio.wait({call.task, asked}, return_when=asyncio.FIRST_COMPLETED)
                    if call.task.done():
                        return call.task.result()
                    call.standing = asked.result()
                finally:
                    asked.cancel()
                if not asks_by_result(ctx):
                    async with call.client.asking:
                        await call.standing.settle(partial(elicited, ctx), call.client.approved)
                elif len(self._parked) < PARKED and self._parked_of(call.client.actor) < PARKED_OF_ONE:
                    return self._park(call, call.standing)
                else:
                    await call.standing.settle(partial(_said, "nobody"), call.client.approved)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _end(call)
            raise
        finally:
            call.place.give_back()

    def _parked_of(self, actor: str) -> int:
        return sum(call.client.actor == actor for call, _ in self._parked.values())

    def _park(self, call: OpenCall, standing: Standing) -> InputRequiredResult:
        """Keep the call until its client comes back with an answer."""
        state = secrets.token_urlsafe(32)
        timer = asyncio.get_running_loop().call_later(WAITS, self._forget, state)
        self._parked[state] = call, timer
        request = elicitation(standing.question, once=True)
        return InputRequiredResult(input_requests={_APPROVAL: request}, request_state=state)

    def _forget(self, state: str) -> None:
        call, _ = self._parked.pop(state)
        if call.task is not None:
            call.task.cancel()

    async def _run(self, call: OpenCall, entry: Entry, arguments: Json, asks: bool) -> CallToolResult:
        """The result of one call, whose failures are part of it."""
        try:
            async with call.place, Place(self._slots) as place, call.teller.telling():
                outcome = await self._outcome(call, entry, arguments, asks, place)
        except MicroAgiError as error:  # the registry or the jail: for the person of this server to mend
            self._say(str(error))
            outcome = CallOutcome(error=error.as_error())
        return await asyncio.to_thread(result_of, outcome, call.teller.displays)

    def _ended(self, _: asyncio.Task[CallToolResult]) -> None:
        self._open -= 1

    async def _outcome(self, call: OpenCall, entry: Entry, arguments: Json, asks: bool, place: Place) -> CallOutcome:
        client, id = call.client, entry.id
        pass_on = call.asked.put_nowait if asks else None
        approver = Approvals(pass_on, client.approved, self._hear, place.given_back)
        said = await asyncio.to_thread(RegistryTools(self._workspace).asks_load, entry, client.actor)
        if isinstance(said, CallError):
            return CallOutcome(error=said)
        try:
            check_json(arguments, "the arguments")
            if said is not None:
                await approver.approve(said)
                client.approved |= said.covers  # a tool is loaded once
        except (Refused, EntryError) as error:
            return CallOutcome(error=error.as_error())
        prompt = f"micro-agi mcp: {client.actor} calls {id}"
        origin, actor = Provenance(prompt=prompt), client.actor
        context = CallContext(actor, self._hear, call.teller, origin, approver=approver, answers=actor)
        return await self._workspace.call(id, as_value(arguments), context)

    def _hear(self, event: Event) -> None:
        if isinstance(event, EntryPublished):
            self._published()
        elif isinstance(event, Notice):
            self._say(event.text)


async def _said(answer: Answer, _: Question) -> Answer:
    return answer


async def _end(call: OpenCall) -> None:
    assert call.task is not None
    call.task.cancel()
    await asyncio.wait({call.task})
