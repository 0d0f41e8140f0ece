"""What a tool cost to make, in the `Cost:` of its commits, against how often it was used."""

from __future__ import annotations

from house_kit import House, create, delete, git, id_of, talking, tool, update
from model_server import calls, text
from test_bounds import CACHED, command

from micro_agi_kernel.entries import AGENT
from micro_agi_kernel.registry.cost import Cost
from micro_agi_kernel.registry.uses import Uses
from micro_agi_kernel.tool_costs import ToolCost, tool_costs

LOOK = ("registry_list", {"limit": 1})
STEP = (1_000 * 2.5 + 100 * 10) / 1e6
"""Dollars of a step with the usage CACHED; the seed's gpt-5.1 has no price of its own for cached tokens."""


PURPOSES = {
    "first": "Counts the apples of a basket",
    "second": "Weighs parcels before dispatch",
    "third": "Translates colours into numbers",
    "broken": "Lists holidays",
    "plain": "Rounds prices",
    "works": "Reverses words",
    "fails": "Measures distances",
}
"""Unlike one another: a tool like one that is there would be refused."""


def making(name: str, value: str = "") -> tuple[str, object]:
    source = f"return {{ name = '{name}', handler = function() return {value} end }}"
    schema = {"type": "object", "properties": {}}
    return "create_tool", {"name": name, "description": PURPOSES[name], "source": source, "input_schema": schema}


def costs_of(house: House, *, newest: int) -> list[str]:
    lines = git(house.registry.path, "log", f"-{newest}", "--format=cost %(trailers:key=Cost,valueonly,separator=)")
    return [line.removeprefix("cost").strip() for line in lines.split("\n")]


async def test_each_commit_says_what_the_steps_behind_it_took(house: House) -> None:
    script = [
        calls(LOOK, usage=CACHED),
        calls(making("first"), usage=CACHED),
        calls(making("second"), making("third"), usage=CACHED),
        text("Done.", usage=CACHED),
        calls(making("first", "2"), usage=CACHED),
        text("Done.", usage=CACHED),
    ]
    async with talking(house, script) as talk:
        await talk.say("make three")
        two, one = Cost(2 * STEP, 2_200, 2), Cost(STEP, 1_100, 1)
        assert costs_of(house, newest=3) == ["", str(one), str(two)], "what is said once is not said again"
        await talk.say("mend it")
        assert costs_of(house, newest=1) == [str(one)], "a cell does not pay for the one before"
    made = {each.id.name: each for each in tool_costs(house.registry, house.uses, 9)}
    assert made["first"] == ToolCost(id_of("app.generated:first"), 2, two + one, Uses())
    assert made["third"] == ToolCost(id_of("app.generated:third"), 1, Cost(), Uses())


async def test_a_commit_that_was_refused_leaves_its_cost_to_the_next(house: House) -> None:
    script = [
        calls(making("broken", "(("), usage=CACHED),
        calls(making("broken"), usage=CACHED),
        text("Done.", usage=CACHED),
    ]
    async with talking(house, script) as talk:
        await talk.say("make it")
        assert "error" in talk.results()[0]
    assert costs_of(house, newest=1) == [str(Cost(2 * STEP, 2_200, 2))]


async def test_no_cost_where_the_server_reports_no_tokens(house: House) -> None:
    async with talking(house, [calls(making("plain"), usage=None), text("Done.", usage=None)]) as talk:
        await talk.say("make it")
    assert costs_of(house, newest=1) == [""]


async def test_the_table_of_tools(house: House) -> None:
    failing = "error({kind = 'INVALID'})"
    script = [
        calls(making("works"), usage=CACHED),
        calls(making("fails", f"{failing}"), usage=CACHED),
        calls(("load_tool", {"id": "app.generated:works"}), ("load_tool", {"id": "app.generated:fails"}), usage=CACHED),
        calls(("works", {}), ("works", {}), ("works", {}), ("works", {}), usage=CACHED),
        calls(("fails", {}), usage=CACHED),
        text("Done.", usage=CACHED),
    ]
    async with talking(house, script) as talk:
        await talk.say("make two")
        table = (await command(talk.session, "%cost")).split("\n\n")[1].split("\n")
    assert table == [
        "| tool | commits | tokens | money | used | failed | money per use |",
        "|---|--:|--:|--:|--:|--:|--:|",
        "| `app.generated:fails` | 1 | 1,100 | $0.0035 | 1 | 1 | $0.0035 |",
        "| `app.generated:works` | 1 | 1,100 | $0.0035 | 4 | 0 | $0.0009 |",
    ]


async def test_a_cost_that_nobody_said_is_not_shown_as_nothing(house: House) -> None:
    house.write(*create(tool("unknown")), actor=AGENT)
    await house.run("app.generated:unknown", {})
    async with talking(house, [text("Hm.")]) as talk:
        table = (await command(talk.session, "%cost")).split("\n\n")[1].split("\n")
    assert table[2:] == ["| `app.generated:unknown` | 1 | not known | not known | 1 | 0 | - |"]


async def test_a_use_is_a_call_that_ran_whoever_made_it(house: House) -> None:
    inner = tool("inner", "return { handler = function() return 1 end }")
    outer = tool(
        "app.tools:outer",
        "return { handler = function() return require('funcs').call('app.generated:inner', {}) end }",
        modules=["funcs"],
    )
    closed = tool("closed", input_schema={"type": "object", "properties": {}, "required": ["x"]})
    house.write(*create(inner, outer, closed), actor=AGENT, cost=str(Cost(0.3, 999, 3)))
    assert (await house.run("app.tools:outer", {})).ok
    assert not (await house.run("app.generated:closed", {})).ok
    assert not (await house.run("app.generated:absent", {})).ok
    found = {each.id.name: each for each in tool_costs(house.registry, house.uses, 9)}
    assert found["inner"].uses == Uses(1) and "outer" not in found, "no agent made that one"
    assert found["closed"].uses == Uses(), "a call that did not run is no use"
    assert found["inner"].cost == Cost(0.3 / 3, 333, 1), "a commit of three"


async def test_a_cost_is_a_claim_and_is_read_as_one(house: House) -> None:
    claims = ["$1e99, 5 tokens, 1 step", "nan", "$5, 5 tokens, 5 steps"]
    for number, claim in enumerate(claims):
        write = update if number else create
        house.write(*write(tool("pushed", comment=f"version {number}")), actor=AGENT, cost=claim)
    assert [(each.commits, each.cost) for each in tool_costs(house.registry, house.uses, 9)] == [(3, Cost(5, 5, 5))]


async def test_a_tool_that_is_gone_is_not_listed(house: House) -> None:
    house.write(*create(tool("gone"), tool("kept")), actor=AGENT)
    await house.run("app.generated:gone", {})
    house.write(*delete("app.generated:gone"), actor=AGENT)
    assert [str(each.id) for each in tool_costs(house.registry, house.uses, 9)] == ["app.generated:kept"]
