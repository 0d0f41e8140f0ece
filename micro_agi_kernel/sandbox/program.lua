-- One call: runs a tool's program and makes its end, a value or an error of any kind, the last message.

local host, text, errors, values, scheduler, globals, require = ...

local load, next, pcall, rawget, tostring, type = load, next, pcall, rawget, tostring, type
local getmetatable, format, utf8 = debug.getmetatable, string.format, utf8
local facts, encode = errors.facts, values.encode

local MAX_ERROR_TEXT = 8 << 10
local memory_limit -- what the error of the memory limit says
local main -- the task that runs the program

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
  return '{"t":"end","error":{"kind":"' .. kind .. '","message":' .. values.quote(clean(message)) .. tail
end

-- The last message for an error value of any kind; runs code of the tool (__tostring), so only in its own task.
local function describe(err)
  local fact = facts[err]
  if fact then return error_text(fact.kind, fact.message, fact.retryable) end
  if err == "not enough memory" then return error_text("MEMORY_LIMIT", memory_limit) end
  if type(err) == "string" then return error_text("UNKNOWN", err) end
  if err == nil then return error_text("UNKNOWN", "nil was raised as an error") end
  if type(err) == "table" and type(rawget(err, "message")) == "string" then
    local kind, retryable = rawget(err, "kind"), rawget(err, "retryable")
    if type(retryable) ~= "boolean" then retryable = nil end
    return error_text(errors.known[kind] and kind or "UNKNOWN", rawget(err, "message"), retryable)
  end
  local custom = getmetatable(err)
  if type(err) == "table" and not (custom and rawget(custom, "__tostring")) then
    return error_text("UNKNOWN", encode(err, "") or "a table was raised as an error")
  end
  return error_text("UNKNOWN", text.tostring(err))
end

local function conclude(value, err)
  if value == nil and err ~= nil then return describe(err) end
  local encoded, problem = encode(value, "the result")
  if not encoded then return error_text("INVALID", problem) end
  return '{"t":"end","value":' .. encoded .. "}"
end

local function holds_function(value)
  for _, item in next, value do
    if type(item) == "function" then return true end
  end
  return false
end

local function run(program)
  local chunk, problem = load(program.source, program.chunk_name, "t", program.env)
  if not chunk then return nil, errors.new("SYNTAX", problem) end
  if not program.method then return nil end -- only asked whether it compiles
  local value, err = chunk()
  if type(value) ~= "table" then return value, err end
  local method = value[program.method]
  if type(method) == "function" then return method(program.input) end
  if holds_function(value) then
    return nil, errors.invalid(program.name .. " does not return a function '" .. program.method .. "'")
  end
  return value
end

local function finish(ok, ...)
  local late = scheduler.late()
  if late then return describe(late) end
  if ok then return conclude(...) end
  return describe((...))
end

-- Lets the tasks run; the last message when the program is over, else nil: all wait.
local function advance()
  local over, ok, first = scheduler.run(main)
  if not over then return nil end
  if ok then return first end
  -- The end could not be described: time or memory ran out while we tried, or __tostring failed.
  local err = scheduler.late() or first
  if facts[err] or type(err) == "string" then return describe(err) end
  return error_text("UNKNOWN", "an error that cannot be shown")
end

local function start(message)
  host("settle")
  local program = values.decode(message)
  program.env, program.chunk_name = globals(), "=" .. program.name
  program.env.require = require
  scheduler.set_limit(program.chunk_name, format("%g", program.seconds))
  memory_limit = format("memory limit of %g MiB reached", program.memory / (1 << 20))
  main = scheduler.spawn(function() return finish(pcall(run, program)) end)
  return advance()
end

local function step(message)
  host("settle")
  scheduler.take(message)
  return advance()
end

return start, step
