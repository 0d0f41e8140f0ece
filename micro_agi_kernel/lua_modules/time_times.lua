-- time: instants, each with the location whose clock shows it.
local native, arguments, durations, locations = ...

local integer, text = arguments.integer, arguments.text
local utc, localtz = locations.utc, locations.localtz

local RFC3339 = "2006-01-02T15:04:05Z07:00"

local Time = {}
Time.__index = Time

local function new_time(instant, place)
  return setmetatable({_seconds = instant[1], _nanosecond = instant[2], _place = place}, Time)
end

local function now() return new_time(native("now"), localtz) end

local function unix(seconds, nanoseconds)
  local rest = nanoseconds == nil and 0 or integer(nanoseconds, "nanoseconds")
  return new_time(must(native("unix", integer(seconds, "seconds"), rest)), localtz)
end

local PARTS = {"year", "month", "day", "hour", "minute", "second", "nanosecond"}

local function date(...)
  local fields, given = {}, {...}
  for i, name in ipairs(PARTS) do
    -- Year, month and day must be given; the time of day may be left out from the right.
    fields[i] = i > 3 and given[i] == nil and 0 or integer(given[i], name)
  end
  local place = must(locations.location(given[8], localtz))
  return new_time(must(native("date", fields, place._zone, place._offset)), place)
end

local function parse(layout, value, default)
  local place, err = locations.location(default, utc)
  if not err then layout, err = text(layout, "layout") end
  if not err then value, err = text(value, "value") end
  if err then return nil, err end
  local at, failure = native("parse", layout, value, place._zone, place._offset)
  if failure then return nil, failure end
  local zone, offset = at[3], at[4]
  if zone then place = zone == "UTC" and offset == 0 and utc or locations.new(zone, zone, offset) end
  return new_time(at, place)
end

-- What the native functions get of a Time, and what else they are to get.
local function parts(self, ...)
  local place = self._place
  return self._seconds, self._nanosecond, place._zone, place._offset, ...
end

local function fields(self) return must(native("fields", parts(self))) end
local function format(self, layout)
  return must(native("format", parts(self, must(text(layout, "layout")))))
end

local function moved(self, place)
  return new_time({self._seconds, self._nanosecond}, place)
end

for _, name in ipairs({"year", "month", "day", "hour", "minute", "second", "weekday", "year_day"}) do
  Time[name] = function(self)
    check_self(Time, self, "t:" .. name .. "()")
    return fields(self)[name]
  end
end

function Time:nanosecond()
  check_self(Time, self, "t:nanosecond()")
  return self._nanosecond
end

function Time:date()
  check_self(Time, self, "t:date()")
  local at = fields(self)
  return at.year, at.month, at.day
end

function Time:clock()
  check_self(Time, self, "t:clock()")
  local at = fields(self)
  return at.hour, at.minute, at.second
end

function Time:unix()
  check_self(Time, self, "t:unix()")
  return self._seconds
end

function Time:unix_nano()
  check_self(Time, self, "t:unix_nano()")
  return self._seconds * 1000000000 + self._nanosecond
end

function Time:is_zero()
  check_self(Time, self, "t:is_zero()")
  return self._seconds == -62135596800 and self._nanosecond == 0
end

function Time:format(layout)
  check_self(Time, self, "t:format(layout)")
  return format(self, layout)
end

function Time:format_rfc3339()
  check_self(Time, self, "t:format_rfc3339()")
  return format(self, RFC3339)
end

function Time:__tostring() return format(self, "2006-01-02 15:04:05.999999999 -0700 MST") end

function Time:utc()
  check_self(Time, self, "t:utc()")
  return moved(self, utc)
end

function Time:in_local()
  check_self(Time, self, "t:in_local()")
  return moved(self, localtz)
end

function Time:in_location(place)
  check_self(Time, self, "t:in_location(location)")
  return moved(self, must(locations.location(place)))
end

function Time:location()
  check_self(Time, self, "t:location()")
  return self._place
end

function Time:add(duration)
  check_self(Time, self, "t:add(duration)")
  local nanoseconds = must(durations.nanoseconds_of(duration))
  return new_time(must(native("add", parts(self, nanoseconds))), self._place)
end

function Time:add_date(years, months, days)
  check_self(Time, self, "t:add_date(years, months, days)")
  years, months, days = integer(years, "years"), integer(months, "months"), integer(days, "days")
  return new_time(must(native("add_date", parts(self, years, months, days))), self._place)
end

local function other_time(value)
  if getmetatable(value) ~= Time then error(invalid("the other time must be a Time")) end
  return value
end

function Time:sub(other)
  check_self(Time, self, "t:sub(time)")
  other = other_time(other)
  return durations.new(must(native("sub", self._seconds, self._nanosecond, other._seconds, other._nanosecond)))
end

function Time:before(other)
  check_self(Time, self, "t:before(time)")
  other = other_time(other)
  if self._seconds ~= other._seconds then return self._seconds < other._seconds end
  return self._nanosecond < other._nanosecond
end

function Time:after(other)
  check_self(Time, self, "t:after(time)")
  return other_time(other):before(self)
end

function Time:equal(other)
  check_self(Time, self, "t:equal(time)")
  other = other_time(other)
  return self._seconds == other._seconds and self._nanosecond == other._nanosecond
end

local function step_of(duration)
  if getmetatable(duration) == durations.class then return duration._nanoseconds end
  error(invalid("duration must be a Duration, from time.parse_duration"))
end

function Time:round(duration)
  check_self(Time, self, "t:round(duration)")
  return new_time(must(native("round", parts(self, step_of(duration)))), self._place)
end

function Time:truncate(duration)
  check_self(Time, self, "t:truncate(duration)")
  return new_time(must(native("truncate", parts(self, step_of(duration)))), self._place)
end

return {RFC3339 = RFC3339, now = now, unix = unix, date = date, parse = parse}
