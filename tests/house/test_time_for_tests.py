"""Whoever brings many entries at once: how long their tests may take, and what is said of those without a turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from house_kit import GOOD, House, create, id_of, tool
from sharing_kit import Hub, Sharer, fates, files_of

from micro_agi_kernel import checks, exchange, intake, publishing, pushes, verify
from micro_agi_kernel.entries import Entry, to_files
from micro_agi_kernel.errors import Refused
from micro_agi_kernel.exchange import import_path
from micro_agi_kernel.pushes import check_push
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
    monkeypatch.setattr(publishing, "TEST_SECONDS", 0.0)
    monkeypatch.setattr(exchange, "TEST_SECONDS", 0.0)
    before = house.head
    with pytest.raises(Refused, match=r"^2 of 2 entries were not loaded and tested within 0 s, the first .*:a: write"):
        await import_path(house, tmp_path / "in")
    assert house.head == before


async def test_a_push(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(lib(1), using("user", 1)))
    old = house.head
    house.push_entry(lib(2))
    path, update_line = house.registry.path, f"{old} {house.head} refs/heads/main"
    said = await check_push(house.settings, path, None, [update_line])
    assert said == [
        f"app.generated:user uses {LIB} and would break: tests: 1 of 1 failed: 'one' expected 1, got 2; "
        "keep what it relies on, or make a new entry beside this one"
    ]
    house.push_entry(having("new"))
    monkeypatch.setattr(pushes, "TEST_SECONDS", 0.0)
    [line] = await check_push(house.settings, path, None, [f"{old} {house.head} refs/heads/main"])
    assert line.startswith("1 of 2 entries were not loaded and tested within 0 s, the first of them app.generated:new")


async def test_an_audit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(having("a"), having("b")))
    monkeypatch.setattr(verify, "Workspace", lambda settings: house)
    monkeypatch.setattr(house.registry, "close", lambda: None)
    monkeypatch.setattr(verify, "TEST_SECONDS", 0.0)
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
    monkeypatch.setattr(intake, "TEST_SECONDS", 0.5)
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
