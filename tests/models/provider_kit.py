"""What the tests of the OpenAI provider share: the provider before a scripted server, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from model_server import ModelServer

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.messages import (
    CallChunk,
    ModelChunk,
    ModelRequest,
    RetryChunk,
    TextChunk,
    ToolCall,
    UserMessage,
)
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.endpoint import endpoint_of
from micro_agi_kernel.models.openai import PROVIDER, OpenAIModel, Patience

KEY = "sk-planted-0123456789abcdef"
HELLO = ModelRequest((UserMessage("hello"),))
USUAL = Patience()


def spec_of(provider: Provider | None = None, **fields: Any) -> ModelSpec:
    provider = provider or Provider(PROVIDER, "provider-name")
    return ModelSpec(EntryId.parse("app:m"), "m", "M", (provider,), window=1000, output_tokens=100, **fields)


class Sleeps:
    """Stands for asyncio.sleep, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@asynccontextmanager
async def connected(
    url: str, *, spec: ModelSpec | None = None, patience: Patience = USUAL, sleeps: Sleeps | None = None
) -> AsyncIterator[OpenAIModel]:
    spec = spec or spec_of()
    provider = spec.providers[0]
    endpoint = endpoint_of(spec, provider, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}.get)
    sleep = sleeps or Sleeps()
    model = OpenAIModel(spec, provider, endpoint, patience=patience, sleep=sleep, jitter=lambda: 0.0)
    try:
        yield model
    finally:
        await model.close()


async def answer(script: Any, request: ModelRequest = HELLO, **options: Any) -> tuple[list[ModelChunk], ModelServer]:
    """What the provider makes of a script that ends well."""
    with ModelServer(script) as server:
        async with connected(server.url, **options) as model:
            return [chunk async for chunk in model.stream(request)], server


async def broken(script: Any, request: ModelRequest = HELLO, **options: Any) -> tuple[list[ModelChunk], str]:
    """What came before the error, and the error's line."""
    chunks: list[ModelChunk] = []
    with ModelServer(script) as server:
        async with connected(server.url, **options) as model:
            with pytest.raises(ModelError) as caught:
                async for chunk in model.stream(request):
                    chunks.append(chunk)
    line = str(caught.value)
    assert "\n" not in line and line
    # Nothing that hangs on the error can show the request.
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    return chunks, line


def said(chunks: list[ModelChunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


def wanted(chunks: list[ModelChunk]) -> list[ToolCall]:
    return [chunk.call for chunk in chunks if isinstance(chunk, CallChunk)]


def retries(chunks: list[ModelChunk]) -> list[str]:
    return [chunk.reason for chunk in chunks if isinstance(chunk, RetryChunk)]
