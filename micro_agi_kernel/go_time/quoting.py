"""How Go quotes a text in the errors of its `time` package."""

from __future__ import annotations

_LONGEST = 256


def quote(text: str) -> str:
    """`text` in quotation marks: these and backslashes escaped, every byte that is no printable ASCII as \\xNN.

    What comes after the first 256 bytes is dropped, so that an error line stays one.
    """
    shown = (f"\\x{octet:02x}" if not 32 <= octet < 128 else chr(octet) for octet in text.encode()[:_LONGEST])
    return '"' + "".join("\\" + char if char in '"\\' else char for char in shown) + '"'
