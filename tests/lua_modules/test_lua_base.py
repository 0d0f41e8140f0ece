"""The page of the language and what a tool finds: neither has a name that the other lacks."""

from __future__ import annotations

import re

import pytest
from lua_double import RunLua
from lua_surface import DOCS

from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (DOCS / "lua/core/base.md").read_text()


async def test_the_page_names_every_global(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local names = {}
        for name in pairs(_G) do names[#names + 1] = name end
        return names
    """)
    assert isinstance(ran.value, list)
    globals_section = PAGE.split("## Globals")[1].split("## require")[0]
    named = set(re.findall(r"`(\w+)`", globals_section.split("|---|---|")[0]))
    named |= set(re.findall(r"^\| `(\w+)` \|", globals_section, re.MULTILINE))
    assert named == set(ran.value)


@pytest.mark.parametrize("table", ["table", "utf8", "coroutine", "channel", "os"])
async def test_the_page_names_what_a_table_holds(table: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local names = {{}}
        for name in pairs({table}) do names[#names + 1] = name end
        return names
    """)
    assert isinstance(ran.value, list)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{table}` |"))
    assert set(re.findall(r"`(\w+)`", row)) == {table, *ran.value}


async def test_what_the_page_calls_absent_is(run_lua: RunLua) -> None:
    section = PAGE.split("## What is absent")[1].split("## Limits")[0]
    first_column = " ".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))
    names: list[Value] = [*sorted({*re.findall(r"`([a-z]+)`", first_column)} - {"os"})]
    assert {"load", "io", "debug", "package"} < {*names}
    ran = await run_lua(
        """
        local function handler(names)
          local found = {}
          for _, name in ipairs(names) do if _G[name] ~= nil then found[#found + 1] = name end end
          return found
        end
        return {handler = handler}
        """,
        names,
    )
    assert ran.value == []
