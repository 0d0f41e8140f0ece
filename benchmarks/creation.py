"""Making a tool: create, check, test, commit, load, call, revert; beside a commit by git.

All of it is real: the seed's create_tool and load_tool in the jail, policies, tests, commit. Git commits the same two
files (add and commit in a clone). Each action stands there with its median and, "at worst", what 95 of 100 stay below.

The last rows are about a registry of 1,000 such tools (`--large`: 10,000): its index made anew, as the first question
after an upgrade makes it, beside what `git fsck` takes for the same objects; and looking for tools like one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from _rows import Found, Row, Size, main

from micro_agi_kernel.entries import Changeset, Entry, EntryId, FileChange, Operation
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.registry import CommitMessage, Person, Registry
from micro_agi_kernel.registry.layout import FORMAT_CONTENT, FORMAT_FILE
from micro_agi_kernel.rollback import revert
from micro_agi_kernel.workspace import Workspace

CREATE, LOAD = EntryId.parse("app.tools:create_tool"), EntryId.parse("app.tools:load_tool")
TOOLS: dict[Size, int] = {"quick": 1, "usual": 30, "large": 100}
ENTRIES: dict[Size, int] = {"quick": 30, "usual": 1_000, "large": 10_000}
FILL = 1_000
"""Entries of one commit while a registry is filled."""
PAUSE = 0.05
"""Seconds between two calls, far less than a model takes."""

ENVIRONMENT = {"GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]} | {
    f"GIT_{who}_{what}": "ann@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def arguments(number: int, tests: int) -> dict[str, Any]:
    """A tool of 30 lines, unlike the others."""
    lines = "\n".join(f"  total = total + input.n * {number + k} -- step {k}" for k in range(24))
    value = sum(number + k for k in range(24))
    body = f"local function handler(input)\n  local total = 0\n{lines}\n  return total\nend"
    source = f"{body}\n\nreturn {{handler = handler}}\n"
    return {
        "name": f"weigh_{number}",
        "description": f"Weighs parcel class {number} by table {number * 7}",
        "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        "source": source,
        "tests": [{"name": f"times {n}", "input": {"n": n}, "expect": value * n} for n in range(tests)],
        "intent": "new",
    }


def quantiles(taken: list[float]) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    ordered = sorted(taken)
    return statistics.median(ordered) * 1000, ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000


def both(what: str, taken: list[float], git: tuple[float, float]) -> Iterator[Row]:
    for name, ours, theirs in zip((what, f"{what}, at worst"), quantiles(taken), git, strict=True):
        yield Row("creation", name, ours, "ms", "git add and commit", theirs)


def git_commits(folder: Path, count: int) -> list[float]:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)

    folder.mkdir()
    git("init", "-q")
    taken = []
    for number in range(count):
        tool = arguments(number, 2)
        start = time.perf_counter()
        (folder / f"{tool['name']}.lua").write_text(tool["source"])
        (folder / f"{tool['name']}.yaml").write_text(str(tool))
        git("add", ".")
        git("commit", "-qm", f"Create {tool['name']}")
        taken.append(time.perf_counter() - start)
    return taken


async def timed(action: Callable[[], Any], taken: list[float]) -> Any:
    await asyncio.sleep(PAUSE)
    start = time.perf_counter()
    result = await action()
    taken.append(time.perf_counter() - start)
    return result


async def rows(size: Size) -> AsyncIterator[Found]:
    async for row in making(TOOLS[size]):
        yield row
    for row in index_anew(ENTRIES[size]):
        yield row


async def making(tools: int) -> AsyncIterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        git = quantiles(git_commits(Path(folder) / "clone", min(tools, 20)))
        house = Workspace(load_settings({"MICRO_AGI_HOME": folder, "HOME": folder}))
        context = CallContext()
        number = 0

        async def round_of(tests: int, count: int) -> dict[str, list[float]]:
            nonlocal number
            taken: dict[str, list[float]] = {"create": [], "load": [], "call": [], "revert": []}
            for _ in range(count):
                number += 1
                made, id = arguments(number, tests), f"app.generated:weigh_{number}"
                done = await timed(lambda made=made: house.call(CREATE, made, context), taken["create"])
                assert done.ok and done.value.get("created"), done
                loaded = await timed(lambda id=id: house.call(LOAD, {"id": id}, context), taken["load"])
                assert loaded.ok and loaded.value["loaded"], loaded
                ran = await timed(lambda id=id: house.call(EntryId.parse(id), {"n": 1}, context), taken["call"])
                assert ran.ok, ran
                commit = done.value["commit"]
                await timed(
                    lambda commit=commit: revert(house.registry, house.publishing, context, commit), taken["revert"]
                )
            return taken

        try:
            await round_of(2, min(tools, 3))
            for tests in (0, 2, 10):
                taken = await round_of(tests, tools)
                for row in both(f"create, {tests} tests: checked, tested, committed", taken["create"], git):
                    yield row
            taken["create with 10 tests, load and call"] = [
                sum(each) for each in zip(taken.pop("create"), taken["load"], taken["call"], strict=True)
            ]
            for what, seconds in taken.items():
                for row in both(what, seconds, git):
                    yield row
        finally:
            await house.close()


def stored(number: int) -> Entry:
    """The entry of a tool as create_tool writes it."""
    made = arguments(number, 2)
    meta = {"type": "tool", "title": made["name"], "comment": made["description"], "input_schema": made["input_schema"]}
    data = {"source": made["source"], "modules": [], "method": "handler", "tests": made["tests"]}
    return Entry(EntryId("app.generated", made["name"]), "function.lua", meta, data)


def index_anew(entries: int) -> Iterator[Row]:
    """What it takes to make the index of so many tools, and to ask it."""
    who = Person("Ann", "ann@example.com")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.git"
        with Registry.create(path) as registry:
            files: tuple[FileChange, ...] = (FileChange(FORMAT_FILE, FORMAT_CONTENT),)
            for first in range(0, entries, FILL):
                tools = [stored(number) for number in range(first, min(entries, first + FILL))]
                changeset = Changeset(tuple(Operation("create", tool.id, tool) for tool in tools), files)
                files = ()
                message = CommitMessage("user:Ann")
                registry.commit(changeset, message, author=who, committer=who, base=registry.snapshot())
                if registry.snapshot().is_crowded("app.generated"):
                    registry.shard("app.generated", message, author=who, committer=who)
        shutil.rmtree(path / "micro-agi")
        start = time.perf_counter()
        subprocess.run(["git", "fsck", "--no-dangling"], cwd=path, env=ENVIRONMENT, check=True, capture_output=True)
        by_git = time.perf_counter() - start
        with Registry.open(path) as registry:
            taken, used = [], time.process_time()
            for number in range(6):
                start = time.perf_counter()
                assert registry.snapshot().similar(stored(entries))
                taken.append(time.perf_counter() - start)
                used = time.process_time() - used if number == 0 else used
    anew, again = taken[0], statistics.median(taken[1:])
    for what, seconds in (("", anew), (", processor", used)):
        yield Row("creation", f"index of {entries:,} tools anew{what}", seconds, "s", "git fsck of them", by_git)
    yield Row("creation", f"tools like one, among {entries:,}", again, "s", "the index anew", anew)


if __name__ == "__main__":
    main(rows, __doc__)
