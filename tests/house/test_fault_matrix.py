"""Every way in which a model's server can fail, over real HTTP and through a whole turn.

Whatever it is: the turn ends as the row says, nothing is shown twice, the conversation can be sent (`talking` checks
each request), what was said is in it, and the next prompt is answered.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fault_kit import Pauses, without_pauses
from house_kit import House, SharedSandbox, Talk, finished, open_house, talking, words
from model_server import (
    CLOSE,
    CUT,
    RESET,
    Event,
    Hold,
    ModelServer,
    Reply,
    call_delta,
    calls,
    chunk,
    delta,
    end,
    failure,
    hang_up,
    raw,
    reply,
    text,
)
from sendable_kit import check_sendable

from micro_agi_kernel.events import Notice, TurnFinished, UsageReport
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.session import Session

DELTAS = 50_000 if os.environ.get("MICRO_AGI_FULL") else 2_000
MANY = "".join("many deltas "[number % 12] for number in range(DELTAS))
LIST = ("registry_list", {"limit": 1})
LISTED = ("registry_list", "ok")
DONE = text("done")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(seeded: Path, sandbox: SharedSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all rows, which write nothing."""
    home = tmp_path_factory.mktemp("faults")
    shutil.copytree(seeded, home / "registry.git")
    house = open_house(home, sandbox)
    yield house
    await house.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    return without_pauses(monkeypatch, idle=20)


@dataclass(frozen=True)
class Row:
    """What the server answers to a prompt, one reply for each request, and what becomes of the turn."""

    replies: Sequence[Reply]
    said: str = ""
    error: str = ""
    """A part of the line that the person reads; empty when the turn ends well."""
    pauses: Sequence[float] = ()
    """Seconds before each repeat; each is announced by one line."""
    ran: Sequence[tuple[str, str]] = ()
    """Tool calls, and how they ended."""
    notice: str = ""
    """A part of the one line beside those of the repeats; empty when there is none."""


def passing(broken: Reply) -> Row:
    return Row([broken, DONE], "done", pauses=[0.5])


def lasting(broken: Reply, line: str) -> Row:
    return Row([broken] * 4, "", line, [0.5, 1.0, 2.0])


def stream(*events: Event, **options: Any) -> Reply:
    return Reply(events, **options)


THOUGHT = delta(reasoning_content="hm")
HALF = delta(content="half an ans")
CUT_CALL = call_delta(0, '{"lim', id="c1", name="registry_list")
NONSENSE = b'data: {"choices": [{"del\n\n'
BUSY = b'data: {"error": {"message": "busy", "code": 503}}\n\n'

