-- Who runs when: the tasks of a call (the handler, and what it spawned), what they wait for, and the time limit.
--
-- A task is a coroutine that only this file resumes. It runs until it waits: what waits makes a table, the wait,
-- hands it to `block`, and is back once somebody has called `wake` on it.

local host, errors, values, queue = ...

local error, ipairs, next, tonumber, tostring = error, ipairs, next, tonumber, tostring
local math, table, raw_coroutine = math, table, coroutine
local getinfo, running, sethook = debug.getinfo, coroutine.running, debug.sethook
local isyieldable, raw_yield = coroutine.isyieldable, coroutine.yield

local HOOK_EVERY = 100000 -- instructions between two looks whether the time is over: about a millisecond
local LOOK_EVERY = 64 -- turns of busy tasks between two looks whether the time is over and at what main has sent
local MAX_TASKS = 10000 -- at once; one that waits takes about three kilobytes
local DEEP = 10000 -- calls within one another that show a recursion without an end, not much data
local MAX_NAMED = 5 -- tasks that the error of a deadlock names

local OURS = "=[" -- so begin the names of these files and of the modules
local TOKEN = {} -- what a waiting coroutine yields; a tool never gets to see it
local tasks, living, last_task = {}, 0, 0 -- coroutine -> its task
local first, current, failed -- the task of the handler, the one that runs, the last that an error ended
local ready = queue.new()
local pending, outstanding, last_id = {}, 0, 0 -- id -> what to do with the answer of main or of a timer
local time_limit, timeout

-- Names the seconds (as text) for that error; main keeps the time.
local function set_limit(seconds) time_limit = seconds end

-- The error of the time limit, once it was reached: a tool that catches it is late all the same.
local function late() return timeout end

