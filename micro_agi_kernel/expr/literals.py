"""What literals mean: the escapes of strings, and numbers."""

from __future__ import annotations

import math
import re

from micro_agi_kernel.expr.budget import MAX_NUMBER
from micro_agi_kernel.go_time import MAX_INT64
from micro_agi_kernel.values import shorten

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|(?P<octal>[0-3][0-7]{2})|x(?P<byte>[0-9a-fA-F]{2})"
    r"|u\{(?P<braces>[0-9a-fA-F]{1,6})\}|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8})|(?P<bad>(?s:.)|\Z))"
)


def unquote(body: str, quote: str) -> str:
    """The text that `body` stands for. Raises ValueError for a bad escape."""
    return _ESCAPE.sub(lambda match: _char(match, quote), body) if "\\" in body else body


def unquote_bytes(body: str, quote: str) -> bytes:
    """The bytes that `body` stands for: escapes are single bytes, other text is UTF-8. Raises ValueError."""
    parts, at = [], 0
    for match in _ESCAPE.finditer(body):
        if match["braces"] or match["four"] or match["eight"]:
            raise ValueError(f"bad escape {match[0]!r} in bytes")
        parts += [body[at : match.start()].encode(), _char(match, quote).encode("latin-1")]
        at = match.end()
    return b"".join((*parts, body[at:].encode("utf-8", "replace")))


def _char(match: re.Match[str], quote: str) -> str:
    if simple := match["simple"]:
        if simple in "'\"" and simple != quote:
            raise ValueError(f"bad escape {match[0]!r}")
        return _SIMPLE.get(simple, simple)
    digits = match["byte"] or match["braces"] or match["four"] or match["eight"]
    if not digits and not match["octal"]:
        raise ValueError(f"bad escape {match[0]!r}")
    code = int(match["octal"], 8) if match["octal"] else int(digits, 16)
    if code > 0x10FFFF:
        raise ValueError(f"bad escape {match[0]!r}")
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


_FLOAT = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?")


def read_number(literal: str) -> int | float:
    """Raises ValueError for what is no number, or too large for its type."""
    text = literal.replace("_", "").lower()
    if len(text) > MAX_NUMBER:
        raise ValueError(f"bad number {shorten(literal, 40)}: of more than {MAX_NUMBER:,} characters")
    if not text.startswith("0x") and re.search(r"[.e]", text):
        if not _FLOAT.fullmatch(text) or math.isinf(float(text)):
            raise ValueError(f"bad number {shorten(literal, 40)}")
        return float(text)
    base = {"0x": 16, "0b": 2, "0o": 8}.get(text[:2], 10)
    digits = text if base == 10 else text[2:]
    significant = digits.lstrip("0") or digits[:1]
    if not significant or "." in digits or len(significant) > 64 or int(significant, base) > MAX_INT64:
        raise ValueError(f"bad number {shorten(literal, 40)}: an integer has 64 bits")
    return int(significant, base)
