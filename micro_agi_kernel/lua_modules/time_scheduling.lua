-- time: waiting, timers and tickers.
local sleep, timer, durations, now = ...

local Timer, Ticker = {}, {}
Timer.__index, Ticker.__index = Timer, Ticker

local LONGEST = 1e8 -- seconds; the time limit of any tool comes long before

local function seconds_of(nanoseconds) return math.min(nanoseconds / 1000000000, LONGEST) end

local function wait(duration)
  local nanoseconds = must(durations.nanoseconds_of(duration))
  if nanoseconds > 0 then sleep(seconds_of(nanoseconds)) end
end

-- The seconds of a duration above 0; or nil and an error.
local function positive_seconds(duration)
  local nanoseconds, err = durations.nanoseconds_of(duration)
  if err then return nil, err end
  if nanoseconds <= 0 then return nil, invalid("duration must be greater than 0") end
  return seconds_of(nanoseconds)
end

local function too_many()
  return errors.new({kind = errors.RATE_LIMITED, message = "too many timers run: stop some", retryable = false})
end

-- Channel, stop and reset of timers.lua; or nil and an error.
local function start(duration, repeats)
  local seconds, err = positive_seconds(duration)
  if err then return nil, err end
  local channel, stop, reset = timer(seconds, repeats and seconds, now)
  if not channel then return nil, too_many() end
  return channel, stop, reset
end

local function after(duration)
  local channel, err = start(duration)
  if not channel then return nil, err end
  return channel
end

local function new_timer(duration)
  local channel, stop, reset = start(duration)
  if not channel then return nil, stop end
  return setmetatable({_channel = channel, _stop = stop, _reset = reset}, Timer)
end

local function new_ticker(duration)
  local channel, stop = start(duration, true)
  if not channel then return nil, stop end
  return setmetatable({_channel = channel, _stop = stop}, Ticker)
end

for class, name in pairs({[Timer] = "timer", [Ticker] = "ticker"}) do
  function class:response()
    check_self(class, self, name .. ":response()")
    return self._channel
  end

  class.channel = class.response

  function class:stop()
    check_self(class, self, name .. ":stop()")
    return self._stop()
  end
end

function Timer:reset(duration)
  check_self(Timer, self, "timer:reset(duration)")
  local ran = self._reset(must(positive_seconds(duration)))
  if ran == nil then error(too_many()) end
  return ran
end

return {sleep = wait, after = after, timer = new_timer, ticker = new_ticker}
