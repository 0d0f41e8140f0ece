"""The entries of examples/local_server.md, each against a server that answers as that one does, oddities included."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from model_server import Event, ModelServer, Reply, chunk, delta, end, failure, raw

from micro_agi_kernel.entries import EntryId, from_files
from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.messages import (
    AssistantMessage,
    CallChunk,
    FinishChunk,
    ModelChunk,
    ModelRequest,
    ReasoningChunk,
    TextChunk,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    UserMessage,
)
from micro_agi_kernel.models import choose, open_choice
from micro_agi_kernel.models.catalog import MOST, ModelSpec, read_spec

PAGE = Path(__file__).parents[2] / "examples/local_server.md"
CLOCK = ToolSpec("clock", "Tells the time", {"type": "object", "properties": {"zone": {"type": "string"}}})
ASKED = ModelRequest((UserMessage("what time is it?"),), (CLOCK,))
USAGE = {"prompt_tokens": 31, "completion_tokens": 9, "total_tokens": 40}
FIGURES = Usage(31, 9)


def specs_of_the_page() -> dict[str, ModelSpec]:
    """Each whole entry on the page, by its name."""
    found = re.findall(r"^kind: registry\.entry\n.*?(?=^YAML$|^```$)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    entries = [from_files(EntryId("app", "x"), {"x.yaml": text.encode()}) for text in found]
    return {spec.name: spec for spec in map(read_spec, entries)}


SPECS = specs_of_the_page()


@dataclass(frozen=True)
class Dress:
    """How a server answers: a call of `clock` for UTC, then words; and its refusals."""

    call: Reply
    words: Reply
    calls: list[ToolCall]
    """What the call is for the conversation; an id of "" is one of ours."""
    reasoning: str
    no_tools: tuple[Reply, str]
    no_model: tuple[Reply, str]
    too_long: Reply
    usage: Usage = FIGURES


def called(id: str, *fragments: str, index: int = 0, **more: Any) -> list[Event]:
    """The call in pieces: id and name with the first."""
    first, *rest = fragments
    name = {"name": "clock", "arguments": first}
    return [
        delta(**more, tool_calls=[{"index": index, "id": id, "type": "function", "function": name}]),
        *(delta(tool_calls=[{"index": index, "function": {"arguments": piece}}]) for piece in rest),
    ]


def finish(reason: str, **more: Any) -> dict[str, Any]:
    event = end(reason)
    return {**event, "choices": [{**event["choices"][0], **more}]}


UTC = '{"zone":"UTC"}'
OVERFLOW = "the request exceeds the available context size, try increasing it"

DRESSES: dict[str, Dress] = {
    # Each delta repeats the role and an empty content; a call comes whole, and all calls may have index 0.
    "qwen": Dress(
        call=Reply(
            (
                delta(role="assistant", content="", reasoning="Hm."),
                *called("call_1a2b3c4d", UTC, role="assistant", content=""),
                *called("call_5e6f7a8b", "{}", role="assistant", content=""),
                {**finish("tool_calls"), "system_fingerprint": "fp_ollama"},
            ),
            USAGE,
        ),
        words=Reply((delta(role="assistant", content="noon"), finish("stop", delta={"content": ""})), USAGE),
        calls=[ToolCall("call_1a2b3c4d", "clock", UTC), ToolCall("call_5e6f7a8b", "clock", "{}")],
        reasoning="Hm.",
        no_tools=(
            failure(400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
            "qwen3:8b takes no tools at {url} (registry.ollama.ai/library/gemma3:4b does not support tools): choose",
        ),
        no_model=(failure(404, "model 'qwen3:8b' not found"), "does not know the model 'qwen3:8b' (model"),
        too_long=failure(400, "the input length exceeds the context length"),
    ),
    # Content is null at first; `timings` beside the choices; the id is 32 characters without a prefix.
    "llama-cpp": Dress(
        call=Reply(
            (
                delta(role="assistant", content=None),
                delta(reasoning_content="Hm."),
                *called("h4Kq0000000000000000000000000Zx7", "{", '"zone":', '"UTC"}'),
                {**finish("tool_calls"), "timings": {"cache_n": 30, "prompt_n": 1, "predicted_n": 9}},
            ),
            USAGE | {"prompt_tokens_details": {"cached_tokens": 30}},
        ),
        words=Reply((b": ping\n\n", delta(role="assistant", content=None), delta(content="noon"), end("stop")), USAGE),
        calls=[ToolCall("h4Kq0000000000000000000000000Zx7", "clock", UTC)],
        reasoning="Hm.",
        no_tools=(failure(500, "tools param requires --jinja flag"), "default takes no tools at {url} (tools param"),
        no_model=(failure(401, "Invalid API Key"), "wants a key (Invalid API Key)"),
        too_long=failure(400, OVERFLOW, code=None),
        usage=Usage(31, 9, cached=30),
    ),
    # Ids longer than OpenAI takes; empty content at the end; errors without the key `error`, and null details.
    "vllm": Dress(
        call=Reply(
            (
                delta(role="assistant", content="", reasoning_content=None),
                delta(reasoning_content="Hm.", reasoning="Hm."),
                *called("chatcmpl-tool-0123456789abcdef0123456789abcdef", "", '{"zone"', ': "UTC"}'),
                finish("tool_calls", delta={"content": ""}, stop_reason=None),
            ),
            USAGE | {"prompt_tokens_details": None},
        ),
        words=Reply(
            (delta(role="assistant", content=""), delta(content="noon"), finish("stop", stop_reason=None)), USAGE
        ),
        calls=[ToolCall("", "clock", '{"zone": "UTC"}')],
        reasoning="Hm.",
        no_tools=(
            raw(
                b'{"object":"error","message":"\\"auto\\" tool choice requires --enable-auto-tool-choice and '
                b'--tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}',
                status=400,
            ),
            'Qwen/Qwen3-8B takes no tools at {url} ("auto" tool choice requires --enable-auto-tool-choice',
        ),
        no_model=(
            raw(
                b'{"object":"error","message":"The model `Qwen/Qwen3-8B` does not exist.","type":"NotFoundError",'
                b'"param":null,"code":404}',
                status=404,
            ),
            "does not know the model 'Qwen/Qwen3-8B' (The model `Qwen/Qwen3-8B` does not exist.)",
        ),
        too_long=failure(400, "This model's maximum context length is 40960 tokens. However, you requested 50000"),
    ),
    # Ids of nine digits; errors as an event of their own inside a stream.
    "lm-studio": Dress(
        call=Reply(
            (
                delta(role="assistant", reasoning="Hm."),
                *called("365174485", "", '{"zone"', ":", '"UTC"', "}"),
                finish("tool_calls", logprobs=None),
            ),
            USAGE,
        ),
        words=Reply((delta(role="assistant", content="noon"), end("stop")), USAGE),
        calls=[ToolCall("365174485", "clock", UTC)],
        reasoning="Hm.",
        no_tools=(
            failure(400, "Tool use is not supported by this model"),
            "qwen/qwen3-8b takes no tools at {url} (Tool",
        ),
        no_model=(
            failure(404, "No models loaded. Please load a model", code="model_not_found"),
            "does not know the model 'qwen/qwen3-8b' (No models loaded. Please load a model)",
        ),
        too_long=Reply(
            (b'event: error\ndata: {"error": {"message": "context length of only 4096 tokens, not enough"}}\n\n',)
        ),
    ),
}


async def ask(spec: ModelSpec, request: ModelRequest) -> list[ModelChunk]:
    """One request by the way that a session takes, in an environment that has a key for somebody else."""
    secrets: Callable[[str], str | None] = {"OPENAI_API_KEY": "sk-planted-0123456789abcdef"}.get
    model = open_choice(choose([spec], spec.name, None, secrets), secrets)
    try:
        return [chunk async for chunk in model.stream(request)]
    finally:
        await model.close()


def at(spec: ModelSpec, server: ModelServer) -> ModelSpec:
    """The entry with the address of a test's server."""
    assert (spec.providers[0].base_url or "").endswith("/v1")
    return replace(spec, providers=(replace(spec.providers[0], base_url=server.url),))


