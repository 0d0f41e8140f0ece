-- json: Lua tables as JSON text and back.
local native = ...

local json = {}
local MAX_DEPTH = 128 -- tables within one another

local function failure(kind, message)
  return errors.new({kind = kind, message = "encode failed: " .. message, retryable = false})
end

local ESCAPES = {['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
                 ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}
for code = 0, 31 do
  local char = string.char(code)
  ESCAPES[char] = ESCAPES[char] or string.format("\\u%04x", code)
end

local function quote(text)
  return '"' .. text:gsub('[\0-\31"\\]', ESCAPES) .. '"'
end

local function number(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  if value == math.floor(value) and math.abs(value) < 2^63 then return string.format("%d", value) end
  -- The shortest form that reads back as the same number.
  for digits = 15, 17 do
    local short = string.format("%." .. digits .. "g", value)
    if tonumber(short) == value then return short end
  end
end

-- The string keys of an object, sorted; or the length of an array; or what is wrong.
local function shape(value)
  local keys, count, highest = {}, 0, 0
  for key in next, value do
    if type(key) == "string" then
      keys[#keys + 1] = key
    elseif math.type(key) == "integer" and key > 0 then
      count, highest = count + 1, math.max(highest, key)
    else
      return nil, nil, "a key is neither a string nor a positive integer"
    end
  end
  if #keys > 0 and count > 0 then return nil, nil, "mixed table: string keys beside numbers" end
  if highest ~= count then return nil, nil, "sparse array: a number between 1 and " .. highest .. " is missing" end
  if #keys > 0 then
    table.sort(keys)
    return keys
  end
  return nil, count
end

-- Appends the JSON of a value to `out`; returns an error or nothing.
local write

local function write_string(out, text)
  if not utf8.len(text) then
    return failure(errors.INVALID, "a string is not valid UTF-8; send bytes as base64")
  end
  out[#out + 1] = quote(text)
end

local function write_table(out, value, above, depth)
  if above[value] then return failure(errors.INTERNAL, "recursive table reference") end
  if depth > MAX_DEPTH then return failure(errors.INTERNAL, "nested deeper than " .. MAX_DEPTH) end
  local keys, length, wrong = shape(value)
  if wrong then return failure(errors.INTERNAL, wrong) end
  if length == 0 then
    out[#out + 1] = is_empty_object(value) and "{}" or "[]"
    return nil
  end
  above[value] = true
  out[#out + 1] = keys and "{" or "["
  for i = 1, length or #keys do
    if i > 1 then out[#out + 1] = "," end
    local item = i
    if keys then
      item = keys[i]
      local err = write_string(out, item)
      if err then return err end
      out[#out + 1] = ":"
    end
    local err = write(out, rawget(value, item), above, depth + 1)
    if err then return err end
  end
  out[#out + 1] = keys and "}" or "]"
  above[value] = nil
end

function write(out, value, above, depth)
  local kind = type(value)
  if kind == "table" then
    -- An object that has a text (an error, a Time) is that text.
    local object, meta = kind_of(value), getmetatable(value)
    if object == "error" or type(meta) == "table" and rawget(meta, "__tostring") then
      return write_string(out, tostring(value))
    end
    if object then return failure(errors.INTERNAL, "a " .. object .. " is no value") end
    return write_table(out, value, above, depth)
  end
  if kind == "string" then return write_string(out, value) end
  out[#out + 1] = kind == "number" and number(value) or kind == "boolean" and tostring(value) or "null"
end

function json.encode(value)
  local out = {}
  local err = write(out, value, {}, 1)
  if err then return nil, err end
  return table.concat(out)
end

function json.decode(text)
  return native("decode", text)
end

return json
