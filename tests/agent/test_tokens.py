"""How many tokens a request has: the provider's word, tiktoken's without any network, and the estimate."""

from __future__ import annotations

import base64
import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiktoken
import tiktoken.load
import tiktoken.registry
from compression_kit import TOOL, conversation, request_of

from micro_agi_kernel.agent.tokens import TokenCounter, estimate
from micro_agi_kernel.messages import AssistantMessage, ModelRequest, ToolCall, ToolResult, Usage, UserMessage


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty cache of vocabularies, and a network that records who tries it."""
    tried: list[object] = []
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setattr(socket, "getaddrinfo", lambda *name, **_: tried.append(name) or [])
    yield
    assert not tried


def bytes_as_tokens(name: str) -> tiktoken.Encoding:
    """A vocabulary in which each byte is a token: what it counts is easy to know."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    return tiktoken.Encoding(name, pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 256})


# The estimate


@pytest.mark.parametrize(
    ("text", "true"),
    [  # as o200k_base counts
        ("The model answers, its tools run, it answers again, until it calls none.", 17),
        ('{"id": "app:clock", "kind": "function.lua", "meta": {"type": "tool"}}', 24),
        (base64.b64encode(random.Random(1).randbytes(300)).decode(), 272),
        ("3.14159265358979323846264338327950288419716939937510", 19),
        ("今天天气很好，我们去公园散步吧。", 12),
        ("", 0),
    ],
    ids=["prose", "json", "base64", "digits", "chinese", "empty"],
)
def test_estimate_errs_on_the_high_side(text: str, true: int) -> None:
    assert true <= estimate(text) <= (1.5 if text.isascii() else 3) * true + 3


@pytest.mark.parametrize(
    "text",
    ["a" * 3_000, "^" * 3_000, " " * 3_000, "\n" * 3_000, "é" * 3_000, "\ud800" * 9],
    ids=str.split("word marks spaces lines accents surrogates"),
)
def test_estimate_of_odd_text_is_neither_nothing_nor_endless(text: str) -> None:
    assert len(text) / 20 < estimate(text) < 3 * len(text) + 10


async def test_everything_that_is_sent_counts() -> None:
    counter, long = TokenCounter("x"), "word " * 500
    plain = await counter.count(ModelRequest((UserMessage("hi"),)))
    call = AssistantMessage("", (ToolCall("c1", "t", f'{{"text": "{long}"}}'),))
    result = ToolResult("c1", "t", long, ok=True)
    for more in (UserMessage(long), AssistantMessage(long), call, result):
        assert await counter.count(ModelRequest((UserMessage("hi"), more))) >= plain + 500
    tool = replace(TOOL, schema={"type": "object", "properties": {"x": {"description": long}}})
    assert await counter.count(ModelRequest((UserMessage("hi"),), (tool,))) >= plain + 500


# The provider's word


async def test_provider_is_believed_and_what_came_since_is_added() -> None:
    counter, made = TokenCounter("x"), conversation(3)
    request = request_of(made)
    ours = await counter.count(request)
    counter.learn(request, Usage(ours - 100, 7))
    assert await counter.count(request) == ours - 100
    made.say("and now " * 50)
    added = await TokenCounter("x").count(request_of(made)) - ours
    assert added > 50
    assert await counter.count(request_of(made)) == ours - 100 + added


async def test_shorter_conversation_has_its_share_of_what_the_provider_counted() -> None:
    counter, made = TokenCounter("x"), conversation(8)
    request = request_of(made)
    ours = await counter.count(request)
    counter.learn(request, Usage(ours // 2))
    made.replace_beginning(made.turns()[4], ())
    shorter = await TokenCounter("x").count(request_of(made))
    assert await counter.count(request_of(made)) == (ours // 2) * shorter // ours


@pytest.mark.parametrize("share", [0, 0.1, 10])
async def test_word_of_the_provider_that_cannot_be_is_not_believed(share: float) -> None:
    counter, request = TokenCounter("x"), request_of(conversation(3))
    ours = await counter.count(request)
    counter.learn(request, Usage(int(ours * share)))
    assert await counter.count(request) == ours


# tiktoken


async def test_without_a_cached_vocabulary_the_estimate_counts_and_nothing_is_fetched() -> None:
    request = request_of(conversation(3))
    assert await TokenCounter("gpt-5.1").count(request) == await TokenCounter("unknown").count(request)


async def test_damaged_vocabulary_is_not_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790").write_text("damaged")  # where tiktoken keeps o200k_base
    request = request_of(conversation(3))
    assert await TokenCounter("gpt-5.1").count(request) == await TokenCounter("unknown").count(request)
    assert tiktoken.load.read_file.__name__ == "read_file"


async def test_cached_vocabulary_counts_from_enough_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "o200k_base", bytes_as_tokens("o200k_base"))
    text = "<|endoftext|> " + "x" * 10_000
    request = ModelRequest((UserMessage(text),))
    assert await TokenCounter("gpt-5.1").count(request) == len(text) + 8
    guess = await TokenCounter("gpt-5.1").count(request, enough=100_000)
    assert guess == estimate(text) + 8 != len(text) + 8
    assert await TokenCounter("llama3.2").count(request) == guess