ROWS: dict[str, Row] = {
    "400": Row([failure(400, "no such field")], "", "refused the request (HTTP 400) (no such field)"),
    "401": Row([failure(401)], "", "refused the key"),
    "403": Row([failure(403)], "", "does not permit the use of gpt-5.1"),
    "404": Row([failure(404)], "", "does not know the model 'gpt-5.1'"),
    "413": Row([failure(413)], "", "too long"),
    **{f"{status}-once": passing(failure(status)) for status in (408, 409, 429, 500, 502, 503, 529)},
    **{f"{status}-for-good": lasting(failure(status), f"HTTP {status}") for status in (408, 409, 500, 502, 503, 529)},
    "429-for-good": lasting(failure(429), "limits the rate"),
    "429-with-retry-after": Row([failure(429, headers={"Retry-After": "7"}), DONE], "done", pauses=[7.0]),
    "503-with-retry-after": Row([failure(503, headers={"Retry-After": "3"}), DONE], "done", pauses=[3.0]),
    "429-with-a-long-retry-after": Row([failure(429, headers={"Retry-After": "3600"})], "", "limits the rate"),
    "429-no-credit": Row([failure(429, code="insufficient_quota")], "", "has no credit left"),
    "402-no-credit": Row([failure(402, "Insufficient credits")], "", "has no credit left (Insufficient credits)"),
    "reset-before": passing(hang_up()),
    "reset-before-for-good": lasting(hang_up(), "no answer from http://127.0.0.1"),
    "reset-after-the-headers": passing(stream(RESET)),
    "reset-in-the-middle": Row([stream(HALF, RESET)], "half an ans", "broke off"),
    "cut-in-the-middle": Row([stream(HALF, CUT)], "half an ans", "broke off"),
    "clean-early-close": Row([stream(HALF, CLOSE)], "half an ans", "broke off"),
    "early-close-before-a-word": passing(stream(delta(role="assistant", content=""), CLOSE)),
    "early-close-for-good": lasting(stream(CLOSE), "broke off"),
    "garbage-with-200": Row([raw(b"<html>Welcome</html>")], "", "no chat completion stream"),
    "json-with-200": Row([raw(b'{"error": "Unexpected endpoint or method."}')], "", "no chat completion stream"),
    "nothing-with-200": Row([raw(b"")], "", "no chat completion stream"),
    "broken-json": Row([stream(NONSENSE)], "", "no JSON"),
    "broken-json-in-the-middle": Row([stream(HALF, NONSENSE)], "half an ans", "no JSON"),
    "error-in-the-stream": passing(stream(BUSY)),
    "error-in-the-middle": Row([stream(HALF, BUSY)], "half an ans", "busy"),
    "byte-by-byte": Row(
        [reply(["Grü", "ße"], [LIST], bytewise=True), text("🎉")], "Grüße🎉", ran=[LISTED]
    ),
    "no-done": Row([text("done", done=False)], "done"),
    "no-usage": Row([text("done", usage=None)], "done"),
    "no-finish-reason": Row([text("do", "ne", finish=None)], "done", "broke off"),
    "empty-choices": Row([stream(chunk([]), delta(content="done"), chunk([]), end("stop"))], "done"),
    "only-empty-choices": passing(stream(chunk([]), chunk([]))),
    "an-answer-without-a-word": Row(
        [stream(delta(role="assistant", content=""), end("stop"))], "", "gpt-5.1 gave no answer: ask again"
    ),
    "an-answer-of-blanks": Row([stream(delta(content=" \n"), end("stop"))], " \n", "gave no answer"),
    "an-answer-of-thoughts": Row([stream(THOUGHT, end("stop"))], "", "gave no answer"),
    "an-answer-without-a-word-for-an-odd-reason": Row([stream(end("ab\nort"))], "", r"('ab\nort'): ask again"),
    "no-word-after-the-tools": Row(
        [calls(LIST), stream(end("stop"))], ran=[LISTED], notice="gpt-5.1 gave no answer: ask again"
    ),
    "cut-by-a-filter": Row([stream(HALF, end("content_filter"))], "half an ans", notice="filter cut the answer"),
    "cut-by-a-filter-before-a-word": Row([stream(end("content_filter"))], "", "filter let nothing"),
    "cut-by-a-filter-in-a-call": Row(
        [stream(HALF, call_delta(0, "{}", id="c1", name="registry_list"), end("content_filter"))],
        "half an ans",
        notice="filter cut the answer",
    ),
    "cut-by-the-limit": Row(
        [stream(HALF, end("length"))],
        "half an ans",
        notice="was cut at 2,048 tokens (max_tokens of app:dev_assistant): ",
    ),
    "cut-by-the-limit-before-a-word": Row(
        [stream(THOUGHT, end("length")), DONE], "done", notice="asking once more with 32,768 tokens"
    ),
    "cut-by-the-limit-after-a-blank": Row(
        [stream(delta(content="\n"), end("length")), DONE], "\ndone", notice="asking once more with 32,768 tokens"
    ),
    "cut-by-the-limit-twice-before-a-word": Row(
        [stream(THOUGHT, end("length"))] * 2,
        "",
        "used all 32,768 tokens (output_tokens of the model's entry) before the first word",
        notice="asking once more with 32,768 tokens",
    ),
    "cut-by-a-server-whose-window-is-full": Row(
        [stream(HALF, end("length"), chunk([], {"prompt_tokens": 4000, "completion_tokens": 96}))],
        "half an ans",
        notice="cut the answer of gpt-5.1 after 96 tokens",
    ),
    "a-window-full-before-a-word": Row(
        [stream(THOUGHT, end("length"), chunk([], {"prompt_tokens": 4000, "completion_tokens": 96}))],
        "",
        "cut the answer of gpt-5.1 after 96 tokens",
    ),
    "thoughts-in-the-words": Row([text("<thi", "nk>hm", "</think>\n", "done")], "done"),
    "arguments-cut-by-the-limit": Row(
        [stream(CUT_CALL, end("length")), calls(LIST), DONE], "done", ran=[LISTED]
    ),
    "arguments-cut-twice": Row(
        [stream(CUT_CALL, end("length"))] * 2 + [DONE], "done", ran=[("registry_list", "error")]
    ),
    "arguments-cut-by-the-network": passing(stream(CUT_CALL, RESET)),
    "arguments-cut-by-the-network-after-text": Row([stream(HALF, CUT_CALL, RESET)], "half an ans", "broke off"),
    "arguments-cut-and-called-whole": Row(
        [stream(CUT_CALL, end("tool_calls")), DONE], "done", ran=[("registry_list", "error")]
    ),
    "unknown-tool": Row([calls(("no such tool!", {})), DONE], "done", ran=[("no_such_tool_", "error")]),
    "call-ids-twice-in-an-answer": Row([calls(LIST, LIST, ids=["a", "a"]), DONE], "done", ran=[LISTED] * 2),
    "call-ids-twice-in-a-turn": Row([calls(LIST, ids=["a"])] * 2 + [DONE], "done", ran=[LISTED] * 2),
    "call-ids-empty": Row([calls(LIST, LIST, ids=["", ""]), DONE], "done", ran=[LISTED] * 2),
    "break-in-a-later-step": Row([calls(LIST), stream(HALF, RESET)], "half an ans", "broke off", ran=[LISTED]),
    "503-in-a-later-step": Row([calls(LIST), failure(503), DONE], "done", pauses=[0.5], ran=[LISTED]),
    "slow-drip": Row([stream(*(e for n in range(20) for e in (0.01, delta(content=f"{n} "))), end("stop"))],
                     "".join(f"{n} " for n in range(20))),
    "many-deltas": Row([text(*MANY)], MANY),
}  # fmt: skip


