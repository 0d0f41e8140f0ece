"""What a server answered to a call, as the model reads it and as the person sees it."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from typing import Any

from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.mcp_client.words import clean_line
from micro_agi_kernel.outputs import PICTURE_FORMS, Display
from micro_agi_kernel.values import Json, check_json, many

MAX_BLOCKS = 1_000
"""Parts of one answer."""

MAX_FAILURE = 2_000
"""Characters of what a server says of a call that failed."""

MAX_PICTURES = 20
"""Of one answer, that are shown."""


def read_result(said_by: str, raw: Mapping[str, Any]) -> tuple[Json, list[Display]]:
    """The value of a call of the server of that namespace, and what it shows. `raw` is the result of `tools/call`.

    The value is `{said_by, text?, structured?, notes?}`. Raises Refused when the server says that the call failed, or
    answers with what is no result.
    """
    content = raw.get("content", [])
    blocks: list[Any] = content[:MAX_BLOCKS] if isinstance(content, list) else [None]
    complete = raw.get("resultType", "complete") == "complete"
    if not complete or not all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in blocks):
        raise Refused(ErrorKind.UNKNOWN, f"{said_by} answered with what is no result of a tool, or asks for input")
    texts, notes, shown = list[str](), list[str](), list[Display]()
    for block in blocks:
        _read_block(block, texts, notes, shown)
    if len(content) > MAX_BLOCKS:
        notes.append(f"{many(len(content) - MAX_BLOCKS, 'more part')} left out")
    text = "\n".join(texts)
    if raw.get("isError") is True:
        why = clean_line(text, MAX_FAILURE) or "it does not say why"
        raise Refused(ErrorKind.UNKNOWN, f"{said_by} says that it failed: {why}")
    value: dict[str, Json] = {"said_by": said_by}
    structured = raw.get("structuredContent")
    if text and not (structured is not None and _is_the_same(text, structured)):
        value["text"] = text
    if structured is not None:
        value["structured"] = structured
    if notes:
        value["notes"] = list[Json](notes)
    try:
        check_json(value, "it")
    except EntryError as error:
        raise Refused(ErrorKind.UNKNOWN, f"{said_by} answered with what cannot be passed on: {error}") from error
    return value, shown


def _read_block(block: dict[str, Any], texts: list[str], notes: list[str], shown: list[Display]) -> None:
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        texts.append(block["text"])
    elif kind == "image":
        notes.append(_read_picture(block, shown))
    elif kind == "resource" and isinstance(resource := block.get("resource"), dict):
        if isinstance(resource.get("text"), str):
            texts.append(resource["text"])
        else:
            notes.append(f"a file is left out: {_said(resource, 'uri')} ({_said(resource, 'mimeType')})")
    elif kind == "resource_link":
        notes.append(f"a link to {_said(block, 'uri')} ({_said(block, 'name')}); nothing opens it")
    else:
        notes.append(f"a part of the form {_said(block, 'type')} is left out")


def _read_picture(block: dict[str, Any], shown: list[Display]) -> str:
    """A note about a picture, which is shown if it is one that can be."""
    mime, data = block.get("mimeType"), block.get("data")
    if isinstance(mime, str) and mime in PICTURE_FORMS and isinstance(data, str) and len(shown) < MAX_PICTURES:
        try:
            picture = binascii.a2b_base64(data, strict_mode=True)
        except (binascii.Error, ValueError):
            picture = b""
        if picture.startswith(PICTURE_FORMS[mime]):
            shown.append(Display({mime: picture}))
            return f"a picture ({mime}, {len(picture):,} bytes): the person sees it, you do not"
    return f"a picture ({_said(block, 'mimeType')}) is left out"


def _said(block: Mapping[str, Any], key: str) -> str:
    value = block.get(key)
    return clean_line(value, 200) if isinstance(value, str) else "unknown"


def _is_the_same(text: str, structured: Any) -> bool:
    """Whether `text` is `structured` as JSON, as the protocol advises servers to write it."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return bool(found == structured)
