-- Coroutines as a tool sees them: those of Lua, which never notice a wait, and `spawn`.

local scheduler, ending = ...

local error, rawequal, type = error, rawequal, type
local pack, unpack, raw_coroutine, running = table.pack, table.unpack, coroutine, coroutine.running
local TOKEN, block, create, task_of = scheduler.TOKEN, scheduler.block, scheduler.create, scheduler.task_of

local waiting = {} -- coroutines that must not be resumed or closed by a tool

-- What a resumed coroutine gave; when it waits, all below wait with it, and go on with it.
local function pass(co, ok, first, ...)
  if not (ok and rawequal(first, TOKEN)) then return ok, first, ... end
  waiting[co] = true
  local over = block((...))
  waiting[co] = nil
  return pass(co, raw_coroutine.resume(co, over))
end

local function check_coroutine(co, what)
  if type(co) ~= "thread" then error("bad argument #1 to '" .. what .. "' (coroutine expected)", 3) end
end

local function resume(co, ...)
  check_coroutine(co, "resume")
  if waiting[co] or task_of(co) then return false, "cannot resume non-suspended coroutine" end
  return pass(co, raw_coroutine.resume(co, ...))
end

local function close(co)
  check_coroutine(co, "close")
  if waiting[co] or task_of(co) then
    error("cannot close a " .. (rawequal(co, running()) and "running" or "normal") .. " coroutine", 2)
  end
  return raw_coroutine.close(co)
end

local function unwrap(co, ok, ...)
  if ok then return ... end
  if raw_coroutine.status(co) == "dead" then raw_coroutine.close(co) end
  error((...), 0)
end

local coroutine = { create = create, resume = resume, close = close }

function coroutine.wrap(body)
  local co = create(body)
  return function(...) return unwrap(co, resume(co, ...)) end
end

-- In a spawned coroutine, where nobody takes the values, it lets the others run.
function coroutine.yield(...)
  local task = task_of(running())
  if not task then return raw_coroutine.yield(...) end
  if task.number == 1 then error("attempt to yield from outside a coroutine", 2) end
  scheduler.give_way()
end

function coroutine.status(co)
  check_coroutine(co, "status")
  return waiting[co] and "normal" or raw_coroutine.status(co)
end

function coroutine.running()
  local co = running()
  local task = task_of(co)
  return co, task ~= nil and task.number == 1
end

function coroutine.isyieldable(co)
  if co ~= nil then check_coroutine(co, "isyieldable") end
  local task = task_of(co or running())
  return not (task and task.number == 1) and raw_coroutine.isyieldable(co or running())
end

function coroutine.spawn(body, ...)
  if type(body) ~= "function" then error("bad argument #1 to 'spawn' (function expected)", 2) end
  local arguments, where = pack(...), scheduler.place((running()))
  local function task()
    body(unpack(arguments, 1, arguments.n))
    return ending.of_late()
  end
  local co = scheduler.spawn(task, " (in a coroutine spawned" .. (where and " at " .. where or "") .. ")")
  return co or error("limit of " .. scheduler.MAX_TASKS .. " coroutines at once reached", 2)
end

return coroutine
