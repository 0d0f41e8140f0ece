"""The OpenAI provider over real HTTP: what it sends, what it makes of an answer, and every way an answer can fail."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import model_server as server_side
import pytest
from model_server import CLOSE, CUT, RESET, Hold, ModelServer, Reply, call_delta, calls, delta, end, failure, raw, text

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.messages import (
    AssistantMessage,
    CallChunk,
    FinishChunk,
    Message,
    ModelChunk,
    ModelRequest,
    ReasoningChunk,
    RetryChunk,
    SystemMessage,
    TextChunk,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    UserMessage,
)
from micro_agi_kernel.models import open_model
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.endpoint import endpoint_of
from micro_agi_kernel.models.openai import PROVIDER, OpenAIModel, Patience

KEY = "sk-planted-0123456789abcdef"
HELLO = ModelRequest((UserMessage("hello"),))
USUAL = Patience()


def spec_of(provider: Provider | None = None, **fields: Any) -> ModelSpec:
    provider = provider or Provider(PROVIDER, "provider-name")
    return ModelSpec(EntryId.parse("app:m"), "m", "M", (provider,), window=1000, output_tokens=100, **fields)


class Sleeps:
    """Stands for asyncio.sleep, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@asynccontextmanager
async def connected(
    url: str, *, spec: ModelSpec | None = None, patience: Patience = USUAL, sleeps: Sleeps | None = None
) -> AsyncIterator[OpenAIModel]:
    spec = spec or spec_of()
    provider = spec.providers[0]
    endpoint = endpoint_of(spec, provider, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url}.get)
    sleep = sleeps or Sleeps()
    model = OpenAIModel(spec, provider, endpoint, patience=patience, sleep=sleep, jitter=lambda: 0.0)
    try:
        yield model
    finally:
        await model.close()


async def answer(script: Any, request: ModelRequest = HELLO, **options: Any) -> tuple[list[ModelChunk], ModelServer]:
    """What the provider makes of a script that ends well."""
    with ModelServer(script) as server:
        async with connected(server.url, **options) as model:
            return [chunk async for chunk in model.stream(request)], server


async def broken(script: Any, request: ModelRequest = HELLO, **options: Any) -> tuple[list[ModelChunk], str]:
    """What came before the error, and the error's line."""
    chunks: list[ModelChunk] = []
    with ModelServer(script) as server:
        async with connected(server.url, **options) as model:
            with pytest.raises(ModelError) as caught:
                async for chunk in model.stream(request):
                    chunks.append(chunk)
    line = str(caught.value)
    assert "\n" not in line and line
    # Nothing that hangs on the error can show the request.
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    return chunks, line


def said(chunks: list[ModelChunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


def wanted(chunks: list[ModelChunk]) -> list[ToolCall]:
    return [chunk.call for chunk in chunks if isinstance(chunk, CallChunk)]


def retries(chunks: list[ModelChunk]) -> list[str]:
    return [chunk.reason for chunk in chunks if isinstance(chunk, RetryChunk)]


# What is sent


async def test_request_carries_conversation_and_tools() -> None:
    tool = ToolSpec("clock", "Tells the time", {"type": "object", "properties": {"zone": {"type": "string"}}})
    messages: tuple[Message, ...] = (
        SystemMessage("be brief"),
        UserMessage("what time is it?"),
        AssistantMessage("Let me see", (ToolCall("c1", "clock", '{"zone": "UTC"}'),)),
        ToolResult("c1", "clock", '{"utc": "noon"}', True),
        AssistantMessage("It is no", interrupted=True),
        UserMessage("go on"),
    )
    _, server = await answer([text("on")], ModelRequest(messages, (tool,), max_tokens=77, temperature=0.5))
    [request] = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    body = request.body
    assert body["model"] == "provider-name"
    assert (body["max_tokens"], body["temperature"]) == (77, 0.5)
    assert body["stream"] is True and body["stream_options"] == {"include_usage": True}
    assert "max_completion_tokens" not in body and "reasoning_effort" not in body
    function = {"name": "clock", "description": "Tells the time", "parameters": dict(tool.schema)}
    assert body["tools"] == [{"type": "function", "function": function}]
    call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}}
    assert body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what time is it?"},
        {"role": "assistant", "content": "Let me see", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"utc": "noon"}'},
        {"role": "assistant", "content": "It is no [interrupted]"},
        {"role": "user", "content": "go on"},
    ]


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": []}, {"type": "array"}])
async def test_schema_is_always_an_object_with_properties(schema: Any) -> None:
    _, server = await answer([text("ok")], ModelRequest(HELLO.messages, (ToolSpec("t", "", schema),)))
    assert server.requests[0].body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


