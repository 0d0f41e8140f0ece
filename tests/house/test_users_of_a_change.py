"""What is changed is used by others: those that passed their tests before the change pass them after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import GOOD, House, create, delete, id_of, tool, update

from micro_agi_kernel import checks, dependents, publishing
from micro_agi_kernel.entries import AGENT, Changeset, Entry, Operation, to_files
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.events import Notice
from micro_agi_kernel.exchange import import_path
from micro_agi_kernel.rollback import restore, revert
from micro_agi_kernel.values import Json

LIB = "app.generated:lib"
USE = "local lib = require('lib') return { handler = function(input) return lib(input.n or 0) end }"
CALL = "local funcs = require('funcs') return { handler = function(i) return funcs.call('%s', i) end }"
HINT = "; keep what it relies on, or make a new entry beside this one"


def lib(body: str, name: str = "lib", **data: Any) -> Entry:
    return Entry(id_of(f"app.generated:{name}"), "library.lua", {}, {"source": f"return {body}", **data})


def adding(number: int) -> Entry:
    return lib(f"function(n) return n + {number} end")


def using(name: str, wanted: int | None, source: str = USE, **data: Any) -> Entry:
    """A tool that says `wanted` in a test, given 1."""
    entry = tool(name, source)
    tests: list[Json] = [] if wanted is None else [{"name": "adds", "input": {"n": 1}, "expect": wanted}]
    data = data or {"imports": {"lib": LIB}}
    return replace(entry, data={**entry.data, "tests": tests, **data})


async def publish(house: House, *operations: Operation, actor: str = AGENT) -> str:
    """What the publisher says against a change, of which nothing is left; "" when it is committed."""
    before = house.head
    try:
        await house.publishing.publish(Changeset(operations), house.context(actor))
    except Refused as refusal:
        assert house.head == before
        assert "\n" not in str(refusal)
        return str(refusal)
    assert house.head != before
    return ""


def notices(house: House) -> list[str]:
    return [event.text for event in house.events if isinstance(event, Notice)]


async def test_a_library_that_would_break_its_users_is_not_changed_by_an_agent(house: House) -> None:
    house.write(*create(adding(1), using("total", 2)))
    broken = f"tests: 1 of 1 failed: 'adds' expected 2, got 3{HINT}"
    line = f"app.generated:total uses {LIB} and would break: {broken}"
    assert await publish(house, *update(adding(2))) == line
    assert await publish(house, *update(lib("function(n) return 1 + n end"))) == ""


async def test_a_person_is_told_what_breaks(house: House) -> None:
    house.write(*create(adding(1), using("total", 2)))
    assert await publish(house, *update(adding(2)), actor="user:Ann") == ""
    broken = "tests: 1 of 1 failed: 'adds' expected 2, got 3"
    assert notices(house) == [f"app.generated:total uses {LIB} and breaks: {broken}; mend it, or revert this"]
    assert await publish(house, *update(using("total", 3))) == ""
    assert await publish(house, *delete(LIB), actor="user:Ann") == ""
    assert f"app.generated:total uses {LIB} and breaks: not found: {LIB}" in notices(house)[-1]


async def test_no_tool_of_an_agent_holds_fast_what_a_person_wants_changed(house: House) -> None:
    """Neither the person's library nor the agent's own bad tool, by a test that wants things as they are."""
    mine = replace(adding(1), id=id_of("app.lib:mine"))
    house.write(*create(mine))
    await house.make("rate", GOOD)
    bad = (await house.make("rate", GOOD.replace("1", "666"), intent="replace"))["commit"]
    assert "created" in await house.make(
        "pin", USE, imports={"lib": "app.lib:mine"}, tests=[{"input": {}, "expect": 1}]
    )
    tests: list[Json] = [{"input": {}, "expect": 666}]
    calls = ["app.generated:rate"]
    held = await house.make("held", CALL % calls[0], modules=["funcs"], calls=calls, tests=tests, intent="new")
    assert "created" in held, held
    assert await publish(house, *update(replace(mine, data=adding(2).data)), actor="user:Ann") == ""
    await revert(house.registry, house.publishing, house.context("user:Ann"), bad)
    assert (await house.run("app.generated:rate")).value == 1
    assert ["app.generated:pin uses app.lib:mine and breaks" in notices(house)[0], len(notices(house))] == [True, 2]
    assert "app.generated:held uses app.generated:rate and breaks" in notices(house)[1]


async def test_users_of_users_and_callers_are_asked_too(house: House) -> None:
    middle = lib("require('lib')", "middle", imports={"lib": LIB})
    deep = using("deep", 2, USE, imports={"lib": "app.generated:middle"})
    caller = using("caller", 2, CALL % "app.generated:deep", calls=["app.generated:deep"])
    house.write(*create(adding(1), middle, deep, caller, using("other", None, GOOD)))
    said = await publish(house, *update(adding(2)))
    assert "app.generated:deep uses" in said and "app.generated:caller uses" in said
    wrong = replace(deep, data={**deep.data, "source": GOOD.replace("1", "7"), "tests": []})
    said = await publish(house, *update(wrong))
    assert "app.generated:caller uses app.generated:deep and would break: tests: " in said
    assert "expected 2, got 7" in said


async def test_what_failed_before_or_is_changed_with_it_is_no_hindrance(house: House) -> None:
    house.write(*create(adding(1), using("failing", 5), using("total", 2)))
    assert await publish(house, *update(adding(2), using("total", 3))) == ""
    assert "app.generated:total uses what this changes" in await publish(
        house, *update(adding(3), using("failing", 4))
    ), "one that is changed too is tested as it will be"


async def test_a_user_that_can_no_longer_be_loaded(house: House) -> None:
    loads = "local lib = require('lib') lib(1) return { handler = lib }"
    house.write(*create(adding(1), using("untested", None, loads)))
    assert "app.generated:untested uses app.generated:lib and would break: source: cannot be loaded" in (
        await publish(house, *update(lib("1")))
    )
    assert f"app.generated:untested uses {LIB} and would break: not found: {LIB}" in await publish(house, *delete(LIB))


async def test_going_back_and_importing_say_whom_they_break(house: House, tmp_path: Path) -> None:
    first = house.write(*create(adding(1))).commit
    second = house.write(*update(adding(2))).commit
    house.write(*create(using("total", 3)))
    for way, rev, id in ((revert, second, None), (restore, first, id_of(LIB))):
        await way(house.registry, house.publishing, house.context("user:Ann"), rev, id)
        assert "app.generated:total uses app.generated:lib and breaks" in notices(house)[-1]
        house.write(*update(adding(2)))
    folder = tmp_path / "in"
    files = {"registry.yaml": b"format: 1\nlayout: folders\n"}
    files |= {f"app/generated/{name}": content for name, content in to_files(adding(4)).items()}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    assert (await import_path(house, folder)).published is not None
    [notice] = house.take_notices()
    assert "expected 3, got 5" in notice


async def test_what_was_not_tested_stops_an_agent_and_is_told_a_person(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write(*create(adding(1), using("total", 2)))
    monkeypatch.setattr(dependents, "USERS_SECONDS", 0.0)
    line = f"not all that use {LIB} were tested within 0 s, not: app.generated:total"
    assert await publish(house, *update(adding(2))) == (
        f"{line}: only a person may change it then; make a new entry beside it"
    )
    assert await publish(house, *update(adding(2)), actor="user:Ann") == ""
    assert notices(house) == [f"{line}; `micro-agi registry verify --tests` tests all"]


async def test_of_too_many_users_an_agent_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(adding(1), using("one", 2), using("two", 2), using("three", 2)))
    monkeypatch.setattr(dependents, "MOST_USERS", 2)
    assert "not: all beyond the first 2: only a person" in await publish(
        house, *update(lib("function(n) return 1 + n end"))
    )


SLOW = "local time, lib = require('time'), require('lib') return { handler = function() time.sleep('9s') end }"


async def test_slow_users_hide_no_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    library = replace(adding(1), id=id_of("app.lib:mine"))
    uses: dict[str, Any] = {"imports": {"lib": "app.lib:mine"}}
    slow = [using(f"a{number}", 1, SLOW, modules=["time"], **uses) for number in range(checks.AT_ONCE)]
    mine = replace(using("z", 2, **uses), id=id_of("app.zz:mine"))
    house.write(*create(library, *slow, using("z", 2, **uses), mine))
    monkeypatch.setattr(dependents, "USERS_SECONDS", 6.0)
    monkeypatch.setattr(dependents, "_SHARE", 1 / 6)
    assert await publish(house, *update(replace(library, data=adding(2).data)), actor="user:Ann") == ""
    broken, left = notices(house)
    assert broken.startswith("app.zz:mine uses app.lib:mine and breaks: "), "a person's own comes first"
    assert "app.generated:z uses app.lib:mine and breaks" in broken and "not: app.generated:a0, " in left


async def test_many_of_an_agent_hide_none_of_a_person(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    library = replace(adding(1), id=id_of("app.lib:mine"))
    uses: dict[str, Any] = {"imports": {"lib": "app.lib:mine"}}
    mine = replace(using("z", 2, **uses), id=id_of("app.zz:mine"))
    house.write(*create(library, *(using(f"a{number}", None, **uses) for number in range(3)), mine))
    monkeypatch.setattr(dependents, "MOST_USERS", 2)
    assert await publish(house, *update(replace(library, data=adding(2).data)), actor="user:Ann") == ""
    assert notices(house)[0].startswith("app.zz:mine uses app.lib:mine and breaks: ")


async def test_a_user_that_comes_in_between_is_tested_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(adding(1)))
    real, meanwhile = dependents.try_users, [using("late", 2)]

    async def tested(*args: Any) -> Any:
        found = await real(*args)
        if meanwhile:
            house.write(*create(meanwhile.pop()))
        return found

    monkeypatch.setattr(publishing, "try_users", tested)
    with pytest.raises(Refused, match=r"app\.generated:late uses app\.generated:lib and would break"):
        await house.publishing.publish(Changeset(update(adding(2))), house.context())


async def test_users_are_found_in_any_state(house: House) -> None:
    """The index says who they are, at each commit as it was there."""
    old = house.write(*create(adding(1), using("total", 2))).commit
    new = house.write(*update(using("total", None, GOOD, imports={}))).commit
    both = [house.registry.snapshot(commit) for commit in (old, new)]
    assert [at.users([id_of(LIB)], 9) for at in both] == [[id_of("app.generated:total")], []]
    house.write(*create(using("a", None), using("b", None)))
    assert house.registry.snapshot().users([id_of(LIB)], 1) == [id_of("app.generated:a")]


async def test_all_that_is_written_has_its_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "CHANGE_TEST_SECONDS", 0.0)
    said = await publish(house, *create(using("a", 1, GOOD, imports={}), using("b", 1, GOOD, imports={})))
    assert said == (
        "2 of 2 entries were not loaded and tested within 0 s, the first of them app.generated:a: write fewer at a time"
    )
