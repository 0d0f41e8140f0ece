"""The OpenAI provider: chat completions with streaming, for OpenAI and every server that is compatible with it.

The official client makes the requests; what it leaves open is here: an answer is whole or an error,
tool calls are joined and made valid, a request is repeated only while nothing of its answer was seen,
and no error can show the key.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.imports import importing
from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.messages import CallChunk, FinishChunk, ModelChunk, ModelRequest, RetryChunk
from micro_agi_kernel.models.bounds import TooMuch, bound, inflow_of, room_for, while_it_speaks
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.chat_format import Answer, request_body
from micro_agi_kernel.models.endpoint import NO_KEY, Endpoint, Secrets, endpoint_of
from micro_agi_kernel.models.failures import Explainer, Failure, ProviderDown

if TYPE_CHECKING:
    import openai

PROVIDER = "wippy.llm.openai:provider"

_HEADERS_FOR_ENTRY_SERVERS = frozenset(
    {"host", "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "user-agent"}
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what, in seconds, and how often a request is repeated."""

    connect: float = 10.0
    idle: float = 120.0
    """Between two pieces of an answer, of which comments and empty events are none; a local server may load its model
    before the first one."""
    idle_reasoning: float = 600.0
    """The same for a reasoning model, which may send nothing while it thinks; the client's own default."""
    tail: float = 5.0
    """For the usage, which follows the finish reason."""
    repeats: int = 3
    first_pause: float = 0.5
    """Doubled each time, and shortened by up to half at random."""
    longest_pause: float = 60.0
    """A server that asks for a longer one is not waited for."""
    loading: float = 300.0
    """For a server that is loading its model: from a slow disk, tens of gigabytes take minutes."""
    loading_pause: float = 2.0


def open_model(spec: ModelSpec, provider: Provider, secrets: Secrets) -> Model:
    """The model, not yet connected. Raises ModelError when the key is missing or may not go to the server."""
    return OpenAIModel(spec, provider, endpoint_of(spec, provider, secrets))


def preload() -> None:
    """Import the client in the background: it takes half a second, which the first answer then does not wait for."""
    threading.Thread(target=_import_client, name="preload-openai", daemon=True).start()


def _import_client() -> None:
    with importing:
        import httpx  # noqa: F401  # the client looks at it once it is there, and a tool's HTTP might have it half there
        import openai  # noqa: F401


