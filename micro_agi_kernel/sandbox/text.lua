-- Any value as text for people: `tostring` and `string.format` without memory addresses.

local error, rawget, select, type = error, rawget, select, type
local raw_format, raw_tostring = string.format, tostring
local getmetatable, unpack = debug.getmetatable, table.unpack

local numbers, numbered = setmetatable({}, { __mode = "k" }), 0

local function tostring(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind ~= "table" and kind ~= "function" and kind ~= "thread" then return raw_tostring(value) end
  local meta = getmetatable(value)
  local custom = meta and rawget(meta, "__tostring")
  if custom ~= nil then
    local text = custom(value)
    if type(text) ~= "string" then error("'__tostring' must return a string", 2) end
    return text
  end
  if not numbers[value] then
    numbered = numbered + 1
    numbers[value] = numbered
  end
  local name = meta and rawget(meta, "__name")
  return (type(name) == "string" and name or kind) .. ": " .. numbers[value]
end

local function format(pattern, ...)
  if type(pattern) ~= "string" then return raw_format(pattern, ...) end
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
  return raw_format(pattern, unpack(values, 1, select("#", ...)))
end

return { tostring = tostring, format = format }
