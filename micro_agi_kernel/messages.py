"""The conversation, provider-neutral: messages, tool calls and results, tool specs, usage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from micro_agi_kernel.values import Json


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class SystemMessage:
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the person shows."""

    name: str
    """Its file's, as the person wrote it."""
    mime: str
    """image/png, image/jpeg, image/gif or image/webp."""
    data: bytes = field(repr=False)
    """Empty: it is not here any more."""
    sha256: str
    """Of what `data` was."""


DIGEST = 16
"""Hex digits of a file's SHA-256 that stand beside it in `UserMessage.attached`."""


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the person said. Only `text` tells one prompt from another."""

    text: str
    """As it was written."""
    attached: str = ""
    """What is sent behind it of the files that it names."""
    images: tuple[Image, ...] = ()
    """Sent to a model that sees images."""


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model said. `interrupted`: it was cut, by the network or by the person, and `text` is partial."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to one ToolCall; `content` is JSON text, with an `error` key when `ok` is false."""

    call_id: str
    name: str
    content: str
    ok: bool


Message: TypeAlias = SystemMessage | UserMessage | AssistantMessage | ToolResult


NOT_AT_TOP = frozenset({"allOf", "anyOf", "enum", "not", "oneOf"})
"""Keywords that OpenAI refuses at the top of a tool's schema, and with the schema the whole request."""


TOOL_NAME_LENGTH = 64
"""Characters of a tool's name, as the strictest of the models' servers takes it."""

TOOL_NAME = re.compile(rf"[a-zA-Z0-9_-]{{1,{TOOL_NAME_LENGTH}}}")
"""The names that every provider takes."""


def as_tool_name(text: str) -> str:
    """`text` with `_` for each character that no tool's name has. Whoever makes a name of it cuts it to its length."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", text)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it. `name` matches `TOOL_NAME`; `schema` is a JSON Schema object."""

    name: str
    description: str
    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more requests. `cached` is part of `prompt`, `reasoning` part of `completion`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One step: the whole conversation and the tools that the model may call in its answer."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 512
    temperature: float = 0.0
    thinking_effort: int | None = None
    """Overrides the model's own; the scale is 0 to 100."""
    answer_schema: Mapping[str, Json] | None = None
    """JSON Schema that a model with structured output is held to; others are asked as if there were none."""


@dataclass(frozen=True, slots=True)
class TextChunk:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningChunk:
    text: str


@dataclass(frozen=True, slots=True)
class CallChunk:
    """A complete tool call: fragments are joined inside the provider."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class RetryChunk:
    """The request is sent again (before any text arrived); `reason` is one line for the person."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoteChunk:
    """One line for the person about the answer that comes."""

    text: str


@dataclass(frozen=True, slots=True)
class FinishChunk:
    """The end of an answer. `reason` is the provider's: "stop", "tool_calls", "length", "content_filter" ..."""

    reason: str
    usage: Usage = field(default_factory=Usage)


ModelChunk: TypeAlias = TextChunk | ReasoningChunk | CallChunk | RetryChunk | NoteChunk | FinishChunk
