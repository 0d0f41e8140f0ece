"""The Lua module registry on a real registry: isolation, versions, differences, and what policies hide."""

from __future__ import annotations

import re
from typing import Any

import pytest
from house_kit import GOOD, RESTORE, House, SharedSandbox, create, delete, git, policy, tool, update

from micro_agi_kernel.host import registry as registry_service
from micro_agi_kernel.interfaces import Program
from micro_agi_kernel.outputs import Output, Printed
from micro_agi_kernel.resources import resource

PAGE = (resource("registry_repo") / "docs/lua/core/registry.md").read_text()
EXAMPLES = re.findall(r"^```lua\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


async def run(house: House, body: str, input: Any = None) -> Any:
    """What the body of a handler of a built-in tool gives."""
    source = f'local registry = require("registry")\nreturn {{ handler = function(input)\n{body}\nend }}'
    if house.registry.snapshot().has(tool("app.tools:probe").id):
        house.write(*update(tool("app.tools:probe", source, modules=["registry", "funcs"])))
    else:
        house.write(*create(tool("app.tools:probe", source, modules=["registry", "funcs"])))
    outcome = await house.run("app.tools:probe", input)
    return outcome.value if outcome.error is None else {"error": outcome.error.message, "kind": outcome.error.kind}


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
async def test_the_page_says_what_a_real_registry_does(house: House, sandbox: SharedSandbox, example: str) -> None:
    """The page's own test asks a double of the host, which finds what it is told to and checks no entry."""
    if "registry.versions()" in example:
        house.write(*create(tool("hello", GOOD)))
    shown: list[Output] = []
    program = Program(example, "page", modules=frozenset({"registry"}))
    outcome = await sandbox.run(program, house.host("registry"), shown.append)
    assert outcome.error is None, f"{outcome.error}\n{example}"
    printed = "".join(output.text for output in shown if isinstance(output, Printed)).splitlines()
    promised = [line.split("-->")[1].strip() for line in example.split("\n") if "-->" in line]
    assert [line.strip() for line in printed] == promised


async def test_a_snapshot_stands_still_while_others_write(house: House) -> None:
    house.write(*create(tool("a", GOOD), tool("b", GOOD)))
    change = """
        local changes = registry.snapshot():changes()
        changes:delete("app.generated:a")
        local b = registry.get("app.generated:b")
        b.meta.comment = "new"
        changes:update(b)
        local version, err = changes:apply()
        if err then error(err) end
        return version:id()"""
    other = f'local registry = require("registry")\nreturn {{ handler = function()\n{change}\nend }}'
    house.write(*create(tool("app.tools:other", other, modules=["registry"])))
    value = await run(
        house,
        """
        local old = registry.snapshot()
        local number, err = require("funcs").call("app.tools:other")
        if err then return {error = err:message()} end
        local now = registry.snapshot()
        local function seen(snap)
          local found = {}
          for _, entry in ipairs(snap:namespace("app.generated")) do
            found[#found + 1] = entry.id .. " " .. (entry.meta.comment or "")
          end
          return {found, #snap:find({[".ns"] = "app.generated"}), snap:get("app.generated:a") ~= nil}
        end
        local late, conflict = old:changes():delete("app.generated:b"):apply()
        return {seen(old), seen(now), now:version():id() == number, seen(registry.snapshot_at(old:version())),
                late == nil and conflict:kind()}""",
    )
    before = [["app.generated:a For a test", "app.generated:b For a test"], 2, True]
    assert value == [before, [["app.generated:b new"], 1, False], True, before, "CONFLICT"]


async def test_filters_find_by_kind_namespace_name_id_and_meta(house: House) -> None:
    house.write(*create(tool("a", GOOD, tags=["x", "y"]), tool("app.generated.deep:a", GOOD, tags=["x"])))
    value = await run(
        house,
        """
        local function ids(filter)
          local found = {}
          for _, entry in ipairs(registry.find(filter)) do found[#found + 1] = entry.id end
          return found
        end
        local _, unknown = registry.find({[".size"] = 1})
        return {
          ids({[".id"] = "app:demo"}), ids({[".name"] = "a", [".kind"] = "function.lua"}),
          ids({[".ns"] = "app.generated"}), ids({[".ns"] = "app.generated*", tags = {"x"}}),
          ids({["meta.tags"] = "y"}), ids({type = "agent.gen1"}), ids({type = "nothing"}), unknown:kind(),
        }""",
    )
    both = ["app.generated:a", "app.generated.deep:a"]
    assert value == [
        *(["app:demo"], both, ["app.generated:a"], both, ["app.generated:a"]),
        *(["app:dev_assistant"], [], "INVALID"),
    ]


async def test_versions_and_history_are_objects(house: House) -> None:
    house.write(*create(tool("a", GOOD)))
    value = await run(
        house,
        """
        local hist = registry.history()
        local versions = hist:versions()
        local first = versions[#versions]
        local second = first:next()
        local newest = registry.current_version()
        local unknown, err = hist:get_version(99)
        local no_snapshot, no_err = registry.snapshot_at(99)
        return {
          first:id(), first:previous() == nil, second:info().subject, second:previous():commit() == first:commit(),
          newest:next() == nil, newest:id() == #versions, newest:commit() == versions[1]:commit(),
          hist:get_version(2):commit() == second:commit(),
          hist:snapshot_at(first):get("app.generated:a") == nil, unknown == nil and err:kind(), err:message(),
          no_snapshot == nil and no_err:kind(), registry.history("app.generated:a")[1].version,
        }""",
    )
    assert value == [
        *(1, True, "Create app.generated:a", True, True, True, True, True, True, "NOT_FOUND"),
        *("no such revision: 'v99' (a commit, main, main~2 or v3)", "NOT_FOUND", 2),
    ]


async def test_a_version_of_another_line_has_no_next_one(house: House) -> None:
    base = house.head
    aside = house.write(*create(tool("aside", GOOD))).commit
    git(house.registry.path, "update-ref", "refs/heads/main", base)
    for name in ("a", "b"):
        house.write(*create(tool(name, GOOD)))
    body = f"""
        local version = registry.snapshot_at("{aside}"):version()
        return {{version:next() == nil, version:previous():commit()}}"""
    assert await run(house, body) == [True, base]


async def test_a_delta_of_snapshots_can_be_applied(house: House) -> None:
    house.write(*create(tool("a", GOOD), tool("b", GOOD)))
    house.write(*delete("app.generated:a"), *update(tool("b", GOOD.replace("1", "2"))), *create(tool("c", GOOD)))
    house.push({"docs/own.md": b"# Own\n", "app/generated/broken.yaml": b"kind: ["})
    value = await run(
        house,
        """
        local from, to = registry.snapshot(), registry.snapshot_at(2)
        local changes, said = from:changes(), {}
        for _, operation in ipairs(registry.build_delta(from, to)) do
          local action = operation.kind:sub(#"entry." + 1)
          said[#said + 1] = operation.kind .. " " .. operation.entry.id .. " " .. operation.entry.kind
          if operation.entry.id:find("^app.generated:") then
            changes[action](changes, action == "delete" and operation.entry.id or operation.entry)
          end
        end
        local version, err = changes:apply()
        if err then return {error = err:message()} end
        return {said, #registry.build_delta(registry.snapshot(), to)}""",
    )
    assert value == [
        [
            *("entry.create app.generated:a function.lua", "entry.update app.generated:b function.lua"),
            *("entry.delete app.generated:c function.lua", "entry.delete app.tools:probe function.lua"),
        ],
        1,
    ], "neither the page nor the broken entry is among them"
    now = house.registry.snapshot()
    assert [entry.id.name for entry in now.entries("app.generated")] == ["a", "b"]


HIDES = policy("app:hides", "deny", "registry.get", "app.generated:secret*")


async def test_what_may_not_be_read_is_in_no_list_delta_or_subject(house: House) -> None:
    house.write(*create(HIDES, tool("secret", GOOD), tool("open", GOOD)))
    house.write(*update(tool("secret", GOOD.replace("1", "2"))))
    house.write(*update(tool("open", GOOD.replace("1", "2"))))
    value = await run(
        house,
        """
        local snap = registry.snapshot()
        local lists = {snap:entries(), snap:namespace("app.generated"), snap:find({}), registry.find({})}
        local seen = {}
        for _, list in ipairs(lists) do
          for _, entry in ipairs(list) do seen[entry.id] = true end
        end
        local changed = {}
        for _, operation in ipairs(registry.build_delta(registry.snapshot_at(2), snap)) do
          changed[#changed + 1] = operation.entry.id
        end
        local function subject(number) return registry.history():get_version(number):info().subject end
        local subjects = {subject(3), subject(4)}
        local _, get = snap:get("app.generated:secret")
        local _, history = registry.history("app.generated:secret")
        return {seen["app.generated:secret"] == nil and seen["app.generated:open"], changed, subjects,
                get:kind(), history:kind()}""",
    )
    assert value == [
        True,
        ["app.generated:open", "app.tools:probe"],
        ["", "Update app.generated:open"],
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
    ]


async def test_apply_version_of_what_stands_is_the_current_version(house: House) -> None:
    value = await run(
        house,
        """
        local current = registry.current_version()
        local same, err = registry.apply_version(current)
        if err then return {error = err:message()} end
        local unknown, missing = registry.apply_version(99)
        return {same:id() == current:id(), unknown == nil and missing:kind()}""",
    )
    assert value == [True, "NOT_FOUND"]
    assert house.registry.version("main").subject == "Create app.tools:probe"


async def test_a_version_that_is_brought_back_says_so(house: House) -> None:
    before = house.write(*create(tool("app.tools:restore", RESTORE, modules=["registry"]))).commit
    house.write(*create(tool("a", GOOD)))
    outcome = await house.run("app.tools:restore", {"commit": before})
    assert outcome.value == {"commit": house.head}
    version = house.registry.version("main")
    assert (version.actor, version.subject) == ("service:agent", "Delete app.generated:a")
    said = git(house.registry.path, "log", "-1", "--format=%b", "main")
    assert said.startswith(f"Restores the state of {before[:12]} (version 2)\n")


async def test_what_lua_writes_is_the_agents_whoever_calls(house: House) -> None:
    """A person who calls create_tool, or what restores a version, lends it no rights."""
    wanted = {"name": "a", "description": "Gives 1", "source": GOOD, "input_schema": {"type": "object"}}
    before = house.write(*create(tool("app.tools:restore", RESTORE, modules=["registry"]))).commit
    for id, input in (("create_tool", wanted), ("restore", {"commit": before})):
        outcome = await house.run(f"app.tools:{id}", input, actor="user:ann")
        assert outcome.error is None and "error" not in outcome.value, outcome
        version = house.registry.version("main")
        assert (version.operations[0][1].name, version.actor) == ("a", "service:agent")
        assert version.trailers["Policy"].startswith("undefined (app:deny_core_ns")
    house.write(*create(policy("app:x", "deny", "*", "app.generated:x", "agent_security")))
    outcome = await house.run("app.tools:restore", {"commit": before}, actor="user:ann")
    assert "policy denied: registry.delete on app:x" in outcome.value["error"]


async def test_answers_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_service, "MAX_ANSWER", 800)
    monkeypatch.setattr(registry_service, "MAX_OPERATIONS", 3)
    before = house.head
    house.write(*create(*(tool(f"t{number}", GOOD) for number in range(4))))
    body = f"""
        local problems = {{}}
        local now, old = registry.snapshot(), registry.snapshot_at("{before}")
        for _, try in ipairs({{
          function() return now:entries() end, function() return now:namespace("app.generated") end,
          function() return registry.build_delta(old, now) end, function() return registry.versions(201) end,
          function() return registry.apply_version(old:version()) end,
        }}) do
          local value, err = try()
          problems[#problems + 1] = value == nil and err:kind() .. " " .. err:message()
        end
        return problems"""
    said = await run(house, body)
    assert [line.split(" ", 1)[0] for line in said] == ["INVALID"] * 5
    assert "ask for fewer, with find or list" in said[0] and "5 entries; 3 at most" in said[2]
    assert "differs from the newest in 5 entries; 3 at most" in said[4]
