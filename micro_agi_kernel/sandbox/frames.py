"""What travels between main and a child: length-prefixed JSON, and the checks that make it safe to read.

A frame is a u32 (big-endian) and that many bytes, at most MAX_FRAME. The top bit of the u32 says that the
message goes on in the next frame, which only a full one may say; a message is at most MAX_MESSAGE. A message is
one JSON object.

Values in a message are JSON with one addition: bytes are `{"$b": text}`, one character for each byte: U+00XX, or
U+01XX where JSON would need an escape.
A key of an honest object that begins with "$" travels with a second "$" before it, so the two cannot be
mistaken for one another. NaN and the infinities travel as null; with `all_numbers`, between a module's Lua and its
Python, as the words NaN, Infinity and -Infinity.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Collection
from typing import Any

import jiter

from micro_agi_kernel.values import MAX_DEPTH, Value

MAX_FRAME = 1 << 20
MAX_VALUE = 8 << 20
"""Bytes of JSON that one value may take (a result, an input, a request, an answer)."""
MAX_MESSAGE = MAX_VALUE + (64 << 10)

MAX_ITEMS = 2_000_000
"""Commas and opening brackets of one message: a small text can stand for a hundred times as much memory."""

_MORE = 1 << 31
_ENVELOPE_DEPTH = 2
"""Levels that a message adds above a value."""


class FrameError(Exception):
    """The bytes are no honest message."""


# -- framing


def pack(message: bytes) -> bytes:
    """The frames of `message`. Raises FrameError when it is larger than MAX_MESSAGE."""
    if len(message) > MAX_MESSAGE:
        raise FrameError(f"larger than {MAX_VALUE >> 20} MiB")
    if len(message) <= MAX_FRAME:
        return len(message).to_bytes(4) + message
    parts: list[bytes] = []
    for start in range(0, len(message), MAX_FRAME):
        part = message[start : start + MAX_FRAME]
        more = _MORE if start + MAX_FRAME < len(message) else 0
        parts += [(len(part) | more).to_bytes(4), part]
    return b"".join(parts)


def unpack_header(header: bytes, so_far: int) -> tuple[int, bool]:
    """(length of the frame, whether the message goes on after it), for a message of `so_far` bytes until now."""
    word = int.from_bytes(header)
    length, more = word & ~_MORE, bool(word & _MORE)
    # A message in many tiny frames would cost the reader far more than its size.
    if not 0 < length <= MAX_FRAME or (more and length < MAX_FRAME) or so_far + length > MAX_MESSAGE:
        raise FrameError(f"a frame of {length} bytes after {so_far}")
    return length, more


# -- values


def _encoder(all_numbers: bool) -> Callable[[object], str]:
    return json.JSONEncoder(
        ensure_ascii=False, allow_nan=all_numbers, check_circular=False, separators=(",", ":")
    ).encode


_compact, _compact_with_all = _encoder(all_numbers=False), _encoder(all_numbers=True)


def dumps(value: Value, *, all_numbers: bool = False) -> bytes:
    """The JSON of `value`. Raises FrameError when it is no Value: other types, cycles, lone surrogates."""
    compact = _compact_with_all if all_numbers else _compact
    try:
        try:
            text = compact(value)
        except (TypeError, ValueError):  # bytes, NaN: rare, so only now look at each value
            text = compact(_tagged(value, 0, all_numbers))
        else:
            if '"$' in text:
                text = compact(_tagged(value, 0, all_numbers))
        return text.encode()
    except UnicodeEncodeError as error:
        raise FrameError("text with a lone surrogate") from error
    except RecursionError as error:
        raise FrameError(f"nested deeper than {MAX_DEPTH}, or a cycle") from error


def loads(data: bytes, *, all_numbers: bool = False) -> Value:
    """The inverse of `dumps`. Raises FrameError for whatever `dumps` would not have written."""
    if _items(data) > MAX_ITEMS:
        raise FrameError("too many values")
    try:
        value = jiter.from_json(data, allow_inf_nan=all_numbers, catch_duplicate_keys=True, cache_mode="keys")
        _check([value], 0, all_numbers)
        return _untagged(value) if b'"$' in data or rb"\u0024" in data else value
    except ValueError as error:
        raise FrameError(f"no JSON of ours: {error}") from error


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def _items(data: bytes) -> int:
    """The commas and opening brackets of a JSON text, but for those in its strings."""
    items = _marks(data)
    return items if items <= MAX_ITEMS else _marks(_STRING.sub(b"", data))


def _marks(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


_BYTES = "".join(chr(byte + (0x100 if byte < 0x20 or byte in b'"\\' else 0)) for byte in range(256))
_UNBYTES = codecs.charmap_build(_BYTES)


def _tagged(value: object, depth: int, all_numbers: bool) -> object:
    if depth > MAX_DEPTH + _ENVELOPE_DEPTH:
        raise FrameError(f"nested deeper than {MAX_DEPTH}, or a cycle")
    match value:
        case bytes():
            return {"$b": codecs.charmap_decode(value, "strict", _BYTES)[0]}
        case float():
            return value if all_numbers or math.isfinite(value) else None
        case list() | tuple():
            return [_tagged(item, depth + 1, all_numbers) for item in value]
        case dict():
            return {_tagged_key(key): _tagged(item, depth + 1, all_numbers) for key, item in value.items()}
        case None | bool() | int() | str():
            return value
    raise FrameError(f"a {type(value).__name__} is no value")


def _tagged_key(key: object) -> str:
    if not isinstance(key, str):
        raise FrameError(f"a {type(key).__name__} is no key")
    return "$" + key if key.startswith("$") else key


def _check(items: Collection[Any], depth: int, all_numbers: bool) -> None:
    """Raise ValueError for JSON that no honest side sends: the parser knows neither our depth nor our numbers."""
    if depth > MAX_DEPTH + _ENVELOPE_DEPTH and items:
        raise ValueError("nested too deep")
    for item in items:
        kind = type(item)
        if kind is str:  # the parser has refused lone surrogates
            continue
        if kind is dict:
            _check(item.values(), depth + 1, all_numbers)
        elif kind is list:
            _check(item, depth + 1, all_numbers)
        elif kind is int:
            if not -(1 << 63) <= item < 1 << 63:
                raise ValueError("an integer beyond 64 bits")
        elif kind is float and not all_numbers and not math.isfinite(item):
            raise ValueError("a number beyond a double")


def _untagged(value: Value) -> Value:
    """`value` with bytes for tags and keys as they were. Raises ValueError for a tag that `dumps` does not make."""
    match value:
        case list():
            return [_untagged(item) for item in value]
        case {"$b": str(text), **rest} if not rest:
            return codecs.charmap_encode(text, "strict", _UNBYTES)[0]
        case dict():
            return {_untagged_key(key): _untagged(item) for key, item in value.items()}
    return value


def _untagged_key(key: str) -> str:
    if not key.startswith("$"):
        return key
    if not key.startswith("$$"):
        raise ValueError("a bad tag")
    return key[1:]
