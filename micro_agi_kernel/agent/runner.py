"""One model step: a request goes out, events come back, and the answer is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import assert_never

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.events import Event, Notice, ReasoningDelta, TextDelta, UsageReport
from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.messages import (
    AssistantMessage,
    CallChunk,
    FinishChunk,
    ModelRequest,
    NoteChunk,
    ReasoningChunk,
    RetryChunk,
    TextChunk,
    ToolCall,
)


@dataclass(slots=True)
class Step:
    """The answer of a model as it grows; whole when `finish` is set."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: FinishChunk | None = None

    @property
    def message(self) -> AssistantMessage:
        """What the conversation keeps: an unfinished answer keeps its text, and none of its calls."""
        if self.finish is None:
            return AssistantMessage(self.text, interrupted=True)
        return AssistantMessage(self.text, self.calls)

    @property
    def is_wordless(self) -> bool:
        """Nothing was said and nothing called; there may be thoughts."""
        return not self.text.strip() and not self.calls

    @property
    def reason(self) -> str:
        """The provider's, why the answer ended; empty when it did not."""
        return self.finish.reason if self.finish is not None else ""

    @property
    def cut(self) -> bool:
        """The token limit cut the answer inside a tool call, which must not run then."""
        return self.reason == "length" and bool(self.calls)


async def run_step(model: Model, request: ModelRequest, step: Step, emit: Callable[[Event], None]) -> None:
    """Fill `step` with the model's answer to `request`, and tell `emit` what arrives.

    Raises ModelError when the answer did not come whole; `step` then holds what was shown.
    """
    pieces: list[str] = []
    try:
        async with aclosing(model.stream(request)) as chunks:
            async for chunk in chunks:
                match chunk:
                    case TextChunk(text):
                        pieces.append(text)
                        emit(TextDelta(text))
                    case ReasoningChunk(text):
                        emit(ReasoningDelta(text))
                    case CallChunk(call):
                        step.calls += (call,)
                    case RetryChunk(line) | NoteChunk(line):
                        emit(Notice(line))
                    case FinishChunk(reason):
                        step.finish = chunk
                        if reason == "content_filter":
                            step.calls = ()  # it may have cut one of them
                    case _:
                        assert_never(chunk)
    finally:
        step.text = "".join(pieces)
    if step.finish is None:
        raise ModelError(f"{model.name} broke off in the middle of its answer; ask again")
    emit(UsageReport(model.name, step.finish.usage))
