-- Values as text and back: the JSON of frames.py, in which Lua and Python speak to each other.

local errors = ...

local error, next, pcall, rawequal, rawget, rawlen, setmetatable, tonumber, tostring, type =
  error, next, pcall, rawequal, rawget, rawlen, setmetatable, tonumber, tostring, type
local gethook, sethook = debug.gethook, debug.sethook
local math, string, table, utf8 = math, string, table, utf8
local concat, find, format, match, sort = table.concat, string.find, string.format, string.match, table.sort
local math_type, tointeger, facts, getmetatable = math.type, math.tointeger, errors.facts, debug.getmetatable

local MAX_DEPTH = 128 -- tables within one another
local MAX_SIZE = 8 << 20 -- bytes of text
local MAX_PIECES = 4000 -- as many as stay in a fast cache
local MAX_FOLDS = 475 -- 1.9 million pieces: frames.py takes 2 million commas and brackets, and each is one here
local TOO_MANY = {}
local KIND = {} -- a field in the metatables of objects that are no values: what they are
local AS_TEXT = {} -- another, of objects of modules: the function that gives their text, which is what they are as values

local empty_objects = setmetatable({}, { __mode = "k" }) -- an empty table that came as {}, not as []

-- A new empty table that is {} as text; any other is [], the empty list.
local function empty_object()
  local map = {}
  empty_objects[map] = true
  return map
end

local function is_empty_object(value) return empty_objects[value] == true and next(value) == nil end

-- What an object of ours is: "error", "channel" ...; nil for any other value.
local function kind_of(value)
  if facts[value] then return "error" end
  local meta = getmetatable(value)
  return meta and rawget(meta, KIND) or nil
end

