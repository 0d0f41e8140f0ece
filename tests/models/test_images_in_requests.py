"""Images in a request: sent to a model that sees them, and named to any other."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from model_server import ModelServer, failure, text
from provider_kit import answer, connected, spec_of
from sendable_kit import check_sendable

from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.messages import Image, Message, ModelRequest, UserMessage
from micro_agi_kernel.models import chat_format
from micro_agi_kernel.models.catalog import TOOL_USE, VISION, ModelSpec
from micro_agi_kernel.models.fallback import FallbackModel

PNG, GIF = Image("a.png", "image/png", b"\x89PNG", "d"), Image('b "\n.gif', "image/gif", b"GIF89a", "e")
SHOWN = ModelRequest((UserMessage("look", "\n--- files \ud800", (PNG, GIF)),))


def part(image: Image) -> dict[str, Any]:
    url = f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


async def contents(spec: ModelSpec, *messages: Message) -> list[Any]:
    _, server = await answer([text("ok")], ModelRequest(messages), spec=spec)
    check_sendable(server.requests[0].body)
    return [message["content"] for message in server.requests[0].body["messages"]]


async def test_a_model_with_vision_gets_them_behind_the_text() -> None:
    spec = spec_of(capabilities=(TOOL_USE, VISION))
    said, plain = await contents(spec, *SHOWN.messages, UserMessage("no images", "\nfiles"))
    assert said == [{"type": "text", "text": "look\n--- files \ufffd"}, part(PNG), part(GIF)]
    assert plain == "no images\nfiles"


@pytest.mark.parametrize("capabilities", [(), (TOOL_USE,)])
async def test_any_other_gets_their_names(capabilities: tuple[str, ...]) -> None:
    [said] = await contents(spec_of(capabilities=capabilities), *SHOWN.messages)
    why = "was left out: this model sees no images]"
    assert said == f'look\n--- files \ufffd\n[the image "a.png" {why}\n[the image "b \\"\\n.gif" {why}'


async def test_of_too_many_the_newest_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_format, "IMAGES", len(PNG.data) + len(GIF.data))
    gone = Image("gone.png", "image/png", b"", "f")
    messages = [UserMessage("one", "", (PNG,)), UserMessage("two", "", (gone, GIF)), UserMessage("three", "", (PNG,))]
    one, two, three = await contents(spec_of(capabilities=(VISION,)), *messages)
    assert three == [{"type": "text", "text": "three"}, part(PNG)]
    assert two == [
        {"type": "text", "text": 'two\n[the image "gone.png" was left out: it is not here any more]'},
        part(GIF),
    ]
    assert one == 'one\n[the image "a.png" was left out: it is not here any more]'


async def test_one_that_takes_over_gets_what_it_can_take() -> None:
    """A request that the first model did not answer goes to another one, in its own form."""
    with ModelServer([failure(402), text("I cannot see it.")]) as server:
        sees, blind = spec_of(capabilities=(VISION,)), replace(spec_of(), name="blind")
        async with connected(server.url, spec=sees) as first, connected(server.url, spec=blind) as second:
            opened: dict[bool, Model] = {True: first, False: second}
            model = FallbackModel((sees, blind), lambda spec: opened[spec.sees_images])
            async for _ in model.stream(SHOWN):
                pass
    to_first, to_second = (request.body["messages"][0]["content"] for request in server.requests)
    assert isinstance(to_first, list) and "this model sees no images" in to_second
