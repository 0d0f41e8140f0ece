"""HTTP as Lua meets it: each request, and each address and redirect of it, is asked of the policies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.host.service import Grant, Operation, Payload
from micro_agi_kernel.values import Value

if TYPE_CHECKING:
    from micro_agi_kernel.host.http import GuardedHttp


class HttpService:
    """Answers `http.request`. The client is loaded with the first request."""

    module = "http_client"

    def __init__(self, check: Callable[[Entry, str, str], None]) -> None:
        """`check` raises Refused unless the tool may do the action on the resource."""
        self._check = check
        self._client: GuardedHttp | None = None
        self.operations: Mapping[str, Operation] = {"http.request": self._request}

    async def _request(self, payload: Payload, grant: Grant) -> Value:
        async def allows(action: str, resource: str) -> bool:
            # It raises, and so names the policy; it may read the registry, hence the thread.
            await asyncio.to_thread(self._check, grant.entry, action, resource)
            return True

        if self._client is None:
            client = await asyncio.to_thread(_client_class)
            self._client = self._client or client()  # another request may have been first
        return await self._client.request(dict(payload), allows)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def _client_class() -> type[GuardedHttp]:
    """Blocks for as long as it takes to import httpx."""
    from micro_agi_kernel.host.http import GuardedHttp

    return GuardedHttp
