"""The OpenAI provider over real HTTP: what it makes of an answer."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing
from typing import Any

import model_server as server_side
import pytest
from model_server import CLOSE, CUT, RESET, Hold, ModelServer, Reply, call_delta, calls, delta, end, text
from provider_kit import HELLO, answer, connected, said, wanted

from micro_agi_kernel.messages import (
    AssistantMessage,
    CallChunk,
    FinishChunk,
    Message,
    ModelRequest,
    ReasoningChunk,
    TextChunk,
    ToolCall,
    ToolResult,
    Usage,
    UserMessage,
)
from micro_agi_kernel.models.catalog import MOST
from micro_agi_kernel.models.openai import Patience


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


@pytest.mark.parametrize("name", ["content", "refusal", "reasoning", "reasoning_content"])
async def test_a_character_that_comes_in_two_halves(name: str) -> None:
    pieces = ("a\\ud83d", "", "\\ude00b", "\\ud83d", "c", "\\ud83d")
    events = [b'data: {"choices": [{"delta": {"%b": "%b"}}]}\n\n' % (name.encode(), piece.encode()) for piece in pieces]
    chunks, _ = await answer([Reply((*events, end("stop")))])
    shown = [chunk.text for chunk in chunks if isinstance(chunk, TextChunk | ReasoningChunk)]
    assert shown == ["a", "\U0001f600b", "\ufffdc", "\ufffd"]


PARTS = {"prompt_tokens": 50, "completion_tokens": 10}


@pytest.mark.parametrize(
    ("reports", "usage"),
    [
        (
            [{**PARTS, "total_tokens": 2_098, "completion_tokens_details": {"reasoning_tokens": 2_038}}],
            (50, 2_048, 2_038),
        ),
        ([{**PARTS, "reasoning_tokens": 2_038}], (50, 2_048, 2_038)),
        ([{**PARTS, "total_tokens": 67, "reasoning_tokens": 7}], (50, 17, 7)),
        ([{**PARTS, "total_tokens": 60, "reasoning_tokens": 7}], (50, 10, 7)),
        ([{**PARTS, "reasoning_tokens": 7}], (50, 10, 7)),
        ([PARTS, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}], (50, 10, 0)),
        ([PARTS, {"prompt_tokens": 50, "completion_tokens": 12}], (50, 12, 0)),
        ([{"prompt_tokens": 50.0, "completion_tokens": 10.0}], (50, 10, 0)),
        ([{"prompt_tokens": 2e9, "completion_tokens": 1e30}], (MOST, MOST, 0)),
        ([{"prompt_tokens": 10**30, "completion_tokens": float("inf")}], (MOST, MOST, 0)),
        ([{"prompt_tokens": "50", "completion_tokens": float("nan")}], (0, 0, 0)),
    ],
)
async def test_usage_in_all_its_forms(reports: list[dict[str, Any]], usage: tuple[int, int, int]) -> None:
    """Thoughts are part of the completion, or stand beside it; what is absurd counts, as the most that there is."""
    events = [server_side.chunk([], report) for report in reports]
    chunks, _ = await answer([Reply((delta(content="a"), end("stop"), *events))])
    prompt, completion, reasoning = usage
    assert chunks[-1] == FinishChunk("stop", Usage(prompt, completion, reasoning=reasoning))


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
