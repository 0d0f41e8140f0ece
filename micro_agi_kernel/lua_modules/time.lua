-- time: instants, durations, Go layouts, zones and sleep.
local native, _, sleep = ...

local time = {}
local Time, Duration, Location = {}, {}, {}
Time.__index, Duration.__index, Location.__index = Time, Duration, Location

local function invalid(message)
  return errors.new({kind = errors.INVALID, message = message, retryable = false})
end

-- For functions that return a value only: an error there is raised, with its kind.
local function must(value, err)
  if err then error(err) end
  return value
end

local function is(value, class)
  return type(value) == "table" and getmetatable(value) == class
end

local function check(class, self, call)
  if not is(self, class) then error(invalid("call it with a colon: " .. call)) end
end

-- A number as an integer, its fraction cut off; nil for anything else.
local function whole(value)
  if math.type(value) == "integer" then return value end
  if math.type(value) ~= "float" or value ~= value then return nil end
  return math.tointeger(value < 0 and math.ceil(value) or math.floor(value))
end

local function integer(value, name)
  return whole(value) or error(invalid(name .. " must be a number"))
end

-- Durations -----------------------------------------------------------------

local function new_duration(nanoseconds)
  return setmetatable({_nanoseconds = nanoseconds}, Duration)
end

-- Nanoseconds of a number (nanoseconds already), a string ("1h30m") or a Duration.
local function nanoseconds_of(value)
  if is(value, Duration) then return value._nanoseconds end
  if type(value) == "string" then return native("parse_duration", value) end
  local nanoseconds = whole(value)
  if nanoseconds then return nanoseconds end
  return nil, invalid("duration must be a number of nanoseconds, a string such as \"1h30m\" or a Duration")
end

function time.parse_duration(value)
  local nanoseconds, err = nanoseconds_of(value)
  if err then return nil, err end
  return new_duration(nanoseconds)
end

for name, unit in pairs({hours = 3600000000000, minutes = 60000000000, seconds = 1000000000}) do
  Duration[name] = function(self)
    check(Duration, self, "duration:" .. name .. "()")
    local count, rest = self._nanoseconds // unit, self._nanoseconds % unit
    return rest == 0 and count or self._nanoseconds / unit
  end
end

for name, unit in pairs({milliseconds = 1000000, microseconds = 1000, nanoseconds = 1}) do
  Duration[name] = function(self)
    check(Duration, self, "duration:" .. name .. "()")
    local count = self._nanoseconds // unit
    -- Towards zero, where // goes down.
    if count < 0 and self._nanoseconds % unit ~= 0 then count = count + 1 end
    return count
  end
end

function Duration:__tostring() return must(native("format_duration", self._nanoseconds)) end

-- Locations -----------------------------------------------------------------

-- A zone of the table by its name, or (with `offset`) a fixed one, whose abbreviation is `zone`.
local function new_location(name, zone, offset)
  return setmetatable({_name = name, _zone = zone, _offset = offset}, Location)
end

time.utc = new_location("UTC", "UTC", 0)
time.localtz = new_location("Local", "UTC", 0)

function time.load_location(name)
  if type(name) ~= "string" or name == "" then
    return nil, invalid("location name must be a string that is not empty")
  end
  if name == "UTC" then return time.utc end
  if name == "Local" then return time.localtz end
  local zone, err = native("zone", name)
  if err then return nil, err end
  return new_location(zone, zone, false)
end

function time.fixed_zone(name, offset)
  name = must(native("fixed_zone_name", name))
  return new_location(name, name, integer(offset, "offset"))
end

function Location:string()
  check(Location, self, "location:string()")
  return self._name
end

Location.__tostring = Location.string

local function location(value)
  if value == nil then return time.localtz end
  if not is(value, Location) then error(invalid("location must be a Location, such as time.utc")) end
  return value
end

-- Times ---------------------------------------------------------------------

local function new_time(instant, place)
  return setmetatable({_seconds = instant[1], _nanosecond = instant[2], _place = place}, Time)
end

function time.now() return new_time(native("now"), time.localtz) end

function time.unix(seconds, nanoseconds)
  local rest = nanoseconds == nil and 0 or integer(nanoseconds, "nanoseconds")
  return new_time(must(native("add", integer(seconds, "seconds"), 0, rest)), time.localtz)
end

local PARTS = {"year", "month", "day", "hour", "minute", "second", "nanosecond"}

function time.date(...)
  local fields, given = {}, {...}
  for i, name in ipairs(PARTS) do
    -- Year, month and day must be given; the time of day may be left out from the right.
    fields[i] = i > 3 and given[i] == nil and 0 or integer(given[i], name)
  end
  local place = location(given[8])
  return new_time(must(native("date", fields, place._zone, place._offset)), place)
end

function time.sleep(duration)
  local nanoseconds = must(nanoseconds_of(duration))
  -- The tool's time limit comes long before the cap, which the scheduler asks for.
  if nanoseconds > 0 then sleep(math.min(nanoseconds / 1000000000, 1e8)) end
end

local function fields(self)
  local place = self._place
  return must(native("fields", self._seconds, self._nanosecond, place._zone, place._offset))
end

local function format(self, layout)
  local place = self._place
  return must(native("format", self._seconds, self._nanosecond, place._zone, place._offset, layout))
end

local function moved(self, place)
  return new_time({self._seconds, self._nanosecond}, place)
end

