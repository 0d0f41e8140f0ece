"""No near-duplicates: a model whose tool may exist already is shown what there is, and says what it means."""

from __future__ import annotations

from typing import Any

from house_kit import GOOD, House, create, finished, policy, talking, tool
from model_server import calls, text

COUNT = "return { handler = function(input) local n = #input.text return n end }"
RENAMED = "return { -- mine\n handler = function(args) local count = #args.text return count end }"
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
DESCRIBED = "Counts the characters of a text."


def asked(name: str, description: str = DESCRIBED, source: str = COUNT, **more: Any) -> tuple[str, Any]:
    wanted = {"name": name, "description": description, "source": source, "input_schema": SCHEMA}
    return "create_tool", {**wanted, **more}


async def make(house: House, *wanted: Any, **more: Any) -> Any:
    outcome = await house.run("app.tools:create_tool", asked(*wanted, **more)[1])
    assert outcome.error is None, outcome.error
    return outcome.value


async def test_the_model_is_shown_what_there_is_and_says_what_it_means(house: House) -> None:
    alike = ("characters", "Tells the number of characters of a text.", GOOD)
    script = [
        calls(asked("count_text")),
        calls(asked("text_length", "How long it is.", RENAMED)),
        calls(asked(*alike)),
        calls(asked(*alike, intent="new")),
        calls(asked("count_text", DESCRIBED, GOOD, intent="replace")),
        calls(asked("count_text", DESCRIBED, COUNT)),
        text("Done."),
    ]
    async with talking(house, script) as talk:
        events = await talk.say("count")
        said = talk.results()
    assert [status for _, status in finished(events)] == ["ok", "error", "error", "ok", "ok", "ok"], said
    shown = {"id": "app.generated:count_text", "title": "count_text", "comment": DESCRIBED}
    assert said[1]["similar"] == [{**shown, "why": "same code"}]
    assert said[2]["similar"] == [{**shown, "why": "similar purpose"}]
    for part in ("load_tool", 'intent "new"', 'intent "replace"'):
        assert part in said[1]["error"]
    assert [key for answer in said[3:] for key in ("created", "updated") if key in answer] == [
        *("created", "updated", "updated")
    ]


async def test_nothing_is_written_that_was_not_meant(house: House) -> None:
    await make(house, "count_text")
    head = house.head
    said = await make(house, "letters", "Of no interest.", RENAMED)
    assert [each["id"] for each in said["similar"]] == ["app.generated:count_text"]
    assert await make(house, "letters", intent="replace") == {
        "error": "intent: there is no app.generated:letters to replace; give the name of the tool to write over"
    }
    assert await make(house, "count_text", intent="new") == {
        "error": 'name: app.generated:count_text exists; choose another name, or write over it with intent "replace"'
    }
    outcome = await house.run("app.tools:create_tool", asked("letters", intent="both")[1])
    assert outcome.error is not None and "intent" in outcome.error.message
    assert house.head == head


async def test_a_faulty_tool_is_told_its_fault(house: House) -> None:
    await make(house, "count_text")
    said = await house.make("count_words", "return {", intent="new")
    assert set(said) == {"error"} and "similar" not in said["error"], said
    said = await house.make("Count Words", COUNT)
    assert "similar" not in said and "name" in said["error"]


async def test_at_most_five_are_named_and_none_that_may_not_be_read(house: House) -> None:
    house.write(*create(*(tool(f"count_{n}", COUNT, comment="x" * 1_000) for n in range(8))))
    said = await make(house, "count_text")
    assert len(said["similar"]) == 5 and all(len(each["comment"]) <= 300 for each in said["similar"])
    house.write(*create(policy("app:secret", "deny", "registry.get", "app.generated:*")))
    assert "similar" not in await house.make("count_text", COUNT)
