-- time: durations, whole nanoseconds.
local native, arguments = ...

local whole = arguments.whole

local Duration = {}
Duration.__index = Duration

local function new_duration(nanoseconds)
  return setmetatable({_nanoseconds = nanoseconds}, Duration)
end

-- Nanoseconds of a number (nanoseconds already), a string ("1h30m") or a Duration.
local function nanoseconds_of(value)
  if getmetatable(value) == Duration then return value._nanoseconds end
  if type(value) == "string" then return native("parse_duration", value) end
  local nanoseconds = whole(value)
  if nanoseconds then return nanoseconds end
  return nil, invalid("duration must be a number of nanoseconds, a string such as \"1h30m\" or a Duration")
end

local function parse(value)
  local nanoseconds, err = nanoseconds_of(value)
  if err then return nil, err end
  return new_duration(nanoseconds)
end

for name, unit in pairs({hours = 3600000000000, minutes = 60000000000, seconds = 1000000000}) do
  Duration[name] = function(self)
    check_self(Duration, self, "duration:" .. name .. "()")
    local count, rest = self._nanoseconds // unit, self._nanoseconds % unit
    return rest == 0 and count or self._nanoseconds / unit
  end
end

for name, unit in pairs({milliseconds = 1000000, microseconds = 1000, nanoseconds = 1}) do
  Duration[name] = function(self)
    check_self(Duration, self, "duration:" .. name .. "()")
    local count = self._nanoseconds // unit
    -- Towards zero, where // goes down.
    if count < 0 and self._nanoseconds % unit ~= 0 then count = count + 1 end
    return count
  end
end

function Duration:__tostring() return must(native("format_duration", self._nanoseconds)) end

return {class = Duration, new = new_duration, nanoseconds_of = nanoseconds_of, parse = parse}
