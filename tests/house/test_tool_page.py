"""What is known of a tool: for the model in registry_read, for the person in `%tool NAME`."""

from __future__ import annotations

from typing import Any

from house_kit import House, create, id_of, policy, talking, tool
from model_server import calls, text
from test_bounds import CACHED, command

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.entries import AGENT, Entry
from micro_agi_kernel.events import TurnFinished
from micro_agi_kernel.markdown_text import prose
from micro_agi_kernel.tool_page import MAX_ROWS, tool_page

SOURCE = "-- ```\nreturn { handler = function(input) return #input.text end }"
LENGTH = {
    "name": "text_length",
    "description": "How long a text is | ![x](http://127.0.0.1/x.png) `is`",
    "source": SOURCE,
    "modules": ["json"],
    "input_schema": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "What is\nmeasured"},
            "unit": {"type": ["string", "null"]},
        },
        "required": ["text"],
    },
    "tests": [{"name": "three letters", "input": {"text": "abc"}, "expect": 3}],
}
PROMPT = "how long is abc?"


async def made_and_used(house: House) -> tuple[Any, str]:
    """What registry_read answers, and the page of the same tool."""
    used = ("text_length", {"text": "abcd"}), ("text_length", {"text": "abcd"}), ("text_length", {"text": 7})
    script = [
        calls(("create_tool", LENGTH), usage=CACHED),
        calls(("load_tool", {"id": "app.generated:text_length"}), usage=CACHED),
        calls(*used, usage=CACHED),
        calls(("create_tool", {**LENGTH, "source": SOURCE.replace("#", "0 + #")}), usage=CACHED),
        calls(("registry_read", {"id": "app.generated:text_length"})),
        text("Done."),
    ]
    async with talking(house, script) as talk:
        await talk.say(PROMPT)
        return talk.results()[-1], await command(talk.session, "%tool text_length")


async def test_where_it_comes_from_and_what_became_of_it(house: House) -> None:
    read, page = await made_and_used(house)
    newest, first = read["history"]
    assert (newest["action"], first["action"]) == ("update", "create") and newest["version"] == first["version"] + 1
    for row in read["history"]:
        assert row["prompt"] == PROMPT and row["model"] == "gpt-5.1" and row["tests"] == "1 passed" and row["session"]
        assert row["policy"].startswith("undefined") and "tokens" in row["cost"] and len(row["commit"]) == 40
    calls, failed = read["uses"]["calls"], read["uses"]["failed"]
    assert calls >= 2 and failed <= calls, read["uses"]

    lines = page.split("\n")
    assert lines[0] == "**`app.generated:text_length`**"
    assert lines[2] == prose("How long a text is | ![x](http://127.0.0.1/x.png) `is`")
    assert "| `text` | `string` | yes | What is measured |" in lines
    assert "| `unit` | `string`, `null` |  |  |" in lines
    assert "- modules: `json`" in lines and "- tests: `three letters`" in lines
    (origin,) = (line for line in lines if line.startswith("- made: "))
    assert f"by `gpt-5.1` for `{PROMPT}` in session `" in origin
    (cost,) = (line for line in lines if line.startswith("- cost to make: $"))
    assert cost.endswith("tokens in 2 commits")
    assert f"- used: {calls:,} times, {failed:,} of them failed" in lines
    rows = [line for line in lines if line.startswith((f"| v{newest['version']} ", f"| v{first['version']} "))]
    assert [row.split(" | ")[3] for row in rows] == ["`update`", "`create`"]
    assert rows[0].startswith(f"| v{newest['version']} | `{newest['commit'][:12]}` |") and "`1 passed`" in rows[0]
    assert page.endswith("\n````lua\n" + SOURCE.replace("#", "0 + #") + "\n````")


async def test_a_name_that_there_is_not(house: House) -> None:
    house.write(
        *create(tool("text_length"), tool("text_width"), Entry(id_of("app.generated:lib"), "library.lua", {}, {}))
    )
    said: dict[str, str] = {}
    async with talking(house, [text("Hm.")]) as talk:
        for name in ("text_lenght", "zzzzzz", "app:none", "..", "lib", "a b"):
            (end,) = [e async for e in run_cell(talk.session, f"%tool {name}") if isinstance(e, TurnFinished)]
            said[name] = end.error
    listed = "%registry shows the tools"
    assert said["text_lenght"] == "there is no tool text_lenght; the nearest: app.generated:text_length"
    assert said["zzzzzz"] == f"there is no tool zzzzzz; {listed}"
    assert said["app:none"] == f"there is no tool app:none; {listed}"
    assert said[".."].startswith("'..' is no tool: ")
    assert said["lib"] == "app.generated:lib is no tool: %registry shows the tools"
    assert said["a b"] == "write it as %tool NAME"


async def test_pages_of_what_others_wrote(house: House) -> None:
    strange: Any = {"type": "object", "properties": {f"p{n}|\n": {"type": 7, "description": []} for n in range(50)}}
    entry = tool("odd", "return 1", llm_description="", comment="", input_schema=strange)
    odd = Entry(
        entry.id, entry.kind, entry.meta, {**entry.data, "tests": [1, {"name": "`|`"}], "imports": {"a": "b:c"}}
    )
    bare = Entry(id_of("app.generated:bare"), "function.lua", {"type": "tool"}, {})
    house.write(*create(odd, bare), actor=AGENT, prompt="p | `x`\n# h", model="m|")
    page = tool_page(house.registry, house.uses, "odd")
    assert page.count("\n| `p") == MAX_ROWS and "- imports: `b:c`" in page and "- tests: `tests[1]`, `'|'`" in page
    assert "never on this machine" in page and "cost" not in page, "that nobody knows"
    assert "by `m|` for `p | 'x' # h`" in page
    page = tool_page(house.registry, house.uses, "app.generated:bare")
    assert "It takes no named arguments." in page and "```" not in page
    assert "**`app.tools:create_tool`**" in tool_page(house.registry, house.uses, "create_tool")


async def test_uses_are_for_who_may_read_the_entry(house: House) -> None:
    host = house.host("registry")
    assert await host.request("registry.uses", {"id": "app.generated:none"}) == {"calls": 0, "failed": 0}
    house.write(*create(policy("app:secret", "deny", "registry.get", "app.generated:*"), tool("x")))
    said = (await house.run("app.tools:registry_read", {"id": "app.generated:x"})).value
    assert set(said) == {"error"} and "policy denied: registry.get" in said["error"]
