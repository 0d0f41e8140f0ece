"""What a pinned revision grants to its entries holds only where the newest grants it too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from command_kit import Cells
from house_kit import GOOD, House, create, delete, id_of, policy, tool, update, words

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.permissions import FUNCS, Older
from micro_agi_kernel.pinning import granted
from micro_agi_kernel.values import Json

PERSONS = "app.admin:helper"
CALLS_IT = f"local f = require('funcs')\nreturn {{ handler = function() return f.call('{PERSONS}', {{}}) end }}"


def persons(modules: list[Json], calls: list[Json], **meta: Json) -> Entry:
    data: dict[str, Json] = {"source": GOOD, "method": "handler", "modules": modules, "calls": calls}
    return Entry(id_of(PERSONS), "function.lua", {"type": "tool", **meta}, data)


async def outcome(cells: Cells, text: str) -> str:
    """What a cell says, or why it was refused."""
    end = await cells.run(text)
    return end.error or words(cells.events)


async def test_a_function_that_is_no_longer_callable_is_not(house: House) -> None:
    caller = tool("caller", CALLS_IT)
    caller = replace(caller, data={**caller.data, "calls": [PERSONS]})
    house.write(*create(persons([], [], callable=True), caller))
    then, cells = house.head, Cells(house)
    house.write(*update(persons([], [])))
    refused = "its entry does not say meta.callable: true"
    assert refused in await outcome(cells, "%call caller")
    await cells.said(f"%pin {then}")
    assert refused in await outcome(cells, "%call caller")
    house.write(*update(persons([], [], callable=True)))
    assert "1" in await cells.said("%call caller"), "it is granted again"
    house.write(*delete(PERSONS))
    gone = f"{PERSONS} is gone in the newest revision: what it was granted does not come back with a pinned one"
    assert gone in await outcome(cells, "%call caller")
    assert gone in await outcome(cells, f"%call {PERSONS}")
    assert gone in await outcome(cells, f"%load {PERSONS}")


async def test_policies_see_what_an_entry_is_now(house: House) -> None:
    """A tool that was reviewed is no longer: neither its module, nor loading it, comes back."""
    unreviewed: Json = [{"field": "meta.reviewed", "operator": "nexists"}]
    rules = [policy(f"app:{name}", "deny", action, "*") for name, action in (("a", "lua.module"), ("b", "tool.load"))]
    for at, rule in enumerate(rules):
        body = rule.data["policy"]
        assert isinstance(body, dict)
        conditional: Json = {**body, "conditions": unreviewed}
        rules[at] = replace(rule, data={**rule.data, "policy": conditional})
    good = tool("worker", "require('json')\n" + GOOD, modules=["json"], reviewed=True)
    house.write(*create(*rules, good))
    then, cells = house.head, Cells(house)
    assert "1" in await cells.said("%call worker")
    house.write(*update(replace(good, meta={name: value for name, value in good.meta.items() if name != "reviewed"})))
    await cells.said(f"%pin {then}")
    assert "policy denied: lua.module on json" in await outcome(cells, "%call worker")
    assert "policy denied: tool.load on app.generated:worker" in await outcome(cells, "%load worker")
    house.write(*delete("app.generated:worker"))
    assert "1" in await cells.said("%call worker"), "an agent made it: what it has, policies gave"
    asks = policy("app:asks", "ask", "tool.call", PERSONS)
    old, new = persons([], [], reviewed=True), persons([], [], asked=True, reviewed=True)
    body = asks.data["policy"]
    assert isinstance(body, dict)
    only: Json = {**body, "conditions": [{"field": "meta.asked", "operator": "eq", "value": True}]}
    house.write(*create(replace(asks, data={**asks.data, "policy": only}), old))
    assert house.permissions.decide_for_tool(old, "tool.call", PERSONS).effect == "undefined"
    for one, other in ((old, new), (new, old)):
        decision = house.permissions.decide_for_tool(granted(one, other), "tool.call", PERSONS)
        assert decision.effect == "ask", "the stricter one"


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ((["json", "docs"], []), (["docs", "time"], []), (["docs"], [])),
        (([], ["app:a", "app:b"]), ([], ["app:b", "app:c"]), ([], ["app:b"])),
        (([FUNCS], []), ([FUNCS], []), ([FUNCS], [])),  # what they like
        (([FUNCS], []), ([FUNCS], ["app:a"]), ([FUNCS], ["app:a"])),
        (([FUNCS], ["app:a"]), ([FUNCS], []), ([FUNCS], ["app:a"])),
        (([FUNCS], ["app:a"]), ([FUNCS], ["app:b"]), ([], [])),  # not what they like
        (([FUNCS], []), ([], []), ([], [])),
        (([FUNCS], []), (["json"], ["app:a"]), ([], ["app:a"])),
        (([FUNCS], ["app:a"]), ([FUNCS], [1]), ([], [])),  # what is no id grants nothing
    ],
)
def test_a_persons_entry_keeps_what_both_revisions_list(
    old: tuple[list[Json], list[Json]], new: tuple[list[Json], list[Json]], kept: tuple[list[Json], list[Json]]
) -> None:
    found = granted(persons(*old), persons(*new))
    assert (found.data["modules"], found.data["calls"]) == kept


def test_its_limits_are_those_of_the_newest() -> None:
    more, less = persons([], [], limits={"timeout": 60}, callable=True), persons([], [], limits={"timeout": 1})
    assert granted(more, less).meta == {"type": "tool", "limits": {"timeout": 1}}
    assert "limits" not in granted(more, persons([], [])).meta
    assert granted(more, more).meta == more.meta
    other = Entry(id_of(PERSONS), "library.lua", {}, more.data)
    with pytest.raises(Refused, match=r"is of the kind library\.lua in the newest revision"):
        granted(more, other)
    made = tool("made", modules=["json"])
    assert granted(made, None) == Older(made.id, made.kind, made.meta, made.data, None)
