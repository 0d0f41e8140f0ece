-- Who runs when: coroutines as a tool sees them, the tasks below them, waiting, and the time limit.

local host, errors, values = ...

local error, rawequal, tostring, type = error, rawequal, tostring, type
local math, table, raw_coroutine = math, table, coroutine
local getinfo, running, sethook = debug.getinfo, coroutine.running, debug.sethook

local HOOK_EVERY = 100000 -- instructions between two looks at the clock: about a millisecond
local TOKEN = {} -- what a waiting coroutine yields; a tool never gets to see it
local tasks = {} -- coroutines that the scheduler resumes
local waiting = {} -- coroutines that must not be resumed or closed by a tool
local waiters = {} -- id -> the task that waits for its answer
local ready, last_id = {}, 0
local chunk_name, time_limit, timeout

-- Names the tool's chunk and the seconds (as text) for that error; the host looks at the clock.
local function set_limit(name, seconds)
  chunk_name, time_limit = name, seconds
end

-- The error of the time limit, once it was reached: a tool that catches it is late all the same.
local function late() return timeout end

-- The line of the tool that runs.
local function place()
  local level = 3
  while true do
    local info = getinfo(level, "Sl")
    if not info then return nil end
    if info.source == chunk_name then return info.short_src .. ":" .. info.currentline end
    level = level + 1
  end
end

local function tick()
  if not host("tick") then return end
  local where = place()
  if where then host("late", where) end
  local message = "time limit of " .. time_limit .. " s reached" .. (where and " at " .. where or "")
  timeout = timeout or errors.new("TIMEOUT", message)
  error(timeout, 0)
end

local function create(body)
  local co = raw_coroutine.create(body)
  sethook(co, tick, "", HOOK_EVERY)
  return co
end

-- An answer from main as a table with its id. "paused" says how long our clock stood still meanwhile.
local function receive(text)
  local message = values.decode(text)
  if message.paused then host("paused", tostring(message.paused)) end
  return message
end

local function deliver(message)
  local task = waiters[message.id]
  if not task then return end
  waiters[message.id] = nil
  ready[#ready + 1] = { task = task, message = message }
end

-- The answer to `id`: yields to the scheduler, or blocks all where Lua cannot yield (in gsub, sort ...).
local function await(id)
  if raw_coroutine.isyieldable() then return raw_coroutine.yield(TOKEN, id) end
  while true do
    local message = receive(host("poll"))
    if message.id == id then return message end
    deliver(message)
  end
end

-- What a resumed coroutine gave; when it waits, all below wait with it, and its answer goes up to it.
local function pass(co, ok, first, ...)
  if not (ok and rawequal(first, TOKEN)) then return ok, first, ... end
  waiting[co] = true
  local message = await(...)
  waiting[co] = nil
  return pass(co, raw_coroutine.resume(co, message))
end

local function check_coroutine(co, what)
  if type(co) ~= "thread" then error("bad argument #1 to '" .. what .. "' (coroutine expected)", 3) end
end

local function resume(co, ...)
  check_coroutine(co, "resume")
  if waiting[co] or tasks[co] then return false, "cannot resume non-suspended coroutine" end
  return pass(co, raw_coroutine.resume(co, ...))
end

local function close(co)
  check_coroutine(co, "close")
  if waiting[co] or tasks[co] then error("cannot close a running coroutine", 2) end
  return raw_coroutine.close(co)
end

local function unwrap(co, ok, ...)
  if ok then return ... end
  if raw_coroutine.status(co) == "dead" then raw_coroutine.close(co) end
  error((...), 0)
end

-- The coroutines of a tool.
local coroutine = { create = create, resume = resume, close = close }

function coroutine.wrap(body)
  local co = create(body)
  return function(...) return unwrap(co, resume(co, ...)) end
end

function coroutine.yield(...)
  if tasks[running()] then error("attempt to yield from outside a coroutine", 2) end
  return raw_coroutine.yield(...)
end

function coroutine.status(co)
  check_coroutine(co, "status")
  return waiting[co] and "normal" or raw_coroutine.status(co)
end

function coroutine.running()
  local co = running()
  return co, tasks[co] ~= nil
end

function coroutine.isyieldable() return not tasks[running()] and raw_coroutine.isyieldable() end

local function next_id()
  last_id = last_id + 1
  return last_id
end

local function sleep(seconds)
  if math.type(seconds) == nil or not (seconds >= 0 and seconds < 1e9) then
    error("sleep takes seconds, 0 or more", 2)
  end
  local id = next_id()
  host("timer", id .. " " .. seconds)
  await(id)
end

-- A new task that runs `body`; it begins with the next `run`.
local function spawn(body)
  local task = create(body)
  tasks[task] = true
  ready[#ready + 1] = { task = task }
  return task
end

-- Lets every task run that can. Gives true and what `main` gave (as pcall does) once it is over; nil when all wait.
local function run(main)
  while #ready > 0 do
    local turn = table.remove(ready, 1)
    local ok, first, second = raw_coroutine.resume(turn.task, turn.message)
    if raw_coroutine.status(turn.task) ~= "dead" then
      waiters[second] = turn.task -- only await yields from a task, so first is TOKEN
    elseif turn.task == main then
      return true, ok, first
    end
  end
end

-- Hands an answer from main, as text, to the task that waits for it.
local function take(text) deliver(receive(text)) end

return {
  coroutine = coroutine,
  set_limit = set_limit, late = late,
  spawn = spawn, run = run, take = take,
  next_id = next_id, await = await, sleep = sleep,
}