class OpenAIModel:
    """A model behind a chat completions API. `sleep` and `jitter` (0 to 1) are for tests."""

    def __init__(
        self,
        spec: ModelSpec,
        provider: Provider,
        endpoint: Endpoint,
        *,
        patience: Patience = Patience(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._spec = spec
        self._provider = provider
        self._endpoint = endpoint
        self._explain = Explainer(spec, provider, endpoint)
        self._patience = patience
        self._sleep = sleep
        self._jitter = jitter
        self._client: openai.AsyncOpenAI | None = None
        self._idle = patience.idle_reasoning if provider.reasoning else patience.idle

    @property
    def name(self) -> str:
        return self._spec.name

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """Answer `request`. With the finish reason "length" the last call may be cut: it must not be run.

        Raises ProviderDown when nothing came because the provider is down, else ModelError.
        """
        repeats, waited = 0, 0.0
        while True:
            shown = False
            failure: Failure | None = None
            async with aclosing(self._attempt(request)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Failure):
                        failure = chunk
                    else:
                        shown = True
                        yield chunk
            if failure is None:
                return
            if failure.loading and not shown and waited < self._patience.loading:
                if not waited:
                    yield RetryChunk(f"{failure.what}; waiting for it, {self._patience.loading:g} s at most")
                waited += self._patience.loading_pause
                await self._sleep(self._patience.loading_pause)
                continue
            pause = self._pause(failure, repeats)
            if shown or pause is None:
                raise (ProviderDown if failure.down and not shown else ModelError)(str(failure))
            repeats += 1
            yield RetryChunk(f"{failure.what}; repeating in {pause:.1f} s ({repeats} of {self._patience.repeats})")
            await self._sleep(pause)

    def _pause(self, failure: Failure, repeats: int) -> float | None:
        """Seconds until the request is repeated; None when it is not."""
        if not failure.retry or repeats >= self._patience.repeats:
            return None
        if failure.wait is not None:
            return failure.wait if failure.wait <= self._patience.longest_pause else None
        return float(self._patience.first_pause * 2**repeats * (1 - self._jitter() / 2))

    async def _attempt(self, request: ModelRequest) -> AsyncGenerator[ModelChunk | Failure, None]:
        """One request: the chunks of a whole answer, or those that came and then a Failure."""
        answer = Answer(room_for(self._spec, request))
        failure: Failure | None = None
        body = request_body(self._spec, self._provider, request)
        async with aclosing(self._events(body, lambda: answer.said)) as events:
            async for event in events:
                if isinstance(event, Failure):
                    failure = event
                    break
                for chunk in answer.add(event):
                    yield chunk
                if answer.is_too_long:
                    answer.finish, failure = None, self._explain.too_much()
                    break
                if answer.finish is not None:
                    await self._read_tail(events, answer)
                    break
        if answer.finish is None:
            yield failure or self._explain.broke_off()
            return
        for call in answer.calls(request.messages):
            yield CallChunk(call)
        yield FinishChunk(answer.finish, answer.usage)

    async def _read_tail(self, events: AsyncIterator[object], answer: Answer) -> None:
        """Read the usage. The answer is whole already: whatever fails here costs only the figures."""
        try:
            async with asyncio.timeout(self._patience.tail):
                async for event in events:
                    answer.add_usage(event)  # text after the finish reason is not part of the answer
        except TimeoutError:
            pass

    async def _events(self, body: dict[str, object], said: Callable[[], int]) -> AsyncGenerator[object, None]:
        """The events of the server's stream as plain JSON; a Failure is the last one when it broke off.

        `said` grows with what an event brought of the answer.

        Plain JSON, not the client's types: those are built without any check, at several times the cost.
        """
        client = await self._connect()
        import openai

        stream: openai.AsyncStream[object] | None = None
        failure: Failure | None = None
        empty = True
        try:
            stream = await client.post(
                "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object]
            )
            inflow = inflow_of(stream.response)
            async for event in while_it_speaks(aiter(stream), self._idle, said):
                empty, inflow.seen = False, 0
                yield event
            if empty and not stream.response.headers.get("content-type", "").startswith("text/event-stream"):
                failure = self._explain.no_stream()
        except TimeoutError:
            failure = self._explain.silence(streaming=True)
        except openai.APIError as error:
            failure = self._explain.of(error, streaming=stream is not None)
        except (ValueError, RecursionError):  # no JSON, no UTF-8, nested without end: the client lets all three through
            failure = self._explain.no_json()
        except TooMuch:
            failure = self._explain.too_much()
        finally:
            if stream is not None:
                await stream.close()
        if failure is not None:
            yield failure

    async def _connect(self) -> openai.AsyncOpenAI:
        if self._client is None:
            await asyncio.to_thread(_import_client)
        if self._client is None:  # another stream may have made it meanwhile
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> openai.AsyncOpenAI:
        import openai

        hooks: dict[str, list[Callable[..., Any]]] = {"response": [bound]}
        if self._endpoint.of_entry:
            hooks["request"] = [_send_only_what_is_needed]
        return openai.AsyncOpenAI(
            api_key=self._endpoint.key or NO_KEY,
            base_url=self._endpoint.url,
            max_retries=0,
            timeout=openai.Timeout(self._idle, connect=self._patience.connect),
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False,  # it would carry the conversation to a server that nobody named
                event_hooks=hooks,
                headers={"accept-encoding": "identity"},
            ),
        )


async def _send_only_what_is_needed(request: Any) -> None:
    """Keep from an entry's server what the client adds from the environment: organisation, project, own headers."""
    for name in set(request.headers) - _HEADERS_FOR_ENTRY_SERVERS:
        del request.headers[name]
    request.headers["authorization"] = f"Bearer {NO_KEY}"
