"""Numbers in the arguments of a command."""

from __future__ import annotations


def number(text: str, most: int) -> int | None:
    """The number from 1 to `most` that `text` is; None when it is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        return None
    return int(text)