async def test_conversation_stays_sendable_whatever_it_holds() -> None:
    messages: tuple[Message, ...] = (
        UserMessage("lone \ud800 surrogate, pair \ud83d\ude00"),
        AssistantMessage("", interrupted=True),
        AssistantMessage("", (ToolCall("c1", "t", '{"cut": "he'), ToolCall("c2", "t", "[1]"))),
        ToolResult("c1", "t", '{"error": "no JSON"}', False),
        ToolResult("c2", "t", '{"error": "no object"}', False),
    )
    _, server = await answer([text("ok")], ModelRequest(messages))
    user, assistant, *results = server.requests[0].body["messages"]
    assert user["content"] == "lone \ufffd surrogate, pair \U0001f600"
    assert assistant["content"] is None
    arguments = [json.loads(call["function"]["arguments"]) for call in assistant["tool_calls"]]
    assert arguments == [{"malformed_arguments": '{"cut": "he'}, {"malformed_arguments": "[1]"}]
    assert [result["tool_call_id"] for result in results] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("effort", "sent"),
    [(-1, "minimal"), (0, "minimal"), (1, "low"), (24, "low"), (25, "medium"), (59, "medium"), (60, "high"),
     (89, "high"), (90, "xhigh"), (100, "xhigh")],
)  # fmt: skip
async def test_reasoning_model_gets_effort_and_no_temperature(effort: int, sent: str) -> None:
    spec = spec_of(Provider(PROVIDER, "deep", reasoning=True), thinking_effort=effort)
    _, server = await answer([text("ok")], spec=spec)
    body = server.requests[0].body
    assert body["reasoning_effort"] == sent
    assert body["max_completion_tokens"] == 512
    assert not {"temperature", "top_p", "max_tokens"} & set(body)


async def test_effort_of_the_request_overrides_that_of_the_model() -> None:
    spec = spec_of(Provider(PROVIDER, "deep", reasoning=True), thinking_effort=10)
    _, server = await answer([text("ok")], ModelRequest(HELLO.messages, thinking_effort=95), spec=spec)
    assert server.requests[0].body["reasoning_effort"] == "xhigh"


async def test_effort_is_sent_only_to_models_that_reason() -> None:
    _, server = await answer([text("ok")], ModelRequest(HELLO.messages, thinking_effort=95), spec=spec_of())
    assert "reasoning_effort" not in server.requests[0].body


# What comes back


async def test_text_reasoning_and_usage() -> None:
    usage = {
        "prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59,
        "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 7},
    }  # fmt: skip
    chunks, _ = await answer([server_side.reply(["Hel", "lo"], reasoning=["hm", "m"], usage=usage)])
    assert chunks == [
        ReasoningChunk("hm"),
        ReasoningChunk("m"),
        TextChunk("Hel"),
        TextChunk("lo"),
        FinishChunk("stop", Usage(prompt=50, completion=9, cached=40, reasoning=7)),
    ]


async def test_reasoning_under_its_other_name() -> None:
    chunks, _ = await answer([Reply((delta(reasoning="hm"), end("stop")))])
    assert chunks == [ReasoningChunk("hm"), FinishChunk("stop")]


async def test_first_delta_is_passed_on_at_once() -> None:
    hold = Hold()
    with ModelServer([Reply((delta(content="first"), hold, delta(content=" second"), end("stop")))]) as server:
        async with connected(server.url) as model, aclosing(model.stream(HELLO)) as chunks:
            assert await anext(chunks) == TextChunk("first")  # the server has sent nothing else yet
            hold.release()
            assert [chunk async for chunk in chunks] == [TextChunk(" second"), FinishChunk("stop")]


async def test_fragments_of_several_calls_interleaved() -> None:
    events = (
        call_delta(0, "", id="a", name="first"),
        call_delta(1, "", id="b", name="second"),
        call_delta(1, '{"y"'),
        call_delta(0, '{"x": '),
        call_delta(1, ": 2}"),
        call_delta(0, "1}"),
        end("tool_calls"),
    )
    chunks, _ = await answer([Reply(events)])
    assert wanted(chunks) == [ToolCall("a", "first", '{"x": 1}'), ToolCall("b", "second", '{"y": 2}')]
    assert chunks[-1] == FinishChunk("tool_calls")


