-- The globals of a tool: copies of what is harmless in Lua, and functions of our own in place of the rest.

local text, errors, showing, coroutine, channel = ...

local error, ipairs, next, rawget, type = error, ipairs, next, rawget, type
local string, table, math, utf8, os = string, table, math, utf8, os
local called, tostring = text.called, text.tostring
local metatable_of, raw_setmetatable, raw_time = debug.getmetatable, setmetatable, os.time

local HARMLESS = {
  _VERSION = _VERSION, assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next,
  pairs = pairs, pcall = pcall, rawequal = rawequal, rawget = rawget, rawlen = rawlen, rawset = rawset,
  select = select, tonumber = tonumber, type = type, unpack = table.unpack, xpcall = xpcall,
}

-- The methods of strings come from the table `string`, which no tool can reach; each has a copy.
string.dump = nil
string.format = text.format
metatable_of("").__metatable = "string"

local function set_metatable(value, meta)
  if type(value) == "table" and (type(meta) == "table" or meta == nil) then
    -- A second metatable on a weak table is a known use-after-free in Lua 5.4; __gc runs without a time limit.
    if metatable_of(value) ~= nil then error("cannot replace a metatable", 2) end
    if meta and rawget(meta, "__gc") ~= nil then error("__gc is not available", 2) end
  end
  return called("setmetatable", raw_setmetatable, value, meta)
end

-- os.time with the reference's defaults: today, and midnight
local function time_of(spec, at)
  if type(spec) ~= "table" then
    if spec == nil and at then return at end
    return called("time", raw_time, spec)
  end
  local now, full = os.date("*t", at), {}
  for _, field in ipairs({ "year", "month", "day", "hour", "min", "sec", "isdst" }) do full[field] = spec[field] end
  for _, field in ipairs({ "year", "month", "day" }) do if full[field] == nil then full[field] = now[field] end end
  if full.hour == nil then full.hour = 0 end
  return called("time", raw_time, full)
end

-- os of a program; `at` is where its clock stands, in seconds, nil where it goes.
local function os_of(at)
  local function date(format, moment)
    if moment == nil then moment = at end
    return called("date", os.date, format, moment)
  end
  local function time(spec) return time_of(spec, at) end
  return { time = time, date = at and date or os.date, clock = os.clock, difftime = os.difftime }
end

local old_math = {
  pow = function(x, y) return x ^ y end,
  log10 = function(x) return math.log(x, 10) end,
  atan2 = function(y, x) return math.atan(y, x) end,
  sinh = function(x) return (math.exp(x) - math.exp(-x)) / 2 end,
  cosh = function(x) return (math.exp(x) + math.exp(-x)) / 2 end,
  tanh = function(x)
    if x > 20 or x < -20 then return x > 0 and 1.0 or -1.0 end
    local up, down = math.exp(x), math.exp(-x)
    return (up - down) / (up + down)
  end,
}

local function copy(library, more)
  local fresh = {}
  for key, value in next, library do fresh[key] = value end
  for key, value in next, more or {} do fresh[key] = value end
  return fresh
end

-- A new set of globals: each tool has one, the modules have one. `at` is as in os_of.
local function globals(at)
  local env = copy(HARMLESS, {
    print = showing.print, progress = showing.progress, display = showing.display,
    setmetatable = set_metatable, tostring = tostring,
    string = copy(string), table = copy(table), math = copy(math, old_math), utf8 = copy(utf8),
    coroutine = copy(coroutine), channel = copy(channel), errors = copy(errors.library),
    os = os_of(at),
  })
  env._G = env
  return env
end

return globals
