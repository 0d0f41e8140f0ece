"""Another model of the class goes on when a provider is down: which ones, when, and when not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
from model_server import CUT, ModelServer, Reply, Script, call_delta, delta, failure, hang_up, text

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.messages import FinishChunk, ModelChunk, ModelRequest, RetryChunk, TextChunk, Usage, UserMessage
from micro_agi_kernel.models import choose, obstacle, open_choice, open_model
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.endpoint import Endpoint
from micro_agi_kernel.models.fallback import FallbackModel
from micro_agi_kernel.models.openai import PROVIDER, OpenAIModel

HELLO = ModelRequest((UserMessage("hello"),))
LOCAL = "http://127.0.0.1:9/v1"


def spec(name: str, *classes: str, url: str | None = LOCAL, **more: Any) -> ModelSpec:
    provider = Provider(PROVIDER, f"{name}-there", base_url=url, api_key_env="none" if url else None)
    return ModelSpec(EntryId("app", name), name, "", (provider,), 1000, 100, classes=classes, **more)


DEMO = ModelSpec(EntryId("app", "demo"), "demo", "", (Provider("micro_agi:demo", "demo"),), 9, 9, classes=("fast",))
BIG = spec("big", "fast", "deep", priority=9)
KEYLESS = spec("keyless", "fast", url=None, priority=8)
MUTE = spec("mute", "fast", priority=7, capabilities=("generate",))
SMALL = spec("small", "fast", priority=5, capabilities=("generate", "tool_use"))
OTHER = spec("other", "slow", priority=9)
DEEP = spec("deep-one", "deep", priority=1)
ALL = [DEEP, DEMO, KEYLESS, MUTE, OTHER, SMALL, BIG]


def no_secret(name: str) -> None:
    """An environment without keys."""


# Which ones


@pytest.mark.parametrize(
    ("wanted", "chosen", "others"),
    [
        ("fast", "big", ["small"]),
        ("class:fast", "big", ["small"]),
        ("deep", "big", ["deep-one"]),
        ("big", "big", ["small", "deep-one"]),
        ("small", "small", ["big"]),
        ("keyless", "keyless", ["big", "small"]),
        ("other", "other", []),
        ("demo", "demo", ["big", "small"]),
    ],
)
def test_those_of_the_class_stand_in_that_can_run(wanted: str, chosen: str, others: list[str]) -> None:
    for choice in (choose(ALL, wanted, None, no_secret), choose([*ALL, DEEP][::-1], wanted, None, no_secret)):
        assert choice.spec.name == chosen
        assert [spec.name for spec in dict.fromkeys(choice.others)] == others


def test_of_a_class_the_best_that_can_run_is_chosen() -> None:
    assert choose([KEYLESS, MUTE, SMALL, DEMO], "fast", None, no_secret).spec is SMALL
    assert choose([KEYLESS, MUTE], "fast", None, no_secret).spec is KEYLESS, "says what it lacks when it is opened"
    assert choose([KEYLESS, MUTE, SMALL, DEMO], None, "class:fast", no_secret).spec is SMALL
    assert choose([DEMO], "fast", None, no_secret).spec is DEMO


def test_the_agents_model_has_others_and_the_demo_that_runs_instead_has_none() -> None:
    assert choose(ALL, None, "big", no_secret).others == (SMALL, DEEP)
    instead = choose(ALL, None, "keyless", no_secret)
    assert (instead.spec, instead.others, instead.fallback) == (DEMO, (), True)


# Models without tools


def test_a_model_whose_entry_has_no_tool_use_is_refused_in_one_line() -> None:
    line = "mute cannot call tools, by which the agent works: choose another model, or add tool_use to the capabilities"
    with pytest.raises(ModelError, match=line):
        choose(ALL, "mute", None, no_secret)
    with pytest.raises(ModelError, match="mute cannot call tools"):
        choose([MUTE], "fast", None, no_secret)
    with pytest.raises(ModelError, match=line):
        choose(ALL, None, "mute", no_secret)
    assert (obstacle(MUTE, no_secret) or "").endswith("of app:mute if it can")
    open_model(MUTE, no_secret)  # to write text it will do


# When


REFUSES: Script = []


async def at_once(seconds: float) -> None:
    """Stands for the wait before a repeat."""


@asynccontextmanager
async def standing_in(*scripts: Script) -> AsyncIterator[tuple[FallbackModel, list[ModelServer]]]:
    """One model for each script, called "a", "b" ..., and their servers; that of REFUSES refuses connections."""
    servers = [ModelServer(script) for script in scripts]
    specs = [spec(chr(ord("a") + index), url=server.url) for index, server in enumerate(servers)]
    model = FallbackModel(
        specs, lambda s: OpenAIModel(s, s.providers[0], Endpoint(s.providers[0].base_url or ""), sleep=at_once)
    )
    with ExitStack() as running:
        for server, script in zip(servers, scripts, strict=True):
            if script != REFUSES:
                running.enter_context(server)
            else:
                running.callback(server._http.server_close)
        yield model, servers
        await model.close()


async def ask(model: FallbackModel) -> list[ModelChunk]:
    return [chunk async for chunk in model.stream(HELLO)]


def lines(chunks: list[ModelChunk]) -> list[str]:
    """What was announced of changes."""
    return [c.reason for c in chunks if isinstance(c, RetryChunk) and "going on with" in c.reason]


def answer(chunks: list[ModelChunk]) -> list[ModelChunk]:
    return [chunk for chunk in chunks if not isinstance(chunk, RetryChunk)]


DOWN: dict[str, tuple[Script, str]] = {
    "refused": (REFUSES, "no answer from http://127.0.0.1"),
    "503": ([failure(503)] * 4, "failed with HTTP 503"),
    "529": ([failure(529)] * 4, "failed with HTTP 529"),
    "reset": ([hang_up()] * 4, "no answer from"),
    "no-credit": ([failure(429, code="insufficient_quota")], "has no credit left"),
    "payment": ([failure(402)], "has no credit left"),
    "long-wait": ([failure(503, headers={"Retry-After": "3600"})], "failed with HTTP 503"),
    "error-event": ([Reply((b'data: {"error": {"type": "server_error", "message": "oom"}}\n\n',))] * 4, "(oom)"),
}


@pytest.mark.parametrize("case", DOWN)
async def test_the_next_one_goes_on_announced_once_and_stays(case: str) -> None:
    script, why = DOWN[case]
    async with standing_in(script, [text("from b"), text("again b")]) as (model, servers):
        assert model.name == "a"
        chunks = await ask(model)
        [line] = lines(chunks)
        assert why in line and line.endswith("; going on with b") and "\n" not in line
        assert answer(chunks) == [TextChunk("from b"), FinishChunk("stop", Usage(100, 20))]
        assert (model.name, model.spec.name) == ("b", "b")
        before = len(servers[0].requests)
        assert await ask(model) == [TextChunk("again b"), FinishChunk("stop", Usage(100, 20))]
        assert len(servers[0].requests) == before, "the one that was down is left alone"


async def test_the_one_that_answered_may_go_down_later() -> None:
    gone = [failure(402)]
    async with standing_in([*gone, text("a is back")], [text("b"), *gone], gone) as (model, _):
        assert answer(await ask(model))[0] == TextChunk("b")
        chunks = await ask(model)
        assert [line.rpartition(" ")[2] for line in lines(chunks)] == ["a"]
        assert answer(chunks)[0] == TextChunk("a is back") and model.name == "a"


async def test_when_all_are_down_the_last_line_is_the_error_and_the_first_is_asked_again() -> None:
    async with standing_in([failure(402), text("a is back")], REFUSES) as (model, servers):
        chunks: list[ModelChunk] = []
        with pytest.raises(ModelError, match=f"no answer from {servers[1].url}") as caught:
            async for chunk in model.stream(HELLO):
                chunks.append(chunk)
        assert type(caught.value) is ModelError and caught.value.__context__ is None
        assert len(lines(chunks)) == 1 and not answer(chunks)
        assert answer(await ask(model))[0] == TextChunk("a is back")


HALF = delta(content="half")
CALL = call_delta(0, '{"x"', id="c", name="t")

NOT_DOWN: dict[str, tuple[Script, str, list[ModelChunk]]] = {
    "after-a-word": ([Reply((HALF, CUT))], "broke off", [TextChunk("half")]),
    "failing-after-a-word": (
        [Reply((HALF, b'data: {"error": {"message": "busy", "code": 503}}\n\n'))], "busy", [TextChunk("half")]
    ),
    "rate-limit": ([failure(429)] * 4, "limits the rate", []),
    "400": ([failure(400)], "refused the request", []),
    "401": ([failure(401)], "wants a key", []),
    "403": ([failure(403)], "does not permit", []),
    "404": ([failure(404)], "does not know", []),
    "413": ([failure(413)], "too long", []),
    "no-tools": ([failure(500, "tools param requires --jinja flag")], "takes no tools", []),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_DOWN)
async def test_no_other_goes_on_with_what_was_seen_or_is_the_requests_fault(case: str) -> None:
    script, why, seen = NOT_DOWN[case]
    async with standing_in(script, []) as (model, servers):
        chunks: list[ModelChunk] = []
        with pytest.raises(ModelError, match=why):
            async for chunk in model.stream(HELLO):
                chunks.append(chunk)
        assert answer(chunks) == seen and not lines(chunks) and model.name == "a"
        assert servers[1].requests == []


async def test_a_call_that_was_cut_was_not_seen() -> None:
    async with standing_in(
        [*[failure(503)] * 3, Reply((CALL, b'data: {"error": {"code": 503}}\n\n'))], [text("b")]
    ) as (
        model,
        _,
    ):
        chunks = await ask(model)
        assert answer(chunks)[0] == TextChunk("b") and len(lines(chunks)) == 1


async def test_the_choice_is_opened_and_says_what_it_lacks() -> None:
    with ModelServer([text("one"), text("two")]) as server:
        model = open_choice(choose([spec("a", "c", url=server.url), SMALL], "c", None, no_secret), no_secret)
        for word in ("one", "two"):
            assert answer(await ask(model))[0] == TextChunk(word)
            await model.close()
            await model.close()
    with pytest.raises(ModelError, match="keyless needs a key"):
        open_choice(choose(ALL, "keyless", None, no_secret), no_secret)
