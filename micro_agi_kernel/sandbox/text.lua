-- Any value as text for people: `tostring` and `string.format` without memory addresses.

local error, pcall, rawget, select, type = error, pcall, rawget, select, type
local raw_format, raw_tostring = string.format, tostring
local getmetatable, pack, unpack = debug.getmetatable, table.pack, table.unpack
local gsub = string.gsub

local numbers, numbered = setmetatable({}, { __mode = "k" }), 0

local function tostring(...)
  if select("#", ...) == 0 then error("bad argument #1 to 'tostring' (value expected)", 2) end
  local value = ...
  local kind = type(value)
  if kind == "string" then return value end
  if kind ~= "table" and kind ~= "function" and kind ~= "thread" then return raw_tostring(value) end
  local meta = getmetatable(value)
  local custom = meta and rawget(meta, "__tostring")
  if custom ~= nil then
    local text = custom(value)
    if type(text) ~= "string" then error("'__tostring' must return a string", 0) end
    return text
  end
  if not numbers[value] then
    numbered = numbered + 1
    numbers[value] = numbered
  end
  local name = meta and rawget(meta, "__name")
  return (type(name) == "string" and name or kind) .. ": " .. numbers[value]
end

-- Calls a function of Lua's own; what it says of its arguments is said of the tool's line and of `name`.
-- To be called in a `return`, so that the tool stands directly above it.
local function called(name, func, ...)
  local results = pack(pcall(func, ...))
  if results[1] then return unpack(results, 2, results.n) end
  local message = results[2]
  if type(message) ~= "string" or message == "not enough memory" then error(message, 0) end
  error(gsub(message, "'%?'", "'" .. name .. "'", 1), 2)
end

local function format(pattern, ...)
  if type(pattern) ~= "string" then return called("format", raw_format, pattern, ...) end
  local values, position = { ... }, 0
  for letter in pattern:gmatch("%%[-+ #0-9.]*(.)") do
    if letter == "p" then error("invalid conversion '%p' to 'format'", 2) end
    if letter ~= "%" then
      position = position + 1
      local value = values[position]
      if letter == "s" and type(value) ~= "string" and position <= select("#", ...) then
        values[position] = tostring(value)
      end
    end
  end
  return called("format", raw_format, pattern, unpack(values, 1, select("#", ...)))
end

return { called = called, tostring = tostring, format = format, raw_format = raw_format }
