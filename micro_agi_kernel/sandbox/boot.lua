-- The start of a fresh Lua in a child: opens the files beside it, each with the parts that it builds on.
--
-- Gives `start` and `step`, and leaves the real _G empty. What these files need of Lua they keep in locals, and
-- a tool gets copies, so nothing that a tool can reach is used by them or by the modules. Values that a tool
-- made are compared with rawequal only, since == could run a metamethod of the tool.

local raw = ...
-- raw(op, payload): the one function of the host. Takes two strings; gives a string, true or nil; never raises.
-- After a string the memory limit stands higher than it should, until raw("settle").

local _G, assert, load, math, next, string = _G, assert, load, math, next, string

local function host(op, payload)
  local answer = raw(op, payload or "")
  if answer then raw("settle", "") end
  return answer
end

-- Leaves the limit unsettled: one that is too small shall meet the program, not these files.
local function open(name, ...)
  return assert(load(raw("part", name), name, "b"))(...)
end

local text = open("text")
local errors = open("errors", text)
local values = open("values", errors)
local scheduler = open("scheduler", host, errors, values)
local globals = open("globals", raw, text, errors, scheduler)
local require = open("modules", host, errors, values, scheduler, globals)
local start, step = open("program", host, text, errors, values, scheduler, globals, require)

for key in next, _G do _G[key] = nil end
math.randomseed(string.unpack("i8i8", host("seed")))
return start, step