@pytest.mark.parametrize("index", [0, None])
async def test_calls_that_all_have_one_index_or_none(index: int | None) -> None:
    events = (
        call_delta(index, '{"x": 1}', id="a", name="first"),
        call_delta(index, '{"y":', id="b", name="second"),
        call_delta(index, " 2}"),
        end("tool_calls"),
    )
    chunks, _ = await answer([Reply(events)])
    assert wanted(chunks) == [ToolCall("a", "first", '{"x": 1}'), ToolCall("b", "second", '{"y": 2}')]


async def test_name_and_id_repeated_in_each_fragment() -> None:
    events = (
        call_delta(0, '{"x":', id="a", name="tool"),
        call_delta(0, " 1}", id="a", name="tool"),
        end("tool_calls"),
    )
    chunks, _ = await answer([Reply(events)])
    assert wanted(chunks) == [ToolCall("a", "tool", '{"x": 1}')]


async def test_arguments_that_are_an_object_or_nothing() -> None:
    whole = delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "t", "arguments": {"x": 1}}}])
    none = delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "u"}}])
    chunks, _ = await answer([Reply((whole, none, end("tool_calls")))])
    assert wanted(chunks) == [ToolCall("a", "t", '{"x": 1}'), ToolCall("b", "u", "{}")]


async def test_ids_and_names_are_valid_before_anyone_sees_them() -> None:
    before: tuple[Message, ...] = (
        UserMessage("hello"),
        AssistantMessage("", (ToolCall("used", "t", "{}"),)),
        ToolResult("used", "t", "{}", True),
    )
    bad = [("ok", {}), ("no id", {}), ("", {}), ("x" * 99, {}), ("naïve/näme", {}), ("odd", {}), ("twice", {})]
    reply = calls(*bad, ids=["used", "", "same", "same", "\x1b[31m", "i" * 99, "fine"])
    chunks, _ = await answer([reply], ModelRequest(before))
    found = wanted(chunks)
    assert [call.name for call in found] == ["ok", "no_id", "unnamed", "x" * 64, "na_ve_n_me", "odd", "twice"]
    ids = [call.id for call in found]
    assert len({"used", *ids}) == len(bad) + 1
    assert all(re.fullmatch(r"[A-Za-z0-9_.:-]{1,40}", id) for id in ids)
    assert ids[2] == "same" and ids[-1] == "fine"


async def test_length_cut_inside_a_call_says_so() -> None:
    events = (call_delta(0, '{"source": "retu', id="a", name="create_tool"), end("length"))
    chunks, _ = await answer([Reply(events)])
    assert chunks == [CallChunk(ToolCall("a", "create_tool", '{"source": "retu')), FinishChunk("length")]


async def test_byte_by_byte() -> None:
    whole = server_side.reply(["Grüße ", "🎉"], [("t", {"ä": "ö"})], ids=["a"])
    chunks, _ = await answer([Reply(whole.events, whole.usage, bytewise=True)])
    assert said(chunks) == "Grüße 🎉"
    assert [json.loads(call.arguments) for call in wanted(chunks)] == [{"ä": "ö"}]


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [7]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 7, "tool_calls": [None, {"function": "x"}][:1], "reasoning": {}}}]},
        {"usage": "many"},
        {"usage": {"prompt_tokens": -4, "completion_tokens": True, "prompt_tokens_details": 3}},
        [1, 2],
        "text",
        None,
    ],
)
async def test_events_of_an_odd_form_are_passed_over(odd: Any) -> None:
    event = f"data: {json.dumps(odd)}\n\n".encode()
    chunks, _ = await answer([Reply((delta(content="a"), event, delta(content="b"), event, end("stop")))])
    assert said(chunks) == "ab"
    assert chunks[-1] == FinishChunk("stop")


async def test_halves_of_surrogate_pairs_do_not_get_in() -> None:
    event = b'data: {"choices": [{"delta": {"content": "\\ud83d\\ude00 \\ud800"}}]}\n\n'
    chunks, _ = await answer([Reply((event, end("stop")))])
    assert said(chunks) == "\U0001f600 \ufffd"


async def test_answer_is_whole_once_it_has_a_finish_reason() -> None:
    """No usage, no [DONE], even a reset or bad JSON after it: only the figures are lost."""
    for tail in ((), (RESET,), (CUT,), (b"data: {nonsense\n\n",), (delta(content="late"), CLOSE)):
        chunks, _ = await answer([Reply((delta(content="all"), end("stop"), *tail), done=False)])
        assert chunks == [TextChunk("all"), FinishChunk("stop")]


