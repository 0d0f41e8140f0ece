"""What the tests of compression share: a scripted model, conversations, and the check that one can be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from sendable_kit import check_sendable

from micro_agi_kernel.agent.compression import Compaction
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.summaries import Compressor
from micro_agi_kernel.agent.tokens import TokenCounter
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.events import Event
from micro_agi_kernel.messages import (
    AssistantMessage,
    FinishChunk,
    ModelChunk,
    ModelRequest,
    TextChunk,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.chat_format import request_body

Answer: TypeAlias = str | Exception | tuple[str, str]
"""What the model says; what it raises in the middle; or what it says and its finish reason."""

TOOL = ToolSpec("clock", "Tells the time", {"type": "object", "properties": {"zone": {"type": "string"}}})


class ScriptedModel:
    """Answers by a script: a list, or a function of the request. Keeps what it was asked."""

    def __init__(self, script: Iterable[Answer] | Callable[[ModelRequest], Answer], name: str = "scripted") -> None:
        self.name = name
        self.requests: list[ModelRequest] = []
        self.reached = asyncio.Event()
        self.hang = False
        answers = iter(() if callable(script) else script)
        self._next = script if callable(script) else lambda _: next(answers)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        self.requests.append(request)
        answer = self._next(request)
        if isinstance(answer, Exception):
            yield TextChunk("half of")
            raise answer
        text, reason = (answer, "stop") if isinstance(answer, str) else answer
        for start in range(0, len(text), 7):
            yield TextChunk(text[start : start + 7])
        self.reached.set()
        if self.hang:
            await asyncio.Event().wait()
        yield FinishChunk(reason, Usage(100, 20))

    async def close(self) -> None:
        """Nothing is open."""

    def asked(self, index: int = -1) -> str:
        """The material of one request."""
        return self.requests[index].messages[1].text  # type: ignore[union-attr]


def compressor(model: ScriptedModel, window: int = 100_000, target: int = 400) -> Compressor:
    return Compressor(model, window, 32_768, target)


def conversation(turns: int, words: int = 60) -> Conversation:
    """`turns` of a prompt, an answer with two calls, their results and a last word; each has facts of its own."""
    made = Conversation()
    for turn in range(turns):
        made.say(f"prompt {turn}: " + f"please{turn} " * words)
        calls = tuple(ToolCall(f"c{turn}.{call}", "clock", f'{{"fact": "F{turn}.{call}"}}') for call in range(2))
        made.answer(AssistantMessage("", calls))
        for call in calls:
            made.result(ToolResult(call.id, call.name, f'{{"found": "result of {call.id}"}}', ok=True))
        made.answer(AssistantMessage(f"answer {turn}"))
    return made


def request_of(made: Conversation, max_tokens: int = 50) -> ModelRequest:
    return ModelRequest(made.request("be brief"), (TOOL,), max_tokens)


def assert_sendable(made: Conversation) -> None:
    """The very JSON that the provider sends is one that servers accept."""
    provider = Provider("x:y", "scripted")
    spec = ModelSpec(EntryId("app", "m"), "scripted", "", (provider,), 1_000, 100)
    check_sendable(request_body(spec, provider, request_of(made)))


class Room:
    """A conversation with its compaction, anew for each turn."""

    def __init__(self, made: Conversation, *models: ScriptedModel, window: int, target: int = 400) -> None:
        self.made = made
        self.events: list[Event] = []
        self.counter = TokenCounter("scripted")
        self._compressors = [partial(compressor, model, target=target) for model in models]
        self._window = window
        self.turn = self.next_turn()

    def next_turn(self) -> Compaction:
        self.turn = Compaction(
            self.made, self.counter, self._compressors, self.events.append, window=lambda: self._window, threshold=0.75
        )
        return self.turn

    def request(self) -> ModelRequest:
        return request_of(self.made)

    async def tokens(self, **changes: object) -> int:
        return await self.counter.count(replace(self.request(), **changes))  # type: ignore[arg-type]
