"""Every function and method of every module, given every kind of wrong argument at every place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lua_calls import CALLS
from lua_double import RunLua
from lua_surface import MAKERS, callee, error_sections, with_modules

from micro_agi_kernel.errors import ErrorKind

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAM = Path(__file__).with_name("wrong_arguments.lua").read_text()

_DURATION = "string number Duration"

TAKES: dict[str, dict[int, str]] = {
    # Values of any kind are what these are about.
    "channel.Channel:case_send": {1: "any"},
    "channel.Channel:send": {1: "any"},
    "coroutine.spawn": {2: "any"},
    "errors.call_stack": {1: "any"},
    "errors.is": {1: "any", 2: "any"},
    "errors.wrap": {1: "any"},
    "funcs.call": {2: "any"},
    "json.encode": {1: "any"},
    "uuid.validate": {1: "any"},
    # A flag: whatever Lua takes for true.
    **{f"hash.{name}": {2: "any"} for name in ("md5", "sha1", "sha256", "sha512")},
    **{f"hash.hmac_{name}": {3: "any"} for name in ("md5", "sha1", "sha256", "sha512")},
    # Several types, as the page says.
    "display.progress": {3: "error Time Duration Location"},
    "errors.new": {1: "string"},
    "json.validate": {1: "string table", 2: "any"},
    "json.validate_string": {1: "string table"},
    "registry.apply_version": {1: "string number table"},
    "registry.get": {1: "string table"},
    "registry.history": {1: "string table"},
    "registry.similar": {1: "table"},
    "registry.uses": {1: "string table"},
    "registry.parse_id": {1: "string table"},
    "registry.snapshot_at": {1: "string number table"},
    "registry.History:snapshot_at": {1: "string number table"},
    "registry.Changes:delete": {1: "string table"},
    "registry.Snapshot:get": {1: "string table"},
    "time.Time:add": {1: _DURATION},
    "time.Time:after": {1: "Time"},
    "time.Time:before": {1: "Time"},
    "time.Time:equal": {1: "Time"},
    "time.Time:in_location": {1: "Location"},
    "time.Time:round": {1: "Duration"},
    "time.Time:sub": {1: "Time"},
    "time.Time:truncate": {1: "Duration"},
    "time.Timer:reset": {1: _DURATION},
    "time.after": {1: _DURATION},
    "time.date": {8: "Location"},
    "time.parse": {3: "Location"},
    "time.parse_duration": {1: _DURATION},
    "time.sleep": {1: _DURATION},
    "time.ticker": {1: _DURATION},
    "time.timer": {1: _DURATION},
}
"""By place: what a function takes beside values of the type that its call in lua_calls.py has."""

WAITS = {"channel.select", "channel.Channel:receive", "channel.Channel:send", "time.sleep"}
"""May wait for ever, which is what they are for."""


def promised(root: str) -> str:
    """As Lua: the kinds that the pages say are returned, and raised, and whether texts may be raised.

    A row is about what is returned unless it or the words before the table say "raise".
    """
    raised, returned, text = set(), set(), False
    for section in error_sections(root):
        words, *rows = section.split("\n|")
        for row in rows:
            kinds = {kind for kind in re.findall(r"\b[A-Z_]{5,}\b", row) if kind in ErrorKind.__members__}
            text = text or ("raised" in row and not kinds)
            if "raise" in words or "raised" in row:
                raised |= kinds
            if "raised" not in row or "returned" in row:
                returned |= kinds

    def as_set(kinds: set[str]) -> str:
        return "{" + ", ".join(f"{kind} = true" for kind in sorted(kinds)) + "}"

    return f"{{raised = {as_set(raised)}, returned = {as_set(returned)}, text = {str(text).lower()}}}"


def program(name: str) -> str:
    """Calls `name` with everything wrong; returns how often it did, and what came of it that must not."""
    call, (owner, colon, method) = CALLS[name], name.partition(":")
    if colon:
        make = f"local o = {MAKERS[owner]} return function(...) return o:{method}(...) end"
    else:
        make = f"return {callee(name)}"
    takes = ", ".join(f'[{place}] = "{types}"' for place, types in TAKES.get(name, {}).items())
    return with_modules(f"""
        local WAITS, TAKES = {str(name in WAITS).lower()}, {{{takes}}}
        local RAISES = {promised(name.split(".")[0])}
        local function make() {make} end
        local function good() return {call.arguments} end
        local REQUIRED = {'select("#", good())' if call.required is None else call.required}
        {PROGRAM}
    """)


@pytest.mark.parametrize("name", CALLS)
async def test_wrong_arguments_give_the_error_that_the_page_promises(name: str, run_lua: RunLua) -> None:
    ran = await run_lua(program(name))
    count, problems = ran.value
    assert count > 400
    assert problems == []


WITHOUT_SELF = {"http_client.Scanner", "http_client.Stream"}
"""Their methods are functions of the one object, however they are called."""

HOST = ("http_client.", "registry.", "security.")

DOT = """
local problems, object = {}, MAKER
local function try(method, ...)
  for _, self in ipairs({false, "x", {}, errors.new("e"), time.now(), registry.snapshot(), channel.new()}) do
    -- An object of the same class is no mistake.
    if not (type(self) == "table" and self[method] == object[method]) then
      local ok, err = pcall(object[method], self or nil, ...)
      local said = tostring(err)
      if ok or not (said:find("^INVALID: call it with a colon") or TEXT and said:find(": call it as ")) then
        problems[#problems + 1] = method .. ": " .. said
      end
    end
  end
end
TRIES
return problems
"""


def methods(owner: str) -> dict[str, str]:
    """The names of its methods, and right arguments of each."""
    return {name.partition(":")[2]: call.arguments for name, call in CALLS.items() if name.startswith(f"{owner}:")}


@pytest.mark.parametrize("owner", [owner for owner in MAKERS if owner not in WITHOUT_SELF])
async def test_a_dot_for_a_colon_is_explained(owner: str, run_lua: RunLua) -> None:
    tries = [f"try({', '.join(filter(None, (repr(name), arguments)))})" for name, arguments in methods(owner).items()]
    source = DOT.replace("MAKER", MAKERS[owner]).replace("TRIES", "\n".join(tries))
    source = source.replace("TEXT", str(owner in ("channel.Channel", "errors.Error")).lower())
    ran = await run_lua(with_modules(source))
    assert ran.value == []


TAMPERED = """
local function said_by(value) return tostring(select(2, pcall(tostring, value))) end
local problems = {}
local values = {false, -1, 2^70, 0/0, "x", "\\xff", ("x"):rep(5000), {}, {a = {1}}, print, errors.new("e")}
local function try(method, ...)
  for field in pairs(MAKER) do
    for _, value in ipairs(values) do
      local object = MAKER
      if pcall(rawset, object, field, value) then
        local _, problem, err = pcall(object[method], object, ...)
        local said = said_by(problem) .. " " .. said_by(err)
        if said:find("%u%l+Error") or said:find("sandbox") then problems[#problems + 1] = method .. ": " .. said end
      end
    end
  end
end
TRIES
return problems
"""


# What the host is asked, it checks itself.
@pytest.mark.parametrize("owner", [owner for owner in MAKERS if not owner.startswith(HOST)])
async def test_an_object_that_a_tool_tampered_with_is_its_own_problem_only(owner: str, run_lua: RunLua) -> None:
    tries = [f"try({', '.join(filter(None, (repr(name), arguments)))})" for name, arguments in methods(owner).items()]
    source = TAMPERED.replace("MAKER", MAKERS[owner]).replace("TRIES", "\n".join(tries))
    ran = await run_lua(with_modules(source))
    assert ran.value == []