-- The line of the tool, or of a library of its, that a coroutine has reached.
local function place(co)
  local level = 0
  while true do
    local info = getinfo(co, level, "Sl")
    if not info then return nil end
    if info.what ~= "C" and info.source:sub(1, #OURS) ~= OURS then return info.short_src .. ":" .. info.currentline end
    level = level + 1
  end
end

-- Tells main the line of `co`, for the error of a limit that is reached; gives it too.
local function mark(co)
  local where = place(co)
  if where then host("at", where) end
  return where
end

-- The error of the time limit; `co` is what reached it, if that is known.
local function time_over(co)
  if timeout then return timeout end
  local where = co and mark(co)
  local message = "time limit of " .. time_limit .. " s reached" .. (where and " at " .. where or "")
  timeout = errors.new("TIMEOUT", message)
  return timeout
end

local function tick()
  if host("tick") then error(time_over((running())), 0) end
end

local function create(body)
  local co = raw_coroutine.create(body)
  sethook(co, tick, "", HOOK_EVERY)
  return co
end

-- A new task; nil when there are too many. It begins after the running one. When `body` gives a text, the call is
-- over and that is its last message. `origin` is for the error that ends it, if one does.
local function spawn(body, origin)
  if living == MAX_TASKS then return nil end
  local co = create(body)
  local task = { co = co, number = last_task + 1, stopped = co, origin = origin }
  tasks[co], living, last_task = task, living + 1, task.number
  first = first or task
  queue.push(ready, task)
  return co
end

local function expect(id, action)
  pending[id], outstanding = action, outstanding + 1
end

-- Takes an answer, as text; true when it is none, but says that the time is over.
local function take(text)
  local message = values.decode(text)
  if message.id == 0 then return true end
  local action = pending[message.id]
  if not action then return end
  pending[message.id], outstanding = nil, outstanding - 1
  action(message)
end

-- Stops the running task until its wait is over; gives true then. Where Lua cannot yield (in gsub, sort ...) all
-- tasks stop, so what only they could do will not come: false when `wait.hopeless()` says so.
local function block(wait)
  if not wait.task then wait.task, current.stopped = current, running() end
  if isyieldable() then return raw_yield(TOKEN, wait) end
  while not wait.over do
    if wait.hopeless and wait.hopeless(wait) then return false end
    if take(host("poll")) then error(time_over((running())), 0) end
  end
  return true
end

local function wake(wait)
  local task = wait.task
  if task and task ~= current then queue.push(ready, task) end -- the current one waits in place
  wait.over = true
end

local function next_id()
  last_id = last_id + 1
  return last_id
end

-- The answer to the request `id`.
local function await(id)
  local wait = {}
  expect(id, function(message)
    wait.answer = message
    wake(wait)
  end)
  block(wait)
  return wait.answer
end

-- Calls `action` in some seconds, between two turns; gives an id for `cancel`.
local function after(seconds, action)
  local id = next_id()
  host("timer", id .. " " .. seconds)
  expect(id, action)
  return id
end

local function cancel(id)
  pending[id], outstanding = nil, outstanding - 1
  host("cancel", tostring(id))
end

local function clock() return tonumber(host("clock")) end

local function sleep(seconds)
  if math.type(seconds) == nil or not (seconds >= 0 and seconds < 1e9) then
    error("sleep takes seconds, 0 or more", 2)
  end
  local wait = {}
  after(seconds, function() wake(wait) end)
  block(wait)
end

-- Lets the other tasks run; the running coroutine must be the task itself.
local function give_way()
  if not isyieldable() then error("attempt to yield across a C-call boundary", 3) end
  queue.push(ready, current)
  raw_yield(TOKEN)
end

-- All tasks wait, and nothing is on its way that could wake one.
local function deadlock()
  local waiting, named = {}, {}
  for _, task in next, tasks do waiting[#waiting + 1] = task end
  table.sort(waiting, function(a, b) return a.number < b.number end)
  for index, task in ipairs(waiting) do
    if index > MAX_NAMED then named[index] = "..." break end
    local where = place(task.stopped)
    named[index] = (task.number == 1 and "the handler" or "a spawned one") .. (where and " at " .. where or "")
  end
  local list = table.concat(named, ", ")
  local message = #waiting == 1 and list .. " waits for a channel that nothing is left to reach"
    or "all " .. #waiting .. " coroutines wait for channels: " .. list
  return errors.new("INTERNAL", "deadlock: " .. message, false)
end

-- Takes what main or a timer has for us; the error of the time limit if it is reached.
local function look()
  local text = outstanding > 0 and host("look")
  if text and take(text) or host("tick") then return time_over() end
end

-- Lets the tasks run until one gives the last message: true and that. Or false, why there is none, and the task that
-- failed, if it was one.
local function run()
  local turns = 0
  while true do
    local task = queue.pop(ready)
    if task then
      current = task
      local ok, last = raw_coroutine.resume(task.co, true)
      current = nil
      if raw_coroutine.status(task.co) == "dead" then
        tasks[task.co], living = nil, living - 1
        if not ok then
          failed = task
          return false, last, task
        end
        if last ~= nil then return true, last end
      end
      turns = turns + 1
      local problem = turns % LOOK_EVERY == 0 and look()
      if problem then return false, problem end
    elseif outstanding == 0 then
      return false, deadlock()
    elseif take(host("poll")) then
      return false, time_over(first.stopped)
    end
  end
end

-- Starts anew with one task; the others will never go on.
local function restart(body)
  ready, pending, outstanding, living, first = queue.new(), {}, 0, 0, nil
  spawn(body)
end

-- Where the task that failed last was, as the end of a message; "" if that is not known. Lua itself adds the line to
-- all errors but that of the memory limit.
local function where_failed()
  if not failed then return "" end
  local where = place(failed.co)
  local deep = getinfo(failed.co, DEEP, "l") and ": its calls nest more than " .. DEEP .. " deep" or ""
  return (where and " at " .. where or "") .. deep .. (failed.origin or "")
end

-- The task whose own coroutine runs, or nil: then it is one that a tool made.
local function task_of(co) return tasks[co] end

return {
  TOKEN = TOKEN, MAX_TASKS = MAX_TASKS, set_limit = set_limit, late = late, place = place, mark = mark,
  create = create, spawn = spawn, run = run, restart = restart, where_failed = where_failed, task_of = task_of, give_way = give_way,
  block = block, wake = wake, after = after, cancel = cancel, clock = clock,
  next_id = next_id, await = await, sleep = sleep,
}