local ESCAPES, BYTES, UNBYTES, UNESCAPES = {}, {}, {}, { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
for byte = 0, 255 do
  local char = string.char(byte)
  ESCAPES[char] = format("\\u%04x", byte)
  BYTES[char] = utf8.char((byte < 32 or char == '"' or char == "\\") and byte + 256 or byte)
  UNBYTES[BYTES[char]] = char
end

-- What stands for itself, then what does not and the next of the former: long runs are what a pattern is fast at.
local PLAIN, SPECIAL = '^[]-\255#-[ -!]*()', '([^]-\255#-[ -!])([]-\255#-[ -!]*)'

local function escape(special, plain) return ESCAPES[special] .. plain end

local function quote(text)
  if not utf8.len(text) then return '{"$b":"' .. text:gsub('[%c"\\\128-\255]', BYTES) .. '"}' end
  local stop = match(text, PLAIN)
  if stop > #text then return '"' .. text .. '"' end
  return '"' .. text:sub(1, stop - 1) .. text:sub(stop):gsub(SPECIAL, escape) .. '"'
end

-- The shortest text of a finite float that reads back as the same number.
local function shortest(value)
  local text = value .. "" -- 14 digits, at a fortieth of what format costs
  if tonumber(text) == value then return text end
  text = format("%.16g", value)
  if tonumber(text) ~= value then return format("%.17g", value) end
  local shorter = format("%.15g", value)
  return tonumber(shorter) == value and shorter or text
end

-- A number as JSON for others: whole floats without a fraction, and null for NaN and the infinities.
local function number_text(value)
  local whole = tointeger(value)
  if whole then return tostring(whole) end
  return value - value == 0 and shortest(value) or "null"
end

local not_finite -- whether `float` gives NaN and the infinities as what they are

local function float(value)
  if value - value ~= 0 then
    if not not_finite then return "null" end
    return value ~= value and "NaN" or value > 0 and "Infinity" or "-Infinity"
  end
  local text = shortest(value)
  return find(text, "[.e]") and text or text .. ".0"
end

-- What `put` and its like add to: `out` is the latest pieces of the text and `last` their number; `known` is the text
-- before them, and has each key's text, and true for each table that is open. `hook` looks whether the time is over.
local put, last, hook

local function fold(out, known)
  known[#known + 1] = concat(out, "", 1, last)
  last = 0
  if #known == MAX_FOLDS then error(TOO_MANY, 0) end
  if hook then hook() end
end

-- What is wrong with the keys of a table that is neither a list nor a map.
local function key_problem(value)
  local texts, integers, highest = 0, 0, 0
  for key in next, value do
    if type(key) == "string" then
      texts = texts + 1
    elseif math_type(key) == "integer" and key > 0 then
      integers = integers + 1
      if key > highest then highest = key end
    else
      local kind = math_type(key) == "integer" and "number below 1" or math_type(key) or type(key)
      return ": a table with a key that is a " .. kind
    end
  end
  if texts > 0 and integers > 0 then return ": a mixed table (text keys and list items)" end
  return format(": a sparse list (%d items, the last at %d)", integers, highest)
end

-- The keys of a map, or nil when one is no text.
local function keys_of(map)
  local keys, count = {}, 0
  for key in next, map do
    if type(key) ~= "string" then return nil end
    count = count + 1
    keys[count] = key
  end
  return keys
end

-- Whether the keys are 1 to the length. Most lists give them in that order; else each is looked up.
local function is_list(value)
  local count, ordered = 0, true
  for key in next, value do
    count = count + 1
    if key ~= count then ordered = false end
  end
  if not ordered then
    for index = 1, count do
      if rawget(value, index) == nil then return false end
    end
  end
  return true
end

local function put_list(list, depth, out, known)
  if not is_list(list) then return key_problem(list) end
  for index = 1, rawlen(list) do
    last = last + 1
    out[last] = index > 1 and "," or "["
    local problem = put(rawget(list, index), depth, out, known)
    if problem then return "[" .. index .. "]" .. problem end
  end
  last = last + 1
  out[last] = "]"
end

-- Sorted by key, so that the same value is the same text in every run.
local function put_map(map, depth, out, known)
  local keys = keys_of(map)
  if not keys then return key_problem(map) end
  sort(keys)
  for index = 1, #keys do
    local key = keys[index]
    if not known[key] then
      if not utf8.len(key) then return ": a key that is not UTF-8 text" end
      known[key] = quote(key:byte() == 36 and "$" .. key or key) .. ":"
    end
    out[last + 1] = index > 1 and "," or "{"
    out[last + 2] = known[key]
    last = last + 2
    local problem = put(rawget(map, key), depth, out, known)
    if problem then return "." .. key:sub(1, 40) .. problem end
  end
  last = last + 1
  out[last] = "}"
end

local function put_table(value, depth, out, known)
  local meta = getmetatable(value)
  local as_text = meta and rawget(meta, AS_TEXT)
  if as_text then
    local here, running_hook = last, hook -- it may encode something itself
    local text = as_text(value)
    last, hook = here + 1, running_hook
    out[last] = quote(text)
    return nil
  end
  if known[value] then return ": a cycle" end
  if depth == MAX_DEPTH then return ": nested deeper than " .. MAX_DEPTH end
  local first, problem = next(value), nil
  known[value] = true
  if type(first) == "string" then
    problem = put_map(value, depth + 1, out, known)
  elseif first == nil then
    local kind = kind_of(value)
    if kind then return ": a " .. kind .. " is no value" end
    last = last + 1
    out[last] = empty_objects[value] and "{}" or "[]"
  else
    problem = put_list(value, depth + 1, out, known)
  end
  known[value] = nil
  return problem
end

-- Adds `value`; gives what is wrong with it, if anything.
function put(value, depth, out, known)
  if last > MAX_PIECES then fold(out, known) end
  local kind = type(value)
  if kind == "table" and not facts[value] then return put_table(value, depth, out, known) end
  last = last + 1
  if kind == "string" then
    if #value > MAX_SIZE then return ": larger than 8 MiB" end
    out[last] = quote(value)
  elseif kind == "number" then
    out[last] = math_type(value) == "float" and float(value) or value
  elseif kind == "boolean" or kind == "nil" then
    out[last] = value == nil and "null" or tostring(value)
  elseif facts[value] then
    out[last] = quote(errors.text(value))
  else
    return ": a " .. kind .. " is no value"
  end
end

-- The text of `value`, or nil and what is wrong with it; `name` opens that message. NaN and the infinities are null, or
-- with `all_numbers` words, which main does not take.
local function encode(value, name, all_numbers)
  local out, known = {}, {}
  not_finite = all_numbers
  local mask, count
  hook, mask, count = gethook()
  sethook() -- a hook that counts makes every instruction slower: fold calls it instead
  last = 0
  local ok, problem = pcall(put, value, 0, out, known)
  sethook(hook, mask, count)
  if rawequal(problem, TOO_MANY) then return nil, name .. ": too many values, about a million is the most" end
  if not ok then error(problem, 0) end
  if problem then return nil, name .. problem end
  known[#known + 1] = concat(out, "", 1, last)
  local text = concat(known)
  if #text > MAX_SIZE then return nil, name .. ": larger than 8 MiB" end
  return text
end

local function unescape(mark, rest)
  if mark == "u" then return utf8.char(tonumber(rest:sub(1, 4), 16)) .. rest:sub(5) end
  return (UNESCAPES[mark] or mark) .. rest
end

-- The text that begins at `start`, behind its quote, and where it ends.
local function read_text(text, start)
  local found, stop = match(text, '^([^"\\]*)"()', start)
  if found then return found, stop end
  stop = match(text, '^[^"\\]*()', start)
  while text:byte(stop) == 92 do stop = match(text, '^[^"\\]*()', stop + 2) end
  found = text:sub(start, stop - 1):gsub("\\(.)([^\\]*)", unescape)
  return found, stop + 1
end

-- null is nil
local WORDS = { ["true"] = true, ["false"] = false, NaN = -(0 / 0), Infinity = math.huge, ["-Infinity"] = -math.huge }

local read

-- `position` is behind the bracket
local function read_list(text, position)
  local list, count = {}, 0
  local delimiter, mark, start = match(text, '^(%]?)(["%[{]?)()', position)
  while delimiter ~= "]" do
    count = count + 1
    list[count], position = read(text, mark, start)
    delimiter, mark, start = match(text, '^([,%]])(["%[{]?)()', position)
  end
  return list, position + 1
end

local function read_map(text, position)
  if text:byte(position) == 125 then return empty_object(), position + 1 end
  local map = {}
  repeat
    local key, mark, start = match(text, '^"([^"\\$]*)":(["%[{]?)()', position)
    if not key then
      key, start = read_text(text, position + 1)
      if key == "$b" then
        key, position = read_text(text, start + 2)
        return key:gsub("[\194-\197][\128-\191]", UNBYTES), position + 1
      end
      if key:byte() == 36 then key = key:sub(2) end
      mark, start = match(text, '^:(["%[{]?)()', start)
    end
    map[key], position = read(text, mark, start)
    position = position + 1
  until text:byte(position - 1) == 125
  return map, position
end

-- The value that begins with `mark`, if that says anything of it, and where it ends. Trusts the text, which is ours.
function read(text, mark, position)
  if mark == '"' then return read_text(text, position) end
  if mark == "{" then return read_map(text, position) end
  if mark == "[" then return read_list(text, position) end
  local word, stop = match(text, "^([^,%]}]*)()", position)
  return tonumber(word) or WORDS[word], stop
end

-- The value whose text begins at `start` (1 when it is nil).
local function decode(text, start)
  local value = read(text, match(text, '^(["%[{]?)()', start))
  return value
end

return {
  KIND = KIND, AS_TEXT = AS_TEXT, MAX_SIZE = MAX_SIZE, encode = encode, decode = decode, quote = quote,
  empty_object = empty_object, is_empty_object = is_empty_object, kind_of = kind_of, number_text = number_text,
}
