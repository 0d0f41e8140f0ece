"""Whoever brings many entries at once: how long their tests may take, and what is said of those without a turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import GOOD, House, create, id_of, tool, update
from sharing_kit import Hub, Sharer, fates, files_of

from micro_agi_kernel import checks, dependents, exchange, intake, publishing, pushes, verify
from micro_agi_kernel.entries import Entry, to_files
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.exchange import import_path
from micro_agi_kernel.publishing import Publishing
from micro_agi_kernel.pushes import check_push
from micro_agi_kernel.testing import ToolTesting
from micro_agi_kernel.values import Json
from micro_agi_kernel.verify import verify_registry

ENDLESS = "return { handler = function() while true do end end }"
LIB = "app.generated:lib"


def having(name: str, source: str = GOOD, wanted: int = 1) -> Entry:
    entry = tool(name, source)
    return replace(entry, data={**entry.data, "tests": [{"name": "one", "input": {}, "expect": wanted}]})


def lib(number: int) -> Entry:
    return Entry(id_of(LIB), "library.lua", {}, {"source": f"return {number}"})


def using(name: str, wanted: int) -> Entry:
    entry = having(name, "local lib = require('lib') return { handler = function() return lib end }", wanted)
    return replace(entry, data={**entry.data, "imports": {"lib": LIB}})


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub.git")


@pytest.fixture
def ann(house: House, hub: Hub) -> Sharer:
    return Sharer(house, hub)


async def test_an_import(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in" / "app" / "generated"
    folder.mkdir(parents=True)
    (tmp_path / "in" / "registry.yaml").write_bytes(b"format: 1\nlayout: folders\n")
    for name in ("a", "b"):
        for file, content in to_files(having(name)).items():
            (folder / file).write_bytes(content)
    monkeypatch.setattr(publishing, "CHANGE_TEST_SECONDS", 0.0)
    monkeypatch.setattr(exchange, "CHANGE_TEST_SECONDS", 0.0)
    before = house.head
    with pytest.raises(Refused, match=r"^2 of 2 entries were not loaded and tested within 0 s, the first .*:a: write"):
        await import_path(house, tmp_path / "in")
    assert house.head == before


async def test_a_push(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(lib(1), using("user", 1)))
    old = house.head
    house.push_entry(lib(2))
    path, update_line = house.registry.path, f"{old} {house.head} refs/heads/main"
    told: list[str] = []
    assert await check_push(house.settings, path, None, [update_line], told.append) == []
    broken = "tests: 1 of 1 failed: 'one' expected 1, got 2"
    assert told == [f"app.generated:user uses {LIB} and breaks: {broken}; mend it, or revert this"]
    told.clear()
    monkeypatch.setattr(dependents, "USERS_SECONDS", 0.0)
    assert await check_push(house.settings, path, None, [update_line], told.append) == []
    line = f"not all that use {LIB} were tested within 0 s, not: app.generated:user"
    assert told == [f"{line}; `micro-agi registry verify --tests` tests all"]
    house.push_entry(having("new"))
    monkeypatch.setattr(pushes, "PUSH_TEST_SECONDS", 0.0)
    told.clear()
    [line] = await check_push(house.settings, path, None, [f"{old} {house.head} refs/heads/main"], told.append)
    assert told == []
    assert line.startswith("1 of 2 entries were not loaded and tested within 0 s, the first of them app.generated:new")


async def test_an_audit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(having("a"), having("b")))
    monkeypatch.setattr(verify, "Workspace", lambda settings: house)
    monkeypatch.setattr(verify, "VERIFY_TEST_SECONDS", 0.0)
    found = [each async for each in verify_registry(house.settings, tests=True) if each.check == "tests"]
    count = sum(entry.kind == "function.lua" for entry in house.registry.snapshot().entries())
    assert [(each.status, each.message) for each in found] == [
        ("warn", f"{count} of {count} functions were not tested: the 0 s for all were over"),
        ("ok", "0 tests pass"),
    ]


async def test_slow_ones_that_are_pulled_keep_no_other_from_its_turn(
    ann: Sharer, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ann.push()
    hub.write(files_of(*(having(f"a{n}", ENDLESS) for n in range(2)), having("z")))
    monkeypatch.setattr(intake, "PULL_TEST_SECONDS", 0.5)
    monkeypatch.setattr(checks, "AT_ONCE", 2)
    for _ in range(6):  # the second is enough, unless the machine is slow
        found = fates(await ann.pull())
        if found["app.generated:z"] == "taken":
            break
        assert set(found.values()) == {"waiting"}
    assert found == {"app.generated:a0": "waiting", "app.generated:a1": "waiting", "app.generated:z": "taken"}


async def test_what_would_break_a_tool_here_waits_for_the_person(ann: Sharer, hub: Hub) -> None:
    ann.house.write(*create(lib(1)))
    await ann.push()
    ann.house.write(*create(using("mine", 1)))
    hub.write(files_of(lib(2), having("other")))
    done = await ann.pull()
    assert fates(done) == {LIB: "waiting", "app.generated:other": "taken"}
    [why] = [item.why for item in done.items if item.fate == "waiting"]
    assert why.startswith("app.generated:mine uses it and would break: tests: 1 of 1 failed: 'one' expected 1, got 2")
    assert fates(await ann.pull(accept=LIB))[LIB] == "taken"


async def test_what_has_more_users_than_are_tested_waits(
    ann: Sharer, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependents, "MOST_USERS", 3)
    ann.write(*create(lib(1), having("alone"), using("zz_mine", 1)))
    await ann.push()
    hub.write(files_of(*(replace(using(f"a{n}", 1), data={**using("a", 1).data, "tests": []}) for n in range(4))))
    await ann.pull()
    hub.write(files_of(lib(2), having("alone", GOOD + " ")))
    done = await ann.pull()
    assert fates(done) == {"app.generated:alone": "taken", LIB: "waiting"}
    [why] = [item.why for item in done.items if item.fate == "waiting"]
    assert why == "not all that use what this changes were tested within 30 s, not: all beyond the first 3"
    assert fates(await ann.pull(accept=LIB))[LIB] == "taken"


async def test_the_users_of_one_pull_share_their_time(ann: Sharer, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """One change after the other turns out to break a user; those of the rest are not tested each time again."""
    source = "local a, b = require('a'), require('b') return { handler = function() return a == b end }"
    libraries = [[replace(lib(number), id=id_of(f"app.generated:l{k}")) for k in range(4)] for number in (1, 2)]
    users = [replace(using("u0", 1), data={**using("u0", 1).data, "imports": {"lib": "app.generated:l0"}})]
    for k in range(1, 4):
        entry = tool(f"u{k}", source)
        imports: Json = {"a": f"app.generated:l{k}", "b": f"app.generated:l{k - 1}"}
        users.append(replace(entry, data={**entry.data, "imports": imports, "tests": [{"input": {}, "expect": True}]}))
    last = using("last", 1)
    last = replace(last, data={**last.data, "imports": {"lib": "app.generated:l3"}, "tests": []})
    ann.write(*create(*libraries[0], *users, last))
    await ann.push()
    hub.write(files_of(*libraries[1]))
    run, tested = ToolTesting.run, []

    async def counting(self: ToolTesting, entry: Entry, *rest: Any) -> Any:
        tested.append(entry.id.name)
        return await run(self, entry, *rest)

    monkeypatch.setattr(ToolTesting, "run", counting)
    assert set(fates(await ann.pull()).values()) == {"waiting"}
    assert tested.count("last") == 1
    monkeypatch.setattr(dependents, "USERS_SECONDS", 0.0)
    done = await ann.pull()
    assert set(fates(done).values()) == {"waiting"} and tested.count("last") == 1


async def test_a_way_to_what_is_pulled_that_came_in_between(
    ann: Sharer, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user reaches what is changed through two others; the nearer one is edited after the pull was judged."""

    def library(name: str, source: str, imports: Json) -> Entry:
        return Entry(id_of(f"app.generated:{name}"), "library.lua", {}, {"source": source, "imports": imports})

    passing = library("passing", "return require('lib')", {"lib": LIB})
    near = library("near", "require('passing') return 1", {"passing": str(passing.id)})
    entry = using("far", 1)
    far = replace(entry, data={**entry.data, "imports": {"lib": str(near.id)}})
    ann.write(*create(lib(1), passing, near, far))
    await ann.push()
    hub.write(files_of(lib(2)))
    other = library("near", "return require('passing')", {"passing": str(passing.id)})
    merge, meanwhile = Publishing.merge, [other]

    async def late(self: Publishing, *rest: Any) -> Any:
        if meanwhile:
            ann.write(*update(meanwhile.pop()))
        return await merge(self, *rest)

    ann.house.write(*create(having("ahead")))  # so that it is a merge
    monkeypatch.setattr(Publishing, "merge", late)
    done = await ann.pull()
    assert not meanwhile and fates(done) == {LIB: "waiting"}
    assert "app.generated:far uses it and would break" in done.items[0].why
