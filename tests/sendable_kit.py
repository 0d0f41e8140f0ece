"""Whether a request to a model is one that a provider accepts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any


def check_sendable(body: Mapping[str, Any]) -> None:
    """What providers refuse: a call without its one result behind it, a result without a call, an empty answer."""
    json.dumps(body, allow_nan=False).encode()
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    assert len(names) == len(set(names))
    open_calls: list[str] = []
    seen: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            assert message["tool_call_id"] in open_calls, message
            open_calls.remove(message["tool_call_id"])
            continue
        assert not open_calls, f"calls without a result before {message}"
        if isinstance(message["content"], list):
            check_parts(message)
        if message["role"] == "assistant":
            calls = message.get("tool_calls", [])
            assert (message["content"] or "").strip() or calls
            open_calls = [call["id"] for call in calls]
            assert not seen & set(open_calls) and len(set(open_calls)) == len(open_calls)
            seen |= set(open_calls)
            for call in calls:
                arguments = json.loads(call["function"]["arguments"], parse_constant=_refuse)
                assert isinstance(arguments, dict)
                json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    assert not open_calls


def check_parts(message: Mapping[str, Any]) -> None:
    """Only the person shows images; each is whole, of a type that is taken, and stands behind the text."""
    assert message["role"] == "user"
    said, *images = message["content"]
    assert said["type"] == "text" and said["text"].strip() and images
    for image in images:
        assert image["type"] == "image_url"
        head, _, content = image["image_url"]["url"].partition(";base64,")
        assert head.startswith("data:image/") and head.removeprefix("data:image/") in {"png", "jpeg", "gif", "webp"}
        assert base64.b64decode(content, validate=True)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
