"""What a call gave and what it displayed, as the content of a result: bounded, and without hidden characters."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from mcp_types import CallToolResult, ContentBlock, EmbeddedResource, ImageContent, TextContent, TextResourceContents

from micro_agi_kernel.agent.results import error_json, failure, outcome_json, to_text
from micro_agi_kernel.arguments import require_usable
from micro_agi_kernel.errors import CallError
from micro_agi_kernel.frontends.output_text import display_text
from micro_agi_kernel.frontends.text import inert_json, plain
from micro_agi_kernel.interfaces import MIB, CallOutcome
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.outputs import JSON_FORMS, PICTURE_FORMS, TEXT_FORMS
from micro_agi_kernel.values import Json, Value, head_and_tail

RESULT = 65_536
"""Characters of a result, head and tail: a client's model has to read it."""

_DISPLAYS = 16
"""Displays that go to the client."""
_DISPLAY_TEXT = 16_384
"""Characters of one that is text."""
_PICTURES = 4 * MIB
"""Bytes of all pictures together."""

_DESCRIPTION = 8_192
_SCHEMA = 65_536
"""Characters."""


class Displays:
    """What one call displays: the first so many, pictures as pictures, data as data, anything else as text."""

    def __init__(self) -> None:
        self.content: list[ContentBlock] = []
        self._left_out = 0
        self._room = _PICTURES

    def add(self, data: Mapping[str, Value]) -> None:
        """One more display: its forms by MIME type."""
        if len(self.content) >= _DISPLAYS:
            self._left_out += 1
            return
        for form in PICTURE_FORMS:
            picture = data.get(form)
            if isinstance(picture, bytes) and len(picture) <= self._room:
                self._room -= len(picture)
                encoded = base64.b64encode(picture).decode("ascii")
                self.content.append(ImageContent(type="image", data=encoded, mime_type=form))
                return
        form = next((form for form in data if form in JSON_FORMS), "")
        text = inert_json(json.dumps(data[form], ensure_ascii=False)) if form and not TEXT_FORMS & {*data} else ""
        if form and 0 < len(text) <= RESULT:
            resource = TextResourceContents(uri=f"micro-agi:display/{len(self.content)}", mime_type=form, text=text)
            self.content.append(EmbeddedResource(type="resource", resource=resource))
        else:
            self.content.append(text_content(plain(head_and_tail(display_text(data), _DISPLAY_TEXT))))

    def all(self) -> list[ContentBlock]:
        """The content, with a line about what is left out."""
        note = [text_content(f"{self._left_out:,} more displays are left out")] if self._left_out else []
        return [*self.content, *note]


def result_of(outcome: CallOutcome, displays: Displays) -> CallToolResult:
    """The result of a call: its value first; `{"error": {kind, message, retryable?}}` when it failed."""
    value = outcome_json(outcome)
    return CallToolResult(
        content=[text_content(value_text(value)), *displays.all()], is_error=failure(value) is not None
    )


def error_result(error: CallError) -> CallToolResult:
    """The result of a call that did not come to run."""
    return CallToolResult(content=[text_content(value_text(error_json(error)))], is_error=True)


def value_text(value: Json) -> str:
    """Text as it is, anything else as JSON; of what is long head and tail."""
    if isinstance(value, str):
        return plain(head_and_tail(value, RESULT))
    return inert_json(to_text(value, RESULT))


def text_content(text: str) -> TextContent:
    """`text`, which is safe already, as one piece of content."""
    return TextContent(type="text", text=text)


def plain_description(text: str) -> str:
    """What a tool says of itself, for a client's model and its person."""
    return plain(text[:_DESCRIPTION])


def plain_schema(schema: Mapping[str, Json]) -> dict[str, Any]:
    """A tool's schema with its words for people made plain.

    What is too long, hides characters elsewhere or is no schema (a person may commit anything) is left out: a call is
    held to the whole schema all the same.
    """
    shown = _described(dict(schema))
    text = json.dumps(shown, ensure_ascii=False)
    if len(text) > _SCHEMA or _hides(shown) or not isinstance(shown, dict):
        return {"type": "object"}
    try:
        require_usable(text)
    except BadSchema:
        return {"type": "object"}
    return shown


def _hides(value: Json) -> bool:
    match value:
        case str():
            return plain(value) != value
        case dict():
            return any(_hides(key) or _hides(item) for key, item in value.items())
        case list():
            return any(map(_hides, value))
        case _:
            return False


def _described(value: Json) -> Json:
    match value:
        case dict():
            return {
                key: plain(item) if key in ("title", "description") and isinstance(item, str) else _described(item)
                for key, item in value.items()
            }
        case list():
            return [_described(item) for item in value]
        case _:
            return value
