"""What travels between main and a child: length-prefixed JSON, and the checks that make it safe to read.

A frame is a u32 (big-endian) and that many bytes, at most MAX_FRAME. The top bit of the u32 says that the
message goes on in the next frame; a message is at most MAX_MESSAGE. A message is one JSON object.

Values in a message are JSON with one addition: bytes are `{"$b": text}`, one character U+00XX for each byte.
A key of an honest object that begins with "$" travels with a second "$" before it, so the two cannot be
mistaken for one another. NaN and the infinities travel as null.
"""

from __future__ import annotations

import json
import math
from typing import Any

from micro_agi_kernel.values import MAX_DEPTH, Value

MAX_FRAME = 1 << 20
MAX_VALUE = 8 << 20
"""Bytes of JSON that one value may take (a result, an input, a request, an answer)."""
MAX_MESSAGE = MAX_VALUE + (64 << 10)

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
    if not 0 < length <= MAX_FRAME or so_far + length > MAX_MESSAGE:
        raise FrameError(f"a frame of {length} bytes after {so_far}")
    return length, more


# -- values


def dumps(value: Value) -> bytes:
    """The JSON of `value`. Raises FrameError when it is no Value: other types, cycles, lone surrogates."""
    try:
        try:
            text = _compact(value)
        except (TypeError, ValueError):  # bytes, NaN, a cycle: rare, so only now look at each value
            text = _compact(_tagged(value, 0))
        else:
            if '"$' in text:
                text = _compact(_tagged(value, 0))
        return text.encode()
    except UnicodeEncodeError as error:
        raise FrameError("text with a lone surrogate") from error
    except RecursionError as error:
        raise FrameError(f"nested deeper than {MAX_DEPTH}") from error


def loads(data: bytes) -> Value:
    """The inverse of `dumps`. Raises FrameError for whatever `dumps` would not have written."""
    try:
        return _checked(json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant), 0)
    except RecursionError as error:
        raise FrameError("nested too deep") from error
    except ValueError as error:
        raise FrameError(f"no JSON of ours: {error}") from error


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _tagged(value: object, depth: int) -> object:
    if depth > MAX_DEPTH + _ENVELOPE_DEPTH:
        raise FrameError(f"nested deeper than {MAX_DEPTH}, or a cycle")
    match value:
        case bytes():
            return {"$b": value.decode("latin-1")}
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_tagged(item, depth + 1) for item in value]
        case dict():
            return {_tagged_key(key): _tagged(item, depth + 1) for key, item in value.items()}
        case None | bool() | int() | str():
            return value
    raise FrameError(f"a {type(value).__name__} is no value")


def _tagged_key(key: object) -> str:
    if not isinstance(key, str):
        raise FrameError(f"a {type(key).__name__} is no key")
    return "$" + key if key.startswith("$") else key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _checked(value: Any, depth: int) -> Value:
    """`value` without tags. Raises ValueError (UnicodeEncodeError is one) for what no honest side sends."""
    if depth > MAX_DEPTH + _ENVELOPE_DEPTH:
        raise ValueError("nested too deep")
    match value:
        case None | bool():
            return value
        case str():
            return _text(value)
        case int():
            if not -(1 << 63) <= value < 1 << 63:
                raise ValueError("an integer beyond 64 bits")
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError("a number beyond a double")
            return value
        case list():
            return [_checked(item, depth + 1) for item in value]
    if value.keys() == {"$b"}:
        if not isinstance(value["$b"], str):
            raise ValueError("a bad tag")
        return value["$b"].encode("latin-1")
    return {_untagged_key(key): _checked(item, depth + 1) for key, item in value.items()}


def _text(text: str) -> str:
    if not text.isascii():
        text.encode()
    return text


def _untagged_key(key: str) -> str:
    if not key.startswith("$"):
        return _text(key)
    if not key.startswith("$$"):
        raise ValueError("a bad tag")
    return _text(key[1:])
