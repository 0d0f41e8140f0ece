"""Thirty tools for real tasks, made as a model makes them and held to hand-written cases; others that must be refused.

Where the corpus lies and what its files say: tests/corpus/README.md.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from house_kit import House, finished, id_of, talking
from model_server import calls, text

from micro_agi_kernel.checks import Checks
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.settings import SandboxSettings

CORPUS = Path(__file__).parent.parent / "corpus"
TASKS = sorted((CORPUS / "tasks").glob("*.yaml"))
FAULTY = sorted((CORPUS / "faulty").glob("*.yaml"))


@pytest_asyncio.fixture(loop_scope="session")
async def hasty_house(enter: Callable[..., House]) -> AsyncIterator[House]:
    """A house whose tools have two seconds: endless loops end soon, and all others in time on a busy machine."""
    house = enter(sandbox=SandboxSettings(timeout=2))
    yield house
    await house.close()


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def name_of(path: Path) -> str:
    return path.stem


def entry_with(house: House, name: str, tests: Any) -> Entry:
    """The tool as it was committed, with other tests."""
    made = house.registry.snapshot().get(id_of(f"app.generated:{name}"))
    assert made is not None
    return Entry(made.id, made.kind, made.meta, {**made.data, "tests": tests})


async def failing(house: House, entry: Entry) -> list[str]:
    checks: Checks = house.checks
    snapshot = house.registry.snapshot()
    return [str(refusal) for refusal in (await checks.all([entry], snapshot, snapshot.get)).refusals.values()]


@pytest.mark.parametrize("path", TASKS, ids=name_of)
async def test_a_task_becomes_a_right_tool_in_one_turn(house: House, path: Path) -> None:
    task = read(path)
    tool, arguments = task["tool"], task.get("arguments")
    script = [calls(("create_tool", tool)), calls(("load_tool", {"id": f"app.generated:{tool['name']}"}))]
    used = [] if arguments is None else [calls((tool["name"], arguments))]
    async with talking(house, [*script, *used, text("Done.")]) as talk:
        events = await talk.say(task["prompt"])
        assert [status for _, status in finished(events)] == ["ok"] * (2 + len(used)), talk.results()
    version = house.registry.version("main")
    assert version.trailers["Tests"] == f"{len(tool['tests'])} passed"
    assert len(task["assertions"]) >= 4
    assert await failing(house, entry_with(house, tool["name"], task["assertions"])) == []


@pytest.mark.parametrize("path", FAULTY, ids=name_of)
async def test_a_faulty_tool_is_refused_with_the_reason(hasty_house: House, path: Path) -> None:
    case, house = read(path), hasty_house
    head = house.head
    async with talking(house, [calls(("create_tool", case["tool"])), text("I gave up.")]) as talk:
        events = await talk.say("make it")
        assert finished(events) == [("create_tool", "error")]
        said = json.dumps(talk.results()[0], ensure_ascii=False)
    assert house.head == head, "nothing was committed"
    for part in case["refused"]:
        assert part in said or json.dumps(part, ensure_ascii=False)[1:-1] in said, (part, said)


def test_the_corpus_is_whole() -> None:
    assert len(TASKS) == 30 and len(FAULTY) == 35
    kinds = [read(path)["kind"] for path in FAULTY]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        (
            "wrong module",
            "wrong schema",
            "endless loop",
            "bad result",
            "syntax error",
            "escape attempt",
            "wrong argument",
        ),
        5,
    )
