"""Going back against a plain model: a list of dictionaries, one for each version."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_kit import plant, rounds, thing, write
from test_rollback import ADA, Writer

from micro_agi_kernel.entries import Changeset, EntryId, Operation
from micro_agi_kernel.errors import Conflict, Refused
from micro_agi_kernel.registry import Registry, audit
from micro_agi_kernel.rollback import RolledBack, restore, revert

NAMES = ("a", "b", "c", "d")
State = dict[str, int]

CHANGES = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, 2)), min_size=1)
"""A commit of another writer: new values by name, None deletes."""
BACK = st.tuples(st.sampled_from(["revert", "restore"]), st.integers(0, 9), st.none() | st.sampled_from(NAMES))
"""The way, which version (counted from the newest), and of which entry."""


def apply(registry: Registry, now: State, changes: dict[str, int | None]) -> State:
    operations = []
    for name, value in sorted(changes.items()):
        if value == now.get(name):
            continue
        entry = thing(f"app:{name}", v=value) if value is not None else None
        action = "delete" if entry is None else "update" if name in now else "create"
        operations.append(Operation(action, EntryId("app", name), entry))  # type: ignore[arg-type]
    if operations:
        write(registry, Changeset(tuple(operations)))
    return {name: value for name, value in {**now, **changes}.items() if value is not None}


def expected(history: list[State], way: str, number: int, name: str | None) -> State | type[Exception]:
    """What the state is then, or what is raised; `number` counts versions from 1."""
    now, wanted = history[-1], history[number - 1]
    if way == "restore":
        if name is None:
            return wanted
        if name not in now and name not in wanted:
            return Refused
        return {k: v for k, v in {**now, name: wanted.get(name)}.items() if v is not None}
    if number == 1:
        return Refused
    before = history[number - 2]
    changed = {n for n in NAMES if before.get(n) != wanted.get(n)} & ({name} if name else set(NAMES))
    if not changed:
        return Refused
    todo = {n for n in changed if now.get(n) != before.get(n)}
    if any(now.get(n) != wanted.get(n) for n in todo):
        return Conflict
    merged = {**now, **{n: before.get(n) for n in todo}}
    return {k: v for k, v in merged.items() if v is not None}


async def go(registry: Registry, way: str, number: int, name: str | None) -> RolledBack:
    id = EntryId("app", name) if name else None
    return await (revert if way == "revert" else restore)(registry, Writer(registry), ADA, f"v{number}", id)


@settings(max_examples=rounds(12, 300), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(CHANGES, BACK), min_size=4, max_size=14))
def test_going_back_does_what_the_model_does(steps: list[dict[str, int | None] | tuple[str, int, str | None]]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner() as runner,
        Registry.create(Path(folder, "registry.git")) as registry,
    ):
        plant(registry, thing("app:a", v=0), thing("app:b", v=0))
        history: list[State] = [{"a": 0, "b": 0}]
        for step in steps:
            number, head = len(history), registry.head()
            if isinstance(step, dict):
                then: State | type[Exception] = apply(registry, history[-1], step)
            else:
                way, back, name = step
                number = max(1, number - back)
                then = expected(history, way, number, name)
                try:
                    done = runner.run(go(registry, way, number, name))
                except (Conflict, Refused) as error:
                    assert type(error) is then
                    assert registry.head() == head, "nothing is half done"
                    continue
                assert isinstance(then, dict) and (done.published is not None) == (then != history[-1])
            assert isinstance(then, dict)
            held = {entry.id.name: entry.data["v"] for entry in registry.snapshot().entries()}
            assert held == then
            if registry.head() != head:
                history.append(then)
        assert registry.snapshot().number == len(history)
        assert not [finding for finding in audit(registry) if finding.status == "fail"]