async def test_usage_that_never_comes_is_not_waited_for() -> None:
    hold = Hold()
    with ModelServer([Reply((delta(content="all"), end("stop"), hold))]) as server:
        async with connected(server.url, patience=Patience(tail=0.05)) as model:
            assert [chunk async for chunk in model.stream(HELLO)] == [TextChunk("all"), FinishChunk("stop")]
            assert await asyncio.to_thread(hold.closed.wait, 10)


async def test_many_deltas() -> None:
    pieces = [f"{number} " for number in range(2_000)]
    chunks, _ = await answer([text(*pieces)])
    assert said(chunks) == "".join(pieces)
    assert len(chunks) == 2_001


# How an answer fails


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
        (failure(400, "too big", code="context_length_exceeded"), "too long for m: start a new one"),
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


async def test_hostile_words_of_a_server_are_one_clean_short_line() -> None:
    _, line = await broken([failure(400, "\x1b[31mred\r\nnext \u202eesrever " + "long " * 5_000)])
    assert "[31mred next esrever" in line and "\x1b" not in line and "\u202e" not in line
    assert len(line) < 400


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


# The key


def every_failure() -> Iterator[Reply]:
    for status in (400, 401, 403, 404, 413, 422, 429, 500):
        yield failure(status, f"you sent Bearer {KEY}", headers={"Retry-After": "3600"})
    yield raw(KEY.encode(), status=418, headers={"Content-Type": "text/plain"})
    yield raw(KEY.encode())
    yield Reply((f"data: {KEY}\n\n".encode(),))
    yield Reply((f"data: {json.dumps({'error': {'message': KEY}})}\n\n".encode(),))
    yield Reply((delta(content="x"), CUT))


def locals_of(error: BaseException) -> list[str]:
    """What a traceback with local variables shows of our own frames."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    ours = [repr(frame.locals) for frame in frames if "micro_agi_kernel" in frame.filename]
    assert ours
    return ours


async def test_the_key_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    for reply in every_failure():
        with ModelServer(lambda body, reply=reply: reply) as server:  # type: ignore[misc]
            async with connected(server.url) as model:
                seen += [repr(model), repr(vars(model))]
                try:
                    async for chunk in model.stream(HELLO):
                        seen.append(repr(chunk))
                except ModelError as error:
                    seen += [str(error), repr(error), "".join(traceback.format_exception(error)), *locals_of(error)]
                assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    seen += [record.getMessage() for record in caplog.records]
    assert len(seen) > 40
    assert not [line for line in seen if KEY in line]


@pytest.mark.parametrize("key", ["sk-with\x07bell", "sk with space", "sk-ümlaut"])
def test_a_key_that_is_none_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ModelError, match="OPENAI_API_KEY holds characters") as caught:
        open_model(spec_of(), {"OPENAI_API_KEY": key}.get)
    assert key not in str(caught.value)


async def test_line_break_around_the_key_is_taken_off() -> None:
    with ModelServer([text("ok")]) as server:
        model = open_model(spec_of(), {"OPENAI_API_KEY": f" {KEY}\n", "OPENAI_BASE_URL": server.url}.get)
        assert said([chunk async for chunk in model.stream(HELLO)]) == "ok"
        await model.close()
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_server_of_an_entry_gets_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client itself reads these; only the openai package's own names matter here."""
    planted = {
        "OPENAI_API_KEY": KEY, "OPENAI_ADMIN_KEY": KEY, "OPENAI_ORG_ID": KEY, "OPENAI_PROJECT_ID": KEY,
        "OPENAI_CUSTOM_HEADERS": f"X-Secret: {KEY}\nAuthorization: Bearer {KEY}",
    }  # fmt: skip
    for name, value in planted.items():
        monkeypatch.setenv(name, value)
    with ModelServer([text("ok")]) as server:
        provider = Provider(PROVIDER, "local", base_url=server.url, api_key_env="none")
        model = open_model(spec_of(provider), planted.get)
        assert said([chunk async for chunk in model.stream(HELLO)]) == "ok"
        await model.close()
        [request] = server.requests
    assert KEY not in json.dumps(dict(request.headers))
    assert request.headers["authorization"] == "Bearer none"


async def test_no_key_and_a_server_of_ones_own() -> None:
    with ModelServer([text("ok"), failure(401)]) as server:
        model = open_model(spec_of(), {"OPENAI_BASE_URL": server.url}.get)
        assert said([chunk async for chunk in model.stream(HELLO)]) == "ok"
        with pytest.raises(ModelError, match=r"wants a key .*: set OPENAI_API_KEY"):
            await anext(aiter(model.stream(HELLO)))
        await model.close()
        assert server.requests[0].headers["authorization"] == "Bearer none"
