"""A registry with many tools: what is sent to the model, and what a step reads, is the same as with few."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from house_kit import House, Talk, create, finished, talking, tool
from many_tools import many_tools
from model_server import calls, text

from micro_agi_kernel.agent.context import AgentContext
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.registry.objects import Objects

BUILT_IN = 5
REGISTERED = (17, 72, 200) if os.environ.get("MICRO_AGI_FULL") else (17, 72)
WANTED = "compare_invoices"
"""A tool of all of these registries. It tells what is missing and what differs: words of its description."""


def house_with(enter: Callable[..., House], registered: int) -> House:
    house = enter()
    house.write(*create(*many_tools(registered - BUILT_IN)))
    return house


def size(talk: Talk, request: int) -> int:
    return int(talk.requests[request].headers["content-length"])


def offered(talk: Talk, request: int) -> list[str]:
    return [tool["function"]["name"] for tool in talk.requests[request].body["tools"]]


async def test_a_tool_costs_nothing_until_it_is_loaded(enter: Callable[..., House]) -> None:
    script = [
        calls(("registry_list", {"query": "invoices tells missing differs"}), ids=["find"]),
        calls(("load_tool", {"id": f"app.generated:{WANTED}"}), ids=["load"]),
        calls((WANTED, {"source": "books", "limit": 3}), ids=["call"]),
        text("They are alike."),
    ]
    sizes = {}
    for registered in REGISTERED:
        house = house_with(enter, registered)
        async with talking(house, script) as talk:
            events = await talk.say("do our two books of invoices agree?")
            assert finished(events) == [("registry_list", "ok"), ("load_tool", "ok"), (WANTED, "ok")]
            found, _, compared = talk.results()
            assert [entry["id"] for entry in found["entries"]] == [f"app.generated:{WANTED}"] and found["total"] == 1
            assert compared["source"] == "books"
            assert [len(offered(talk, request)) - BUILT_IN for request in range(4)] == [0, 0, 1, 1]
            loaded = talk.requests[2].body["tools"][-1]["function"]
            assert loaded["name"] == WANTED
            assert {"source", "since", "limit"} <= set(loaded["parameters"]["properties"])
            sizes[registered] = [size(talk, request) for request in range(4)]
    assert len(set(map(tuple, sizes.values()))) == 1, sizes


async def test_a_step_reads_no_more_of_a_larger_registry(
    enter: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshing = threading.local()
    read: Counter[str] = Counter()
    refresh = AgentContext.refresh

    def watched(agent: AgentContext) -> Any:
        refreshing.now = True
        try:
            return refresh(agent)
        finally:
            refreshing.now = False

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any) -> Any:
            found = real(*arguments)
            if getattr(refreshing, "now", False):
                read[name] += len(found) if isinstance(found, list) else 1
            return found

        return count

    monkeypatch.setattr(AgentContext, "refresh", watched)
    # Objects of Git, and entries, however they come: the reading of them is remembered from commit to commit.
    for kind, name in ((Objects, "tree"), (Objects, "blob"), (Snapshot, "get"), (Snapshot, "entries")):
        monkeypatch.setattr(kind, name, counted(name, getattr(kind, name)))
    reads = {}
    for registered in REGISTERED:
        house = house_with(enter, registered)
        script = [calls(("load_tool", {"id": f"app.generated:{WANTED}"})), text("."), text(".")]
        async with talking(house, script) as talk:
            await talk.say("load it")
            read.clear()
            house.write(*create(tool("app.elsewhere:another")))  # a new commit, of which nothing is known yet
            await talk.say("go on")
            reads[registered] = dict(read)
            assert offered(talk, -1)[BUILT_IN:] == [WANTED]
    first = reads[REGISTERED[0]]
    assert first["tree"] > 0 and first["entries"] == BUILT_IN and all(each == first for each in reads.values()), reads


async def test_a_list_of_hundreds_is_short_and_says_how_to_narrow_it(house: House) -> None:
    wordy = tool("wordy", comment="ä" * 5_000, title="t" * 5_000)
    house.write(*create(*many_tools(120), wordy))

    async def listed(**input: Any) -> Any:
        return (await house.run("app.tools:registry_list", {"namespace": "app.generated", **input})).value

    usual, most = await listed(), await listed(limit=200)
    assert (len(usual["entries"]), usual["total"], usual["truncated"]) == (50, 121, True)
    assert usual["hint"].startswith("50 of 121: ") and "query" in usual["hint"]
    assert (len(most["entries"]), most["truncated"]) == (121, False) and "hint" not in most
    [found] = [entry for entry in most["entries"] if entry["id"] == "app.generated:wordy"]
    assert (found["comment"], found["title"]) == ("ä" * 200 + "...", "t" * 200 + "...")
    assert all(entry["comment"].endswith(".") for entry in usual["entries"])