def test_the_page_has_an_entry_for_each_server() -> None:
    assert SPECS.keys() == DRESSES.keys()
    assert len({spec.providers[0].base_url for spec in SPECS.values()}) == 4
    ready = choose(list(SPECS.values()), "local", None, {}.get)
    assert ready.spec.name == "vllm" and [s.name for s in ready.others] == ["qwen", "llama-cpp", "lm-studio"]
    for spec in SPECS.values():
        assert spec.calls_tools and spec.output_tokens < spec.window


@pytest.mark.parametrize("name", DRESSES)
async def test_a_call_and_words(name: str) -> None:
    dress = DRESSES[name]
    with ModelServer([dress.call, dress.words]) as server:
        spec = at(SPECS[name], server)
        chunks = await ask(spec, ASKED)
        assert "".join(c.text for c in chunks if isinstance(c, ReasoningChunk)) == dress.reasoning
        assert not any(isinstance(c, TextChunk) for c in chunks)
        calls = [c.call for c in chunks if isinstance(c, CallChunk)]
        assert [
            replace(call, id=want.id and call.id) for call, want in zip(calls, dress.calls, strict=True)
        ] == dress.calls
        assert all(re.fullmatch(r"[A-Za-z0-9_.:-]{1,40}", call.id) for call in calls)
        assert chunks[-1] == FinishChunk("tool_calls", dress.usage)

        results = tuple(ToolResult(call.id, call.name, '"noon"', True) for call in calls)
        told = ModelRequest((*ASKED.messages, AssistantMessage("", tuple(calls)), *results), (CLOCK,))
        assert await ask(spec, told) == [TextChunk("noon"), FinishChunk("stop", Usage(31, 9))]
    for request in server.requests:
        assert request.headers["authorization"] == "Bearer none", "no key of the person goes to an entry's server"
        assert request.body["model"] == spec.providers[0].model
    sent = server.requests[1].body["messages"]
    assert [m["tool_call_id"] for m in sent[2:]] == [call["id"] for call in sent[1]["tool_calls"]]


