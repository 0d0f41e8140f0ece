-- The start of a fresh Lua in a child: opens the files beside it, each with the parts that it builds on.
--
-- Gives two functions, one that runs a program and one that tells where it failed, and leaves the real _G empty. What
-- these files need of Lua they keep in locals, and a tool gets copies, so nothing that a tool can reach is used by them
-- or by the modules. Values that a tool made are compared with rawequal only, since == could run a metamethod of it.

local raw = ...
-- raw(op, payload): the one function of the host. Takes two strings; gives a string, true or nil; never raises.
-- After a string the memory limit stands higher than it should, until raw("settle").

local _G, assert, load, next = _G, assert, load, next

local function host(op, payload)
  local answer = raw(op, payload or "")
  if answer then raw("settle", "") end
  return answer
end

-- Leaves the limit unsettled: one that is too small shall meet the program, not these files.
local function open(name, ...)
  return assert(load(raw("part", name), "=[sandbox] " .. name .. ".lua", "t"))(...)
end

local text = open("text")
local errors = open("errors")
local values = open("values", errors)
local queue = open("queue")
local scheduler = open("scheduler", host, errors, values, queue)
local ending = open("ending", text, errors, values, scheduler)
local coroutine = open("coroutines", scheduler, ending)
local channels = open("channel", queue, scheduler, values)
local timer = open("timers", queue, scheduler, channels)
local showing = open("showing", raw, host, text, errors, values, scheduler)
local globals = open("globals", text, errors, showing, coroutine, channels.library)
local require_of = open("modules", host, text, errors, values, scheduler, timer, globals)
local run = open("program", host, errors, values, scheduler, ending, showing, globals, require_of)

for key in next, _G do _G[key] = nil end
return run, scheduler.where_failed
