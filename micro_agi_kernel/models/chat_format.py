"""The conversation as chat completions have it: our request as JSON, and the pieces of an answer joined.

What a server sends is checked field by field: compatible servers differ in nearly all of them.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from micro_agi_kernel.messages import (
    TOOL_NAME_LENGTH,
    AssistantMessage,
    Message,
    ModelRequest,
    ReasoningChunk,
    SystemMessage,
    TextChunk,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    UserMessage,
    as_tool_name,
)
from micro_agi_kernel.models.bounds import MOST_CALLS
from micro_agi_kernel.models.catalog import MOST, STRUCTURED_OUTPUT, ModelSpec, Provider
from micro_agi_kernel.models.thinking import InlineThoughts
from micro_agi_kernel.parameters import json_text

CUT = "[interrupted]"
"""What tells the model that its earlier answer was cut."""

IMAGES = 10 << 20
"""Bytes of all images of one request, which sends those of the whole conversation again: below what servers take
(OpenAI 50 MB, in base64), and built in some hundredths of a second."""

_EFFORTS = ((0, "minimal"), (24, "low"), (59, "medium"), (89, "high"))
_CALL_ID = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
_OF_AN_ID = 128
"""Characters by which ids are told apart until they are made valid; the rest is let go at once."""


def request_body(spec: ModelSpec, provider: Provider, request: ModelRequest) -> dict[str, object]:
    """The JSON of one request for a streamed answer."""
    body: dict[str, object] = {
        "model": provider.model,
        "messages": list(_messages(request.messages, sees_images=spec.sees_images)),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if provider.reasoning:
        body["max_completion_tokens"] = request.max_tokens
        effort = spec.thinking_effort if request.thinking_effort is None else request.thinking_effort
        if effort is not None:
            body["reasoning_effort"] = next((name for most, name in _EFFORTS if effort <= most), "xhigh")
    else:
        body["max_tokens"] = request.max_tokens
        body["temperature"] = request.temperature
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.answer_schema is not None and STRUCTURED_OUTPUT in spec.capabilities:
        form = {"name": "answer", "strict": True, "schema": request.answer_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


@dataclass(slots=True)
class _OpenCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Answer:
    """One answer, growing with each event of the stream."""

    def __init__(self, room: int) -> None:
        """`room`: the characters that it may have; an event is at least one."""
        self.finish: str | None = None
        """The server's finish reason; None while (and if) there is none."""
        self.usage = Usage()
        self._room = room
        self.said = 0
        """Events that brought something of the answer."""
        self._thoughts = InlineThoughts()
        self._halves = {"words": "", "thoughts": ""}
        """The first half of a surrogate pair, whose second one the next piece may bring."""
        self._calls: list[_OpenCall] = []
        self._at_index: dict[int, _OpenCall] = {}

    @property
    def is_too_long(self) -> bool:
        """It has more characters or calls than an answer can have."""
        return self._room < 0 or len(self._calls) > MOST_CALLS

    def add(self, event: object) -> Iterator[TextChunk | ReasoningChunk]:
        """Take one event in; what can be shown at once comes out."""
        event = _mapping(event)
        self.add_usage(event)
        choices = event.get("choices")
        choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
        delta = _mapping(choice.get("delta"))
        ends = _text(choice.get("finish_reason"))
        if reasoning := self._joined("thoughts", delta, "reasoning_content", "reasoning", last=ends):
            self._thoughts.are_told_apart()
            yield ReasoningChunk(reasoning)
        if text := self._joined("words", delta, "content", "refusal", last=ends):
            yield from self._thoughts.add(text)
        fragments = delta.get("tool_calls")
        fragments = fragments[: MOST_CALLS + 1] if isinstance(fragments, list) else []
        for fragment in fragments:
            self._add_fragment(_mapping(fragment))
        self._room -= len(reasoning) + len(text) or 1
        self.said += bool(reasoning or text or fragments)
        if ends:
            self.finish = ends[:32]
            yield from self._thoughts.end()

    def add_usage(self, event: object) -> None:
        """Take in what an event says of the usage, and nothing else of it."""
        if usage := _mapping(_mapping(event).get("usage")):
            self.usage = _most(self.usage, _usage(usage))

    def calls(self, messages: Iterable[Message]) -> Iterator[ToolCall]:
        """The calls in the order in which they were begun, with names and ids valid in the conversation `messages`.

        The last one may be cut when the finish reason is "length".
        """
        return valid_calls((ToolCall(call.id, call.name, "".join(call.arguments)) for call in self._calls), messages)

    def _joined(self, kind: str, delta: Mapping[str, Any], *names: str, last: str) -> str:
        """The text under the first of `names` that has one, with the half of a character that came before it."""
        piece = next((text for name in names if isinstance(text := delta.get(name), str) and text), "")
        text = self._halves[kind] + piece
        whole = text if last or not "\ud800" <= text[-1:] <= "\udbff" else text[:-1]
        self._halves[kind] = text[len(whole) :]
        return whole_characters(whole)

    def _add_fragment(self, fragment: Mapping[str, Any]) -> None:
        function = _mapping(fragment.get("function"))
        id, name, arguments = fragment.get("id"), _text(function.get("name")), function.get("arguments")
        id = id[:_OF_AN_ID] if isinstance(id, str) else ""
        call = self._call_of(fragment.get("index"), id, name)
        call.id = call.id or id
        if name != call.name:  # some servers repeat the name in each fragment
            call.name += name
        if arguments is not None:
            piece = arguments if isinstance(arguments, str) else json.dumps(arguments)
            call.arguments.append(piece)
            self._room -= len(piece)
        self._room -= len(name)

    def _call_of(self, index: object, id: str, name: str) -> _OpenCall:
        """The call that a fragment continues, or a new one.

        Servers exist that give every call the same index, or none: there a new id with a name begins a call.
        """
        call = self._at_index.get(index) if isinstance(index, int) else next(reversed(self._calls), None)
        if call is None or (id and name and call.id and id != call.id):
            call = _OpenCall()
            self._calls.append(call)
            if isinstance(index, int):
                self._at_index[index] = call
        return call


