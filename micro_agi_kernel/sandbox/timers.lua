-- Timers: channels that are fed as time goes by.

local queue, scheduler, channels = ...

local error, math = error, math

local MAX_TIMERS = 10000 -- that run at once
local count = 0

-- A channel that gets `make()` in some seconds and is closed then; with `every`, it gets one each so many seconds
-- and stays open. Gives the channel, and `stop()` and `reset(seconds)`, which say whether it ran. Nil when there are
-- too many.
--
-- As in Go, a tick that nobody took keeps the later ones away. So a ticker has no work to do while its buffer is full.
local function new(seconds, every, make)
  local channel = channels.new(1)
  local runs, id, due = false, nil, nil -- id: of the next time, while one is expected
  local expect

  local function fire()
    id = nil
    if channels.can_send(channel) then channels.send(channel, make()) end
    if not every then
      runs, count = false, count - 1
      channels.close(channel)
    elseif channel.buffer.size == 0 then
      expect()
    end
  end

  -- The next time on the ticker's grid.
  function expect()
    local now = scheduler.clock()
    due = due + every * math.max((now - due) // every + 1, 0)
    id = scheduler.after(math.max(due - now, 0), fire)
  end

  local function start(delay)
    if count == MAX_TIMERS then return false end
    runs, count, channel.closed = true, count + 1, false
    due = scheduler.clock() + delay
    id = scheduler.after(delay, fire)
    return true
  end

  -- A value that nobody took yet is dropped.
  local function halt()
    local ran = runs
    if ran then runs, count = false, count - 1 end
    if id then scheduler.cancel(id) end
    id = nil
    queue.pop(channel.buffer)
    return ran
  end

  local function stop()
    local ran = halt()
    channels.close(channel)
    return ran
  end

  -- A tool can get hold of it, and call it with anything.
  local function reset(delay)
    if not (math.type(delay) and delay > 0 and delay < 1e9) then error("reset takes seconds, above 0", 2) end
    local ran = halt()
    if start(delay) then return ran end
  end

  channel.feed = {
    stop = stop,
    runs = function() return id ~= nil end,
    drained = function() if every and runs and not id then expect() end end,
  }
  if start(seconds) then return channel.object, stop, reset end
end

return new
