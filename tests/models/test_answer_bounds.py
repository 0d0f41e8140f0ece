"""Servers that send for ever: the answer ends in one line, what was shown stays, and the connection is closed."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from model_server import ModelServer, Reply, call_delta, calls, delta, end, failure, raw, text
from provider_kit import HELLO, Sleeps, answer, broken, connected, retries, said, spec_of, wanted

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.messages import ReasoningChunk, RetryChunk, TextChunk
from micro_agi_kernel.models import bounds
from micro_agi_kernel.models.chat_format import Answer
from micro_agi_kernel.models.failures import ProviderDown

ROOM = 512 * bounds.PER_TOKEN
"""Characters that the answer to HELLO may have."""


class Endless:
    """A stream of events without an end; `closed` when nobody reads it any more."""

    def __init__(self, event: Callable[[int], Any]) -> None:
        self.closed = threading.Event()
        self.sent = 0
        self._event = event

    def __iter__(self) -> Iterator[Any]:
        try:
            while True:
                yield self._event(self.sent)
                self.sent += 1
        finally:
            self.closed.set()

    def reply(self) -> Reply:
        return Reply(self)  # type: ignore[arg-type]


K = "x" * 1_000
ENDLESS: dict[str, Callable[[int], Any]] = {
    "text": lambda n: delta(content=K),
    "thoughts": lambda n: delta(reasoning_content=K),
    "thoughts-in-the-words": lambda n: delta(content=K if n else "<think>"),
    "blanks": lambda n: delta(content=" " * 1_000),
    "arguments": lambda n: call_delta(0, K, id="a", name="t"),
    "arguments-that-are-no-text": lambda n: delta(tool_calls=[{"index": 0, "id": "a", "function": {"arguments": [K]}}]),
    "a-name": lambda n: call_delta(0, "", id="a", name=f"{n}{K}"),
    "calls": lambda n: call_delta(n, "{}", id=f"c{n}", name="t"),
    "nothing": lambda n: b"data: {}\n\n" * 1_000,
    "a-line": lambda n: b"data: " if n == 0 else K.encode(),
    "lines-of-one-event": lambda n: b"data: 1\n" * 1_000,
    "comments": lambda n: b": still here\n\n" * 1_000,
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_a_stream_without_an_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST", 1 << 18)
    stream, sleeps = Endless(ENDLESS[name]), Sleeps()
    chunks, line = await broken([stream.reply()], sleeps=sleeps)
    assert "sent more than an answer of m can be, and was stopped: ask for less" in line
    assert stream.closed.wait(10), "the connection is closed"
    shown = sum(len(chunk.text) for chunk in chunks if isinstance(chunk, TextChunk | ReasoningChunk))
    assert shown <= ROOM + len(K) and not wanted(chunks) and not sleeps.seconds
    if name in ("text", "thoughts"):
        assert shown > ROOM, "all that fits is shown"


async def test_a_long_stream_of_short_events_is_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST", 1 << 16)
    chunks, _ = await answer([text(*["a"] * 1_000)])  # of about 200 bytes each
    assert said(chunks) == "a" * 1_000


async def test_an_error_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST", 1 << 16)
    body = json.dumps({"error": {"message": "x" * (1 << 20)}}).encode()
    _, line = await broken([raw(body, status=400)])
    assert "sent more than an answer of m can be" in line


async def test_what_is_packed_is_not_unpacked() -> None:
    packed = gzip.compress(b"data: " + b" " * (1 << 20) + b"{}\n\n")
    reply = raw(packed, headers={"Content-Type": "text/event-stream", "Content-Encoding": "gzip"})
    with ModelServer([reply]) as server:
        async with connected(server.url) as model:
            with pytest.raises(ModelError):
                async for chunk in model.stream(HELLO):
                    assert not isinstance(chunk, TextChunk)
        assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_an_answer_may_be_as_long_as_its_model_says() -> None:
    spec = replace(spec_of(), output_tokens=1_000)
    chunks, _ = await answer([text("x" * 127_990)], spec=spec)
    assert len(said(chunks)) == 127_990
    _, line = await broken([text("x" * 128_010)], spec=spec)
    assert "more than an answer" in line
    chunks, _ = await answer([calls(*[("t", {})] * bounds.MOST_CALLS)])
    assert len(wanted(chunks)) == bounds.MOST_CALLS


def test_no_answer_is_longer_than_the_hard_bound() -> None:
    assert bounds.room_for(replace(spec_of(), output_tokens=10**9), HELLO) == bounds.MOST
    assert bounds.room_for(spec_of(), HELLO) == ROOM


def test_long_ids_of_calls_fill_no_memory() -> None:
    told = Answer(ROOM)
    for index in range(30):
        fragment = {"index": index, "id": "i" * 1_000_000, "function": {"name": "t", "arguments": "{}"}}
        assert not [*told.add({"choices": [{"delta": {"tool_calls": [fragment]}}]})]
    assert sum(len(call.id) for call in told._calls) < 30 * 1_000
    ids = [call.id for call in told.calls(())]
    assert len({*ids}) == 30 and all(len(id) <= 40 for id in ids)


def test_an_event_full_of_calls_fills_no_memory() -> None:
    told = Answer(ROOM)
    assert not [*told.add({"choices": [{"delta": {"tool_calls": [{"index": n} for n in range(100_000)]}}]})]
    assert told.is_too_long and len(told._calls) < 1_000


# A server that loads its model

LOADING = failure(503, "Loading model")


async def test_a_server_that_loads_its_model_is_waited_for() -> None:
    sleeps = Sleeps()
    chunks, server = await answer([LOADING] * 30 + [failure(500), text("ok")], sleeps=sleeps)
    assert said(chunks) == "ok"
    first, second = retries(chunks)
    assert first == f"{server.url} is loading its model; waiting for it, 300 s at most"
    assert "(1 of 3)" in second
    assert sleeps.seconds == [2.0] * 30 + [0.5]


async def test_a_server_that_loads_for_ever_is_given_up() -> None:
    sleeps, chunks = Sleeps(), []
    with ModelServer(lambda body: LOADING) as server:
        async with connected(server.url, sleeps=sleeps) as model:
            with pytest.raises(ProviderDown, match="is loading its model: ask again later"):
                async for chunk in model.stream(HELLO):
                    chunks.append(chunk)
    assert sum(sleeps.seconds) == 300 and len(chunks) == 1 and isinstance(chunks[0], RetryChunk)


async def test_only_that_answer_means_loading() -> None:
    for reply in (failure(503, "downloading models"), failure(500, "Loading model"), failure(503, "busy")):
        sleeps = Sleeps()
        await answer([reply, text("ok")], sleeps=sleeps)
        assert sleeps.seconds == [0.5]


# Thoughts in the words of an answer


async def test_thoughts_in_the_words_are_reasoning() -> None:
    pieces = ("<thi", "nk>\nh", "m</", "think>\n\n", "Noon", "!")
    chunks, _ = await answer([text(*pieces)])
    assert chunks[:-1] == [ReasoningChunk("h"), ReasoningChunk("m"), TextChunk("Noon"), TextChunk("!")]


async def test_what_may_be_a_tag_is_not_lost_at_the_end() -> None:
    chunks, _ = await answer([text("<thi")])
    assert said(chunks) == "<thi"
    chunks, _ = await answer([Reply((delta(reasoning="hm"), delta(content="<think>a</think>b"), end("stop")))])
    assert said(chunks) == "<think>a</think>b", "a server that tells thoughts apart means what it writes"
