"""A tool fails since something that it uses was changed: the person is offered the commit that changed that."""

from __future__ import annotations

from dataclasses import replace

from house_kit import GOOD, House, create, id_of, tool, update

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.events import Notice

LIB = "app.generated:lib"
WORKER = "app.generated:worker"
USE = "local lib = require('lib') return { handler = function(input) return lib(input.n or 0) end }"
ADD_TO = "local funcs = require('funcs') return { handler = function(i) return funcs.call('%s', i) + 1 end }"
PASS_ON = "local funcs = require('funcs') return { handler = function(i) return assert(funcs.call('%s', i)) end }"
BOOM = "return { handler = function() error('boom') end }"


def lib(body: str) -> Entry:
    return Entry(id_of(LIB), "library.lua", {}, {"source": f"return function(n) {body} end"})


def total(source: str = USE) -> Entry:
    entry = tool("total", source)
    return replace(entry, data={**entry.data, "imports": {"lib": LIB}})


def caller(source: str) -> Entry:
    entry = tool("caller", source % WORKER)
    return replace(entry, data={**entry.data, "calls": [WORKER]})


def offers(house: House) -> list[str]:
    return [event.text for event in house.events if isinstance(event, Notice)]


async def test_a_changed_library(house: House) -> None:
    house.write(*create(lib("return n + 1"), total(), replace(total(), id=id_of("app.generated:new"))))
    assert (await house.run("app.generated:total", {"n": 1})).value == 2
    changed = house.write(*update(lib("error('boom')"))).commit[:12]
    house.write(*update(total(f"{USE} -- said otherwise")))
    for _ in range(2):
        assert not (await house.run("app.generated:total", {"n": 1})).ok
    offer = f"app.generated:total fails since commit {changed} changed {LIB}, which it uses, and worked before: "
    assert offers(house) == [f"{offer}`%revert {changed} {LIB}` undoes that"]
    assert not (await house.run("app.generated:new", {"n": 1})).ok
    assert len(offers(house)) == 1, "that one never worked"


async def test_a_changed_tool_that_gives_another_result(house: House) -> None:
    house.write(*create(tool("worker", GOOD), caller(ADD_TO)))
    assert (await house.run("app.generated:caller", {})).value == 2
    changed = house.write(*update(tool("worker", "return { handler = function() return 'text' end }"))).commit[:12]
    await house.run("app.generated:caller", {})
    [line] = offers(house)
    assert f"caller fails since commit {changed} changed {WORKER}, which it uses" in line


async def test_one_change_is_offered_once(house: House) -> None:
    house.write(*create(tool("worker", GOOD), caller(PASS_ON)))
    await house.run("app.generated:caller", {})
    house.write(*update(tool("worker", BOOM)))
    await house.run("app.generated:caller", {})
    [line] = offers(house)
    assert line.startswith(f"{WORKER} fails since")


async def test_a_change_that_is_only_said_otherwise_is_none(house: House) -> None:
    """A tool that fails now and then, whose library got a comment."""
    house.write(*create(lib("if n == 0 then error('boom') end return n"), total()))
    assert (await house.run("app.generated:total", {"n": 1})).ok
    house.write(*update(lib("if n == 0 then error('boom') end return n -- the same\n")))
    assert not (await house.run("app.generated:total", {})).ok
    assert offers(house) == []
