"""The module registry beyond its page: what it asks the host, its objects, and differences between lists."""

from __future__ import annotations

import pytest
from lua_double import APPLIED, ENTRY, SEED, RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_registry_asks_the_host_for_exactly_what_was_said(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local registry = require("registry")
        local snap = registry.snapshot()
        snap:get("app.tools:load_tool"); snap:find({}); snap:find({type = "tool"})
        snap:namespace("app"); snap:entries()
        registry.find(); registry.versions(); registry.history("a:b", 3); registry.history()
        registry.list(); registry.list({type = "tool"}, {query = "Load it", limit = 3})
        local changes = snap:changes():update({id = "a:b", kind = "k", meta = {}, data = {x = 1}})
        local version = changes:delete({ns = "a", name = "c"}):apply()
        registry.apply_version(version); registry.apply_version(registry.history("a:b")[1]); registry.apply_version(7)
        registry.snapshot_at(7.0); registry.snapshot_at("abcd"); registry.snapshot_at(version)
        registry.current_version()
        return {version:id(), version:commit(), version:string(), tostring(version)}
    """)
    assert ran.value == [2, APPLIED, "2 (b2b2b2b)", "2 (b2b2b2b)"]
    entry: Value = {"id": "a:b", "kind": "k", "meta": {}, "data": {"x": 1}}
    assert ran.asked == [
        ("registry.snapshot", {}),
        ("registry.get", {"id": ENTRY["id"], "commit": SEED}),
        ("registry.find", {"filter": {}, "commit": SEED}),
        ("registry.find", {"filter": {"type": "tool"}, "commit": SEED}),
        ("registry.entries", {"commit": SEED, "namespace": "app"}),
        ("registry.entries", {"commit": SEED}),
        ("registry.find", {"filter": {}}),
        ("registry.versions", {"limit": 100}),
        ("registry.history", {"id": "a:b", "limit": 3}),
        ("registry.find", {"filter": {}, "heads": True}),
        ("registry.find", {"filter": {"type": "tool"}, "query": "Load it", "limit": 3, "heads": True}),
        (
            "registry.apply",
            {
                "commit": SEED,
                "operations": [
                    {"action": "update", "id": "a:b", "entry": entry},
                    {"action": "delete", "id": "a:c"},
                ],
            },
        ),
        ("registry.apply_version", {"commit": APPLIED}),
        ("registry.history", {"id": "a:b"}),
        ("registry.apply_version", {"commit": APPLIED}),
        ("registry.apply_version", {"commit": "v7"}),
        ("registry.snapshot", {"commit": "v7"}),
        ("registry.snapshot", {"commit": "abcd"}),
        ("registry.snapshot", {"commit": APPLIED}),
        ("registry.snapshot", {}),
    ]


async def test_what_is_wrong_is_not_sent(run_lua: RunLua) -> None:
    for arguments in ('"x"', 'nil, "x"', "{}, {limit = 0}", "{}, {query = 1}"):
        ran = await run_lua(f'return require("registry").list({arguments})')
        assert ran.outcome.error is not None and ran.outcome.error.kind is ErrorKind.INVALID and ran.asked == []
    for call in ("snapshot_at(0)", "snapshot_at(1.5)", "history():get_version(-1)", 'history():get_version("1")'):
        ran = await run_lua(f'return require("registry").{call}')
        assert ran.outcome.error is not None and ran.outcome.error.kind is ErrorKind.INVALID and ran.asked == []
    ran = await run_lua('return require("registry").snapshot():changes():apply()')
    assert ran.outcome.error is not None
    assert (ran.outcome.error.kind, ran.outcome.error.message) == (ErrorKind.INVALID, "no changes to apply")
    assert [op for op, _ in ran.asked] == ["registry.snapshot"]


async def test_versions_lead_to_one_another(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local registry = require("registry")
        local history = registry.history()
        local second = history:get_version(2)
        local first = second:previous()
        local missing, err = history:get_version(0)
        return {
          first:id(), first:next():commit() == second:commit(), first:previous() == nil, second:next() == nil,
          second:info().actor, history:snapshot_at(first):version():id(), missing == nil and err:kind(),
          #history:versions(), registry.versions()[1]:string(),
        }
    """)
    assert ran.value == [1, True, True, True, "service:agent", 1, "NOT_FOUND", 1, "2 (b2b2b2b)"]
    assert ("registry.versions", {"limit": 200}) in ran.asked
    assert ("registry.version", {"commit": APPLIED, "step": "previous"}) in ran.asked


