"""A tool's outcome as the model reads it: JSON text, bounded."""

from __future__ import annotations

import base64
import json

from micro_agi_kernel.errors import CallError
from micro_agi_kernel.interfaces import CallOutcome
from micro_agi_kernel.values import Json, Value, shorten


def outcome_json(outcome: CallOutcome) -> Json:
    """The value of an outcome, or `{"error": {kind, message, retryable?}}`."""
    return error_json(outcome.error) if outcome.error is not None else _without_bytes(outcome.value)


def error_json(error: CallError) -> dict[str, Json]:
    """`{"error": {kind, message, retryable?}}`."""
    return {"error": error.as_json()}


def failure(value: Json) -> str | None:
    """The reason in one line when `value` says that a tool failed (it has an `error` key), else None."""
    if not isinstance(value, dict) or value.get("error") in (None, False):
        return None
    error = value["error"]
    message = error.get("message") if isinstance(error, dict) else error
    return summary(str(message))


def summary(message: str) -> str:
    """`message` as the one line that a status line has room for."""
    return shorten(" ".join(message.split()), 300)


def to_text(value: Json, limit: int) -> str:
    """`value` as JSON; beyond `limit` characters head and tail, with a marker that says what is missing."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= limit:
        return text
    marker = f"\n... ({len(text) - limit} of {len(text)} characters left out) ...\n"
    return text[: limit * 3 // 4] + marker + text[len(text) - limit // 4 :]


def _without_bytes(value: Value) -> Json:
    """Bytes that are no text become base64 with a note."""
    match value:
        case bytes():
            return {"base64": base64.b64encode(value).decode("ascii"), "note": "binary data, not UTF-8 text"}
        case list():
            return [_without_bytes(item) for item in value]
        case dict():
            return {key: _without_bytes(item) for key, item in value.items()}
        case _:
            return value