async def check(talk: Talk, row: Row, pauses: Pauses) -> None:
    """The turn of the row, and the one after it."""
    events = await talk.say("the first prompt")
    assert words(events) == row.said
    last = events[-1]
    assert isinstance(last, TurnFinished) and last.status == ("error" if row.error else "ok"), last
    assert row.error in last.error and "\n" not in last.error
    assert pauses.seconds == list(row.pauses)
    lines = [event.text for event in events if isinstance(event, Notice)]
    assert not any("\n" in line for line in lines)
    others = [line for line in lines if "repeating in" not in line]
    assert len(lines) - len(others) == len(row.pauses)
    assert len(others) == bool(row.notice) and all(row.notice in line for line in others), lines
    assert finished(events) == list(row.ran)
    after = await talk.say("the next prompt")
    assert words(after) == "an answer" and isinstance(after[-1], TurnFinished) and after[-1].status == "ok"
    assert talk.server.left == 0
    messages = talk.requests[-1].body["messages"]
    prompts = [message["content"] for message in messages if message["role"] == "user"]
    assert prompts == ["the first prompt", "the next prompt"]
    kept = "".join(message["content"] or "" for message in messages if message["role"] == "assistant")
    said = row.said.lstrip()  # blanks alone are no answer
    assert kept == (f"{said} [interrupted]" if row.error and said else said)
    assert len([message for message in messages if message["role"] == "tool"]) == len(row.ran)


@pytest.mark.parametrize("name", ROWS)
async def test_a_turn_ends_as_designed(house: House, pauses: Pauses, name: str) -> None:
    row = ROWS[name]
    async with talking(house, [*row.replies, text("an answer")]) as talk:
        await check(talk, row, pauses)


@asynccontextmanager
async def talking_to(house: House, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talk]:
    """A conversation with a server whose start is the test's."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    session = Session(house, house.settings)
    try:
        yield Talk(session, server)
    finally:
        await session._models.close()
    for request in server.requests:
        check_sendable(request.body)


async def test_connection_refused(house: House, pauses: Pauses, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ModelServer([text("an answer")])
    async with talking_to(house, server, monkeypatch) as talk:
        events = await talk.say("the first prompt")
        last = events[-1]
        assert isinstance(last, TurnFinished) and last.status == "error"
        assert f"no answer from {server.url}" in last.error and "start the server" in last.error
        assert pauses.seconds == [0.5, 1.0, 2.0] and not words(events)
        with server:
            assert words(await talk.say("the next prompt")) == "an answer"
    prompts = [m["content"] for m in server.requests[0].body["messages"] if m["role"] == "user"]
    assert prompts == ["the first prompt", "the next prompt"]


@pytest.mark.parametrize("said", ["", "half an ans"])
async def test_a_silent_server_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    pauses = without_pauses(monkeypatch, idle=0.75)  # where the product waits minutes
    silent = stream(HALF, Hold()) if said else Reply(before=Hold())
    async with talking(house, [silent, text("an answer")]) as talk:
        await check(talk, Row([silent], said, "did not answer in time"), pauses)


async def test_what_was_spent_is_told_also_when_no_done_follows(house: House, pauses: Pauses) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}
    async with talking(house, [text("done", usage=usage, done=False)]) as talk:
        events = await talk.say("go")
    assert [e.usage for e in events if isinstance(e, UsageReport)] == [Usage(7, 5, cached=3)]


async def test_the_model_reads_what_became_of_a_call_that_was_cut(house: House, pauses: Pauses) -> None:
    row = ROWS["arguments-cut-twice"]
    async with talking(house, row.replies) as talk:
        await talk.say("go")
        [result] = talk.results()
        assert "cut at 32768 tokens" in result["error"]["message"]
        limits = [request.body["max_completion_tokens"] for request in talk.requests]
        assert limits[0] < limits[1] == 32_768
        [call] = next(m for m in talk.requests[-1].body["messages"] if m.get("tool_calls"))["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"malformed_arguments": '{"lim'}
