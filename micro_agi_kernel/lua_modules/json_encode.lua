-- Lua values to JSON text.

local MAX_DEPTH = ... -- tables within one another
local MAX_SIZE = 8 << 20 -- bytes, before the last value; as much as can leave the sandbox

local error, getmetatable, math_type, next, pcall, rawequal, rawget, rawlen, tostring, type =
  error, getmetatable, math.type, next, pcall, rawequal, rawget, rawlen, tostring, type
local concat, sort = table.concat, table.sort
local find, format, gsub = string.find, string.format, string.gsub
local len, number_text = utf8.len, number_text

local ESCAPES = {['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
                 ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}
for code = 0, 31 do
  local char = string.char(code)
  ESCAPES[char] = ESCAPES[char] or format("\\u%04x", code)
end

local PROBLEM = {} -- what `fail` raises; no tool sees it
local problem -- what is wrong with the value, from `fail` to the end of the encode

local function fail(kind, message)
  problem = errors.new({kind = kind, message = "encode failed: " .. message, retryable = false})
  error(PROBLEM, 0)
end

local function quoted(text)
  if not len(text) then fail(errors.INVALID, "a string is not valid UTF-8; send bytes as base64") end
  if not find(text, '[\0-\31"\\]') then return '"' .. text .. '"' end
  return '"' .. gsub(text, '[\0-\31"\\]', ESCAPES) .. '"'
end

-- The string keys of an object, sorted; or nil for an array.
local function keys_of(value)
  local keys, strings, integers, highest = {}, 0, 0, 0
  for key in next, value do
    if type(key) == "string" then
      strings = strings + 1
      keys[strings] = key
    elseif math_type(key) == "integer" and key > 0 then
      integers = integers + 1
      if key > highest then highest = key end
    else
      fail(errors.INTERNAL, "a key is neither a string nor a positive integer")
    end
  end
  if strings > 0 and integers > 0 then fail(errors.INTERNAL, "mixed table: string keys beside numbers") end
  if highest ~= integers then
    fail(errors.INTERNAL, "sparse array: a number between 1 and " .. highest .. " is missing")
  end
  if strings == 0 then return nil end
  sort(keys)
  return keys
end

-- What `write` adds to: the pieces of the text, their number and bytes, each key's text, and the tables that are open.
-- They are one encode's at a time, and plain locals, because fields of a table would cost more.
local out, last, size, known, above

local write

local function write_array(value, depth)
  size = size + rawlen(value) + 1
  for index = 1, rawlen(value) do
    last = last + 1
    out[last] = index > 1 and "," or "["
    write(rawget(value, index), depth)
  end
  last = last + 1
  out[last] = "]"
end

local function write_object(value, keys, depth)
  size = size + #keys + 1
  for index = 1, #keys do
    local key = keys[index]
    local name = known[key]
    if not name then
      name = quoted(key) .. ":"
      known[key] = name
    end
    out[last + 1] = index > 1 and "," or "{"
    out[last + 2] = name
    last, size = last + 2, size + #name
    write(rawget(value, key), depth)
  end
  last = last + 1
  out[last] = "}"
end

local function write_table(value, depth)
  if above[value] then fail(errors.INTERNAL, "recursive table reference") end
  if depth == MAX_DEPTH then fail(errors.INTERNAL, "nested deeper than " .. MAX_DEPTH) end
  if next(value) == nil then
    last, size = last + 1, size + 2
    out[last] = is_empty_object(value) and "{}" or "[]"
    return
  end
  local keys = keys_of(value)
  above[value] = true
  if keys then write_object(value, keys, depth + 1) else write_array(value, depth + 1) end
  above[value] = nil
end

-- `tostring` may run a tool's code, in which others encode: within it, or in other coroutines while it waits.
local function text_of(value)
  local o, l, s, k, a = out, last, size, known, above
  local text = tostring(value)
  out, last, size, known, above = o, l, s, k, a
  return text
end

-- An object that has a text (an error, a Time) is that text.
local function object_text(value)
  local object, meta = kind_of(value), getmetatable(value)
  if object == "error" or type(meta) == "table" and rawget(meta, "__tostring") then return text_of(value) end
  if object then fail(errors.INTERNAL, "a " .. object .. " is no value") end
end

function write(value, depth)
  -- Without a bound, a few tables that hold one another many times would be written until the memory is full.
  if size > MAX_SIZE then fail(errors.INTERNAL, "larger than 8 MiB") end
  local kind = type(value)
  local text
  if kind == "string" then
    text = quoted(value)
  elseif kind == "number" then
    text = number_text(value)
  elseif kind == "table" then
    text = object_text(value)
    if not text then return write_table(value, depth) end
    text = quoted(text)
  else
    text = kind == "boolean" and tostring(value) or "null"
  end
  last, size = last + 1, size + #text
  out[last] = text
end

-- The text of `value`, or nil and an error.
return function(value)
  out, last, size, known, above = {}, 0, 0, {}, {}
  local ok, raised = pcall(write, value, 0)
  local text = ok and concat(out)
  out, known, above = nil, nil, nil -- not kept alive
  if ok then return text end
  if not rawequal(raised, PROBLEM) then error(raised, 0) end -- of a __tostring, or the end of the call's time
  return nil, problem
end
