"""The OpenAI provider over real HTTP: what it sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from model_server import text
from provider_kit import HELLO, KEY, answer, spec_of
from sendable_kit import check_sendable

from micro_agi_kernel.messages import (
    AssistantMessage,
    Message,
    ModelRequest,
    SystemMessage,
    ToolCall,
    ToolResult,
    ToolSpec,
    UserMessage,
)
from micro_agi_kernel.models.catalog import Provider
from micro_agi_kernel.models.openai import PROVIDER


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
    "arguments",
    ['{"a": NaN}', '{"a": [-Infinity]}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"\\udc00": 1}', '{"a": 1} x'],
)
async def test_arguments_that_a_strict_parser_refuses_are_wrapped(arguments: str) -> None:
    messages = (
        UserMessage("hi"),
        AssistantMessage("", (ToolCall("c", "t", arguments),)),
        ToolResult("c", "t", "1", True),
    )
    _, server = await answer([text("ok")], ModelRequest(messages))
    check_sendable(server.requests[0].body)
    [call] = server.requests[0].body["messages"][1]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"malformed_arguments": arguments}


def test_the_check_of_what_can_be_sent_is_strict() -> None:
    for arguments in ('{"a": NaN}', '{"a": "\\ud800"}', "[]", "{"):
        call = {"id": "c", "function": {"name": "t", "arguments": arguments}}
        messages = [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c"}]
        with pytest.raises((AssertionError, ValueError)):
            check_sendable({"messages": messages})


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
