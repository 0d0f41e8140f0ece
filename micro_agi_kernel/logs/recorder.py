"""A model whose requests and answers go into the log of a session."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.logs.writer import SessionLog
from micro_agi_kernel.messages import (
    CallChunk,
    FinishChunk,
    ModelChunk,
    ModelRequest,
    ReasoningChunk,
    TextChunk,
    ToolCall,
)


class Recorder:
    """Asks a model, and puts what was sent and answered into a log."""

    def __init__(self, model: Model, log: SessionLog, *, summarizes: bool = False) -> None:
        """`summarizes`: it is asked about the conversation, and not by it."""
        self._model = model
        self._log = log
        self._summarizes = summarizes

    @property
    def name(self) -> str:
        return self._model.name

    async def close(self) -> None:
        await self._model.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """Answer `request` as the model does."""
        self._log.request(self.name, request, summarizes=self._summarizes)
        answer, why, started = _Answer(), "", time.monotonic()
        try:
            async with aclosing(self._model.stream(request)) as chunks:
                async for chunk in chunks:
                    answer.add(chunk)
                    yield chunk
        except MicroAgiError as error:
            why = str(error)
            raise
        finally:
            answer.model = self.name
            self._log.answer(answer.fields(), why, time.monotonic() - started)


@dataclass(slots=True)
class _Answer:
    """An answer of a model, as it grows."""

    model: str = ""
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    finish: FinishChunk | None = None

    def add(self, chunk: ModelChunk) -> None:
        match chunk:
            case TextChunk(text):
                self.text.append(text)
            case ReasoningChunk(text):
                self.reasoning.append(text)
            case CallChunk(call):
                self.calls.append(call)
            case FinishChunk():
                self.finish = chunk

    def fields(self) -> Mapping[str, object]:
        """What the log says of it."""
        return {
            "model": self.model,
            "text": "".join(self.text),
            "reasoning": "".join(self.reasoning),
            "calls": self.calls,
            "finish": self.finish.reason if self.finish else None,
            "usage": self.finish.usage if self.finish else None,
        }
