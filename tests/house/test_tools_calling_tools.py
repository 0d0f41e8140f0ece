"""`calls`: tools that a tool calls, which it lists; whom it may reach, how deep, and what the audit says of it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from house_kit import GOOD, House, create, delete, id_of, policy, tool, update

from micro_agi_kernel import verify
from micro_agi_kernel.entries import AGENT, Changeset, Entry, Operation, to_files
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind, Refused
from micro_agi_kernel.exchange import import_path
from micro_agi_kernel.kind_checks import KIND_CHECKS
from micro_agi_kernel.reaching import MAX_DEPTH
from micro_agi_kernel.verify import verify_registry

CALL = """
local funcs = require("funcs")
return { handler = function(input)
  local value, err = funcs.call("%s", input)
  if err then return nil, err end
  return value
end }
"""
"""The source of a tool that gives what another one gives."""


def calling(name: str, *calls: str, source: str = "", **data: Any) -> Entry:
    """A tool that lists `calls`, and calls the first of them."""
    entry = tool(name, source or CALL % calls[0])
    return Entry(entry.id, entry.kind, entry.meta, {**entry.data, "calls": [*calls], **data})


def chain(*names: str) -> list[Entry]:
    """Each calls the next; the last gives 1."""
    return [*(calling(a, f"app.generated:{b}") for a, b in pairwise(names)), tool(names[-1], GOOD)]


async def error_of(house: House, id: str, input: Any = None) -> CallError:
    outcome = await house.run(id, input or {})
    assert outcome.error is not None, outcome.value
    assert "\n" not in outcome.error.message
    return outcome.error


async def made_by(house: House, name: str, source: str, **more: Any) -> Any:
    """What create_tool says, whatever tools like it there are."""
    return await house.make(name, source, intent="new", **more)


async def refusal(house: House, *operations: Operation, actor: str = AGENT) -> str:
    """Why the publisher does not take a change, of which nothing is left."""
    before = house.head
    with pytest.raises((Refused, EntryError)) as caught:
        await house.publishing.publish(Changeset(operations), house.context(actor))
    assert house.head == before
    return str(caught.value)


async def test_the_agent_makes_a_tool_of_tools(house: House) -> None:
    await made_by(house, "add", "return { handler = function(i) print('adding') return (i.a or 1) + (i.b or 2) end }")
    source = (CALL % "app.generated:add").replace("return value", "return value * 2")
    made = await made_by(house, "twice", source, calls=["app.generated:add"])
    assert made.get("created") is True, made
    assert (await house.run("app.generated:twice", {"a": 4, "b": 5})).value == 18
    assert house.output == "adding\n", "what it prints is shown as part of the call"
    kept = house.registry.snapshot().get(id_of("app.generated:twice"))
    assert kept is not None and kept.data["calls"] == ["app.generated:add"]
    assert b"  calls:\n  - app.generated:add\n" in to_files(kept)["twice.yaml"]
    read = (await house.run("app.tools:registry_read", {"id": "app.generated:twice"})).value
    assert read["data"]["calls"] == ["app.generated:add"]


async def test_the_audit_shows_imports_and_calls(house: House) -> None:
    lib = Entry(id_of("app.generated:lib"), "library.lua", {}, {"source": "return 1"})
    ids = [f"app.generated:{'long' * 10}_{n}" for n in range(8)]
    house.write(*create(lib, *(tool(id, GOOD) for id in ids)))
    made = await made_by(house, "all", GOOD, calls=ids, imports={"one": "app.generated:lib"})
    assert made.get("created") is True, made
    trailers = house.registry.version("main").trailers
    assert trailers["Imports"] == "app.generated:lib"
    assert trailers["Calls"] == ", ".join(ids), "each is a line of its own: none is cut off"


async def found(house: House, monkeypatch: pytest.MonkeyPatch, status: str) -> list[str]:
    """What `registry verify --tests` says of that status."""
    monkeypatch.setattr(verify, "Workspace", lambda settings: house)
    findings = [finding async for finding in verify_registry(house.settings, tests=True)]
    return [finding.message for finding in findings if finding.status == status]


async def test_naming_the_module_is_harmless_and_not_enough(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await made_by(house, "one", GOOD)
    made = await made_by(house, "both", CALL % "app.generated:one", modules=["funcs"], calls=["app.generated:one"])
    assert made.get("created") is True, made
    assert (await house.run("app.generated:both", {})).value == 1
    made = await made_by(house, "module_alone", CALL % "app.generated:one", modules=["funcs"])
    assert "policy denied: lua.module on funcs (list in calls what it calls)" in made["error"]
    made = await made_by(house, "neither", CALL % "app.generated:one")
    assert "'funcs' is not available here" in made["error"]
    made = await made_by(house, "more", GOOD, modules=["registry"], calls=["app.generated:one"])
    assert "policy denied: lua.module on registry" in made["error"]
    assert await found(house, monkeypatch, "fail") == [], "nor is it when the history is judged again"


@pytest.mark.parametrize("namespace", ["app.generated", "app.mine"])
async def test_what_is_not_listed_is_not_called(house: House, namespace: str) -> None:
    id = f"{namespace}:sly"
    loud = tool("loud", "return { handler = function() print('ran') end }")
    house.write(*create(loud, tool("one", GOOD), calling(id, "app.generated:one", source=CALL % "app.generated:loud")))
    error = await error_of(house, id)
    assert error.kind is ErrorKind.PERMISSION_DENIED
    assert error.message == f"{id} does not list app.generated:loud in calls; it lists app.generated:one"
    assert house.output == ""


async def test_a_bare_name_in_an_index_file_is_one_of_its_namespace(house: House, tmp_path: Path) -> None:
    entries = [
        {"name": "one", "kind": "function.lua", "source": GOOD},
        {"name": "uses", "kind": "function.lua", "source": CALL % "app.mine:one", "calls": ["one"]},
    ]
    index = tmp_path / "_index.yaml"
    index.write_text(json.dumps({"version": "1.0", "namespace": "app.mine", "entries": entries}))
    assert (await import_path(house, index)).published is not None
    assert (await house.run("app.mine:uses", {})).value == 1


UNREACHABLE = {
    "app.tools:create_tool": "tools cannot call built-in ones",
    "app.tools:says_so": "tools cannot call built-in ones",
    "app.mine:secret": "its entry does not say meta.callable: true",
    "app.mine:says_text": "its entry does not say meta.callable: true",
    "app.mine:library": "not callable: app.mine:library has the kind library.lua, not function.lua",
    "app.generated:none": "not found: app.generated:none, which app.generated:x calls",
}


@pytest.mark.parametrize("id", UNREACHABLE)
async def test_a_generated_tool_reaches_no_more_than_it_may(house: House, id: str) -> None:
    """When it is written, and when it is called, whoever wrote it."""
    house.write(
        *create(
            tool("app.mine:secret", GOOD),
            tool("app.mine:says_text", GOOD, callable="true"),
            tool("app.tools:says_so", GOOD, callable=True),
            Entry(id_of("app.mine:library"), "library.lua", {"callable": True}, {"source": "return 1"}),
        )
    )
    for actor in (AGENT, "user:ann"):
        assert UNREACHABLE[id] in await refusal(house, *create(calling("x", id)), actor=actor)
    house.write(*create(calling("x", id)))
    assert UNREACHABLE[id] in (await error_of(house, "app.generated:x")).message


async def test_a_person_opens_a_tool_of_theirs_for_calls(house: House) -> None:
    count = "return { handler = function() return #require('registry').snapshot():entries() > 0 end }"
    house.write(*create(tool("app.mine:count", count, modules=["registry"], callable=True)))
    made = await made_by(house, "counts", CALL % "app.mine:count", calls=["app.mine:count"])
    assert made.get("created") is True, made
    assert (await house.run("app.generated:counts", {})).value is True


async def test_entries_of_a_person_call_whom_they_like(house: House) -> None:
    house.write(
        *create(
            tool("app.mine:free", CALL % "app.mine:listing", modules=["funcs"]),
            calling("app.mine:listing", "app.tools:registry_list"),
        )
    )
    outcome = await house.run("app.mine:free", {"namespace": "app.tools"})
    assert outcome.error is None and outcome.value["total"] >= 5


BAD_CALLS: dict[str, tuple[Any, str]] = {
    "text": ("app.generated:a", "calls: a list of the ids of functions is required"),
    "table": ({"a": "app.generated:a"}, "calls: a list of the ids of functions is required"),
    "numbers": ([1], "calls: a list of the ids of functions is required"),
    "id": (["a"], "calls: not an entry id (namespace:name): 'a'"),
    "many": ([f"app.generated:a{n}" for n in range(33)], "calls: at most 32 are allowed"),
    "itself": (["app.generated:x"], "calls: app.generated:x cannot call itself"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
async def test_lists_that_are_none(house: House, case: str) -> None:
    calls, reason = BAD_CALLS[case]
    entry = Entry(id_of("app.generated:x"), "function.lua", {}, {"source": GOOD, "calls": calls})
    with pytest.raises(EntryError) as caught:
        KIND_CHECKS["function.lua"](entry)
    assert reason in str(caught.value)
    house.write(*create(entry))
    assert reason in (await error_of(house, "app.generated:x")).message


def test_a_library_has_no_calls() -> None:
    library = Entry(id_of("app.generated:x"), "library.lua", {}, {"source": "return 1", "calls": ["app.generated:a"]})
    with pytest.raises(EntryError, match="calls: only a function has them"):
        KIND_CHECKS["library.lua"](library)


async def test_a_library_calls_what_the_tool_lists(house: House) -> None:
    source = "return function() return require('funcs').call('app.generated:one') end"
    library = Entry(id_of("app.generated:lib"), "library.lua", {}, {"source": source})
    user = "return { handler = function() return require('lib')() end }"
    house.write(*create(tool("one", GOOD), library))
    made = await made_by(house, "user", user, imports={"lib": "app.generated:lib"}, calls=["app.generated:one"])
    assert made.get("created") is True, made
    assert (await house.run("app.generated:user", {})).value == 1


@pytest.mark.parametrize("action", ["tool.call", "funcs.call"])
async def test_policies_are_asked_with_the_caller_as_actor(house: House, action: str) -> None:
    house.write(*create(*chain("a", "b")))
    assert (await house.run("app.generated:a", {})).value == 1
    entry = policy("app:not_a", "deny", action, "app.generated:b")
    body = entry.data["policy"]
    assert isinstance(body, dict)
    condition = {"field": "actor.id", "operator": "eq", "value": "tool:app.generated:a"}
    house.write(*create(Entry(entry.id, entry.kind, {}, {**entry.data, "policy": {**body, "conditions": [condition]}})))
    denied = f"policy denied: {action} on app.generated:b (policy app:not_a)"
    assert (await error_of(house, "app.generated:a")).message == denied
    assert await refusal(house, *update(calling("a", "app.generated:b", method="handler"))) == denied
    assert (await house.run("app.generated:b", {})).value == 1


async def test_calls_never_go_in_a_circle(house: House) -> None:
    house.write(*create(*chain("a", "b", "c")))
    assert await refusal(house, *update(calling("c", "app.generated:a"))) == (
        "calls go in a circle: app.generated:c -> app.generated:a -> app.generated:b -> app.generated:c"
    )
    both = create(calling("x", "app.generated:y"), calling("y", "app.generated:x"))
    assert "calls go in a circle: app.generated:x -> app.generated:y -> app.generated:x" in await refusal(house, *both)


async def test_a_circle_that_another_writer_closes_meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far from the entry that is written: a calls b, b calls c, and c calls a before a is committed."""
    house.write(*create(*chain("b", "c")))
    real, meanwhile = house.checks.all, [calling("c", "app.generated:a")]

    async def checked(*args: Any) -> Any:
        found = await real(*args)
        if meanwhile:
            house.write(*update(meanwhile.pop()))
        return found

    monkeypatch.setattr(house.checks, "all", checked)
    with pytest.raises(Refused, match=r"circle: app\.generated:a -> app\.generated:b -> app\.generated:c -> "):
        await house.publishing.publish(Changeset(create(calling("a", "app.generated:b"))), house.context())