async def refused(name: str, reply: Reply) -> tuple[str, str]:
    """The line that the person reads, and the server's address; one request, which is not repeated."""
    with ModelServer([reply]) as server, pytest.raises(ModelError) as caught:
        await ask(at(SPECS[name], server), ASKED)
    assert "\n" not in str(caught.value)
    return str(caught.value), server.url


@pytest.mark.parametrize("name", DRESSES)
async def test_a_model_without_tools_is_refused_in_one_line(name: str) -> None:
    reply, expected = DRESSES[name].no_tools
    line, url = await refused(name, reply)
    assert line.startswith(expected.format(url=url))
    assert line.endswith("choose a model that does, or start the server so")


@pytest.mark.parametrize("name", DRESSES)
async def test_a_model_that_is_not_there_and_a_prompt_that_is_too_long(name: str) -> None:
    reply, expected = DRESSES[name].no_model
    assert expected in (await refused(name, reply))[0]
    assert (await refused(name, DRESSES[name].too_long))[
        0
    ] == f"the conversation is too long for {name}: ask again, run %compact, or start a new session"


async def test_an_address_of_lm_studio_without_its_end() -> None:
    line, _ = await refused("lm-studio", raw(b'{"error":"Unexpected endpoint or method. (POST /chat/completions)"}'))
    assert "is no chat completion stream: check the address (most end in /v1)" in line


OTHERS = [
    (400, "tools is not supported in this model. For a list of supported models, refer to", True),
    (405, "deepinfra error: Tool calling is not supported for model: mistral", True),
    (404, 'No endpoints found that support tool use. Try disabling "doc_search".', True),
    (500, "Unsupported param: tools", True),
    (400, "This model doesn't support function calling", True),
    (400, "Invalid schema for function 'f': 'oneOf' is not supported", False),
    (400, "the result of the tool is missing", False),
]


@pytest.mark.parametrize(("status", "words", "no_tools"), OTHERS)
async def test_others_say_it_in_other_words(status: int, words: str, no_tools: bool) -> None:
    assert ("takes no tools" in (await refused("vllm", failure(status, words)))[0]) == no_tools


# Figures under other names


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE | {"prompt_cache_hit_tokens": 20, "prompt_cache_miss_tokens": 11}, Usage(31, 9, cached=20)),
        (USAGE | {"cached_tokens": 4, "reasoning_tokens": 3}, Usage(31, 9, cached=4, reasoning=3)),
        (USAGE | {"completion_tokens_details": {"reasoning_tokens": 8}}, Usage(31, 9, reasoning=8)),
        (USAGE | {"prompt_tokens_details": {"cached_tokens": 99}, "reasoning_tokens": 99}, Usage(31, 9, 31, 9)),
        (USAGE | {"prompt_tokens": 10**400, "completion_tokens": 1e9}, Usage(MOST, MOST)),
        (USAGE | {"prompt_tokens": -1, "cached_tokens": 5}, Usage(0, 9)),
    ],
)
async def test_usage_as_servers_name_it(usage: dict[str, Any], expected: Usage) -> None:
    with ModelServer([Reply((delta(content="x"), end("stop"), chunk([])), json.loads(json.dumps(usage)))]) as server:
        assert (await ask(at(SPECS["vllm"], server), ASKED))[-1] == FinishChunk("stop", expected)
