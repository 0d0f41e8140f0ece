"""Values in a command's answer, and numbers in its arguments."""

from __future__ import annotations

from micro_agi_kernel.markdown_text import fenced
from micro_agi_kernel.values import Json, head_and_tail, shown_json

SHOWN = 32_768
"""Characters of a value that are shown, head and tail; the session's log has all of it."""


def number(text: str, most: int) -> int | None:
    """The number from 1 to `most` that `text` is; None when it is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        return None
    return int(text)


def value_text(value: Json) -> str:
    """What a call gave, as a block: text as it is, anything else as JSON; "" for nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return fenced(head_and_tail(value, SHOWN))
    return fenced(shown_json(value, SHOWN), "json")
