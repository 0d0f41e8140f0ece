"""How many tokens a request has: the provider's word where there is one, else tiktoken's, else an estimate.

tiktoken downloads a vocabulary when it first needs one. Here it never does: what lies in its cache on this machine is
used, and where nothing lies there the estimate takes its place, at once and without a word.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from threading import Lock

from micro_agi_kernel.imports import importing
from micro_agi_kernel.messages import AssistantMessage, Message, ModelRequest, ToolResult, ToolSpec, Usage, UserMessage

PER_MESSAGE = 8
"""Tokens for role and separators of a message, a call or a tool; OpenAI's format takes 3 to 8."""

PER_IMAGE = 1_500
"""Tokens of an image, whatever its size: a flat figure, rather too high. OpenAI's models that count tiles of 512 pixels
take at most 1,445 (gpt-4o: 85, and 170 for each of 8 tiles)."""

BELIEVED = 5
"""A server's count counts unless it is this many times more or less than ours: some leave out what they had cached, and
some add up all requests. Ours is at most 3 times too high in what was measured."""

_PIECES = re.compile(
    r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|\s{2,}|[\t\r\n]|[!-/:-@\[-`{-~]+|[\u0080-\u0eff]+|[\u3000-\u9fff\uac00-\ud7a3]+|[^ -~]"
)
_SLICE = 4_096
"""Characters handed to tiktoken at once: its time grows with the square of a run without spaces."""

_AT_ONCE = 2_048
"""Characters that are estimated in about the time that a thread needs to be asked and to answer, 0.15 ms."""

_loading = Lock()


def estimate(text: str) -> int:
    """About the tokens of `text`, rather too many than too few.

    Measured against o200k_base, the vocabulary of OpenAI's models since GPT-4o: 0.9 to 1.4 times the true number for
    English, German, code, JSON, HTML, base64 and numbers; 2 to 3 times for languages in other scripts (1 to 1.6 times
    that of the older cl100k_base, but 0.8 for German and Hindi); too low, at 0.75, for rare Chinese characters only.
    """
    tokens = 0
    for piece in _PIECES.findall(text):
        length, first = len(piece), piece[0]
        if "a" <= piece[-1] <= "z":
            tokens += 1 + length // 8
        elif "A" <= first <= "Z":
            tokens += (length + 2) // 2
        elif "0" <= first <= "9":
            tokens += (length + 2) // 3
        elif first.isspace():
            tokens += 1 + length // 16
        elif first < "\x80":
            tokens += 1 + (length - 1) * 2 // 3
        elif first < "\u0f00":
            tokens += 1 + length * 3 // 4
        elif "\u3000" <= first <= "\ud7a3":
            tokens += 1 + length * 5 // 4
        else:
            tokens += 2
    return tokens + tokens // 7 + 1


class TokenCounter:
    """Counts the requests of one conversation with one model."""

    def __init__(self, model: str) -> None:
        """`model`: its name, by which tiktoken knows a vocabulary, or does not."""
        self.model = model
        self._anchor: tuple[ModelRequest, int] | None = None
        self._estimates: dict[str, int] = {}
        self._encode: Callable[[str], int] | None = None
        self._looked = False
        self._tools: tuple[tuple[ToolSpec, ...], list[str]] = ((), [])
        """Those of the newest request, and what the model reads of them."""

    def learn(self, request: ModelRequest, usage: Usage) -> None:
        """Take the provider's word for the prompt of `request`, which was just answered; 0 tokens are no word."""
        if usage.prompt:
            self._anchor = (request, usage.prompt)

    async def count(self, request: ModelRequest, enough: int = 0) -> int:
        """The prompt tokens of `request`, counted on a thread unless that is quicker than going there.

        With the provider's word for an earlier request: that, and our estimate of what came since (or its share that is
        left, when the conversation became shorter). Without: the estimate while it is below `enough`, else tiktoken's.
        """
        if sum(len(text) for text in self._texts(request) if text not in self._estimates) <= _AT_ONCE:
            counted = self._estimated(request, enough)
            if counted is not None:
                return counted
        return await asyncio.to_thread(self._count, request, enough)

    def _count(self, request: ModelRequest, enough: int) -> int:
        counted = self._estimated(request, enough)
        if counted is not None:
            return counted
        if not self._looked:
            self._encode, self._looked = _cached_encoder(self.model), True
        texts, encode = self._texts(request), self._encode
        tokens = sum(self._estimates[text] if encode is None else encode(text) for text in texts)
        return tokens + PER_MESSAGE * len(texts) + _of_images(request)

    def _estimated(self, request: ModelRequest, enough: int) -> int | None:
        """What `count` says where it needs no tiktoken; None where it does."""
        known, now = self._estimates, dict[str, int]()

        def total(request: ModelRequest) -> int:
            texts = self._texts(request)
            for text in texts:
                now[text] = known[text] if text in known else estimate(text)
            return sum(now[text] + PER_MESSAGE for text in texts) + _of_images(request)

        ours = total(request)
        anchor = self._anchor
        then = total(anchor[0]) if anchor is not None else 0
        self._estimates = now  # what is no longer sent is forgotten
        if anchor is not None and then / BELIEVED <= anchor[1] <= then * BELIEVED:
            return anchor[1] + ours - then if ours >= then else anchor[1] * ours // then
        return ours if ours < enough else None

    def _texts(self, request: ModelRequest) -> list[str]:
        """All that the model reads of `request`."""
        if self._tools[0] != request.tools:
            self._tools = (request.tools, [_of_tool(tool) for tool in request.tools])
        return [*(text for message in request.messages for text in _of_message(message)), *self._tools[1]]


def _of_message(message: Message) -> Iterator[str]:
    match message:
        case AssistantMessage(text, calls):
            yield text
            for call in calls:
                yield f"{call.id} {call.name} {call.arguments}"
        case ToolResult(call_id, _, content):
            yield f"{call_id} {content}"
        case UserMessage(text, attached) if attached:
            yield text
            yield attached
        case _:
            yield message.text


def _of_images(request: ModelRequest) -> int:
    """The tokens of its images, for a model that sees them all."""
    return sum(PER_IMAGE * len(message.images) for message in request.messages if isinstance(message, UserMessage))


def _of_tool(tool: ToolSpec) -> str:
    return json.dumps([tool.name, tool.description, tool.schema], ensure_ascii=False)


def _cached_encoder(model: str) -> Callable[[str], int] | None:
    """tiktoken's count for `model`, when it knows the model and its vocabulary lies on this machine; else None."""
    with importing:
        try:
            import tiktoken
            import tiktoken.load
        except ImportError:
            return None
    with _loading:  # this replaces, for a moment, the one function by which tiktoken fetches what its cache lacks
        fetch, tiktoken.load.read_file = tiktoken.load.read_file, _refuse
        try:
            encoding = tiktoken.encoding_for_model(model)
        except Exception:  # unknown model, no vocabulary, a damaged one: all the same to us
            return None
        finally:
            tiktoken.load.read_file = fetch

    def count(text: str) -> int:
        slices = (text[start : start + _SLICE] for start in range(0, len(text), _SLICE))
        return sum(len(encoding.encode_ordinary(piece)) for piece in slices)

    return count


def _refuse(blobpath: str) -> bytes:
    raise OSError(f"not in the cache: {blobpath}")
