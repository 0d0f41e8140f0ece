"""Going back through the whole house: kind checks, policies, and the commands of a cell."""

from __future__ import annotations

import pytest
from house_kit import GOOD, House, Talk, create, delete, id_of, policy, talking, tool, update, words
from markdown_it import MarkdownIt
from model_server import calls, text

from micro_agi_kernel.agent_entry import AGENT_ENTRY
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.entries import FileChange
from micro_agi_kernel.errors import Conflict, Refused
from micro_agi_kernel.events import EntryPublished, Event, Notice, TurnFinished
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.rollback import restore, revert
from micro_agi_kernel.session import Session


async def cell(session: Session, text: str, number: int = 1) -> list[Event]:
    return [event async for event in run_cell(session, text, cell=number)]


def end(events: list[Event]) -> TurnFinished:
    assert isinstance(events[-1], TurnFinished)
    return events[-1]


async def test_an_old_tool_that_no_longer_passes_is_refused_with_the_reason(house: House) -> None:
    old = house.write(*create(tool("old", "return {"))).commit
    house.write(*update(tool("old", GOOD)))
    head = house.head
    for way, rev in ((revert, "main"), (restore, old)):
        with pytest.raises(Refused, match="old:1: "):
            await way(house.registry, house.publishing, house.context("user:ann"), rev)
    assert house.head == head


async def test_a_person_is_asked_for_no_policy_and_an_agent_for_each_entry(house: House) -> None:
    before = house.head
    added = house.write(*create(policy("app:extra", "deny", "*", "x"), tool("fine")))
    with pytest.raises(Refused, match=r"policy denied: registry\.delete on app:extra"):
        await restore(house.registry, house.publishing, house.context(), before)
    with pytest.raises(Refused, match=r"policy denied: registry\.delete on app:extra"):
        await revert(house.registry, house.publishing, house.context(), added.commit)
    assert house.head == added.commit
    done = await revert(house.registry, house.publishing, house.context(), added.commit, id_of("app.generated:fine"))
    assert done.published is not None
    version = house.registry.version("main")
    assert version.actor == "service:agent" and version.trailers["Policy"].startswith("undefined (")
    await restore(house.registry, house.publishing, house.context("user:ann"), before)
    assert house.registry.snapshot().tree == house.registry.snapshot(before).tree
    assert house.registry.version("main").actor == "user:ann"


async def test_what_the_installer_brought_can_be_undone_and_brought_back(house: House) -> None:
    before = house.head
    await restore(house.registry, house.publishing, house.context("user:ann"), before)
    assert house.head == before, "nothing differs"
    house.write(*delete(str(AGENT_ENTRY)), files=(FileChange("docs/lua/core/time.md", None),))
    session = Session(house, house.settings)
    assert "has no agent" in end(await cell(session, "hello")).error
    events = await cell(session, "%restore v1")
    assert end(events).status == "ok", "without an agent too"
    assert house.registry.snapshot().tree == house.registry.snapshot(before).tree


async def test_a_cell_that_goes_back(house: House) -> None:
    house.write(*create(tool("clock", GOOD)))
    made = house.head
    house.write(*create(tool("other", GOOD)))
    before = house.head
    session = Session(house, house.settings)
    events = await cell(session, f"  %revert {made[:10]} \n", 7)
    published = [event for event in events if isinstance(event, EntryPublished)]
    assert [event.subject for event in published] == ["Delete app.generated:clock"]
    assert markdown_as_text(words(events)) == f"v4: Reverts {made[:12]}: Create app.generated:clock", (
        "as the commit's card says"
    )
    finished = end(events)
    assert finished.status == "ok" and finished.registry is not None
    assert (finished.registry.before, finished.registry.registry, finished.registry.cell) == (before, house.head, 7)
    version = house.registry.version("main")
    assert version.actor == f"user:{house.person.name}" and version.trailers["Session"] == session.id
    assert version.trailers["Cell"] == "7" and version.trailers["Prompt"] == f"%revert {made[:10]}"
    events = await cell(session, "%restore v2 app.generated:clock")
    assert markdown_as_text(words(events)).endswith("\n\n- create app.generated:clock")
    events = await cell(session, "%restore main")
    assert words(events).startswith("nothing to restore&#58; ")
    events = await cell(session, "%help")
    lines = words(events).splitlines()
    assert "- `%revert REV [ID]`: Undo what the commit REV did, or what it did to the entry ID." in lines
    assert "- `%restore REV [ID]`: Bring back the registry, or the entry ID, as it was at REV." in lines


