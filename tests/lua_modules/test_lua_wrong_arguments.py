"""Every function of every module, given every kind of wrong argument."""

from __future__ import annotations

import re

import pytest
from lua_double import ALL_MODULES, RunLua

from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.lua_modules import load_all

MODULES = load_all()

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = """
local name, seen = ..., {}
local trap = function() error("trap") end
local things = {
  nil, true, -1, 0, 2.5, 0/0, 1/0, math.mininteger, "", "x", "\\xff", ("9"):rep(5000), {}, {1, 2}, {a = {}}, print,
  coroutine.create(print), setmetatable({}, {__index = trap}), setmetatable({}, {__tostring = trap}), errors.new("e"),
}
local count = 20

local function judge(called, ok, value, err)
  local problem
  if not ok then
    -- What a tool's own metamethod raises is the tool's.
    if errors.is(value, errors.INVALID) or type(value) == "string" and value:find("trap$") then return end
    problem = "raised " .. tostring(value)
  elseif type(err) == "string" or type(err) == "table" and getmetatable(err) ~= "error" then
    problem = "returned an error that is none"
  elseif type(err) == "table" and err:message():find("Error: ") then
    problem = err:message()
  end
  if problem then seen[#seen + 1] = called .. ": " .. problem end
end

local function try(called, fn, ...)
  judge(called, pcall(fn, ...))
  for i = 1, count do
    local with = called .. "#" .. i
    judge(with, pcall(fn, ..., things[i]))
    judge(with, pcall(fn, things[i]))
    for j = 1, count, 3 do
      judge(with .. "," .. j, pcall(fn, things[i], things[j], things[(i + j) % count]))
    end
  end
end

local function try_methods(called, object)
  local found = 0
  for method in METHODS:gmatch("%S+") do
    local fn = object[method]
    if type(fn) == "function" then
      found = found + 1
      try(called .. "." .. method, fn, object)
      for i = 1, count do
        judge(called .. ":" .. method .. "#" .. i, pcall(fn, object, things[i], things[count - i], things[i]))
      end
    end
  end
  if found == 0 then seen[#seen + 1] = called .. " has no methods" end
end

local module = require(name)
for called, fn in pairs(module) do
  -- A tool may wait as long as its time limit lets it.
  if type(fn) == "function" and called ~= "sleep" then try(called, fn) end
end
if name == "time" then
  for _, bad in ipairs({"x", {}, true, print, 0/0, "\\xff"}) do judge("sleep", pcall(module.sleep, bad)) end
  try_methods("Time", module.unix(0, 0))
  try_methods("Duration", module.parse_duration("1s"))
  try_methods("Location", module.utc)
elseif name == "registry" then
  local snap = module.snapshot()
  try_methods("Snapshot", snap)
  try_methods("Changes", snap:changes())
  try_methods("Version", snap:version())
elseif name == "security" then
  try_methods("Actor", module.new_actor("a"))
  try_methods("Scope", module.named_scope("a:b"))
end
return seen
"""


@pytest.mark.parametrize("name", ALL_MODULES)
async def test_wrong_arguments_never_do_worse_than_an_invalid_error(name: str, run_lua: RunLua) -> None:
    chunk = "".join((MODULES[name].chunk, *MODULES[name].parts.values()))
    # The classes are out of a tool's reach, so the names of their methods come from the text.
    methods = {word for word in re.findall(r"\w+", chunk) if not word.startswith("_")}
    source = HOSTILE.replace("local name, seen = ...,", f'local name, seen = "{name}",')
    ran = await run_lua(source.replace("METHODS", f'("{" ".join(sorted(methods))}")'))
    assert ran.value == []


async def test_an_object_that_a_tool_tampered_with_is_its_own_problem_only(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local time = require("time")
        local kinds = {}
        for i, change in ipairs({{"_seconds", "x"}, {"_nanosecond", {}}, {"_place", {_zone = "../x", _offset = false}},
                                 {"_place", {_zone = "UTC", _offset = "no"}}, {"_seconds", 2^70}}) do
          local t = time.unix(0, 0)
          t[change[1]] = change[2]
          local ok, err = pcall(t.format, t, time.RFC3339)
          kinds[i] = ok or err:kind()
        end
        return kinds
    """)
    assert ran.value == ["INVALID"] * 5


@pytest.mark.parametrize(
    "call",
    [
        'time.now().format("15:04")',
        "time.now().unix()",
        'time.parse_duration("1s").seconds()',
        "time.utc.string()",
        'registry.snapshot().get("a:b")',
        "registry.snapshot():version().id()",
        "registry.snapshot():changes().apply()",
        'security.new_actor("a").id()',
        'security.named_scope("a:b").evaluate()',
    ],
)
async def test_a_dot_for_a_colon_is_explained(call: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local time, registry, security = require("time"), require("registry"), require("security")
        return {call}
    """)
    assert ran.outcome.error is not None
    assert ran.outcome.error.kind is ErrorKind.INVALID
    assert ran.outcome.error.message.startswith("call it with a colon: ")
