"""Files in a conversation: what the model is sent of them, what the log holds, and what comes after."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import House, id_of, kinds, talking, update, words
from model_server import failure, text
from replay_kit import log_of, logged, notes, record, replay
from test_approval import Person, asked, say

from micro_agi_kernel.agent.compression import _record
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.tokens import PER_IMAGE, TokenCounter
from micro_agi_kernel.events import FileRead, TurnFinished
from micro_agi_kernel.messages import Image, ModelRequest, UserMessage
from micro_agi_kernel.resumable import read_state

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a session begins in."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "data.csv").write_text("a,b\n1,2\n")
    (folder / "chart.png").write_bytes(PNG)
    (tmp_path / "secret.txt").write_text("the secret")
    monkeypatch.chdir(folder)
    return folder


def users(body: dict[str, Any]) -> list[Any]:
    return [message["content"] for message in body["messages"] if message["role"] == "user"]


async def test_files_are_sent_with_their_prompt_and_stay(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(house, [text("I see."), text("Still.")]) as talk:
        monkeypatch.chdir("/")  # the folder is the one of the beginning
        events = await talk.say("Look at @data.csv and @chart.png")
        assert kinds(events) == ["FileRead", "FileRead", "TurnFinished"]
        (folder / "data.csv").unlink()
        await talk.say("And now?")
        first, second = users(talk.requests[1].body)
    assert second == "And now?"
    assert users(talk.requests[0].body) == [first]
    said, picture = first
    assert said["text"].startswith("Look at @data.csv and @chart.png\n\nThe files that are named above follow.")
    assert "table, 1 row, 2 columns, all sent" in said["text"] and "\na,b\n1,2\n" in said["text"]
    assert picture == {"type": "image_url", "image_url": {"url": URL}}


async def test_a_no_ends_the_cell_before_anything_is_sent(house: House, folder: Path) -> None:
    async with talking(house, [text("Thanks."), text("Hello.")]) as talk:
        for person in (Person("no"), None):
            events = await say(talk, "@data.csv and @../secret.txt", person)
            end = events[-1]
            assert isinstance(end, TurnFinished) and end.status == "error" and "file.read" in end.error
            assert not talk.requests and kinds(events) == ["Asked", "TurnFinished"]
        person = Person("always")
        events = await say(talk, "@../secret.txt", person)
        assert asked(events) == [(f"file.read on {folder.parent / 'secret.txt'}", "always")]
        [said] = users(talk.requests[0].body)  # nothing is left of the cells that were refused
        assert "the secret" in said
        await say(talk, "@../secret.txt", None)  # for the rest of the session
        assert len(person.asked) == 1


async def test_a_refused_picture_does_not_stay_in_the_way(house: House, folder: Path) -> None:
    script = [failure(400, "unsupported image"), text("Hello."), text("Still there.")]
    async with talking(house, script) as talk:
        assert isinstance((await talk.say("@chart.png"))[-1], TurnFinished)
        assert words(await talk.say("Hello")) == "Hello."
        first, _ = users(talk.requests[1].body)
        assert first.endswith('[the image "chart.png" was left out: it is not here any more]')


async def test_another_model_gets_the_words_alone(house: House, folder: Path) -> None:
    agent = house.registry.snapshot().get(id_of("app:dev_assistant"))
    assert agent is not None
    async with talking(house, [text("I see."), text("I do not.")]) as talk:
        await talk.say("@chart.png")
        house.write(*update(replace(agent, data={**agent.data, "model": "gpt-4.1-nano"})))
        events = await talk.say("Again: @chart.png")
        then, now = users(talk.requests[1].body)
    assert [event.said for event in events if isinstance(event, FileRead)] == [
        "image/png, 108 bytes, not sent: gpt-4.1-nano sees no images"
    ]
    assert isinstance(then, str) and then.endswith('[the image "chart.png" was left out: this model sees no images]')
    assert isinstance(now, str) and "gpt-4.1-nano sees no images" in now


async def test_a_log_replays_and_goes_on_without_its_pictures(enter: Callable[..., House], folder: Path) -> None:
    prompts = ["Look at @data.csv and @chart.png", "And now?"]
    house = enter()
    session, recorded = await record(house, [text("I see."), text("Still.")], prompts)
    log = log_of(house, session)
    content = log.read_text()
    assert base64.b64encode(PNG)[:40].decode() not in content
    lines = [json.loads(line) for line in content.splitlines()]
    [read, shown] = [line for line in lines if line["kind"] == "FileRead"]
    assert (read["name"], read["size"], shown["name"]) == ("data.csv", 8, "chart.png")
    [said, _] = [m for line in lines if line["kind"] == "Request" for m in line["messages"] if m["role"] == "user"]
    assert said["text"] == prompts[0] and "\na,b\n1,2\n" in said["attached"]
    digest = hashlib.sha256(PNG).hexdigest()
    assert said["images"] == [{"name": "chart.png", "mime": "image/png", "size": 108, "sha256": digest}]
    assert [e for e in logged(house, session)[0].events if isinstance(e, FileRead)] == recorded[0][:2]

    # What is resumed has the text, and says that the picture is gone.
    message = read_state(log).state.messages[0]
    assert isinstance(message, UserMessage) and message.attached == said["attached"]
    assert message.images == (Image("chart.png", "image/png", b"", digest),)

    again = await replay(house, log, prompts)
    assert [words(turn) for turn in again] == ["I see.", "Still."] and not notes(again[0])
    (folder / "data.csv").write_text("a,b\n1,3\n")
    other, _ = await replay(house, log, prompts)
    assert words(other) == "I see." and notes(other) == ["data.csv is not as it was recorded"]


async def test_pictures_are_counted_and_summaries_have_the_text_alone() -> None:
    image = Image("a.png", "image/png", PNG, "")
    counter = TokenCounter("m")
    plain = ModelRequest((UserMessage("hi"),))
    bare = await counter.count(plain, enough=10_000)
    with_image = ModelRequest((UserMessage("hi", "", (image, image)),))
    assert await counter.count(with_image, enough=10_000) == bare + 2 * PER_IMAGE
    with_text = ModelRequest((UserMessage("hi", "word " * 500),))
    assert await counter.count(with_text, enough=10_000) > bare + 400
    made = Conversation()
    made.say(UserMessage("look", "\n--- the file's text", (image,)))
    assert list(_record(made.messages)) == ["Person: look\n--- the file's text"]