HOSTILE = (
    "hi ![x](https://evil.example/leak.png) <img src=https://evil.example/leak.png> $x$",
    "`![x](https://evil.example/a.png)` `` ![x](https://evil.example/b.png) ``` <b>x</b>",
    "` ![x](https://evil.example/leak.png)",
    "![x](https://evil.example/leak.png) ```",
)


async def test_what_others_wrote_is_shown_and_never_acts(house: House) -> None:
    session = Session(house, house.settings)
    for number, subject in enumerate(HOSTILE):
        page = FileChange(f"docs/![x](y{number}).md", b"x")
        made = house.write(*create(tool(f"clock{number}", GOOD)), files=(page,), subject=subject)
        for command in (f"%revert {made.commit}", f"%revert {made.commit}", f"%restore {made.commit}"):
            answer = words(await cell(session, command))
            blocks = MarkdownIt().parse(answer)
            inline = [token for block in blocks for token in block.children or ()]
            assert {token.type for token in inline} <= {"text", "softbreak"}, "prose"
            assert not {"html_block", "fence", "heading_open"} & {block.type for block in blocks}
            assert command.startswith("%restore") or subject in markdown_as_text(answer)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("%revret v2", "no command %revret; the nearest is %revert REV [ID], %help lists them all"),
        ("%Restore v2", "no command %Restore; the nearest is %restore REV [ID], %help lists them all"),
        ("%revert", "write it as %revert REV [ID]"),
        ("%restore v1 app:x app:y", "write it as %restore REV [ID]"),
        ("%help me twice", "write it as %help [NAME]"),
        ("%revert v9", "no such revision: 'v9' (a commit, main, main~2 or v3)"),
        (
            "%revert v2 a/b",
            "'a/b' is no entry: bad name in 'app.generated:a/b': a letter or _, then letters, digits, _, . or -",
        ),
        (
            "%revert v2\nand tell me why",
            "%revert stands alone in its cell: what it takes goes on its line, %revert REV [ID], all else into another "
            "cell",
        ),
        ("%revert v2\n%revert v3", "%revert stands alone in its cell: write what is below it into another cell"),
    ],
)
async def test_a_command_that_is_wrong_is_one_line(house: House, text: str, line: str) -> None:
    house.write(*create(tool("clock", GOOD)))
    head = house.head
    events = await cell(Session(house, house.settings), text)
    assert [type(event) for event in events] == [TurnFinished]
    assert end(events).error == line and house.head == head


async def test_a_conflict_names_the_later_commit_in_the_cell(house: House) -> None:
    made = house.write(*create(tool("clock", GOOD))).commit
    later = house.write(*update(tool("clock", GOOD.replace("1", "2")))).commit
    finished = end(await cell(Session(house, house.settings), f"%revert {made}"))
    assert finished.error_name == Conflict.__name__
    assert f"app.generated:clock was changed later by {later[:12]} (Update app.generated:clock)" in finished.error


PROMPTS = (
    "% of what?",
    "%5 of 100",
    "!",
    "![x](y)",
    "!important: why?\nand how?",
    "help",
    "tool?",
    "%% cell",
    "100%",
    "What does %revert do?",
    "%d is printed:\nwhy?",
)


async def test_other_cells_with_percent_signs_are_prompts(house: House) -> None:
    async with talking(house, [text("ok") for _ in PROMPTS]) as talk:
        for prompt in PROMPTS:
            assert words(await cell(talk.session, prompt)) == "ok"
        said = [m["content"] for m in talk.requests[-1].body["messages"] if m["role"] == "user"]
        assert said == list(PROMPTS), "and no command is part of the conversation"


async def test_the_model_is_told_that_a_loaded_tool_was_undone(house: House) -> None:
    made = house.write(*create(tool("clock", GOOD))).commit
    script = [calls(("load_tool", {"id": "app.generated:clock"})), text("loaded"), text("gone")]
    async with talking(house, script) as talk:
        await talk.say("load it")
        await cell(talk.session, f"%revert {made}", 2)
        events = await talk.say("and now?", 3)
        assert [e.text for e in events if isinstance(e, Notice)] == ["app.generated:clock is no longer in the registry"]
        assert offered(talk)[-1] == offered(talk)[0]
        told = [m["content"] for m in talk.requests[-1].body["messages"] if m["role"] == "system"]
        assert told[1:] == ["The tool app.generated:clock is no longer in the registry."]


def offered(talk: Talk) -> list[set[str]]:
    """The names of the tools in each request."""
    return [{t["function"]["name"] for t in request.body["tools"]} for request in talk.requests]
