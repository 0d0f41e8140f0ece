"""Frames and the values in them, read from a child that may say anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micro_agi_kernel.errors import CallError, ErrorKind
from micro_agi_kernel.outputs import Display, Printed, Progress
from micro_agi_kernel.sandbox import frames
from micro_agi_kernel.sandbox.frames import FrameError
from micro_agi_kernel.sandbox.protocol import MAX_ERROR_TEXT, Ask, End, Layer, Place, Ready, parse_child_message
from micro_agi_kernel.sandbox.workers import read_message
from micro_agi_kernel.values import MAX_DEPTH, Value

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
LEAVES = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | st.binary(max_size=20)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(["$", "$b", "$$b", "$x"])
VALUES = st.recursive(
    LEAVES | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)
HONEST = [
    {"t": "out", "text": "hi"},
    {"t": "ask", "id": 1, "op": "a.b", "payload": [1, {"k": "v"}]},
    {"t": "end", "value": 5},
    {"t": "end", "error": {"kind": "INVALID", "message": "no", "retryable": False}},
    {"t": "progress", "value": {"done": 1, "total": 2, "text": "x"}},
    {"t": "display", "value": {"text/plain": "x", "application/json": [1]}},
    {"t": "display", "value": {"image/png": {"$b": "\x89PNG\u010d\u010a\u011a\u010a"}}},
    {"t": "at", "where": "tool:3"},
    {"t": "ready", "layers": [["seccomp", True, ""]]},
]


def exactly(value: object) -> object:
    """`value` with types and signs that == overlooks."""
    match value:
        case list():
            return [exactly(item) for item in value]
        case dict():
            return {key: exactly(item) for key, item in value.items()}
        case float():
            return ("float", math.copysign(1, value), value)
    return (type(value).__name__, value)


@settings(deadline=None)
@given(VALUES)
def test_values_survive(value: object) -> None:
    assert exactly(frames.loads(frames.dumps(value))) == exactly(value)  # type: ignore[arg-type]


def test_nan_and_infinities_are_null() -> None:
    assert frames.loads(frames.dumps([math.nan, {"x": math.inf}, -math.inf])) == [None, {"x": None}, None]


def test_nan_and_infinities_cross_within_a_child_and_nowhere_else() -> None:
    value = frames.dumps([math.inf, {"x": -math.inf}, b"\xff"], all_numbers=True)
    assert frames.loads(value, all_numbers=True) == [math.inf, {"x": -math.inf}, b"\xff"]
    assert str(frames.loads(frames.dumps(math.nan, all_numbers=True), all_numbers=True)) == "nan"
    for word in (b"NaN", b"Infinity", b"[-Infinity]", b"1e999", value):
        with pytest.raises(frames.FrameError):
            frames.loads(word)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"\xff", b"[1", b"NaN", b"[Infinity]", b"1e999", b"9223372036854775808", b"1" * 5000,
        b'{"a":1,"a":2}', b'"\\ud800"', b'{"\\ud800":1}', b'{"$x":1}', b'{"$b":1}', b'{"$b":"\\u0200"}',
        b'{"$b":"\\u0001"}',
        b'{"$b":"a","c":1}', b"[" * 200 + b"]" * 200, b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)  # fmt: skip
def test_hostile_json_is_a_frame_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        frames.loads(data)


def test_values_that_cannot_travel() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    for value in (object(), "\ud800", {1: b""}, cycle, {"x": {1, 2}}):
        with pytest.raises(FrameError):
            frames.dumps(value)  # type: ignore[arg-type]


def test_messages_of_an_honest_child() -> None:
    assert [parse_child_message(json.dumps(message).encode()) for message in HONEST] == [
        Printed("hi"),
        Ask(1, "a.b", [1, {"k": "v"}]),
        End(5),
        End(error=CallError(ErrorKind.INVALID, "no", False)),
        Progress(1, 2, "x"),
        Display({"text/plain": "x", "application/json": [1]}),
        Display({"image/png": b"\x89PNG\r\n\x1a\n"}),
        Place("tool:3"),
        Ready((Layer("seccomp", True),)),
    ]


@pytest.mark.parametrize(
    "message",
    [
        [], 1, None, {}, {"t": "out"}, {"t": "out", "text": 1}, {"t": "out", "text": "a", "more": 1},
        {"t": "ask", "id": "1", "op": "x", "payload": 1}, {"t": "ask", "id": True, "op": "x", "payload": 1},
        {"t": "ask", "id": 1, "op": "x"}, {"t": "end"}, {"t": "end", "value": 1, "error": {}},
        {"t": "end", "error": {"kind": "NO_SUCH", "message": "x"}}, {"t": "end", "error": {"kind": "INVALID"}},
        {"t": "end", "error": {"kind": "INVALID", "message": "x", "retryable": 1}}, {"t": "ready", "layers": [1]},
        {"t": "run"}, {"t": "ready", "layers": [["a", 1, ""]]},
    ],
)  # fmt: skip
def test_other_messages_are_frame_errors(message: object) -> None:
    with pytest.raises(FrameError):
        parse_child_message(json.dumps(message).encode())


@settings(deadline=None)
@given(st.sampled_from(HONEST), st.data())
def test_mutilated_messages_are_messages_or_frame_errors(message: object, data: st.DataObject) -> None:
    raw = bytearray(json.dumps(message).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        stop = data.draw(st.integers(start, min(len(raw), start + 8)))
        raw[start:stop] = data.draw(st.binary(max_size=8) | st.sampled_from([b"{", b"[", b'"', b"\\ud800", b"1e999"]))
    with contextlib.suppress(FrameError):
        parse_child_message(bytes(raw))


def test_long_error_messages_are_cut() -> None:
    message = {"t": "end", "error": {"kind": "INVALID", "message": "x" * 100_000}}
    parsed = parse_child_message(json.dumps(message).encode())
    assert isinstance(parsed, End) and parsed.error and len(parsed.error.message) == MAX_ERROR_TEXT


async def read(data: bytes) -> bytes | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_message(reader)


@pytest.mark.parametrize("size", [1, frames.MAX_FRAME, frames.MAX_FRAME + 1, frames.MAX_VALUE])
async def test_framing_survives(size: int) -> None:
    message = b"x" * (size - 1) + b"y"
    assert await read(frames.pack(message)) == message


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\0\0\5abc", b"\x80\x10\0\0ab", b"\x80\x10\0\0" + b"x" * (1 << 20) + b"\0"]
)
async def test_half_a_frame_is_the_end(data: bytes) -> None:
    assert await read(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0",
        b"\x80\0\0\2ab",
        b"\0\x10\0\1",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        (b"\x80\x10\0\0" + b"x" * (1 << 20)) * 9,
    ],
)
async def test_bad_lengths_are_frame_errors(data: bytes) -> None:
    with pytest.raises(FrameError):
        await read(data)


def test_too_large_a_message_is_not_sent() -> None:
    with pytest.raises(FrameError):
        frames.pack(b"x" * (frames.MAX_MESSAGE + 1))


HOSTILE_OUTPUTS: list[object] = [
    {"t": "progress", "value": {"done": 1, "more": 1}},
    {"t": "progress", "value": [1]},
    {"t": "progress", "value": {"done": 1, "total": True}},
    {"t": "progress", "value": {"done": 1}, "more": 1},
    {"t": "display", "value": []},
    {"t": "display", "value": {"text/plain": None}},
    {"t": "display", "value": {"image/png": "<svg onload=...>"}},
    {"t": "display", "value": {"text/javascript": "alert(1)"}},
    {"t": "display"},
]


@pytest.mark.parametrize("message", HOSTILE_OUTPUTS, ids=json.dumps)
def test_outputs_of_a_hostile_child_are_found_out(message: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        parse_child_message(json.dumps(message).encode())


def test_a_long_progress_text_is_cut() -> None:
    shown = parse_child_message(frames.dumps({"t": "progress", "value": {"done": 1, "text": "x" * 10_000}}))
    assert shown == Progress(1, None, "x" * 200)
    assert parse_child_message(frames.dumps({"t": "out", "text": "x"})) == Printed("x")


def slowly(value: object, depth: int = 0) -> object:
    """What `loads` should make of what `json` made of it, said in the plainest way. Raises ValueError."""
    if depth > MAX_DEPTH + 2:
        raise ValueError("nested too deep")
    match value:
        case str():
            value.encode()
        case bool():
            pass
        case int() if not -(1 << 63) <= value < 1 << 63:
            raise ValueError("beyond 64 bits")
        case float() if not math.isfinite(value):
            raise ValueError("beyond a double")
        case list():
            return [slowly(item, depth + 1) for item in value]
        case {"$b": str(text), **rest} if not rest:
            return bytes(byte_of(character) for character in text)
        case dict():
            if any(key.startswith("$") and not key.startswith("$$") for key in value):
                raise ValueError("a bad tag")
            return {slowly(key.removeprefix("$")): slowly(item, depth + 1) for key, item in value.items()}
    return value


def byte_of(character: str) -> int:
    code = ord(character)
    shifted = code - 0x100
    if 0 <= shifted < 0x20 or shifted in (0x22, 0x5C):
        return shifted
    if code < 0x20 or code in (0x22, 0x5C) or code > 0xFF:
        raise ValueError("no byte is written so")
    return code


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def refused(constant: str) -> object:
    raise ValueError(constant)


def agree(data: bytes) -> None:
    """The same value from the fast parser as from Python's with every check, or refused by both."""
    try:
        parsed = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refused)
        expected = slowly(parsed)
    except (ValueError, RecursionError):
        with pytest.raises(FrameError):
            frames.loads(data)
    else:
        assert exactly(frames.loads(data)) == exactly(expected)


