-- The last message of a call: its value, or its error of any kind.

local text, errors, values, scheduler = ...

local getmetatable, rawequal, rawget, tostring, type = debug.getmetatable, rawequal, rawget, tostring, type
local format, utf8 = string.format, utf8
local facts, encode = errors.facts, values.encode

local OUT_OF_MEMORY = "not enough memory" -- what Lua raises
-- What Lua adds where a tail call has left no line of the tool.
local OUR_PLACES = { "^%[sandbox%] [%w_.]+:%d+: ", "^%[module [%w_]+%]:%d+: " }
local MAX_ERROR_TEXT = 8 << 10 -- bytes; main keeps as many characters
local memory_limit -- what the error of the memory limit says

local function set_limit(bytes) memory_limit = format("memory limit of %g MiB reached", bytes / (1 << 20)) end

local function clean(message)
  for trim = 0, 3 do
    local cut = message:sub(1, MAX_ERROR_TEXT - trim)
    if utf8.len(cut) then return cut end
    if #message <= MAX_ERROR_TEXT then break end
  end
  return (message:sub(1, MAX_ERROR_TEXT):gsub("[\128-\255]", "?"))
end

local function error_text(kind, message, retryable)
  local tail = retryable == nil and "}}" or ',"retryable":' .. tostring(retryable) .. "}}"
  return '{"t":"end","error":{"kind":"' .. kind .. '","message":' .. values.quote(message) .. tail
end

-- Kind, message and retryable of an error value of any kind; runs code of the tool (__tostring), so only in a task.
local function fault(err)
  local fact = facts[err]
  if fact then return fact.kind, fact.message, fact.retryable end
  if rawequal(err, OUT_OF_MEMORY) then return "MEMORY_LIMIT", memory_limit end
  if type(err) == "string" then return "UNKNOWN", (err:gsub(OUR_PLACES[1], ""):gsub(OUR_PLACES[2], "")) end
  if err == nil then return "UNKNOWN", "nil was raised as an error" end
  if type(err) == "table" and type(rawget(err, "message")) == "string" then
    local kind, retryable = rawget(err, "kind"), rawget(err, "retryable")
    if type(retryable) ~= "boolean" then retryable = nil end
    return errors.known[kind] and kind or "UNKNOWN", rawget(err, "message"), retryable
  end
  local custom = getmetatable(err)
  if type(err) == "table" and not (custom and rawget(custom, "__tostring")) then
    return "UNKNOWN", encode(err, "") or "a table was raised as an error"
  end
  return "UNKNOWN", text.tostring(err)
end

-- The last message for an error; `whence` says where it comes from, if that must be said.
local function describe(err, whence)
  local kind, message, retryable = fault(err)
  return error_text(kind, clean(message) .. (whence or ""), retryable)
end

-- The last message of a call that the time limit has ended; a tool that caught its error is late all the same.
local function of_late()
  local late = scheduler.late()
  if late then return describe(late) end
end

-- The last message for what the handler gave.
local function of_value(value, err)
  local late = of_late()
  if late then return late end
  if value == nil and err ~= nil then return describe(err) end
  local encoded, problem = encode(value, "the result")
  if not encoded then return error_text("INVALID", problem) end
  return '{"t":"end","value":' .. encoded .. "}"
end

-- The last message for the error that ended a task; `origin` says which.
local function of_error(err, origin) return of_late() or describe(err, origin) end

-- The last message when an end could not be described: time or memory ran out while we tried, or __tostring failed.
local function of_failure(err)
  err = scheduler.late() or err
  if facts[err] or type(err) == "string" then return describe(err) end
  return error_text("UNKNOWN", "an error that cannot be shown")
end

return {
  OUT_OF_MEMORY = OUT_OF_MEMORY, set_limit = set_limit,
  of_value = of_value, of_late = of_late, of_error = of_error, of_failure = of_failure,
}
