-- Values as text and back: the JSON of frames.py, in which Lua and Python speak to each other.

local errors = ...

local ipairs, next, rawget, rawlen, setmetatable, tonumber, tostring, type =
  ipairs, next, rawget, rawlen, setmetatable, tonumber, tostring, type
local math, string, table, utf8 = math, string, table, utf8
local concat, format, facts = table.concat, string.format, errors.facts

local MAX_DEPTH = 128
local MAX_SIZE = 8 << 20

local empty_objects = setmetatable({}, { __mode = "k" }) -- an empty table that came as {}, not as []

-- A new empty table that is {} as text; any other is [], the empty list.
local function empty_object()
  local map = {}
  empty_objects[map] = true
  return map
end

local function is_empty_object(value) return empty_objects[value] == true and next(value) == nil end

local ESCAPES, BYTES, UNESCAPES = {}, {}, { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
for byte = 0, 255 do
  local char = string.char(byte)
  ESCAPES[char] = format("\\u%04x", byte)
  BYTES[char] = byte < 128 and ESCAPES[char] or utf8.char(byte)
  UNESCAPES[utf8.char(byte)] = UNESCAPES[utf8.char(byte)] or char
end

local function quote(text)
  if not utf8.len(text) then return '{"$b":"' .. text:gsub('[%c"\\\128-\255]', BYTES) .. '"}' end
  if not text:find('[%c"\\]') then return '"' .. text .. '"' end
  return '"' .. text:gsub('[%c"\\]', ESCAPES) .. '"'
end

local function number(value)
  if math.type(value) == "integer" then return format("%d", value) end
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  local text = format("%.17g", value)
  return text:find("[.e]") and text or text .. ".0"
end

local put

local function put_list(out, list, depth, open)
  for index = 1, rawlen(list) do
    out[#out + 1] = index > 1 and "," or "["
    local problem = put(out, rawget(list, index), depth, open)
    if problem then return "[" .. index .. "]" .. problem end
  end
  out[#out + 1] = "]"
end

-- Sorted by key, so that the same value is the same text in every run.
local function put_map(out, map, depth, open)
  local keys = {}
  for key in next, map do keys[#keys + 1] = key end
  table.sort(keys)
  for index, key in ipairs(keys) do
    if not utf8.len(key) then return ": a key that is not UTF-8 text" end
    out[#out + 1] = (index > 1 and "," or "{") .. quote(key:byte() == 36 and "$" .. key or key) .. ":"
    local problem = put(out, rawget(map, key), depth, open)
    if problem then return "." .. key:sub(1, 40) .. problem end
  end
  out[#out + 1] = "}"
end

-- "list", "map" or "empty"; or nil and what is wrong with the keys
local function shape(value)
  local texts, integers, highest = 0, 0, 0
  for key in next, value do
    if type(key) == "string" then
      texts = texts + 1
    elseif math.type(key) == "integer" and key > 0 then
      integers = integers + 1
      if key > highest then highest = key end
    else
      local kind = math.type(key) == "integer" and "number below 1" or math.type(key) or type(key)
      return nil, ": a table with a key that is a " .. kind
    end
  end
  if texts > 0 and integers > 0 then return nil, ": a mixed table (text keys and list items)" end
  if highest > integers then
    return nil, format(": a sparse list (%d items, the last at %d)", integers, highest)
  end
  return texts > 0 and "map" or integers > 0 and "list" or "empty"
end

function put(out, value, depth, open)
  local kind = type(value)
  if kind == "string" then
    if #value > MAX_SIZE then return ": larger than 8 MiB" end
    out[#out + 1] = quote(value)
  elseif kind == "number" then
    out[#out + 1] = number(value)
  elseif kind == "boolean" or kind == "nil" then
    out[#out + 1] = value == nil and "null" or tostring(value)
  elseif facts[value] then
    out[#out + 1] = quote(errors.text(value))
  elseif kind ~= "table" then
    return ": a " .. kind .. " is no value"
  elseif open[value] then
    return ": a cycle"
  elseif depth == MAX_DEPTH then
    return ": nested deeper than " .. MAX_DEPTH
  else
    local form, problem = shape(value)
    if form == "empty" then
      out[#out + 1] = empty_objects[value] and "{}" or "[]"
    elseif form then
      open[value] = true
      problem = (form == "list" and put_list or put_map)(out, value, depth + 1, open)
      open[value] = nil
    end
    return problem
  end
end

-- the text of `value`, or nil and what is wrong with it; `name` opens that message
local function encode(value, name)
  local out = {}
  local problem = put(out, value, 0, {})
  if problem then return nil, name .. problem end
  local text = concat(out)
  if #text > MAX_SIZE then return nil, name .. ": larger than 8 MiB" end
  return text
end

local function unescape(mark, rest)
  if mark == "u" then return utf8.char(tonumber(rest:sub(1, 4), 16)) .. rest:sub(5) end
  return (UNESCAPES[mark] or mark) .. rest
end

local function read_text(text, start)
  local stop, escaped = text:find('["\\]', start), false
  while text:byte(stop) == 92 do
    escaped = true
    stop = text:find('["\\]', stop + 2)
  end
  local found = text:sub(start, stop - 1)
  if escaped then found = found:gsub("\\(.)([^\\]*)", unescape) end
  return found, stop + 1
end

local read

local function read_list(text, position)
  local list, count = {}, 0
  if text:byte(position) == 93 then return list, position + 1 end
  repeat
    count = count + 1
    list[count], position = read(text, position)
    position = position + 1
  until text:byte(position - 1) == 93
  return list, position
end

local function read_map(text, position)
  if text:byte(position) == 125 then return empty_object(), position + 1 end
  local map = {}
  repeat
    local key
    key, position = read_text(text, position + 1)
    if key == "$b" then
      key, position = read_text(text, position + 2)
      return key:gsub("[\194\195][\128-\191]", UNESCAPES), position + 1
    end
    if key:byte() == 36 then key = key:sub(2) end
    map[key], position = read(text, position + 1)
    position = position + 1
  until text:byte(position - 1) == 125
  return map, position
end

-- the value that begins at `position`, and where it ends; trusts the text, which is ours
function read(text, position)
  local byte = text:byte(position)
  if byte == 34 then return read_text(text, position + 1) end
  if byte == 123 then return read_map(text, position + 1) end
  if byte == 91 then return read_list(text, position + 1) end
  if byte == 116 then return true, position + 4 end
  if byte == 102 then return false, position + 5 end
  if byte == 110 then return nil, position + 4 end
  local stop = text:find("[^-+.eE0-9]", position) or #text + 1
  return tonumber(text:sub(position, stop - 1)), stop
end

local function decode(text)
  local value = read(text, 1)
  return value
end

return {
  encode = encode, decode = decode, quote = quote,
  empty_object = empty_object, is_empty_object = is_empty_object,
}
