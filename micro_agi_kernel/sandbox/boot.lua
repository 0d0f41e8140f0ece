-- The Lua side of a child: what a tool's globals are, how values become text, and who runs when.
--
-- Runs once in a fresh Lua, takes what it needs, empties the real _G and returns `start` and `step`.
-- Nothing that a tool can reach is used by this file or by the modules: they keep copies of their own.
-- Values that a tool made are compared with rawequal only, since == could run a metamethod of the tool.

local raw = ...
-- raw(op, payload): the one function of the host. Takes two strings; gives a string, true or nil; never raises.
-- After a string the memory limit stands higher than it should, until raw("settle").

local _G, _VERSION = _G, _VERSION
local assert, error, getmetatable, ipairs, load, next, pairs, pcall, rawequal, rawget, rawlen, rawset, select, type, xpcall =
  assert, error, getmetatable, ipairs, load, next, pairs, pcall, rawequal, rawget, rawlen, rawset, select, type, xpcall
local raw_setmetatable, raw_tostring, tonumber = setmetatable, tostring, tonumber
local string, table, math, utf8, os, raw_coroutine, debug = string, table, math, utf8, os, coroutine, debug
local raw_format, raw_time = string.format, os.time
local concat, getinfo, running = table.concat, debug.getinfo, raw_coroutine.running

for key in next, _G do _G[key] = nil end
string.dump = nil
debug.getmetatable("").__metatable = "string"

local MAX_DEPTH = 128
local MAX_VALUE = 8 << 20
local MAX_ERROR_TEXT = 8 << 10
local MAX_PRINT = 256 << 10 -- bytes that cross at once
local HOOK_EVERY = 100000 -- instructions between two looks at the clock: about a millisecond
local BOOT = "=[sandbox]"

local function host(op, payload)
  local answer = raw(op, payload or "")
  if answer then raw("settle", "") end
  return answer
end

-- text of any value, without addresses

local numbers, numbered = raw_setmetatable({}, { __mode = "k" }), 0

