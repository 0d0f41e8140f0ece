"""Calling an entry: what the policies, the jail and the entry's own files forbid comes back as an error value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from house_kit import ALLOW_LOOPBACK, GOOD, House, create, id_of, loopback, policy, tool

from micro_agi_kernel.entries import Entry
from micro_agi_kernel.errors import CallError, ErrorKind, RegistryError, SandboxError
from micro_agi_kernel.settings import SandboxSettings
from micro_agi_kernel.workspace import RegistryTools

FETCH = """
local http = require("http_client")
return { handler = function(input)
  local response, err = http.get(input.url)
  if err then return nil, err end
  return { status = response.status_code, body = response.body }
end }
"""


async def error_of(house: House, id: str, input: object = None) -> CallError:
    outcome = await house.run(id, input)
    assert outcome.error is not None, outcome.value
    return outcome.error


async def works(house: House) -> None:
    """The workspace still answers."""
    assert (await house.run("app.tools:registry_list", {"namespace": "app.tools"})).value["total"] >= 5


@pytest.mark.parametrize("action", ["tool.call", "funcs.call"])
@pytest.mark.parametrize("effect", ["deny", "ask"])
async def test_a_policy_forbids_a_call(house: House, action: str, effect: str) -> None:
    house.write(*create(tool("secret", GOOD), tool("open", GOOD)))
    assert (await house.run("app.generated:secret", {})).value == 1
    house.write(*create(policy("app:no_secret", effect, action, "app.generated:secret")))
    error = await error_of(house, "app.generated:secret")
    assert error.kind == ErrorKind.PERMISSION_DENIED
    assert (
        error.message
        == {
            "deny": f"policy denied: {action} on app.generated:secret (policy app:no_secret)",
            "ask": "a person must approve this (policy app:no_secret), and nobody can be asked here: "
            f"{action} on app.generated:secret",
        }[effect]
    )
    assert (await house.run("app.generated:open", {})).value == 1


async def test_conditions_see_the_tool_and_its_modules(house: House) -> None:
    entry = policy("app:no_net", "deny", "tool.call", "*")
    body = {
        **entry.data["policy"],
        "conditions": [{"field": "actor.meta.modules", "operator": "contains", "value": "http_client"}],
    }
    house.write(*create(replace(entry, data={**entry.data, "policy": body}), tool("a", GOOD, modules=["http_client"])))
    assert (await error_of(house, "app.generated:a")).message.endswith("(policy app:no_net)")
    assert (await error_of(house, "app.tools:doc_search", {})).message.endswith("(policy app:no_net)")
    await works(house)


async def test_modules_that_a_pushed_tool_lists(house: House) -> None:
    """What got into the repository past the publisher is refused where it is called."""
    for module in ("registry", "funcs", "security", "docs", "ctx", "os", "nonsense"):
        house.write(*create(tool(f"uses_{module}", f"require('{module}') return 1", modules=["time", module])))
        error = await error_of(house, f"app.generated:uses_{module}")
        is_there = module not in ("os", "nonsense")
        assert error.kind == (ErrorKind.PERMISSION_DENIED if is_there else ErrorKind.NOT_FOUND)
        assert error.message.startswith(f"policy denied: lua.module on {module} (" if is_there else "modules: ")
    house.write(*create(policy("app:all", "allow", "*", "*")))
    for module in ("registry", "funcs", "security", "docs", "ctx"):
        assert (await error_of(house, f"app.generated:uses_{module}")).kind == ErrorKind.PERMISSION_DENIED
    assert (await error_of(house, "app.generated:uses_nonsense")).kind == ErrorKind.NOT_FOUND


async def test_a_module_that_exists_but_is_not_listed(house: House) -> None:
    house.write(
        *create(tool("sly", "local ok, err = pcall(require, 'registry') return tostring(err)", modules=["time"]))
    )
    house.write(
        *create(tool("odd", "local ok, err = pcall(require, 'nothing') return tostring(err)", modules=["time"]))
    )
    sly, odd = [(await house.run(f"app.generated:{name}", {})).value for name in ("sly", "odd")]
    assert isinstance(sly, str) and sly == str(odd).replace("nothing", "registry")


async def test_a_deny_on_a_module_wins(house: House) -> None:
    house.write(*create(tool("clock", "return require('time').now() and 1", modules=["time"])))
    assert (await house.run("app.generated:clock", {})).value == 1
    house.write(*create(policy("app:no_time", "deny", "lua.module", "time")))
    error = await error_of(house, "app.generated:clock")
    there_are = "base64, crypto, expr, hash, http_client, json, text, url, uuid, yaml"
    assert error.message == f"policy denied: lua.module on time (policy app:no_time); there are: {there_are}"


async def test_tool_load_is_asked(house: House) -> None:
    house.write(*create(tool("secret"), policy("app:unloadable", "deny", "tool.load", "*secret")))
    entry = house.registry.snapshot().get(id_of("app.generated:secret"))
    assert entry is not None
    refusal = RegistryTools(house).asks_load(entry)
    assert isinstance(refusal, CallError)
    assert refusal.message == "policy denied: tool.load on app.generated:secret (policy app:unloadable)"


BROKEN: dict[str, tuple[dict[str, bytes | None], ErrorKind, str]] = {
    "yaml": (
        {"app/generated/x.yaml": b"kind: [", "app/generated/x.lua": b"return 1"},
        ErrorKind.INVALID,
        "broken YAML",
    ),
    "no-source": (
        {"app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: file://x.lua\n"},
        ErrorKind.INVALID,
        "x.lua",
    ),
    "source-elsewhere": (
        {"app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: file:///etc/passwd\n"},
        ErrorKind.INVALID,
        "is not the file x.lua beside it",
    ),
    "no-utf-8": (
        {
            "app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: file://x.lua\n",
            "app/generated/x.lua": b"return '\xff'",
        },
        ErrorKind.INVALID,
        "not UTF-8",
    ),
    "list": ({"app/generated/x.yaml": b"- 1\n"}, ErrorKind.INVALID, "mapping"),
    "kind": ({"app/generated/x.yaml": b"kind: registry.entry\n"}, ErrorKind.INVALID, "not callable: app.generated:x"),
    "process": (
        {"app/generated/x.yaml": b"kind: process.lua\ndata:\n  source: return 1\n"},
        ErrorKind.INVALID,
        "not callable",
    ),
    "source-of-numbers": (
        {"app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: 5\n"},
        ErrorKind.INVALID,
        "app.generated:x: source: Lua source is required",
    ),
    "method": (
        {"app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: return {}\n  method: [1]\n"},
        ErrorKind.INVALID,
        "app.generated:x: method: the name of a function",
    ),
    "modules": (
        {"app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: return {}\n  modules: time\n"},
        ErrorKind.INVALID,
        "app.generated:x: modules: a list of module names",
    ),
    "imports": (
        {"app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: return {}\n  imports: {a b: app:x}\n"},
        ErrorKind.INVALID,
        "app.generated:x: imports: 'a b' is no alias",
    ),
    "limits": (
        {"app/generated/x.yaml": b"kind: function.lua\nmeta:\n  limits: {memory: 0}\ndata:\n  source: return {}\n"},
        ErrorKind.INVALID,
        "app.generated:x: meta.limits.memory: a number, 1 or more and below 1,000,000,000, is required",
    ),
    "syntax": (
        {"app/generated/x.yaml": b"kind: function.lua\ndata:\n  source: 'return = 1'\n"},
        ErrorKind.SYNTAX,
        "x:1:",
    ),
    "bytecode": (
        {"app/generated/x.yaml": b'kind: function.lua\ndata:\n  source: "\\x1bLuaT"\n'},
        ErrorKind.SYNTAX,
        "attempt to load a binary chunk",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_broken_entries_that_a_person_pushed(house: House, case: str) -> None:
    files, kind, reason = BROKEN[case]
    house.push(files)
    error = await error_of(house, "app.generated:x")
    assert error.kind == kind and reason in error.message and "\n" not in error.message
    await works(house)
    assert isinstance(RegistryTools(house).tools("app.generated"), tuple)


async def test_an_entry_that_is_not_there(house: House) -> None:
    error = await error_of(house, "app.generated:nothing")
    assert error == CallError(ErrorKind.NOT_FOUND, "not found: app.generated:nothing")
    assert (await error_of(house, "app:gpt-5.1")).message.startswith(
        "not callable: app:gpt-5.1 has the kind registry.entry"
    )


RUNAWAYS = {
    "loops": ("while true do end", ErrorKind.TIMEOUT, ()),
    "loops-in-pcall": ("while true do pcall(function() while true do end end) end", ErrorKind.TIMEOUT, ()),
    "sleeps": ("require('time').sleep('1h')", ErrorKind.TIMEOUT, ("time",)),
    "eats": ("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", ErrorKind.MEMORY_LIMIT, ()),
    "eats-at-once": ("return ('x'):rep(1e9)", ErrorKind.MEMORY_LIMIT, ()),
    "prints": ("while true do print(('x'):rep(10000)) end", ErrorKind.OUTPUT_LIMIT, ()),
    "asks": ("local d = require('docs') while true do d.remote() end", ErrorKind.CALL_LIMIT, ("docs",)),
    "raises": ("error('on purpose')", ErrorKind.UNKNOWN, ()),
    "overflows": ("local function f() return (('x'):gsub('x', f)) end return f()", ErrorKind.UNKNOWN, ()),
    "returns-a-cycle": ("local t = {} t.t = t return t", ErrorKind.INVALID, ()),
    "returns-a-function": ("return print", ErrorKind.INVALID, ()),
}


@pytest.mark.parametrize("case", RUNAWAYS)
async def test_a_tool_that_runs_away(enter: Callable[..., House], case: str) -> None:
    body, kind, modules = RUNAWAYS[case]
    seconds = 0.2 if kind == ErrorKind.TIMEOUT else 20.0
    house = enter(sandbox=SandboxSettings(timeout=seconds, memory=64, output=1))
    source = f"return {{ handler = function() {body} end }}"
    house.write(*create(tool("app.others:wild", source, modules=modules)))
    error = await error_of(house, "app.others:wild", {})
    assert error.kind == kind, error
    assert error.message and "/" not in error.message.replace("/s", "")
    assert len(house.output) <= 1 << 20
    await works(house)


async def test_a_jail_that_cannot_be_set_up_is_for_the_person(enter: Callable[..., House]) -> None:
    house = enter()
    house._functions._sandbox = closed = type(house.sandbox)("micro_agi_kernel.lua_modules")
    await closed.end()
    with pytest.raises(SandboxError, match="the sandbox is closed"):
        await house.run("app.tools:registry_list", {})


async def test_a_registry_that_cannot_be_read_is_for_the_person(house: House) -> None:
    house.push({"registry.yaml": b"format: 99\n"})
    with pytest.raises(RegistryError, match="upgrade micro-agi-kernel"):
        await house.run("app.tools:registry_list", {})


async def test_loopback_is_closed_until_a_policy_opens_it(house: House) -> None:
    house.write(*create(tool("fetch", FETCH, modules=["http_client"])))
    with loopback({"/a": b"hello"}) as site:
        error = await error_of(house, "app.generated:fetch", {"url": f"{site.url}/a"})
        assert error.kind == ErrorKind.PERMISSION_DENIED and not site.visits
        assert error.message.startswith("policy denied: http_client.private_ip on 127.0.0.1")

        house.write(*create(ALLOW_LOOPBACK))
        outcome = await house.run("app.generated:fetch", {"url": f"{site.url}/a"})
        assert outcome.value == {"status": 200, "body": "hello"}

        house.write(*create(policy("app:no_admin", "deny", "http_client.request", f"{site.url}/admin*")))
        site.visits.clear()
        for spelling in ("/admin", "/x/../admin/a", "/%61dmin"):
            error = await error_of(house, "app.generated:fetch", {"url": site.url + spelling})
            assert error.message.endswith("(policy app:no_admin)"), spelling
        assert not site.visits
        assert (await house.run("app.generated:fetch", {"url": f"{site.url}/a"})).ok


async def test_an_unreadable_policy_of_the_tools_refuses_what_it_could_have_decided(house: House) -> None:
    broken = Entry(
        id_of("app:broken"),
        "security.policy",
        {},
        {
            "policy": {"actions": "tool.call", "resources": "app.generated:s*", "effect": "denied"},
            "groups": ["tool_security"],
        },
    )
    house.write(*create(broken, tool("secret", GOOD), tool("open", GOOD)))
    error = await error_of(house, "app.generated:secret")
    assert error.kind == ErrorKind.PERMISSION_DENIED
    assert error.message.startswith("failed to load security scope: app:broken")
    assert (await house.run("app.generated:open", {})).value == 1


async def test_output_arrives_while_the_tool_runs(house: House) -> None:
    source = "return { handler = function(i) print('first') require('http_client').get(i.url) print('second') end }"
    house.write(*create(tool("talks", source, modules=["http_client"]), ALLOW_LOOPBACK))
    heard: list[str] = []
    with loopback() as site:
        site.answer = lambda path: heard.append(house.output) or (200, b"")
        assert (await house.run("app.generated:talks", {"url": site.url})).ok
    assert heard == ["first\n"] and house.output == "first\nsecond\n"


async def test_calls_nest_to_a_bound(house: House) -> None:
    source = """
    local funcs = require("funcs")
    return { handler = function(input)
      local value, err = funcs.call("app.others:deeper", { depth = input.depth + 1 })
      if err then return { depth = input.depth, error = err:message() } end
      return value
    end }
    """
    house.write(*create(tool("app.others:deeper", source, modules=["funcs"])))
    outcome = await house.run("app.others:deeper", {"depth": 0})
    circle = "app.others:deeper -> app.others:deeper"
    assert outcome.value == {"depth": 8, "error": f"calls nest deeper than 8: {circle}"}
