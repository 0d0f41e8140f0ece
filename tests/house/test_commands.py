"""Commands in cells: how they are written, the registry, tools by hand, and Lua."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from command_kit import Cells
from house_kit import GOOD, House, create, policy, tool, update
from markdown_it import MarkdownIt
from test_approval import Person

import micro_agi_kernel
from micro_agi_kernel.commands import COMMANDS, usage
from micro_agi_kernel.commands.cell import command_in, run_cell
from micro_agi_kernel.entries import AGENT
from micro_agi_kernel.events import ToolFinished, ToolLoaded, ToolOutput, ToolStarted

NOTEBOOK_PAGE = Path(micro_agi_kernel.__file__).parents[1] / "docs" / "notebook.md"
SPIN = "return { handler = function() print('on') while true do end end }"


def test_the_page_lists_exactly_the_commands() -> None:
    section = NOTEBOOK_PAGE.read_text("utf-8").partition("\n## Commands\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(%[^`]*)` \|", section, re.MULTILINE) == [usage(name) for name in COMMANDS]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        *(("%tools", "tools"), ("  %tools  \n", "tools"), ("%tools\nx", "tools"), ("%lua\nx", "lua")),
        *(("%%lua x", "%lua"), ("%nosuch", "nosuch"), ("%%nosuch\nx", "%nosuch")),
        *(("%timeit\nwhat?", None), ("% of what?", None), ("5%", None), ("", None)),
    ],
)
def test_which_cells_are_commands(cell: str, name: str | None) -> None:
    said = command_in(cell)
    assert (said and said.name) == name


def test_every_command_has_help_of_which_the_first_line_is_a_sentence() -> None:
    for name, run in COMMANDS.items():
        first, *more = (run.__doc__ or "").strip().splitlines()
        assert first.endswith(".") and len(first) <= 120, name
        assert not more or more[0] == "", name


async def test_help_lists_all_and_shows_one(house: House) -> None:
    cells = Cells(house)
    lines = (await cells.said("%help")).splitlines()
    assert len(lines) == len(COMMANDS)
    assert "- `%set [KEY] [VALUE]`: Set KEY to VALUE for this session;" in "\n".join(lines)
    for name in ("lua", "%lua", "%%lua"):
        shown = await cells.said(f"%help {name}")
        assert shown.startswith("`%%lua [MODULES]`\n\nRun the Lua below") and "`micro-agi eval`" in shown
    assert (await cells.failed("%help modle")).startswith("no command %modle; the nearest is %model [NAME]")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("%registri", "no command %registri; the nearest is %registry [QUERY], %help lists them all"),
        ("%%lau json\nx", "no command %%lau; the nearest is %%lua [MODULES], %help lists them all"),
        ("%%reset\nx", "%reset stands alone in its cell: write what is below it into another cell"),
        ("%tools\n%log", "%tools stands alone in its cell: write what is below it into another cell"),
        ("%call registry_list\n%log", "%call stands alone in its cell: write what is below it into another cell"),
        (
            '%call registry_list\n{"limit": 1}',
            "%call stands alone in its cell: what it takes goes on its line, %call ID [JSON], all else into another",
        ),
        *(
            (text, "there is no shell here: a cell is a prompt")
            for text in ("!ls", "  !ls -l | wc\n", "!./run", "! pwd")
        ),
        ("%modle?", "no command %modle; the nearest is %model [NAME], %help lists them all"),
        ("%time", "no command %time; %help lists them all"),
        *(
            (text, "write it as %%lua [MODULES]; what it works on, such as code, goes on the next line")
            for text in ("%lua", "%lua return 1", "%lua\nreturn 1")
        ),
        ("%%lua return 1\nx", "a cell has no module '1': there are: "),
        ('%call app.tools:load_tool {"id": "x"}', "a call of yours loads nothing into the agent: write it as %load ID"),
        ("%call load_tool {}", "a call of yours loads nothing into the agent: write it as %load ID"),
        (
            "%call app.tools:registry_lst",
            "there is no entry app.tools:registry_lst; the nearest: app.tools:registry_list",
        ),
        (
            "%load app.tools:registry_lst",
            "there is no tool app.tools:registry_lst; the nearest: app.tools:registry_list",
        ),
        ("%tool nosuch", "there is no tool nosuch; %registry shows the tools"),
        ("%tool app:dev_assistant", "app:dev_assistant is no tool: %registry shows the tools"),
        ("%set sandbox.timeot 60", "unknown setting 'sandbox.timeot' (%set); the nearest is sandbox.timeout"),
        ("%resume nosuch", "there is no session log 'nosuch': %session shows those of this notebook, Tab behind "),
        ("%%lua json", "write it as %%lua [MODULES], and what it works on in the lines below"),
        ("%docs", "write it as %docs QUERY"),
        ("%diff", "write it as %diff A [B]"),
        ("%load a b", "write it as %load ID"),
        ("%reset all", "write it as %reset"),
        ("%log many", "write it as %log [LIMIT], with a LIMIT from 1 to 1,000"),
        ("%log " + "9" * 5_000, "write it as %log [LIMIT], with a LIMIT from 1 to 1,000"),
        ("%approve maybe", "write it as %approve [forget] [N]"),
        ("%approve forget 1", "no approval 1: there is nothing to forget, %approve lists them"),
        ("%load nothing", "there is no tool nothing; %registry shows the tools"),
        ("%load app:dev_assistant", "not a tool (meta.type != 'tool'): app:dev_assistant"),
        ("%call registry_list {", "the input is no JSON: Expecting property name enclosed in double quotes: "),
        (
            "%call greet {'name': 'Ann'}",
            "the input is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); "
            'write it as %call greet {"name": "Ann"}',
        ),
        ('%call registry_list "\\ud800"', "the input is no JSON: text with a lone surrogate"),
        ("%call registry_list NaN", "the input is no JSON: nan is no JSON number"),
        ("%docs lua/core/tmie", "not found: lua/core/tmie (nearest: lua/core/time, "),
        ("%diff v9", "no such revision: 'v9'"),
    ],
)
async def test_what_is_wrong_is_one_line(house: House, text: str, line: str) -> None:
    house.write(*create(tool("greet", GOOD)))
    cells = Cells(house)
    assert (await cells.failed(text)).startswith(line)
    assert cells.kinds() == ["TurnFinished"]


@pytest.mark.parametrize(
    ("habit", "meant"),
    [
        *((text, "%help") for text in ("?", "??", "%", "%%", " %\n")),
        *((text, "%help tool") for text in ("%tool?", "%tool??", "?%tool", "%%tool?")),
        ("%%lua?", "%help lua"),
    ],
)
async def test_who_comes_from_ipython_gets_help_and_asks_no_model(house: House, habit: str, meant: str) -> None:
    cells = Cells(house)
    assert await cells.said(habit) == await cells.said(meant)


async def test_the_registry_its_log_and_its_differences(house: House) -> None:
    cells = Cells(house)
    made = house.write(*create(tool("clock", GOOD, title="A clock | `x`"))).commit
    changed = house.write(*update(tool("clock", GOOD.replace("1", "2"), title="A clock"))).commit
    assert (await house.run("app.generated:clock", {})).ok
    shown = await cells.said("%registry clock")
    assert shown.splitlines() == [
        "| id | title | commit | uses |",
        "|---|---|---|--:|",
        f"| `app.generated:clock` | A clock | `{changed[:12]}` | 1 |",
    ]
    assert len((await cells.said("%registry")).splitlines()) == 2 + 6
    assert await cells.said("%registry no such words") == "No tool has the words `no such words`."
    shown = await cells.said("%log 1")
    assert f"| v3 | `{changed[:12]}` |" in shown and made[:12] not in shown
    assert shown.endswith("\n\nOlder ones: `%log 5`") and "Older" not in await cells.said("%log")
    shown = await cells.said("%diff v2")
    assert cells.kinds() == ["DiffShown", "TurnFinished"]
    assert shown.startswith("Update `app.generated:clock`\n\n```diff\n--- clock.lua\n"), "what runs comes first"
    assert "-return { handler = function() return 1 end }\n" in shown
    assert "+return { handler = function() return 2 end }\n" in shown
    assert (await cells.said("%diff v1 v2")).startswith("Create `app.generated:clock`")
    assert await cells.said("%diff main") == "Nothing differs between `main` and `main`."


async def test_a_long_difference_names_the_command_that_shows_it(house: House) -> None:
    for name in ("a", "b"):
        house.write(*create(tool(name, f"-- {'x' * 60_000}\n{GOOD}")))
    shown = await Cells(house).said("%diff v1")
    assert len(shown) < 100_000 and "Create `app.generated:a`" in shown and "app.generated:b" not in shown
    assert shown.endswith("There is more: `micro-agi registry diff v1 main` shows all of it.")


async def test_the_log_says_what_a_commit_of_a_person_undid(house: House) -> None:
    cells = Cells(house)
    made = house.write(*create(tool("clock", GOOD))).commit
    await cells.said(f"%revert {made[:12]}")
    assert f"| `Delete app.generated:clock (reverts {made[:12]})` |" in await cells.said("%log 1")
    await cells.said(f"%restore {made[:12]}")
    assert f"| `Create app.generated:clock (restores the state of {made[:12]})` |" in await cells.said("%log 1")
    house.write(*create(tool("liar", GOOD)), actor=AGENT, body=f"Reverts {made[:12]}: Create app.generated:clock")
    assert "| `Create app.generated:liar` |" in await cells.said("%log 1"), "an agent's word"


HOSTILE = "![x](https://evil.example/a.png) <img src=x> ` `` ``` | $x$\u202e"


async def test_what_others_wrote_is_shown_and_never_acts(house: House) -> None:
    cells = Cells(house)
    house.write(*create(tool("evil", f"-- {HOSTILE}\n{GOOD}", title=HOSTILE, llm_description=HOSTILE)), subject=HOSTILE)
    await cells.said("%load evil")
    for command in ("%registry", "%log", "%tools", "%diff v1", "%call evil {}", f"%registry {HOSTILE}", "%session"):
        blocks = MarkdownIt().enable("table").parse(await cells.said(command))
        inline = {token.type for block in blocks for token in block.children or ()}
        assert inline <= {"text", "code_inline", "softbreak"}, command
        assert not {"html_block", "heading_open", "reference"} & {block.type for block in blocks}
        words = [re.sub("`[^`]*`", "", block.content) for block in blocks if block.type == "inline"]
        assert not any("evil.example" in each for each in words), "not even an address that some parser makes a link of"
    cells.session._log.close()


async def test_a_tool_is_loaded_by_hand_under_the_policies(house: House) -> None:
    cells = Cells(house)
    house.write(*create(tool("clock", GOOD), tool("secret", GOOD), policy("app:no", "deny", "tool.load", "*:secret")))
    shown = await cells.said("%tools")
    assert "clock" not in shown and shown.startswith("| name | id | what it does |\n"), "no column of nothing"
    assert await cells.said("%load clock") == "The agent has `app.generated:clock` as `clock`."
    assert [event.alias for event in cells.events if isinstance(event, ToolLoaded)] == ["clock"]
    assert "| `clock` | `app.generated:clock` | yes | For a test |" in await cells.said("%tools")
    assert "policy denied: tool.load on app.generated:secret" in await cells.failed("%load secret")


async def test_a_call_by_hand_shows_what_comes_and_what_it_gives(house: House) -> None:
    source = "return { handler = function(i) print('one') print('two') return { n = i.n + 1, t = '```' } end }"
    house.write(*create(tool("add", source, input_schema={"type": "object"})))
    cells = Cells(house)
    assert await cells.said('%call add  {"n":  1}') == '````json\n{\n  "n": 2,\n  "t": "```"\n}\n````'
    started, *output, finished, _, _ = cells.events
    assert isinstance(started, ToolStarted) and (started.name, started.arguments) == ("app.generated:add", '{"n":  1}')
    assert "".join(each.text for each in output if isinstance(each, ToolOutput)) == "one\ntwo\n"
    assert isinstance(finished, ToolFinished) and (finished.status, finished.value) == ("ok", {"n": 2, "t": "```"})
    assert {started.call_id} == {each.call_id for each in (*output, finished) if hasattr(each, "call_id")}
    end = await cells.run("%call app.generated:add []")
    assert end.error_name == "ToolError" and end.error.startswith("add:1: ")
    summaries = [each.summary for each in cells.events if isinstance(each, ToolFinished)]
    assert summaries == [end.error], "in the card and in the cell's one line"
    assert set(cells.kinds()) == {"ToolStarted", "ToolOutput", "ToolFinished", "TurnFinished"}
    house.write(*create(tool("text", "return { handler = function() return ('x'):rep(100000) end }")))
    long = await cells.said("%call text")
    assert len(long) < 40_000 and "\n... 67,232 characters not shown ...\n" in long
    house.write(*create(tool("nothing", "return { handler = function() end }")))
    assert await cells.said("%call nothing") == ""


async def test_a_call_by_hand_is_approved_as_any_other(house: House) -> None:
    house.write(*create(policy("app:ask", "ask", ["tool.call", "tool.load"], "*:clock"), tool("clock", GOOD)))
    cells, person = Cells(house), Person("no", "always", "no")
    await cells.run("hello")  # whose clock is over
    assert "nobody can be asked here" in await cells.failed("%call clock")
    assert "not approved by the person" in await cells.failed("%call clock", person)
    assert await cells.said("%call clock", person) == "```json\n1\n```"
    assert await cells.said("%call clock") == "```json\n1\n```", "for the rest of the session"
    assert "not approved by the person: tool.load" in await cells.failed("%load clock", person)


async def test_lua_in_a_cell(house: House) -> None:
    cells, head = Cells(house), house.head
    assert await cells.said("%%lua json, time\nlocal json = require('json')\nprint('hi')\nreturn json.encode({1})") == (
        "```\n[1]\n```"
    )
    assert cells.kinds() == ["ToolStarted", "ToolOutput", "ToolFinished", "CommandAnswered", "TurnFinished"]
    assert await cells.said("%%lua\nreturn { handler = function(input) return { n = 1 } end }") == (
        '```json\n{\n  "n": 1\n}\n```'
    )
    assert await cells.failed("\n  %%lua\n\nlocal x = 1\nerror('line 5')") == "cell:5: line 5"
    assert (await cells.failed("%%lua\r\nlocal = 3")).startswith("cell:2: ")
    assert (await cells.failed("%%lua registry\nreturn 1")).startswith(
        "a cell has no module 'registry': there are: base64, "
    )
    for line, advice in {
        "%%lua\nreturn require('json')": "json",
        "%%lua time\nreturn require('json')": "json, time",
        "%%lua\nreturn require('time.now')": 'time and write require("time").now',
    }.items():
        assert (await cells.failed(line)).endswith(f"is not available here: write %%lua {advice}")
    assert "is not available here: there are: base64, " in await cells.failed("%%lua\nreturn require('nope')")
    assert (await cells.failed(f"%%lua\n--{'x' * 1_100_000}")).startswith("the cell has more than ")
    await cells.said("%set sandbox.timeout 0.2")
    assert (await cells.failed("%%lua\nwhile true do end")).startswith("time limit of 0.2 s reached")
    assert house.head == head


@pytest.mark.parametrize("text", ["%call spin", f"%%lua\n{SPIN}", '%bisect spin {"input": {}, "expect": 1}'])
async def test_what_runs_long_can_be_stopped(house: House, text: str) -> None:
    house.write(*create(tool("spin", SPIN)), actor=AGENT)
    cells = Cells(house)
    running = asyncio.Event()

    async def cell() -> None:
        async for event in run_cell(cells.session, text):
            if isinstance(event, ToolOutput):
                running.set()

    turn = asyncio.create_task(cell())
    if "bisect" in text:
        await asyncio.sleep(0.05)
    else:
        await running.wait()
    turn.cancel()
    await asyncio.wait({turn})
    assert turn.cancelled()
    assert (await cells.said("%help")).startswith("- ")


async def test_the_pages_that_the_agent_reads(house: House) -> None:
    cells = Cells(house)
    page = await cells.said("%docs lua/core/time")
    assert page.startswith("# time\n") and await cells.said("%docs /docs/lua/core/time.md") == page
    found = await cells.said("%docs base64 encode")
    assert found.startswith("`%docs lua/data/base64`\n\n```")
    assert await cells.said("%docs qqqq `zzzz`") == "Nothing found for `qqqq 'zzzz'`."
    await cells.said('%set docs.remote "https://example.com/llm/"')
    assert (await cells.said("%docs qqqq")).endswith("The agent asks `https://example.com/llm/` then.")
