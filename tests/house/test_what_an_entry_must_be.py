"""What an entry must be beside its YAML, for whoever writes it: a model that can be read, imports that are there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_kit import GOOD, House, create, delete, id_of, tool, update
from sharing_kit import Enter, Hub, Sharer, fates

from micro_agi_kernel.checks import resulting
from micro_agi_kernel.entries import Changeset, Entry, Operation
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.sandbox.pool import JailedSandbox

LIBRARY = id_of("app.generated:lib")


def library(id: str = str(LIBRARY), **imports: str) -> Entry:
    return Entry(id_of(id), "library.lua", {}, {"source": "return {}", "imports": {**imports}})


def using(name: str = "user", lib: str = str(LIBRARY), source: str = GOOD) -> Entry:
    entry = tool(name)
    return replace(entry, data={**entry.data, "source": source, "imports": {"lib": lib}})


def model(**data: Any) -> Entry:
    return Entry(id_of("app.mine:model"), "registry.entry", {"type": "llm.model"}, data)


async def write(house: House, *operations: Operation, actor: str = "user:ann") -> None:
    await house.publishing.publish(Changeset(operations), house.context(actor))


async def refusal(house: House, *operations: Operation, actor: str = "user:ann") -> str:
    head = house.head
    with pytest.raises(Refused) as caught:
        await write(house, *operations, actor=actor)
    assert house.head == head
    return str(caught.value)


async def test_a_model_that_cannot_be_read_is_written_by_nobody(house: House) -> None:
    assert (await refusal(house, *create(model()))).startswith("app.mine:model: data.max_tokens must be")
    providers = [{"id": "app:openai"}]
    await write(house, *create(model(max_tokens=10, providers=providers)))
    said = await refusal(house, *update(model(max_tokens=10, providers=[])))
    assert said.startswith("app.mine:model: data.providers must be")


@pytest.mark.parametrize("actor", ["user:ann", "service:agent"])
async def test_what_is_imported_is_there_afterwards(house: House, actor: str) -> None:
    missing = "not found: app.generated:lib, which app.generated:user imports"
    assert await refusal(house, *create(using()), actor=actor) == missing
    await write(house, *create(library(), using()), actor=actor)  # together
    assert await refusal(house, *update(using(source=f"{GOOD} -- 2")), *delete(str(LIBRARY)), actor=actor) == missing
    await write(house, *delete("app.generated:user", str(LIBRARY)), actor=actor)
    assert "app.lib:none" in await refusal(house, *create(library(inner="app.lib:none"), using()), actor=actor)


async def test_what_is_imported_is_a_library_that_the_entry_may_have(house: House) -> None:
    house.write(*create(tool("other"), library()))
    assert "not a library: app.generated:other" in await refusal(house, *create(using(lib="app.generated:other")))
    outside = using("app.mine:user")
    assert "may not import app.generated:lib: an agent can rewrite that" in await refusal(house, *create(outside))
    house.push({"app/generated/lib.yaml": b"kind: ["})
    assert "broken YAML" in await refusal(house, *create(using()))


async def test_a_library_that_goes_while_its_importer_is_checked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(library()))
    prepare = house.publishing.prepare

    async def slow(*args: Any) -> Any:
        policy = await prepare(*args)
        if house.registry.snapshot().has(LIBRARY):
            await asyncio.to_thread(house.write, *delete(str(LIBRARY)))
        return policy

    monkeypatch.setattr(house.publishing, "prepare", slow)
    with pytest.raises(Refused, match=r"not found: app\.generated:lib"):
        await write(house, *create(using()))


async def test_many_are_checked_at_once_each_with_its_first_fault(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    run = JailedSandbox.run

    async def counting(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        return await run(*args)

    monkeypatch.setattr(JailedSandbox, "run", counting)
    entries = [tool(f"t{n}", "return {" if n % 2 else GOOD) for n in range(20)]
    entries += [using("lost", "app.lib:none"), using("late", "app.lib:late"), library("app.lib:late"), model()]
    snapshot = house.registry.snapshot()
    together = resulting(create(*entries), snapshot)
    found = await house.checks.faults(entries, snapshot, together)
    assert calls == 1
    broken = {f"app.generated:t{n}" for n in range(1, 20, 2)}
    assert {str(id) for id in found} == {*broken, "app.generated:lost", "app.mine:model"}
    assert found[id_of("app.generated:t1")].kind is ErrorKind.SYNTAX
    gone = resulting(delete("app.lib:late"), snapshot)
    assert list(await house.checks.faults(entries[-3:-2], snapshot, gone)) == [id_of("app.generated:late")]
    loaded = (await house.checks.all(entries, snapshot, together)).refusals
    assert {id: str(refusal) for id, refusal in loaded.items()} == {id: str(refusal) for id, refusal in found.items()}


async def test_what_comes_from_a_remote_may_import_what_comes_with_it(enter: Enter, tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub.git")
    ann = Sharer(enter(), hub)
    await ann.push()
    files = [*create(using(), library(), using("lost", "app.lib:none"), model())]
    bob = Sharer(enter(), hub)
    await bob.pull()
    bob.write(*files)
    await bob.push()
    pulled = await ann.pull()
    assert fates(pulled) == {
        "app.generated:lib": "taken",
        "app.generated:user": "taken",
        "app.generated:lost": "refused",
        "app.mine:model": "refused",
    }
    assert {"not found: app.lib:none, which app.generated:lost imports"} < {item.why for item in pulled.items}