def valid_calls(calls: Iterable[ToolCall], messages: Iterable[Message]) -> Iterator[ToolCall]:
    """`calls` with names and ids that are valid in the conversation `messages`, and unique there."""
    used = {call.id for message in messages if isinstance(message, AssistantMessage) for call in message.calls}
    for call in calls:
        id = call.id
        if id in used or not _CALL_ID.fullmatch(id):
            id = f"call_{uuid.uuid4().hex[:24]}"
        used.add(id)
        name = as_tool_name(call.name)[:TOOL_NAME_LENGTH] or "unnamed"
        yield ToolCall(id, name, whole_characters(call.arguments) or "{}")


def whole_characters(text: str) -> str:
    """`text` with halves of surrogate pairs joined and lone ones replaced.

    JSON escapes can bring them in, and UTF-8 cannot carry them out again.
    """
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _messages(messages: Sequence[Message], *, sees_images: bool) -> Iterator[dict[str, object]]:
    sent = _images_sent(messages) if sees_images else [frozenset[int]()] * len(messages)
    for message, images in zip(messages, sent, strict=True):
        match message:
            case SystemMessage(text):
                yield {"role": "system", "content": whole_characters(text)}
            case UserMessage():
                yield {"role": "user", "content": _said(message, images, sees_images=sees_images)}
            case AssistantMessage(text, calls, interrupted):
                # Servers refuse one without a word, which an interrupt before the first leaves.
                if text.strip() or calls:
                    yield _assistant(f"{text} {CUT}" if interrupted else text, calls)
            case ToolResult(call_id, _, content):
                yield {"role": "tool", "tool_call_id": call_id, "content": whole_characters(content)}


def _images_sent(messages: Sequence[Message]) -> tuple[frozenset[int], ...]:
    """For each message which of its images the request has room for, the newest messages first."""
    room, sent = IMAGES, []
    for message in reversed(messages):
        found = set()
        for at, image in enumerate(message.images if isinstance(message, UserMessage) else ()):
            room -= len(image.data)
            if image.data and room >= 0:
                found.add(at)
        sent.append(frozenset(found))
    return tuple(reversed(sent))


def _said(message: UserMessage, sent: frozenset[int], *, sees_images: bool) -> object:
    """The content of what the person said: text, and parts where there are images to send."""
    text = message.text + message.attached
    why = "it is not here any more" if sees_images else "this model sees no images"
    parts: list[object] = []
    for at, image in enumerate(message.images):
        if at in sent:
            url = f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
        else:
            text += f"\n[the image {json_text(image.name)} was left out: {why}]"
    text = whole_characters(text)
    return [{"type": "text", "text": text}, *parts] if parts else text


def _assistant(text: str, calls: tuple[ToolCall, ...]) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": whole_characters(text) if text.strip() else None}
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _object_text(call.arguments)},
            }
            for call in calls
        ]
    return message


def _object_text(arguments: str) -> str:
    """`arguments` when they are an object of strict JSON; else the same text inside one.

    Several servers parse the arguments of past calls, and one malformed call would make the conversation
    unsendable for good.
    """
    try:
        value = json.loads(arguments)
        if isinstance(value, dict):
            # NaN, what is beyond any number, and halves of surrogate pairs, which escapes bring in, fail here.
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
            return arguments
    except (ValueError, RecursionError):
        pass
    return json.dumps({"malformed_arguments": whole_characters(arguments)}, ensure_ascii=False)


def _tool(tool: ToolSpec) -> dict[str, object]:
    # An object schema without properties is refused by the provider, and an empty Lua table arrives as a list.
    properties = tool.schema.get("properties")
    schema = {**tool.schema, "type": "object", "properties": properties if isinstance(properties, dict) else {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": whole_characters(tool.description), "parameters": schema},
    }


def _usage(usage: Mapping[str, Any]) -> Usage:
    """The counts under OpenAI's names, else under those of others: DeepSeek's and Moonshot's for cached tokens."""
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    of_prompt, of_completion = (_mapping(usage.get(f"{part}_tokens_details")) for part in ("prompt", "completion"))
    cached = (of_prompt.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens"))
    reasoning = max(_count(of_completion.get("reasoning_tokens")), _count(usage.get("reasoning_tokens")))
    total = _count(usage.get("total_tokens"))
    if total == prompt + completion + reasoning or (reasoning > completion and total != prompt + completion):
        completion = min(completion + reasoning, MOST)  # it stands beside the completion, and is no part of it
    return Usage(prompt, completion, min(prompt, max(map(_count, cached))), min(completion, reasoning))


def _most(one: Usage, other: Usage) -> Usage:
    """The larger of each count: reports grow with the stream, and at some servers the last one is empty."""
    pairs = zip(astuple(one), astuple(other), strict=True)
    return Usage(*(max(pair) for pair in pairs))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return whole_characters(value) if isinstance(value, str) else ""


def _count(value: Any) -> int:
    """A number of tokens; at most MOST, and none for what is no number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(min(value, MOST)) if is_number and value > 0 else 0
