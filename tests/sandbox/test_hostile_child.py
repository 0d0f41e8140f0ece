"""A child that lies, against the real `Call`: whatever it writes, the call ends with an outcome, in time.

The child is the other end of a socket pair and a script of what it does there. Nothing here is jailed: what
is tested is main's side of the pipe.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.interfaces import CallOutcome, HostService, Limits, Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.sandbox import call, frames
from micro_agi_kernel.sandbox.call import Call
from micro_agi_kernel.sandbox.protocol import Shape, request_of
from micro_agi_kernel.sandbox.workers import Worker
from micro_agi_kernel.values import Value

LIMITS = Limits(seconds=0.05, output=10_000, host_calls=20)
FULL = bool(os.environ.get("MICRO_AGI_FULL"))
HANG = 15.0
"""Seconds after which a call is taken to hang: far more than its limit."""


@dataclass(frozen=True)
class Pause:
    """Nothing is written for so long."""

    seconds: float


@dataclass(frozen=True)
class Close:
    """The pipe ends; the process stays."""


@dataclass(frozen=True)
class Exit:
    """The process ends."""

    status: int = 0


Step = bytes | Pause | Close | Exit


class FakeChild:
    """The child's end: plays its script, then falls silent until it is killed."""

    def __init__(self, script: list[Step], reads: bool) -> None:
        mine, self._end = socket.socketpair()
        mine.setblocking(False)
        self._end.setblocking(False)
        self.worker = Worker(Shape(LIMITS.memory, LIMITS.seconds), mine, self._killed)
        self._script = script
        self._reads = reads
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._end, message({"t": "ready", "layers": []}))
        await self.worker.get_ready()
        self._tasks = [asyncio.create_task(self._play()), asyncio.create_task(self._listen())]

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        for step in self._script:
            match step:
                case bytes():
                    try:
                        await loop.sock_sendall(self._end, step)
                    except OSError:  # main has let go
                        return
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Close():
                    self._end.shutdown(socket.SHUT_RDWR)
                case Exit(status):
                    self._exit(status)

    async def _listen(self) -> None:
        while self._reads:
            try:
                if not await asyncio.get_running_loop().sock_recv(self._end, 1 << 16):
                    return
            except OSError:
                return

    def _killed(self) -> None:
        self._exit(-9)

    def _exit(self, status: int) -> None:
        if not self.worker.exited.done():
            self.worker.exited.set_result(status)
            self._end.shutdown(socket.SHUT_RDWR)

    async def end(self) -> None:
        await self.worker.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end.close()


