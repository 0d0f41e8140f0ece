"""What is offered at the cursor, and what is told of the word there."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import GOOD, House, create, tool

from micro_agi_kernel import completion, inspection
from micro_agi_kernel.commands import COMMANDS
from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.completion import AROUND, MOST, complete
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.frontends.jupyter.lookup import completion as completion_reply
from micro_agi_kernel.inspection import inspect
from micro_agi_kernel.logs.writer import SUFFIX
from micro_agi_kernel.markdown_text import prose
from micro_agi_kernel.notebook_memory import NotebookMemory
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import setting_names
from micro_agi_kernel.values import Json

REST = ("registry", "revert", "restore", "resume", "reset")


def offered(house: House, before: str, after: str = "") -> list[str]:
    """What the cell would begin with, up to the cursor, if each match were taken."""
    found = complete(Session(house, house.settings), before + after, len(before))
    assert found.end == len(before)
    return [before[: found.start] + match.text for match in found.matches]


async def told(house: House, text: str, cursor: int = 0) -> str:
    return inspect(Session(house, house.settings), text, cursor)


async def test_commands(house: House) -> None:
    assert offered(house, "%re") == [f"%{name}" for name in REST]
    assert offered(house, "%") == [f"%{name}" for name in COMMANDS]
    assert offered(house, "%%l") == ["%%lua"]
    assert offered(house, "%help bis") == ["%help bisect"]
    assert offered(house, "%%help to") == ["%%help tools", "%%help tool"], "written with one % or two"
    assert offered(house, "%approve f") == ["%approve forget"]
    assert offered(house, "%cost x") == [], "it takes nothing"
    assert offered(house, "%nothing x") == []


@pytest.mark.parametrize("first", ["%%lua", "%%lua json", "%%parameters", "%%nosuch", "  %%lua", "%tools"])
async def test_below_the_first_line_of_a_command_nothing_of_a_prompt_is_offered(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a\n1\n")
    for typed in ("create_t", "x = @", "app.tools:cre", "lua/core/ti", "%re", "%", ""):
        assert offered(house, f"{first}\n{typed}") == [], typed
        assert offered(house, f"{first}\n-- more\n{typed}", "\nend") == [], typed
    assert offered(house, "%timeit\nuse create_t") == ["%timeit\nuse create_tool"], "no command, and so a prompt"


async def test_arguments(house: House) -> None:
    await house.make("count_words", GOOD)
    assert offered(house, "%tool cou") == ["%tool count_words"]
    assert offered(house, "%tool count_w") == ["%tool count_words"]
    assert offered(house, "%bisect app.generated:c") == ["%bisect app.generated:count_words"]
    assert offered(house, f"%diff {house.head[:4]}") == [f"%diff {house.head[:12]}"]
    assert offered(house, "%revert v2 cou") == ["%revert v2 count_words"]
    assert offered(house, "%revert v") == ["%revert v2", "%revert v1"]
    assert offered(house, "%model dem") == ["%model demo"]
    assert offered(house, "%set sandbox.ti") == ["%set sandbox.timeout"]
    assert set(offered(house, "%set ")) == {f"%set {name}" for name in setting_names()[:MOST]}
    assert offered(house, "%docs lua/core/ti") == ["%docs lua/core/time"]
    assert offered(house, "%%lua time, js") == ["%%lua time, json"]


async def test_the_tests_of_a_tool(house: House) -> None:
    tests: list[Json] = [{"name": "of two", "input": {}, "expect": 1}, {"input": {}, "expect": 1}]
    count = tool("count", GOOD)
    house.write(*create(replace(count, data={**count.data, "tests": tests}), tool("plain", GOOD)))
    assert offered(house, "%bisect count ") == ["%bisect count of two", "%bisect count tests[2]"]
    assert offered(house, "%bisect count o") == ["%bisect count of two"]
    for line in ("plain ", "nothing ", "a:b:c ", "app.generated:none ", "count of t", "count of two "):
        assert offered(house, f"%bisect {line}") == [], line


async def test_only_what_can_work_is_offered(house: House) -> None:
    library = Entry(EntryId("app.generated", "words_lib"), "library.lua", {"type": "library"}, {"source": "return 1"})
    plain = Entry(EntryId("app", "words_of"), "function.lua", {}, {"source": GOOD, "method": "handler"})
    house.write(*create(tool("words_tool"), library, plain))
    assert offered(house, "%call words") == ["%call words_tool"]
    assert offered(house, "%call app:words") == ["%call app:words_of"]
    assert offered(house, "%call app.generated:words") == ["%call app.generated:words_tool"]
    assert offered(house, "%load app:words") == [] and offered(house, "%load app.generated:words_l") == []
    assert "%revert v2 app.generated:words_lib" in offered(house, "%revert v2 app.generated:")
    assert offered(house, "%%lua reg") == [] and offered(house, "%%lua fu") == [], "of the host, not of a cell"


async def test_values_of_settings(house: House) -> None:
    assert offered(house, "%set render.footer ") == ["%set render.footer true", "%set render.footer false"]
    assert offered(house, "%set render.front_end t") == ["%set render.front_end terminal"]
    assert offered(house, "%set model dem") == ["%set model demo"]
    assert offered(house, "%set compression.model gpt-4.1-n") == ["%set compression.model gpt-4.1-nano"]
    for line in ("sandbox.timeout ", "profile ", "nonsense ", "render.footer true ", "docs.remote "):
        assert offered(house, f"%set {line}") == [], line


async def test_sessions_to_resume(house: House) -> None:
    sessions = house.settings.sessions
    notebook = NotebookMemory(sessions, "/home/ann/a.ipynb")
    session = Session(house, house.settings, notebook)
    own, other = ("20260101T000000Z-aaaa", "20260102T000000Z-bbbb")
    sessions.mkdir(parents=True, exist_ok=True)
    for id in (own, other, session.id):
        (sessions / f"{id}{SUFFIX}").write_text("")
        if id != other:
            notebook.note(id, 1)
    found = complete(session, "%resume ", 8)
    assert [match.text for match in found.matches] == [own, other]
    assert [match.text for match in complete(session, "%resume 20260102", 16).matches] == [other]
    assert [match.kind for match in found.matches] == ["session", "session"], "of what is no log nothing is known"
    events = [event async for event in run_cell(session, "What time is it\n  in UTC? " + "x" * 99)]
    assert events
    session._log.close()
    later = Session(house, house.settings, notebook)
    first, *more = complete(later, "%resume ", 8).matches
    assert first.text == session.id and re.fullmatch(
        r"20\d\d-\d\d-\d\d \d\d:\d\d What time is it in UTC\? x+…", first.kind
    )
    assert [match.text for match in more] == [own, other] and len(first.kind) < 80
    [shown, *_] = completion_reply(later, "%resume ", 8)["metadata"]["_jupyter_types_experimental"]
    assert not re.search("[ -]", shown["type"]) and "What\u00a0time" in shown["type"], "JupyterLab would break it there"
    notebook.close()


class Seen:
    """A pattern that says how much it was given to look at."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        def search(text: str, begin: int = 0, end: int = sys.maxsize) -> Any:
            self.most = max(self.most, min(end, len(text)) - begin)
            return getattr(self.pattern, name)(text, begin, end)

        return search


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 10**6, "a" * 10**6 + " ", ("@" + "a" * 99) * 10**4, '@"' * 500_000, "@" * 10**6),
        *("%tool" + " " * 10**6 + "x", "%tool" + " " * 10**6 + "\n", " " * 10**6, "\n" * 10**6 + "%", "%" * 10**6),
        *("%set " + "a" * 10**6, "%call x " + "{" * 10**6, "a.b:" * 250_000, "%" + "a" * 10**6),
    ],
    ids=range(14),
)
async def test_of_a_megabyte_only_a_window_is_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    patterns = []
    for module in (completion, inspection):
        for name, value in vars(module).copy().items():
            if isinstance(value, re.Pattern):
                patterns.append(Seen(value))
                monkeypatch.setattr(module, name, patterns[-1])
    assert len(patterns) == 3
    for cursor in (0, len(text) // 2, len(text)):
        complete(Session(house, house.settings), text, cursor)
        await told(house, text, cursor)
    assert {pattern.most <= 2 * AROUND for pattern in patterns} == {True}


async def test_a_word_at_the_end_of_a_megabyte_is_completed(house: House) -> None:
    await house.make("count_words", GOOD)
    long = "x " * 500_000
    assert offered(house, f"{long}coun", long) == [f"{long}count_words"]
    assert offered(house, f"{' ' * 10**6}%re") == [f"{' ' * 10**6}%{n}" for n in REST]
    assert "count_words" in await told(house, f"{long}count_words {long}", len(long) + 3)


async def test_what_is_told_of_a_setting(house: House) -> None:
    page = await told(house, "%set render.front_end", 8)
    assert page == (
        "The setting `render.front_end`: `auto`, `notebook`, `terminal`, `batch`\n\n"
        '- now `"auto"`, by default `"auto"`\n- `%set render.front_end VALUE` changes it'
    )
    page = await told(house, "raise sandbox.timeout, please", 8)
    assert "a number" in page and "- now `30`, by default `30`" in page
    assert "read when a session starts" in await told(house, "%set profile", 8)
    assert "read when a session starts" in await told(house, "  %%set profile", 9)
    assert await told(house, "my profile", 4) == "" and await told(house, "%settle profile", 10) == "", (
        "a word of prose"
    )


async def test_a_prompt(house: House) -> None:
    await house.make("count_words", GOOD)
    assert offered(house, "use coun", " in this text") == ["use count_words"]
    assert offered(house, "look at app.generated:") == ["look at app.generated:count_words"]
    assert offered(house, "read lua/data/js") == ["read lua/data/json"]
    assert offered(house, "how are ") == [] and offered(house, "zzz") == [] and offered(house, "") == []
    assert offered(house, "first line\n%re") == [], "a command stands at the beginning"


async def test_many_tools_of_one_beginning_are_bounded(house: House) -> None:
    house.write(*(operation for n in range(120) for operation in create(tool(f"many_{n:03}"))))
    assert len(offered(house, "%tool many")) == MOST
    assert offered(house, "%tool many_11") == [f"%tool many_11{n}" for n in range(10)]


async def test_files(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (work / "data.csv").write_text("a\n1\n")
    (work / "my notes.txt").write_text("x")
    assert offered(house, "sum @da") == ["sum @data.csv"]
    assert offered(house, 'read @"my n') == ['read @"my notes.txt"']
    assert offered(house, "mail ann@da") == [], "no file is named there"
    assert offered(house, "sum (@da") == ["sum (@data.csv"] and offered(house, "in=@") == [
        *("in=@data.csv", 'in=@"my notes.txt"'),
    ]


async def test_a_pinned_registry_offers_what_it_has(house: House) -> None:
    before = house.head
    await house.make("count_words", GOOD)
    house.pin.to(before)
    assert offered(house, "%tool cou") == []


async def test_hostile_cells_are_answered(house: House) -> None:
    cells = ("%", "%%", '@"', "@", "\0", "%tool " + "x" * 100_000, "((((" * 1_000, "\ud800", "%call a:b {", "%resume /")
    for text in cells:
        for cursor in (0, len(text) // 2, len(text)):
            found = complete(Session(house, house.settings), text, cursor)
            assert max(0, cursor - AROUND) <= found.start <= found.end == cursor and len(found.matches) <= MOST
            assert len(await told(house, text, cursor)) < 10_000


async def test_what_is_told(house: House) -> None:
    await house.make("count_words", GOOD, description="Counts words.")
    page = await told(house, "please use count_words now", 14)
    assert "Counts words." in page and "```lua" in page and house.head[:12] in page
    assert await told(house, "app.generated:count_words", 3) == page
    assert (await told(house, "%revert v2", 3)).startswith("`%revert REV [ID]`")
    assert (await told(house, "%%help", 3)).startswith("`%help [NAME]`")
    for line in ("%lua", "%%lua", "%%lua\nreturn 1"):
        assert (await told(house, line, 3)).startswith("`%%lua [MODULES]`"), line
    assert (await told(house, "what does http_client do?", 12)).startswith("# http_client")
    assert (await told(house, "lua/core/time.", 14)).startswith("# time")
    assert "tokens of prompt and answer" in await told(house, "%model gpt-5.1", 8)
    house.write(*create(Entry(EntryId("app", "other"), "registry.entry", {"comment": "`Odd` **one**"}, {})))
    assert prose("`Odd` **one**") in await told(house, "app:other", 9)
    assert await told(house, "nothing of this is known", 3) == "" and await told(house, "", 0) == ""