for _, name in ipairs({"year", "month", "day", "hour", "minute", "second", "weekday", "year_day"}) do
  Time[name] = function(self)
    check(Time, self, "t:" .. name .. "()")
    return fields(self)[name]
  end
end

function Time:nanosecond()
  check(Time, self, "t:nanosecond()")
  return self._nanosecond
end

function Time:date()
  check(Time, self, "t:date()")
  local at = fields(self)
  return at.year, at.month, at.day
end

function Time:clock()
  check(Time, self, "t:clock()")
  local at = fields(self)
  return at.hour, at.minute, at.second
end

function Time:unix()
  check(Time, self, "t:unix()")
  return self._seconds
end

function Time:unix_nano()
  check(Time, self, "t:unix_nano()")
  return self._seconds * 1000000000 + self._nanosecond
end

function Time:is_zero()
  check(Time, self, "t:is_zero()")
  return self._seconds == -62135596800 and self._nanosecond == 0
end

function Time:format(layout)
  check(Time, self, "t:format(layout)")
  return format(self, layout)
end

function Time:format_rfc3339()
  check(Time, self, "t:format_rfc3339()")
  return format(self, time.RFC3339)
end

function Time:__tostring() return format(self, "2006-01-02 15:04:05.999999999 -0700 MST") end

function Time:utc()
  check(Time, self, "t:utc()")
  return moved(self, time.utc)
end

function Time:in_local()
  check(Time, self, "t:in_local()")
  return moved(self, time.localtz)
end

function Time:in_location(place)
  check(Time, self, "t:in_location(location)")
  if place == nil then error(invalid("location must be a Location, such as time.utc")) end
  return moved(self, location(place))
end

function Time:location()
  check(Time, self, "t:location()")
  return self._place
end

function Time:add(duration)
  check(Time, self, "t:add(duration)")
  local nanoseconds = must(nanoseconds_of(duration))
  return new_time(must(native("add", self._seconds, self._nanosecond, nanoseconds)), self._place)
end

function Time:add_date(years, months, days)
  check(Time, self, "t:add_date(years, months, days)")
  local at = fields(self)
  return time.date(
    at.year + integer(years, "years"), at.month + integer(months, "months"), at.day + integer(days, "days"),
    at.hour, at.minute, at.second, self._nanosecond, self._place)
end

local function other_time(value)
  if not is(value, Time) then error(invalid("the other time must be a Time")) end
  return value
end

function Time:sub(other)
  check(Time, self, "t:sub(time)")
  other = other_time(other)
  return new_duration(must(native("sub", self._seconds, self._nanosecond, other._seconds, other._nanosecond)))
end

function Time:before(other)
  check(Time, self, "t:before(time)")
  other = other_time(other)
  if self._seconds ~= other._seconds then return self._seconds < other._seconds end
  return self._nanosecond < other._nanosecond
end

function Time:after(other)
  check(Time, self, "t:after(time)")
  return other_time(other):before(self)
end

function Time:equal(other)
  check(Time, self, "t:equal(time)")
  other = other_time(other)
  return self._seconds == other._seconds and self._nanosecond == other._nanosecond
end

for name, nearest in pairs({round = true, truncate = false}) do
  Time[name] = function(self, duration)
    check(Time, self, "t:" .. name .. "(duration)")
    if not is(duration, Duration) then error(invalid("duration must be a Duration, from time.parse_duration")) end
    local step = duration._nanoseconds
    return new_time(must(native("multiple", self._seconds, self._nanosecond, step, nearest)), self._place)
  end
end

-- Constants -----------------------------------------------------------------

time.NANOSECOND = 1
time.MICROSECOND = 1000
time.MILLISECOND = 1000000
time.SECOND = 1000000000
time.MINUTE = 60 * time.SECOND
time.HOUR = 60 * time.MINUTE

time.RFC3339 = "2006-01-02T15:04:05Z07:00"
time.RFC3339NANO = "2006-01-02T15:04:05.999999999Z07:00"
time.RFC822 = "02 Jan 06 15:04 MST"
time.RFC822Z = "02 Jan 06 15:04 -0700"
time.RFC850 = "Monday, 02-Jan-06 15:04:05 MST"
time.RFC1123 = "Mon, 02 Jan 2006 15:04:05 MST"
time.RFC1123Z = "Mon, 02 Jan 2006 15:04:05 -0700"
time.DATE_TIME = "2006-01-02 15:04:05"
time.DATE_ONLY = "2006-01-02"
time.TIME_ONLY = "15:04:05"
time.KITCHEN = "3:04PM"
time.STAMP = "Jan _2 15:04:05"
time.STAMP_MILLI = "Jan _2 15:04:05.000"
time.STAMP_MICRO = "Jan _2 15:04:05.000000"
time.STAMP_NANO = "Jan _2 15:04:05.000000000"

time.JANUARY, time.FEBRUARY, time.MARCH, time.APRIL, time.MAY, time.JUNE = 1, 2, 3, 4, 5, 6
time.JULY, time.AUGUST, time.SEPTEMBER, time.OCTOBER, time.NOVEMBER, time.DECEMBER = 7, 8, 9, 10, 11, 12

time.SUNDAY, time.MONDAY, time.TUESDAY, time.WEDNESDAY = 0, 1, 2, 3
time.THURSDAY, time.FRIDAY, time.SATURDAY = 4, 5, 6

return time
