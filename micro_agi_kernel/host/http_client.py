"""HTTP as Lua meets it: each request, and each address and redirect of it, is asked of the policies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.host.arguments import count, invalid
from micro_agi_kernel.host.http.call import HttpCall
from micro_agi_kernel.host.service import Grant, Handler, Payload
from micro_agi_kernel.imports import importing
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.questions import Question
from micro_agi_kernel.values import Value

if TYPE_CHECKING:
    from micro_agi_kernel.host.http.guarded import Allows, GuardedHttp

MAX_BATCH = 16
MAX_BATCH_BODIES = 4 * MIB
"""Bytes of all bodies that one batch gives, since they travel together."""
MAX_READ = MIB
DEFAULT_READ = 64 * 1024

Check: TypeAlias = Callable[[Entry, str, str, str], Question | None]
"""Raises Refused unless a tool may do an action on a resource, by a method where it is a request; gives what the person
must be asked before."""


class HttpService:
    """Answers `http.*`. The client is loaded with the first request."""

    module = "http_client"

    def __init__(self, check: Check, client: GuardedHttp | None = None) -> None:
        """`client` makes the requests."""
        self._check = check
        self._client = client
        self._calls: dict[Grant, HttpCall] = {}
        self.handlers: Mapping[str, Handler] = {
            "http.request": self._request,
            "http.batch": self._batch,
            "http.open": self._open,
            "http.read": self._read,
            "http.close": self._close,
        }

    async def _request(self, payload: Payload, grant: Grant) -> dict[str, Value]:
        client, call = await self._loaded(), self._call(grant)
        async with call.turns:
            return await client.request(payload, self._allows(grant), call.lookups)

    async def _batch(self, payload: Payload, grant: Grant) -> Value:
        """payload: {requests = {{method, url, ...}, ...}}.

        Returns a list of {response = {...}} or {error = {kind, message, retryable?}} in their order.
        """
        requests = payload.get("requests")
        if not isinstance(requests, list) or not 1 <= len(requests) <= MAX_BATCH:
            raise invalid(f"requests must be a list of 1 to {MAX_BATCH}")
        left = MAX_BATCH_BODIES

        async def one(request: Value) -> Value:
            nonlocal left
            try:
                if not isinstance(request, dict):
                    raise invalid("each request of a batch must be a table")
                response = await self._request(request, grant)
                body = response["body"]
                left -= len(body.encode() if isinstance(body, str) else cast(bytes, body))
                if left < 0:
                    raise invalid(f"the bodies of the batch have more than {MAX_BATCH_BODIES} bytes")
            except MicroAgiError as error:
                return {"error": error.as_error().as_json()}
            return {"response": response}

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(request)) for request in requests]
        return [task.result() for task in tasks]

    async def _open(self, payload: Payload, grant: Grant) -> Value:
        """Takes what http.request takes. Returns {stream = number, size = bytes or -1} in place of the body."""
        client, call = await self._loaded(), self._call(grant)
        allows = self._allows(grant)
        async with call.turns:
            number, stream = await call.add(lambda most: client.open(payload, allows, most, call.lookups))
        return {**stream.head.as_value(stream.url), "stream": number, "size": stream.size}

    async def _read(self, payload: Payload, grant: Grant) -> Value:
        """payload: {stream, size? = bytes}. Returns bytes; None at the end."""
        most = count(payload, "size", DEFAULT_READ, MAX_READ)
        return await self._call(grant).read(_number(payload), most) or None

    async def _close(self, payload: Payload, grant: Grant) -> Value:
        await self._call(grant).end(_number(payload))
        return None

    def _call(self, grant: Grant) -> HttpCall:
        call = self._calls.get(grant)
        if call is None:
            call = self._calls[grant] = HttpCall()
            grant.closing.push_async_callback(self._end, grant)
        return call

    async def _end(self, grant: Grant) -> None:
        await self._calls.pop(grant).close()

    def _allows(self, grant: Grant) -> Allows:
        async def allows(action: str, resource: str, method: str = "") -> None:
            question = await asyncio.to_thread(self._check, grant.entry, action, resource, method)  # reads the registry
            if question is not None:
                await self._call(grant).approved(question, grant.context.approver)

        return allows

    async def _loaded(self) -> GuardedHttp:
        if self._client is None:
            client = await asyncio.to_thread(_client_class)
            self._client = self._client or client()  # another request may have been first
        return self._client


def _number(payload: Payload) -> int:
    return count(payload, "stream", 0, 1_000_000)


def _client_class() -> type[GuardedHttp]:
    """Blocks for as long as it takes to import httpx."""
    with importing:
        from micro_agi_kernel.host.http.guarded import GuardedHttp

        return GuardedHttp