# What makes numbers, tags, escapes and nesting at the edge of what is allowed, and beyond it.
EDGES = r"""
[ ] { } , : "a" "$b" "$$b" "$x" "\u0024b" "\u0024\u0024" {"$b":"\u00ff"} {"$b":"é"} {"$b":"Ā"} {"\u0024b":"x"}
"a":1, "\u0061":2, "\ud800" "\udc00" "\ud83d\ude00" "\u0000" "\/" "\x" "é" é
0 - -0 -0.0 01 1. .5 1e5 1E+308 1e309 -1e999 1e-400 5e-324 0.1 2.2250738585072011e-308 123456789012345678901234567890.5
9223372036854775807 -9223372036854775808 9223372036854775808 -9223372036854775809 18446744073709551616
NaN Infinity -Infinity null true nul
"""
PIECES = [*EDGES.split(), " ", "\n", "\t", "\f", "\ufeff", "\0", '"\x7f"', '"\x1f"']
PIECES += ["[" * 65, "]" * 65, '{"a":' * 65, "}" * 65]


@settings(deadline=None, max_examples=5000 if os.environ.get("MICRO_AGI_FULL") else 150)
@given(VALUES, st.data())
def test_the_fast_parser_and_a_plain_one_agree(value: Value, data: st.DataObject) -> None:
    text = frames.dumps(value).decode()
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 4)))
        text = text[:start] + "".join(data.draw(st.lists(st.sampled_from(PIECES), max_size=4))) + text[stop:]
    agree(text.encode())


@pytest.mark.parametrize("piece", PIECES)
def test_each_piece_alone_and_as_key_and_item(piece: str) -> None:
    for text in (piece, f"[{piece}]", f'{{"x":{piece}}}', f"{{{piece}:1}}", f'{{"a":0,{piece}:1}}'):
        agree(text.encode())


@pytest.mark.parametrize("depth", range(128, 133))
def test_the_depth_at_which_both_stop(depth: int) -> None:
    for inner in ("", "1", '"text"', "{}"):
        agree(b"[" * depth + inner.encode() + b"]" * depth)
        agree(b'{"a":' * depth + (inner.encode() or b"[]") + b"}" * depth)


def test_values_that_would_take_a_hundred_times_their_text_are_refused() -> None:
    for value in (
        b"[" + b"[]," * 1_500_000 + b"1]",
        b"[" + b"{}," * 1_500_000 + b"1]",
        b"[" + b"1," * 2_500_000 + b"1]",
    ):
        with pytest.raises(FrameError, match="too many values"):
            frames.loads(value)
    assert frames.loads(b'["' + b'[{,\\"' * 1_000_000 + b'"]') == ['[{,"' * 1_000_000]