local function tostring(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind ~= "table" and kind ~= "function" and kind ~= "thread" then return raw_tostring(value) end
  local meta = debug.getmetatable(value)
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
  return raw_format(pattern, table.unpack(values, 1, select("#", ...)))
end

-- errors

local KINDS = {
  "NOT_FOUND", "ALREADY_EXISTS", "INVALID", "PERMISSION_DENIED", "UNAVAILABLE", "INTERNAL",
  "CANCELED", "CONFLICT", "TIMEOUT", "RATE_LIMITED", "UNKNOWN",
}
local KNOWN = { MEMORY_LIMIT = true, OUTPUT_LIMIT = true, CALL_LIMIT = true, CRASHED = true, SYNTAX = true }
for _, kind in ipairs(KINDS) do KNOWN[kind] = true end

local facts = raw_setmetatable({}, { __mode = "k" }) -- error object -> { kind, message, retryable, details, thread, frames }
local error_methods, error_meta = {}, { __metatable = "error", __name = "error" }

local function frames()
  local found, level = {}, 3
  while #found < 16 do
    local info = getinfo(level, "Sln")
    if not info then break end
    if info.what ~= "C" and info.source ~= BOOT then
      found[#found + 1] = { source = info.short_src, line = info.currentline, name = info.what ~= "main" and info.name or nil }
    end
    level = level + 1
  end
  return found
end

local function new_error(kind, message, retryable, details)
  local object = raw_setmetatable({}, error_meta)
  facts[object] = {
    kind = KNOWN[kind] and kind or "UNKNOWN",
    message = message,
    retryable = retryable,
    details = details,
    frames = frames(),
  }
  return object
end

local function invalid(message) return new_error("INVALID", message, false) end

local function facts_of(object)
  return facts[object] or error("not an error object: call it as err:method()", 3)
end

function error_methods.kind(self) return facts_of(self).kind end
function error_methods.message(self) return facts_of(self).message end
function error_methods.retryable(self) return facts_of(self).retryable end
function error_methods.details(self) return facts_of(self).details end
function error_methods.stack(self)
  local lines = {}
  for index, frame in ipairs(facts_of(self).frames) do
    lines[index] = frame.source .. ":" .. frame.line .. (frame.name and ": in " .. frame.name or "")
  end
  return concat(lines, "\n")
end
error_meta.__index = error_methods
error_meta.__newindex = function() error("an error object cannot be changed", 2) end
error_meta.__tostring = function(self)
  local fact = facts_of(self)
  return fact.kind == "UNKNOWN" and fact.message or fact.kind .. ": " .. fact.message
end

local errors = {}
for _, kind in ipairs(KINDS) do errors[kind] = kind end

function errors.new(spec)
  if type(spec) == "string" then return new_error("UNKNOWN", spec) end
  local message = type(spec) == "table" and spec.message
  if type(message) ~= "string" then error("errors.new takes a message or a table with the field 'message'", 2) end
  local retryable = spec.retryable
  if type(retryable) ~= "boolean" then retryable = nil end
  return new_error(spec.kind, message, retryable, spec.details)
end

function errors.wrap(err, context)
  if type(context) ~= "string" then error("errors.wrap takes an error and a text", 2) end
  local fact = facts[err] or { message = tostring(err) }
  return new_error(fact.kind, context .. ": " .. fact.message, fact.retryable, fact.details)
end

function errors.is(err, kind) return facts[err] ~= nil and facts[err].kind == kind end

function errors.call_stack(err)
  if not facts[err] then return nil end
  local copies = {}
  for index, frame in ipairs(facts[err].frames) do
    copies[index] = { source = frame.source, line = frame.line, name = frame.name }
  end
  return { thread = "main", frames = copies }
end

-- values as text: the JSON of frames.py

local empty_maps = raw_setmetatable({}, { __mode = "k" }) -- an empty table that came as {}, not as []

local ESCAPES, BYTES, UNESCAPES = {}, {}, { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
for byte = 0, 255 do
  local char = string.char(byte)
  ESCAPES[char] = raw_format("\\u%04x", byte)
  BYTES[char] = byte < 128 and ESCAPES[char] or utf8.char(byte)
  UNESCAPES[utf8.char(byte)] = UNESCAPES[utf8.char(byte)] or char
end

local function quote(text)
  if not utf8.len(text) then return '{"$b":"' .. text:gsub('[%c"\\\128-\255]', BYTES) .. '"}' end
  if not text:find('[%c"\\]') then return '"' .. text .. '"' end
  return '"' .. text:gsub('[%c"\\]', ESCAPES) .. '"'
end

local function number(value)
  if math.type(value) == "integer" then return raw_format("%d", value) end
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  local text = raw_format("%.17g", value)
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
      return nil, ": a table with a key that is a " .. (math.type(key) == "integer" and "number below 1" or math.type(key) or type(key))
    end
  end
  if texts > 0 and integers > 0 then return nil, ": a mixed table (text keys and list items)" end
  if highest > integers then
    return nil, raw_format(": a sparse list (%d items, the last at %d)", integers, highest)
  end
  return texts > 0 and "map" or integers > 0 and "list" or "empty"
end

function put(out, value, depth, open)
  local kind = type(value)
  if kind == "string" then
    if #value > MAX_VALUE then return ": larger than 8 MiB" end
    out[#out + 1] = quote(value)
  elseif kind == "number" then
    out[#out + 1] = number(value)
  elseif kind == "boolean" or kind == "nil" then
    out[#out + 1] = value == nil and "null" or raw_tostring(value)
  elseif facts[value] then
    out[#out + 1] = quote(error_meta.__tostring(value))
  elseif kind ~= "table" then
    return ": a " .. kind .. " is no value"
  elseif open[value] then
    return ": a cycle"
  elseif depth == MAX_DEPTH then
    return ": nested deeper than " .. MAX_DEPTH
  else
    local form, problem = shape(value)
    if form == "empty" then
      out[#out + 1] = empty_maps[value] and "{}" or "[]"
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
  if #text > MAX_VALUE then return nil, name .. ": larger than 8 MiB" end
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
  local map = {}
  if text:byte(position) == 125 then
    empty_maps[map] = true
    return map, position + 1
  end
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

-- coroutines, and the scheduler below them

local TOKEN = {} -- what a waiting coroutine yields; a tool never gets to see it
local tasks = {} -- coroutines that the scheduler resumes
local waiting = {} -- coroutines that must not be resumed or closed by a tool
local waiters = {} -- id -> the task that waits for its answer
local ready, last_id = {}, 0
local chunk_source, time_limit, memory_limit
local late -- the error of the time limit, once it was reached: a tool that catches it is late all the same

local function place()
  local level = 3
  while true do
    local info = getinfo(level, "Sl")
    if not info then return nil end
    if info.source == chunk_source then return info.short_src .. ":" .. info.currentline end
    level = level + 1
  end
end

local function tick()
  if not raw("tick", "") then return end
  local where = place()
  if where then raw("late", where) end
  local message = "time limit of " .. time_limit .. " s reached" .. (where and " at " .. where or "")
  late = late or new_error("TIMEOUT", message)
  error(late, 0)
end

local function create(body)
  local co = raw_coroutine.create(body)
  debug.sethook(co, tick, "", HOOK_EVERY)
  return co
end

-- An answer from main as a table with its id. "paused" says how long our clock stood still meanwhile.
local function receive(text)
  local message = decode(text)
  if message.paused then raw("paused", raw_tostring(message.paused)) end
  return message
end

local function deliver(message)
  local task = waiters[message.id]
  if not task then return end
  waiters[message.id] = nil
  ready[#ready + 1] = { task = task, message = message }
end

-- The answer to `id`: yields to the scheduler, or blocks all where Lua cannot yield (in gsub, sort ...).
local function await(id)
  if raw_coroutine.isyieldable() then return raw_coroutine.yield(TOKEN, id) end
  while true do
    local message = receive(host("poll"))
    if message.id == id then return message end
    deliver(message)
  end
end

-- What a resumed coroutine gave; when it waits, all below wait with it, and its answer goes up to it.
local function pass(co, ok, first, ...)
  if not (ok and rawequal(first, TOKEN)) then return ok, first, ... end
  waiting[co] = true
  local message = await(...)
  waiting[co] = nil
  return pass(co, raw_coroutine.resume(co, message))
end

local function check_coroutine(co, what)
  if type(co) ~= "thread" then error("bad argument #1 to '" .. what .. "' (coroutine expected)", 3) end
end

local function resume(co, ...)
  check_coroutine(co, "resume")
  if waiting[co] or tasks[co] then return false, "cannot resume non-suspended coroutine" end
  return pass(co, raw_coroutine.resume(co, ...))
end

local function close(co)
  check_coroutine(co, "close")
  if waiting[co] or tasks[co] then error("cannot close a running coroutine", 2) end
  return raw_coroutine.close(co)
end

local function unwrap(co, ok, ...)
  if ok then return ... end
  if raw_coroutine.status(co) == "dead" then raw_coroutine.close(co) end
  error((...), 0)
end

local coroutine = { create = create, resume = resume, close = close }

function coroutine.wrap(body)
  local co = create(body)
  return function(...) return unwrap(co, resume(co, ...)) end
end

function coroutine.yield(...)
  if tasks[running()] then error("attempt to yield from outside a coroutine", 2) end
  return raw_coroutine.yield(...)
end

function coroutine.status(co)
  check_coroutine(co, "status")
  return waiting[co] and "normal" or raw_coroutine.status(co)
end

function coroutine.running()
  local co = running()
  return co, tasks[co] ~= nil
end

function coroutine.isyieldable() return not tasks[running()] and raw_coroutine.isyieldable() end

-- globals

local function set_metatable(value, meta)
  if type(value) == "table" and (type(meta) == "table" or meta == nil) then
    -- A second metatable on a weak table is a known use-after-free in Lua 5.4; __gc runs without a time limit.
    if debug.getmetatable(value) ~= nil then error("cannot replace a metatable", 2) end
    if meta and rawget(meta, "__gc") ~= nil then error("__gc is not available", 2) end
  end
  return raw_setmetatable(value, meta)
end

local function print(...)
  local parts = {}
  for index = 1, select("#", ...) do parts[index] = tostring((select(index, ...))) end
  local line = concat(parts, "\t") .. "\n"
  for start = 1, #line, MAX_PRINT do raw("print", line:sub(start, start + MAX_PRINT - 1)) end
end

-- os.time with the reference's defaults: today, and midnight
local function time(spec)
  if type(spec) ~= "table" then return raw_time(spec) end
  local now, full = os.date("*t"), {}
  for _, field in ipairs({ "year", "month", "day", "hour", "min", "sec", "isdst" }) do full[field] = spec[field] end
  for _, field in ipairs({ "year", "month", "day" }) do if full[field] == nil then full[field] = now[field] end end
  if full.hour == nil then full.hour = 0 end
  return raw_time(full)
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

string.format = format -- the methods of strings come from this table, which no tool can reach

-- A new set of globals: each tool has one, the modules have one.
local function globals()
  local env = {
    _VERSION = _VERSION, assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next,
    pairs = pairs, pcall = pcall, print = print, rawequal = rawequal, rawget = rawget, rawlen = rawlen, rawset = rawset,
    select = select, setmetatable = set_metatable, tonumber = tonumber, tostring = tostring, type = type,
    unpack = table.unpack, xpcall = xpcall,
    string = copy(string), table = copy(table), math = copy(math, old_math), utf8 = copy(utf8),
    coroutine = copy(coroutine), errors = copy(errors),
    os = { time = time, date = os.date, clock = os.clock, difftime = os.difftime },
  }
  env._G = env
  return env
end

-- modules

local function next_id()
  last_id = last_id + 1
  return last_id
end

local function failed(fault) return nil, new_error(fault.kind, fault.message, fault.retryable) end

local function sleep(seconds)
  if math.type(seconds) == nil or not (seconds >= 0 and seconds < 1e9) then
    error("sleep takes seconds, 0 or more", 2)
  end
  local id = next_id()
  raw("timer", id .. " " .. seconds)
  await(id)
end

local function native_of(module)
  return function(name, ...)
    local parts = {}
    for index = 1, select("#", ...) do
      local text, problem = encode((select(index, ...)), "argument " .. index)
      if not text then return nil, invalid(problem) end
      parts[index] = text
    end
    local answer = decode(host("native", module .. "\0" .. name .. "\0[" .. concat(parts, ",") .. "]"))
    if answer.error then return failed(answer.error) end
    return answer.value
  end
end

local function host_of(module)
  return function(op, payload)
    local text, problem = encode(payload, "request")
    if not text then return nil, invalid(problem) end
    local id = next_id()
    raw("ask", module .. "\0" .. op .. "\0" .. id .. "\0" .. text)
    local answer = await(id)
    if answer.error then return failed(answer.error) end
    return answer.value
  end
end

local modules, module_globals = {}, globals()

local function require(name)
  if type(name) ~= "string" then error("require takes the name of a module", 2) end
  if modules[name] == nil then
    local chunk = host("module", name)
    if not chunk then error("module '" .. name:sub(1, 80) .. "' is not available here: it is not among this entry's modules", 2) end
    local body = assert(load(chunk, "=[module " .. name .. "]", "t", module_globals))
    modules[name] = body(native_of(name), host_of(name), sleep)
  end
  return modules[name]
end

-- a call

local function clean(message)
  for trim = 0, 3 do
    local cut = message:sub(1, MAX_ERROR_TEXT - trim)
    if utf8.len(cut) then return cut end
    if #message <= MAX_ERROR_TEXT then break end
  end
  return (message:sub(1, MAX_ERROR_TEXT):gsub("[\128-\255]", "?"))
end

local function error_text(kind, message, retryable)
  local tail = retryable == nil and "}}" or ',"retryable":' .. raw_tostring(retryable) .. "}}"
  return '{"t":"end","error":{"kind":"' .. kind .. '","message":' .. quote(clean(message)) .. tail
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
    return error_text(KNOWN[kind] and kind or "UNKNOWN", rawget(err, "message"), retryable)
  end
  local custom = debug.getmetatable(err)
  if type(err) == "table" and not (custom and rawget(custom, "__tostring")) then
    return error_text("UNKNOWN", encode(err, "") or "a table was raised as an error")
  end
  return error_text("UNKNOWN", tostring(err))
end

local function conclude(value, err)
  if value == nil and err ~= nil then return describe(err) end
  local text, problem = encode(value, "the result")
  if not text then return error_text("INVALID", problem) end
  return '{"t":"end","value":' .. text .. "}"
end

local function holds_function(value)
  for _, item in next, value do
    if type(item) == "function" then return true end
  end
  return false
end

local function run(program)
  local chunk, problem = load(program.source, chunk_source, "t", program.env)
  if not chunk then return nil, new_error("SYNTAX", problem) end
  if not program.method then return nil end -- only asked whether it compiles
  local value, err = chunk()
  if type(value) ~= "table" then return value, err end
  local method = value[program.method]
  if type(method) == "function" then return method(program.input) end
  if holds_function(value) then
    return nil, invalid(program.name .. " does not return a function '" .. program.method .. "'")
  end
  return value
end

local function finish(ok, ...)
  if late then return describe(late) end
  if ok then return conclude(...) end
  return describe((...))
end

local main, outcome

-- Lets every task run that can; returns the last message when the main task is over, else nil: all wait.
local function run_ready()
  while #ready > 0 do
    local turn = table.remove(ready, 1)
    local ok, first, second = raw_coroutine.resume(turn.task, turn.message)
    if raw_coroutine.status(turn.task) ~= "dead" then
      waiters[second] = turn.task -- only await yields from a task, so first is TOKEN
    elseif turn.task == main then
      if ok then return first end
      -- The end could not be described: time or memory ran out while we tried, or __tostring failed.
      if late or facts[first] or type(first) == "string" then return describe(late or first) end
      return error_text("UNKNOWN", "an error that cannot be shown")
    end
  end
end

local function start(text)
  raw("settle", "")
  local program = decode(text)
  program.env = globals()
  program.env.require = require
  chunk_source, time_limit = "=" .. program.name, raw_format("%g", program.seconds)
  memory_limit = raw_format("memory limit of %g MiB reached", program.memory / (1 << 20))
  main = create(function() return finish(pcall(run, program)) end)
  tasks[main] = true
  ready[1] = { task = main }
  return run_ready()
end

local function step(text)
  raw("settle", "")
  deliver(receive(text))
  return run_ready()
end

math.randomseed(string.unpack("i8i8", host("seed")))
return start, step