class Host:
    """Answers at once, late, or never."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay
        self.asked = 0

    async def request(self, op: str, payload: Value) -> Value:
        self.asked += 1
        await asyncio.sleep(self._delay)
        return payload


async def play(
    script: list[Step],
    *,
    reads: bool = True,
    host: HostService | None = None,
    on_output: Callable[[Output], None] = lambda output: None,
    limits: Limits = LIMITS,
) -> CallOutcome:
    """The real call with a child that follows `script`. Raises TimeoutError when it hangs."""
    child = FakeChild(script, reads)
    program = Program("return 1", "tool", limits=limits)
    try:
        await child.start()
        one = Call(program, host or Host(), on_output, child.worker)
        return await asyncio.wait_for(one.run(request_of(program)), HANG)
    finally:
        await child.end()


def message(value: object) -> bytes:
    return frames.pack(json.dumps(value).encode())


def text(source: str) -> bytes:
    return frames.pack(source.encode())


def ask(id: int, payload: Any = None) -> bytes:
    return message({"t": "ask", "id": id, "op": "x", "payload": payload})


END = message({"t": "end", "value": 1})
DEEP = "[" * 200 + "]" * 200
DRIP = [step for byte in message({"t": "out", "text": "x" * 1000}) for step in (bytes([byte]), Pause(0.002))]

# name -> script, how it must end ("value" or a kind), what is printed
LIES: dict[str, tuple[list[Step], str, str]] = {
    "honest": ([message({"t": "out", "text": "hi"}), END], "value", "hi"),
    "half a header, then silence": ([b"\0\0"], "TIMEOUT", ""),
    "half a frame, then silence": ([b"\0\0\0\x05ab"], "TIMEOUT", ""),
    "half a frame, then the end": ([b"\0\0\0\x05ab", Exit(3)], "CRASHED", ""),
    "half a frame, then the pipe closed": ([b"\0\0\0\x05ab", Close()], "CRASHED", ""),
    "drip": (DRIP, "TIMEOUT", ""),
    "a message that goes on for ever": ([b"\x80\x10\0\0" + b"x" * (1 << 20)] * 9, "CRASHED", ""),
    "a message in tiny pieces, each of which costs us more than it": ([b"\x80\0\0\2ab" * 3], "CRASHED", ""),
    "a frame of nothing": ([b"\0\0\0\0" * 100], "CRASHED", ""),
    "nothing, and more of it": ([b"\x80\0\0\0" * 100], "CRASHED", ""),
    "the longest length": ([b"\xff\xff\xff\xff"], "CRASHED", ""),
    "no JSON": ([text("hello")], "CRASHED", ""),
    "not UTF-8": ([frames.pack(b'{"t":"out","text":"\xff"}')], "CRASHED", ""),
    "a lone surrogate": ([text('{"t":"out","text":"\\ud800"}')], "CRASHED", ""),
    "a lone surrogate in a key": ([text('{"t":"end","value":{"\\udfff":1}}')], "CRASHED", ""),
    "NaN": ([text('{"t":"end","value":NaN}')], "CRASHED", ""),
    "infinity": ([text('{"t":"end","value":1e999}')], "CRASHED", ""),
    "a huge integer": ([text('{"t":"end","value":' + "9" * 5000 + "}")], "CRASHED", ""),
    "a key twice": ([text('{"t":"end","value":{"a":1,"a":2}}')], "CRASHED", ""),
    "a key twice, spelt in two ways": ([text('{"t":"end","value":{"a":1,"\\u0061":2}}')], "CRASHED", ""),
    "two kinds of message": ([text('{"t":"end","t":"out","value":1,"text":"x"}')], "CRASHED", ""),
    "deep": ([text('{"t":"end","value":' + DEEP + "}")], "CRASHED", ""),
    "deeper": ([text("[" * 500_000)], "CRASHED", ""),
    "deep objects": ([text('{"t":"end","value":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}")], "CRASHED", ""),
    "a false tag": ([text('{"t":"end","value":{"$b":1}}')], "CRASHED", ""),
    "a false tag, spelt otherwise": ([text('{"t":"end","value":{"\\u0024b":"\\u0200"}}')], "CRASHED", ""),
    "an unknown key of ours": ([text('{"t":"end","value":{"$x":1}}')], "CRASHED", ""),
    "ready again": ([message({"t": "ready", "layers": []})], "CRASHED", ""),
    "a word of main's": ([message({"id": 1, "value": 1})], "CRASHED", ""),
    "end twice": ([END + message({"t": "end", "value": 2})], "value", ""),
    "output after the end": ([END + message({"t": "out", "text": "late"})], "value", ""),
    "nonsense after the end": ([END + b"\xff" * 1000], "value", ""),
    "an end, and it goes on living": ([END, Pause(60)], "value", ""),
    "a false kind": ([message({"t": "end", "error": {"kind": "ROOT", "message": "x"}})], "CRASHED", ""),
    "an error of another shape": ([message({"t": "end", "error": {"kind": "INVALID", "message": 1}})], "CRASHED", ""),
    "a place, and then silence": ([message({"t": "at", "where": "x" * 100_000})], "TIMEOUT", ""),
    "a place, and then a value": ([message({"t": "at", "where": "tool:1"}), END], "value", ""),
    "too much at once": ([message({"t": "out", "text": "x" * 20_000}), END], "OUTPUT_LIMIT", "x" * 10_000),
    "too much, bit by bit": ([message({"t": "out", "text": "y" * 999})] * 100, "OUTPUT_LIMIT", "y" * 10_000),
    "too much, in characters of three bytes": ([message({"t": "out", "text": "€" * 5000})], "OUTPUT_LIMIT", "€" * 3333),
    "a display of 8 MiB": ([message({"t": "display", "value": {"text/plain": "x" * 8_000_000}})], "OUTPUT_LIMIT", ""),
    "displays": ([message({"t": "display", "value": {"text/plain": "x"}})] * 1000, "OUTPUT_LIMIT", ""),
    "a flood of places": ([message({"t": "at", "where": "tool:1"})] * 1000, "CRASHED", ""),
    "an id that is no number": ([message({"t": "ask", "id": False, "op": "x", "payload": 1})], "CRASHED", ""),
    "empty output": ([message({"t": "out", "text": ""})], "CRASHED", ""),
    "ask: ids twice": ([ask(1) + ask(1)], "CRASHED", ""),
    "ask: an id again, after its answer": ([ask(1), Pause(0.02), ask(1), Pause(0.01), END], "value", ""),
    "ask: ids of all sizes": ([ask(-(1 << 63)) + ask((1 << 63) - 1) + ask(0), Pause(0.02), END], "value", ""),
    "ask: an id that is no number": ([message({"t": "ask", "id": True, "op": "x", "payload": 1})], "CRASHED", ""),
    "ask: a flood": ([b"".join(ask(n) for n in range(1000)), Pause(0.02)], "CALL_LIMIT", ""),
    "ask: a flood, and an end": ([b"".join(ask(n) for n in range(1000)) + END], "CALL_LIMIT", ""),
    "ask, and end without waiting": ([ask(1) + END], "value", ""),
    "ask, and exit": ([ask(1), Exit()], "CRASHED", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
async def test_a_lie_ends_as_it_must(name: str) -> None:
    script, end, printed = LIES[name]
    said: list[str] = []

    def on_output(output: Output) -> None:
        if isinstance(output, Printed):
            said.append(output.text)

    limits = LIMITS if end == "TIMEOUT" else replace(LIMITS, seconds=2)
    outcome = await play(script, on_output=on_output, limits=limits)
    assert (outcome.error.kind if outcome.error else "value") == end, outcome
    assert outcome.error is not None or outcome.value == 1
    assert "".join(said) == printed
    assert outcome.error is None or len(outcome.error.message) <= 10_000


@pytest.mark.parametrize("reads", [True, False])
async def test_asks_that_are_never_answered_end_with_the_time(reads: bool) -> None:
    """More of them than may be open at once: then main does not read on, and must see the time all the same."""
    script: list[Step] = [b"".join(ask(n) for n in range(200))]
    outcome = await play(script, reads=reads, host=Host(delay=3600), limits=Limits(seconds=0.05, host_calls=1000))
    assert outcome.error and outcome.error.kind is ErrorKind.TIMEOUT


async def test_answers_that_are_never_read() -> None:
    """Main waits with what it has to say, not for ever, and does not keep all of it."""
    host = Host()
    script: list[Step] = [b"".join(ask(n, "x" * 100_000) for n in range(400))]
    outcome = await play(script, reads=False, host=host, limits=Limits(seconds=0.3, host_calls=1000))
    assert outcome.error and outcome.error.kind is ErrorKind.TIMEOUT
    assert host.asked < 200  # of 400


async def test_no_request_is_served_after_the_limit() -> None:
    host = Host()
    await play([b"".join(ask(n) for n in range(1000)) + END], host=host)
    assert host.asked <= LIMITS.host_calls


# -- whatever it says

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["out", "ask", "end", "at", "ready", "progress", "display", "$b", "$", "INVALID", "text/plain"])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
NEARLY = st.fixed_dictionaries(
    {"t": st.sampled_from(["out", "ask", "end", "at", "ready", "progress", "display", "run"])},
    optional={
        "text": VALUES, "value": VALUES, "error": VALUES, "where": VALUES, "op": VALUES, "payload": VALUES,
        "layers": VALUES, "id": st.integers(0, 3) | VALUES,
    },
)  # fmt: skip
HONEST: list[Any] = [
    {"t": "out", "text": "hi"},
    {"t": "ask", "id": 1, "op": "a.b", "payload": [1, {"k": "v"}]},
    {"t": "progress", "value": {"done": 1, "total": 2, "text": "x"}},
    {"t": "display", "value": {"text/plain": "x"}},
    {"t": "at", "where": "tool:3"},
    {"t": "end", "value": 1},
    {"t": "end", "error": {"kind": "INVALID", "message": "no", "retryable": False}},
]
SAID = (
    st.sampled_from(HONEST).map(message)
    | NEARLY.map(message)
    | VALUES.map(message)
    | st.binary(max_size=40)
    | st.binary(min_size=1, max_size=60).map(frames.pack)
)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """An honest message with a few bytes changed, the header among them."""
    raw = bytearray(message(draw(st.sampled_from(HONEST))))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        raw[start : start + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(raw)


SCRIPTS = st.lists(SAID | mutilated() | st.sampled_from([Pause(0.001), Close(), Exit(), Exit(-11)]), max_size=6)


@settings(deadline=None, max_examples=1000 if FULL else 60, suppress_health_check=[HealthCheck.too_slow])
@given(script=SCRIPTS, reads=st.booleans(), ends=st.booleans())
def test_whatever_a_child_says_the_call_ends(script: list[Step], reads: bool, ends: bool) -> None:
    shown: list[Output] = []
    limits = Limits(seconds=0.01, output=1000, host_calls=5)
    script = [*script, Exit()] if ends else script
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "_GRACE", 0.01)
        outcome = asyncio.run(play(script, reads=reads, on_output=shown.append, limits=limits))
    assert isinstance(outcome, CallOutcome)
    if outcome.error is None:
        frames.dumps(outcome.value)  # what goes on is a value
    assert sum(len(output.text.encode()) for output in shown if isinstance(output, Printed)) <= limits.output


async def test_answers_that_nobody_reads_do_not_pile_up() -> None:
    """A child that asks and does not read gets what it asked for a few times, not as often as it asked."""

    class Large:
        def __init__(self) -> None:
            self.asked = 0

        async def request(self, op: str, payload: Value) -> Value:
            self.asked += 1
            await asyncio.sleep(0)
            return "x" * (4 << 20)

    host = Large()
    asks = b"".join(ask(id) for id in range(1, 201))
    outcome = await play([asks, Pause(0.5)], reads=False, host=host, limits=Limits(seconds=0.4))
    assert outcome.error is not None and outcome.error.kind is ErrorKind.TIMEOUT
    assert 1 <= host.asked <= 70, "those that began at once, and no more after them"


async def test_messages_without_a_pause_leave_turns_for_others() -> None:
    turns, done = 0, False

    async def other_work() -> None:
        nonlocal turns
        while not done:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(other_work())
    await asyncio.sleep(0)
    before = turns
    await play([message({"t": "out", "text": "x"}) * 20_000 + END])
    during = turns - before
    done = True
    await beside
    assert during > 20_000 // 200
