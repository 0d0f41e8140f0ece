"""What `%registry` finds: tools with their history, within bounds, whatever people pushed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from command_kit import Cells
from house_kit import GOOD, House, create, delete, id_of, tool, update
from many_tools import many_tools

from micro_agi_kernel import registry_panel as made
from micro_agi_kernel.entries import AGENT, Entry
from micro_agi_kernel.events import RegistryShown
from micro_agi_kernel.frontends.jupyter.panel import panel_html
from micro_agi_kernel.frontends.panel_text import panel_markdown
from micro_agi_kernel.panels import PanelTool
from micro_agi_kernel.registry_panel import (
    MAX_COMMITS,
    MAX_DESCRIPTION,
    MAX_LINES,
    MAX_TEXT,
    MAX_TOOLS,
    ROOM,
    registry_panel,
)
from micro_agi_kernel.values import Json

HOSTILE = (
    "</script><script>owned=1</script> <img src=x onerror=owned=2> \" onmouseover='owned=3' | `x` \x1b[2J\u202e\x85"
)


def panel(house: House, query: str = "") -> RegistryShown:
    return registry_panel(house.registry, house.registry.snapshot(), house.uses, query)


def found(house: House, name: str) -> PanelTool:
    [one] = [each for each in panel(house, name).tools if each.id.name == name]
    return one


def with_source(entry: Entry, source: str) -> Entry:
    return replace(entry, data={**entry.data, "source": source})


async def test_a_tool_with_its_history(house: House) -> None:
    first = tool("clock", GOOD, title="A clock", modules=["time"])
    house.write(*create(first, tool("other", GOOD)), actor=AGENT, tests="2 passed", subject="Create a clock")
    assert (await house.run("app.generated:clock", {})).ok
    given: dict[str, Json] = {"source": GOOD.replace("1", "2"), "imports": {"a": "app:lib"}}
    second = replace(first, data={**first.data, **given, "tests": [{"input": {}, "expect": 2}] * 2})
    newest = house.write(*update(second, tool("other", "return 5")), tests="9 passed").commit
    clock = found(house, "clock")
    assert (clock.title, clock.description) == ("A clock", "For a test")
    assert (clock.modules, clock.imports, clock.calls) == (("time",), ("app:lib",), ())
    assert (clock.used, clock.failed, clock.has_older) == (1, 0, False)
    assert (clock.source.text, clock.source.missing) == (second.source, 0)
    last, made_it = clock.commits
    assert (last.commit, last.number, last.action, last.actor) == (newest, 3, "update", "service:installer")
    assert last.tests == "", "a commit that is not an agent's may say anything"
    assert (clock.tests, found(house, "other").tests) == (2, 0), "what the entry has is known, whoever wrote it"
    assert (made_it.action, made_it.actor, made_it.tests) == ("create", AGENT, "2 passed")
    assert made_it.subject == "Create a clock"
    assert f"-{GOOD}\n" in last.diff.text and f"+{second.source}\n" in last.diff.text
    assert made_it.diff.text.startswith("--- /dev/null\n+++ clock.lua\n")
    assert "--- /dev/null\n+++ clock.yaml\n" in made_it.diff.text and "other" not in made_it.diff.text
    seeded = found(house, "create_tool").commits
    assert [(commit.number, commit.action) for commit in seeded] == [(1, "create")] and seeded[0].diff.text
    house.write(*delete("app.generated:clock"))
    house.write(*create(first))
    assert [commit.action for commit in found(house, "clock").commits] == ["create", "delete", "update", "create"]


async def test_of_many_tools_and_long_ones_only_so_much_is_shown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = many_tools(200)
    house.write(*create(*tools, *(tool(f"small_{n}", GOOD) for n in range(100))))
    asked: list[object] = []
    real = house.registry.versions

    def versions(*args: object, **more: object) -> object:
        asked.append(more.get("id"))
        return real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(house.registry, "versions", versions)
    shown = panel(house)
    assert len(shown.tools) == len(asked) == MAX_TOOLS and None not in asked
    assert shown.total == 305 and shown.tools[0].id.namespace == "app.generated"
    assert all(each.source.text and each.commits[0].diff.text for each in shown.tools)
    assert "50 of 305: name some words" in panel_markdown(shown)
    assert [each.id.name for each in panel(house, "Reads invoices whole").tools] == ["read_invoices"]
    assert "of 305" not in panel_markdown(panel(house, "invoices"))

    long = "\n".join(f"print({n}) -- " + '<&">' * 20 for n in range(500))
    house.write(*update(*(with_source(each, f"{long}\n") for each in tools)))
    shown = panel(house)
    texts = [text for each in shown.tools for text in (each.source, *(commit.diff for commit in each.commits))]
    assert 0.9 * ROOM < sum(len(text.text) for text in texts) <= ROOM
    assert all(text.text.count("\n") < MAX_LINES for text in texts)
    assert all(each.source.text.count("\n") + 1 + each.source.missing == 500 for each in shown.tools)
    assert {each.commits[0].diff.missing > 300 for each in shown.tools} == {True}
    house.write(*update(*(with_source(each, "\n".join(["x = 1 -- y"] * 170)) for each in tools)))
    shown = panel(house)
    assert {each.source.missing for each in shown.tools} == {0}
    texts = [text for each in shown.tools for text in (each.source, *(commit.diff for commit in each.commits))]
    assert 0.9 * ROOM < sum(len(text.text) for text in texts) <= ROOM, "a source that fits takes room too"
    assert len(panel_html(shown).encode()) < 500_000


async def test_of_a_long_history_the_newest_commits_are_shown(house: House) -> None:
    house.write(*create(tool("busy", GOOD)))
    for n in range(MAX_COMMITS + 2):
        house.write(*update(tool("busy", f"{GOOD} -- {n}")))
    busy = found(house, "busy")
    assert [commit.number for commit in busy.commits] == [*range(14, 4, -1)] and busy.has_older


async def test_what_is_too_much_to_compare_is_not_compared(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "MAX_COMPARED", 100)
    house.write(*create(tool("wide", "\n".join("abcdefghijkl"))))
    house.write(*update(tool("wide", "\n".join("mnopqrstuvwx"))))
    assert "wide.lua: 12 lines before, 12 after: too many to compare here" in found(house, "wide").commits[0].diff.text


async def test_what_a_person_pushed_is_shown_as_it_is_and_harms_nothing(house: House) -> None:
    evil = tool("evil", f"-- {HOSTILE}\n{GOOD}", title=HOSTILE * 20, comment=HOSTILE, llm_description=HOSTILE * 20)
    house.push_entry(evil)
    house.push({"app/generated/evil.yaml": b"kind: [function.lua\n"}, message=f"{HOSTILE}\n\nTests: 99 passed\n")
    house.push_entry(with_source(evil, GOOD))
    shown = found(house, "evil")
    assert [commit.action for commit in shown.commits] == ["update", "update", "create"]
    assert {commit.actor for commit in shown.commits} == {"user:Bob"}
    assert "+kind: [function.lua" in shown.commits[1].diff.text and shown.commits[1].tests == ""
    assert len(shown.title) == MAX_TEXT and len(shown.description) == MAX_DESCRIPTION
    house.push({"app/generated/evil.yaml": b"kind: [function.lua\n"})
    assert "evil" not in [each.id.name for each in panel(house).tools], "no tool as long as nobody can read it"


async def test_the_command_shows_it_and_its_line_undoes_a_commit(house: House) -> None:
    cells = Cells(house)
    house.write(*create(tool("clock", GOOD)), actor=AGENT)
    house.write(*update(tool("clock", "return 2")), actor=AGENT)
    assert (await cells.said("%registry clock")).startswith("| id | title | commit | uses |")
    assert cells.kinds() == ["RegistryShown", "TurnFinished"]
    [event] = [event for event in cells.events if isinstance(event, RegistryShown)]
    commit = event.tools[0].commits[0].commit[:12]
    assert f"%revert {commit} app.generated:clock<" in panel_html(event)
    await cells.said(f"%revert {commit} app.generated:clock")
    entry = house.registry.snapshot().get(id_of("app.generated:clock"))
    assert entry is not None and entry.source == GOOD
