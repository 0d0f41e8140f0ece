"""No near-duplicates: a model whose tool may exist already is shown what there is, and says what it means."""

from __future__ import annotations

from typing import Any

from house_kit import GOOD, House, create, finished, policy, talking, tool, update
from model_server import calls, text

COUNT = "return { handler = function(input) local n = #input.text return n end }"
RENAMED = "return { -- mine\n handler = function(args) local count = #args.text return count end }"
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
DESCRIBED = "Counts the characters of a text."


def asked(name: str, description: str = DESCRIBED, source: str = COUNT, **more: Any) -> tuple[str, Any]:
    wanted = {"name": name, "description": description, "source": source, "input_schema": SCHEMA}
    return "create_tool", {**wanted, **more}


async def make(house: House, *wanted: Any, **more: Any) -> Any:
    origin = {key: more.pop(key) for key in ("session", "cell") if key in more}
    outcome = await house.run("app.tools:create_tool", asked(*wanted, **more)[1], **origin)
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
    said = await make(house, "count_text", DESCRIBED, GOOD, intent="new")
    assert set(said) == {"error", "existing"} and said["error"].startswith("name: app.generated:count_text exists")
    outcome = await house.run("app.tools:create_tool", asked("letters", intent="both")[1])
    assert outcome.error is not None and "intent" in outcome.error.message
    assert house.head == head


async def test_a_name_that_exists_is_not_written_over_unasked(house: House) -> None:
    first = await make(house, "count_text")
    ran = await house.run("app.generated:count_text", {"text": "abc"})
    assert ran.value == 3
    for wanted in (("count_text", "Plays a game.", GOOD), ("count_text", DESCRIBED, GOOD)):
        said = await make(house, *wanted, session="s1")
        for part in ("name: app.generated:count_text exists", 'intent "replace"', "another name"):
            assert part in said["error"]
        shown = {"id": "app.generated:count_text", "title": "count_text", "comment": DESCRIBED, "why": "same name"}
        assert said["existing"] == {**shown, "commit": first["commit"], "uses": {"calls": 1, "failed": 0}}
        assert set(said) == {"error", "existing"} and house.head == first["commit"]
    same = await make(house, "count_text")
    assert same["updated"] and same["commit"] == house.head == first["commit"], "what changes nothing is no loss"
    done = await make(house, *wanted, intent="replace", session="s1")
    assert done["updated"] and house.head == done["commit"] != first["commit"]


async def test_who_made_a_tool_in_this_session_may_mend_it(house: House) -> None:
    await make(house, "count_text", session="s1", cell=1)
    done = await make(house, "count_text", DESCRIBED, RENAMED, session="s1", cell=2)
    assert done["updated"]
    done = await make(house, "count_text", DESCRIBED, GOOD, session="s1", cell=2, intent="new")
    assert done["updated"] and house.head == done["commit"], "all arguments again, as it was made"
    assert "existing" in await make(house, "count_text", session="s2", intent="new")
    assert "existing" in await make(house, "count_text", session="s2")
    assert "existing" in await make(house, "count_text"), "no session is nobody's"
    house.write(*update(tool("count_text", COUNT)), session="s1")
    assert "existing" in await make(house, "count_text", session="s1"), "a person's commit may say anything"
    replaced = await make(house, "count_text", intent="replace", session="s2")
    assert replaced["updated"]
    assert "existing" in await make(house, "count_text", DESCRIBED, GOOD, session="s1"), "it is the other's now"


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