async def test_depth_is_bounded_when_written_and_when_called(house: House) -> None:
    names = [f"t{n}" for n in range(MAX_DEPTH + 2)]
    house.write(*create(*chain(*names[1:])))
    assert (await house.run("app.generated:t1", {})).value == 1, "eight below the first"
    too_deep = "calls nest deeper than 8: " + " -> ".join(f"app.generated:{name}" for name in names)
    assert await refusal(house, *create(calling("t0", "app.generated:t1"))) == too_deep
    house.write(*create(calling("t0", "app.generated:t1")))
    assert (await error_of(house, "app.generated:t0")).message == too_deep
    wide = calling("wide", "app.generated:t5", "app.generated:t2", "app.generated:t1")
    assert "calls nest deeper than 8" in await refusal(house, *create(wide)), "by whichever way"


async def test_a_circle_that_stands_ends_at_the_bound_and_says_its_way(house: House) -> None:
    house.write(*create(calling("a", "app.generated:b"), calling("b", "app.generated:a")))
    error = await error_of(house, "app.generated:a")
    assert error.kind is ErrorKind.INVALID
    assert error.message == "calls nest deeper than 8: app.generated:a -> app.generated:b -> app.generated:a"


async def test_the_number_of_tools_below_one_is_bounded(house: House) -> None:
    leaves = [tool(f"leaf{n}", GOOD) for n in range(70)]
    ids = [str(leaf.id) for leaf in leaves]
    house.write(*create(*leaves, calling("left", *ids[:32]), calling("right", *ids[32:62])))
    entry = calling("top", "app.generated:left", "app.generated:right")
    assert await refusal(house, *create(calling("more", *ids[62:66], "app.generated:left", "app.generated:right"))) == (
        "app.generated:more: more than 64 functions, with those that they call"
    )
    await house.publishing.publish(Changeset(create(entry)), house.context())


async def test_what_is_called_may_go_and_the_caller_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write(*create(*chain("a", "b")))
    house.write(*delete("app.generated:b"))
    assert await error_of(house, "app.generated:a") == CallError(
        ErrorKind.NOT_FOUND, "not found: app.generated:b, which app.generated:a calls"
    )
    assert await found(house, monkeypatch, "fail") == []
    assert await found(house, monkeypatch, "warn") == [
        "app.generated:a cannot call all that it lists: not found: app.generated:b, which app.generated:a calls"
    ]
