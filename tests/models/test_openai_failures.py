"""The OpenAI provider over real HTTP: every way in which an answer can fail, or be stopped."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import aclosing
from typing import Any

import model_server as server_side
import pytest
from model_server import CLOSE, CUT, RESET, Hold, ModelServer, Reply, call_delta, delta, end, failure, raw, text
from provider_kit import HELLO, Sleeps, answer, broken, connected, retries, said, spec_of, wanted

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.messages import (
    ModelRequest,
    ReasoningChunk,
    RetryChunk,
    TextChunk,
    UserMessage,
)
from micro_agi_kernel.models.endpoint import endpoint_of
from micro_agi_kernel.models.openai import OpenAIModel, Patience


@pytest.mark.parametrize("end_of_stream", [CLOSE, CUT, RESET])
async def test_cut_after_text_keeps_the_text_and_is_not_repeated(end_of_stream: str) -> None:
    chunks, line = await broken([Reply((delta(content="half an ans"), end_of_stream))])
    assert chunks == [TextChunk("half an ans")]
    assert "broke off" in line


@pytest.mark.parametrize("end_of_stream", [CLOSE, CUT, RESET])
async def test_cut_before_anything_visible_is_repeated(end_of_stream: str) -> None:
    cut = Reply((delta(role="assistant", content=""), call_delta(0, '{"x"', id="a", name="t"), end_of_stream))
    sleeps = Sleeps()
    chunks, server = await answer([cut, text("whole")], sleeps=sleeps)
    assert said(chunks) == "whole" and not wanted(chunks)
    assert len(retries(chunks)) == len(sleeps.seconds) == 1
    assert server.requests[0].body == server.requests[1].body


async def test_cut_inside_reasoning_is_not_repeated() -> None:
    """Reasoning is shown too, and nothing is shown twice."""
    chunks, _ = await broken([Reply((delta(reasoning_content="hm"), CUT))])
    assert chunks == [ReasoningChunk("hm")]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_passing_failures_are_repeated_and_announced(status: int) -> None:
    sleeps = Sleeps()
    chunks, _ = await answer([failure(status), failure(status), text("ok")], sleeps=sleeps)
    assert said(chunks) == "ok"
    assert sleeps.seconds == [0.5, 1.0]
    assert len(retries(chunks)) == 2 and "(2 of 3)" in retries(chunks)[1]


async def test_three_repeats_then_the_error() -> None:
    sleeps = Sleeps()
    chunks, line = await broken([failure(503, "overloaded")] * 4, sleeps=sleeps)
    assert sleeps.seconds == [0.5, 1.0, 2.0]
    assert len(retries(chunks)) == len(chunks) == 3
    assert "HTTP 503" in line and "overloaded" in line


async def test_jitter_shortens_the_pause() -> None:
    sleeps, spec = Sleeps(), spec_of()
    with ModelServer([failure(500), text("ok")]) as server:
        endpoint = endpoint_of(spec, spec.providers[0], {"OPENAI_BASE_URL": server.url}.get)
        model = OpenAIModel(spec, spec.providers[0], endpoint, sleep=sleeps, jitter=lambda: 1.0)
        assert said([chunk async for chunk in model.stream(HELLO)]) == "ok"
        await model.close()
    assert sleeps.seconds == [0.25]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After-Ms": "1500"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:20 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 20.0),
        ({"Retry-After": "soon"}, 0.5),
        ({"Retry-After": "-3"}, 0.5),
        ({"Retry-After": "9" * 400}, 0.5),
        ({"Retry-After": "Wed, 21 Oct 99999999999999 07:28:20 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.5),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:20 +99999999999999", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.5),
    ],
)
async def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    sleeps = Sleeps()
    await answer([failure(429, headers=headers), text("ok")], sleeps=sleeps)
    assert sleeps.seconds == [pytest.approx(seconds)]


async def test_a_server_that_asks_for_a_long_wait_is_not_waited_for() -> None:
    sleeps = Sleeps()
    chunks, line = await broken([failure(429, headers={"Retry-After": "3600"})], sleeps=sleeps)
    assert chunks == [] and sleeps.seconds == []
    assert "limits the rate" in line


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (failure(400, "temperature must be positive"), "refused the request (HTTP 400) (temperature must be positive)"),
        (failure(400, "too big", code="context_length_exceeded"), "too long for m: ask again, run %comp"),
        (failure(400, "This model's maximum context length is 8192 tokens"), "the conversation is too long for m"),
        (failure(401, "bad key"), "refused the key (bad key): check OPENAI_API_KEY"),
        (failure(403), "does not permit the use of provider-name"),
        (failure(404, "no such model"), "does not know the model 'provider-name' (no such model)"),
        (failure(413), "the conversation is too long for m"),
        (failure(422), "refused the request (HTTP 422)"),
        (failure(429, code="insufficient_quota"), "no credit left"),
        (raw(b"<html><script>x</script></html>", status=404), "does not know the model 'provider-name': name one"),
        (raw(b"", status=307, headers={"Location": "http://127.0.0.1:9/v1"}), "redirects (HTTP 307): set"),
        (raw(b"<html>Welcome</html>"), "is no chat completion stream: check the address"),
        (raw(b'{"object": "chat.completion"}'), "is no chat completion stream: check the address"),
        (Reply((b"data: {nonsense\n\n",)), "sent something that is no JSON"),
        (Reply((b'data: "\xff\xfe"\n\n',)), "sent something that is no JSON"),
        (Reply((b"data: " + b"[" * 100_000 + b"\n\n",)), "sent something that is no JSON"),
        (Reply((b'data: {"error": {"message": "it burns"}}\n\n',)), "it burns"),
        (Reply((b'data: {"error": "it burns"}\n\n',)), "it burns"),
        (Reply((b'data: {"error": [1, {"code": {}}]}\n\n',)), "refused the request"),
    ],
)  # fmt: skip
async def test_lasting_failures_are_not_repeated_and_say_what_to_do(reply: Reply, expected: str) -> None:
    sleeps = Sleeps()
    chunks, line = await broken([reply], sleeps=sleeps)
    assert expected in line
    assert chunks == [] and sleeps.seconds == []


async def test_bad_json_after_text_keeps_the_text() -> None:
    chunks, line = await broken([Reply((delta(content="half"), b"data: {nonsense\n\n"))])
    assert said(chunks) == "half" and "no JSON" in line


@pytest.mark.parametrize("error", [{"message": "busy", "code": 502}, {"message": "busy", "type": "server_error"}])
async def test_error_event_that_passes_is_repeated(error: dict[str, Any]) -> None:
    event = f"data: {json.dumps({'error': error})}\n\n".encode()
    chunks, _ = await answer([Reply((event,)), text("ok")])
    assert said(chunks) == "ok" and "busy" in retries(chunks)[0]


async def test_empty_stream_is_an_answer_cut_short() -> None:
    chunks, _ = await answer([Reply(()), text("ok")])
    assert said(chunks) == "ok" and len(retries(chunks)) == 1


async def test_hang_up_before_the_answer() -> None:
    chunks, _ = await answer([server_side.hang_up(), text("ok")])
    assert said(chunks) == "ok" and len(retries(chunks)) == 1


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with connected(f"http://127.0.0.1:{port}/v1") as model:
        with pytest.raises(ModelError, match=f"no answer from http://127.0.0.1:{port}/v1 .*: start the server"):
            async for chunk in model.stream(HELLO):
                assert isinstance(chunk, RetryChunk)


async def test_silence_ends_in_an_error() -> None:
    hold = Hold()
    chunks, line = await broken([Reply((delta(content="a"), hold))], patience=Patience(idle=0.1))
    assert said(chunks) == "a" and "did not answer in time" in line


COMMENTS = (b": still here\n\n", 0.04) * 50


@pytest.mark.parametrize(
    "drip",
    [COMMENTS, (b"data: {}\n\n", 0.04) * 50, (delta(role="assistant", content=""), 0.04) * 50],
    ids=["comments", "empty events", "empty deltas"],
)
async def test_what_says_nothing_is_silence(drip: tuple[Any, ...]) -> None:
    """Each piece comes well within the idle time, all of them do not."""
    patience = Patience(idle=0.6)
    chunks, line = await broken(
        [Reply((delta(content="a"), *drip, delta(content="b"), end("stop")))], patience=patience
    )
    assert said(chunks) == "a" and "did not answer in time" in line


async def test_slow_words_are_no_silence() -> None:
    slow = [event for piece in "slowly" for event in (delta(content=piece), b": still here\n\n", 0.2)]
    chunks, _ = await answer([Reply((*slow, end("stop")))], patience=Patience(idle=1.0))
    assert said(chunks) == "slowly"


async def test_hostile_words_of_a_server_are_one_clean_short_line() -> None:
    _, line = await broken([failure(400, "\x1b[31mred\r\nnext \u202eesrever " + "long " * 5_000)])
    assert "[31mred next esrever" in line and "\x1b" not in line and "\u202e" not in line
    assert len(line) < 400


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
async def test_an_address_that_no_server_has_is_not_taken_for_a_missing_model(path: str) -> None:
    """Servers say 404 both for a path and for a model that they do not have."""
    with ModelServer([failure(404, "404 page not found")] if path.startswith("/v1") else []) as server:
        async with connected(server.url.removesuffix("/v1") + path) as model:
            with pytest.raises(ModelError, match=r"404|no such path") as caught:
                async for _ in model.stream(HELLO):
                    pass
    line = str(caught.value)
    assert "check OPENAI_BASE_URL" in line and ("(most end in /v1)" in line) == (not path.startswith("/v1"))


# Stopping


async def test_closing_the_stream_hangs_up() -> None:
    hold = Hold()
    with ModelServer([Reply((delta(content="first"), hold))]) as server:
        async with connected(server.url) as model:
            async with aclosing(model.stream(HELLO)) as chunks:
                assert await anext(chunks) == TextChunk("first")
            assert await asyncio.to_thread(hold.closed.wait, 10)


@pytest.mark.parametrize("where", ["before the answer", "in the answer"])
async def test_cancelling_hangs_up(where: str) -> None:
    hold = Hold()
    reply = Reply(before=hold) if where == "before the answer" else Reply((delta(content="first"), hold))

    async def consume(model: OpenAIModel) -> None:
        async for _ in model.stream(HELLO):
            pass

    with ModelServer([reply]) as server:
        async with connected(server.url) as model:
            task = asyncio.create_task(consume(model))
            assert await asyncio.to_thread(hold.reached.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(hold.closed.wait, 10)


async def test_model_answers_again_after_it_was_cancelled_and_closed() -> None:
    hold = Hold()
    with ModelServer([Reply((delta(content="first"), hold)), text("second"), text("third")]) as server:
        async with connected(server.url) as model:
            async with aclosing(model.stream(HELLO)) as chunks:
                await anext(chunks)
            assert said([chunk async for chunk in model.stream(HELLO)]) == "second"
            await model.close()
            await model.close()
            assert said([chunk async for chunk in model.stream(HELLO)]) == "third"


async def test_two_streams_at_once() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return text(body["messages"][-1]["content"].upper())

    with ModelServer(reply) as server:
        async with connected(server.url) as model:

            async def ask(prompt: str) -> str:
                return said([chunk async for chunk in model.stream(ModelRequest((UserMessage(prompt),)))])

            assert await asyncio.gather(ask("one"), ask("two")) == ["ONE", "TWO"]