async def test_the_difference_between_two_lists(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local registry = require("registry")
        local from = {
          {id = "t:same", kind = "k", meta = {tags = {"x", "y"}}, data = {n = 1, deep = {a = {}}}},
          {id = "t:gone", kind = "k"},
          {id = {ns = "t", name = "new_kind"}, kind = "k"},
          {id = "t:less", kind = "k", data = {a = 1, b = 2}},
          {id = "t:order", kind = "k", meta = {tags = {"x", "y"}}},
        }
        local to = {
          {id = "t:order", kind = "k", meta = {tags = {"y", "x"}}},
          {id = "t:same", kind = "k", meta = {tags = {"x", "y"}}, data = {n = 1.0, deep = {a = {}}}},
          {id = "t:new_kind", kind = "l"},
          {id = "t:less", kind = "k", data = {a = 1}},
          {id = "t:fresh", kind = "k", data = {v = true}},
        }
        local operations = registry.build_delta(from, to)
        local changes = registry.snapshot():changes()
        for _, operation in ipairs(operations) do
          local action = operation.kind:sub(#"entry." + 1)
          changes[action](changes, action == "delete" and operation.entry.id or operation.entry)
        end
        local said = {}
        for i, operation in ipairs(changes:ops()) do said[i] = operation.kind .. " " .. operation.entry.id end
        return {said, operations[1].entry, #registry.build_delta(from, from), #registry.build_delta({}, {})}
    """)
    said, fresh, same, nothing = ran.value
    assert said == [
        *("entry.create t:fresh", "entry.delete t:gone", "entry.update t:less"),
        *("entry.update t:new_kind", "entry.update t:order"),
    ]
    assert fresh == {"id": "t:fresh", "kind": "k", "meta": {}, "data": {"v": True}}
    assert (same, nothing) == (0, 0)
    assert [op for op, _ in ran.asked] == ["registry.snapshot"], "lists are compared where they are"


async def test_snapshots_are_compared_by_the_host(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local registry = require("registry")
        local snap = registry.snapshot()
        local changed = snap:changes():delete("a:b"):apply()
        local operations = registry.build_delta(snap, registry.snapshot_at(changed))
        return operations[1].entry.id
    """)
    assert ran.value == ENTRY["id"]
    assert ran.asked[-1] == ("registry.delta", {"from": SEED, "to": APPLIED})


async def test_what_is_no_list_of_entries_has_no_difference(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local registry = require("registry")
        local entry, deep = {id = "a:b", kind = "k"}, {}
        for _ = 1, 5000 do deep = {deep} end
        local again = {id = "a:b", kind = "k", data = {deep}}
        local said = {}
        for _, bad in ipairs({entry, {entry, entry}, {entry, nil, entry}, {{id = "ab", kind = "k"}}, {{id = "a:b"}},
                              {{id = "a:b", kind = "k", meta = 1}}, {1}, registry.snapshot(), "x", 1}) do
          local value, err = registry.build_delta(bad, {})
          said[#said + 1] = value == nil and err:kind()
          value, err = registry.build_delta({}, bad)
          said[#said + 1] = value == nil and err:kind()
        end
        return {said, registry.build_delta({again}, {{id = "a:b", kind = "k", data = {deep}}})[1] == nil}
    """)
    said, same = ran.value
    assert said == ["INVALID"] * 20 and same
