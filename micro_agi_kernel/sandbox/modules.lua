-- What `require` gives: a module's table, which its chunk makes from a way to Python and a way to the host;
-- or what the chunk of a library returned, which has globals of its own and the modules of the program.

local host, text, errors, values, scheduler, timer, globals = ...

local assert, error, load, next, pcall, rawget, select, setmetatable, type =
  assert, error, load, next, pcall, rawget, select, setmetatable, type
local metatable_of = debug.getmetatable
local concat, pack = table.concat, string.pack
local encode, decode, largest = values.encode, values.decode, values.MAX_SIZE

local running = coroutine.running

local calls, most_calls = 0, 0 -- requests to the host, and what the limit allows

local function failed(fault) return nil, errors.new(fault.kind, fault.message, fault.retryable) end

-- An argument for Python: a string crosses as it is, any other value as text.
local function argument(value)
  if type(value) == "string" then
    if #value > largest then return nil, "an argument: larger than 8 MiB" end
    return pack(">c1s4", "s", value)
  end
  -- Within a table an object is its text, and such a number is what it is; alone they are mistakes.
  if errors.facts[value] then return nil, "an argument: an error is no value" end
  local meta = metatable_of(value)
  if meta and rawget(meta, values.AS_TEXT) then return nil, "an argument: an object is no value" end
  if type(value) == "number" and value - value ~= 0 then return nil, "an argument: not a finite number" end
  local text, problem = encode(value, "an argument", true)
  return text and pack(">c1s4", "v", text), problem
end

local function native_of(module)
  return function(name, ...)
    local parts = {}
    for index = 1, select("#", ...) do
      local part, problem = argument((select(index, ...)))
      if not part then return nil, errors.invalid(problem) end
      parts[index] = part
    end
    local answer = host("native", module .. "\0" .. name .. "\0" .. concat(parts))
    local form = answer:sub(1, 1)
    if form == "s" then return answer:sub(2) end
    if form == "e" then return failed(decode(answer, 2)) end
    return decode(answer, 2)
  end
end

local function host_of(module)
  return function(op, payload)
    local text, problem = encode(payload, "request")
    if not text then return nil, errors.invalid(problem) end
    calls = calls + 1
    if calls == most_calls + 1 then scheduler.mark((running())) end -- main counts too, and ends the call
    local id = scheduler.next_id()
    host("ask", module .. "\0" .. op .. "\0" .. id .. "\0" .. text)
    local answer = scheduler.await(id)
    if answer.error then return failed(answer.error) end
    return answer.value
  end
end

local modules = {}
local env = globals() -- what the chunks of modules see; out of every tool's reach
env.string.format = text.raw_format -- several times as fast as that of tools, and modules format plain values only
env.invalid, env.kind_of = errors.invalid, values.kind_of
env.empty_object, env.is_empty_object = values.empty_object, values.is_empty_object
env.number_text = values.number_text

-- A tool that got hold of the class of an object could change what its module does, and give it a __gc. So objects have
-- a metatable of ours in its place, and the class does not lead to itself by __index.
local metas, classes = {}, {} -- class -> metatable, and back

local function seal(class, meta)
  for key, value in next, class do
    if key:sub(1, 2) == "__" then meta[key] = value end
    if key == "__tostring" then meta[values.AS_TEXT] = value end
  end
  class.__index = nil
end

function env.setmetatable(object, class)
  local meta = metas[class]
  if not meta then
    meta = { __metatable = "object" }
    metas[class], classes[meta] = meta, class
    seal(class, meta)
  end
  return setmetatable(object, meta)
end

function env.getmetatable(value)
  local meta = metatable_of(value)
  return classes[meta] or meta
end

-- For functions that return a value only: an error there is raised, with its kind.
function env.must(value, err)
  if err then error(err) end
  return value
end

-- For methods: raises unless `self` is an object of `class`, which it is not after a dot in place of the colon.
function env.check_self(class, self, call)
  if classes[metatable_of(self)] ~= class then error(errors.invalid("call it with a colon: " .. call)) end
end

-- Opens the file NAME_PART.lua of the module NAME, with the arguments that are given.
local function part_of(module)
  return function(part, ...)
    local chunk = host("module_part", module .. "\0" .. part)
    return assert(load(chunk, "=[module " .. module .. "_" .. part .. "]", "t", env))(...)
  end
end

local function module(name)
  if modules[name] == nil then
    local chunk = host("module", name)
    if not chunk then return nil end
    local body = assert(load(chunk, "=[module " .. name .. "]", "t", env))
    modules[name] = body(native_of(name), host_of(name), scheduler.sleep, timer, part_of(name))
    for class, meta in next, metas do seal(class, meta) end -- with what came after its first object
  end
  return modules[name]
end

local libraries -- those of the program by key: { source, name, imports }
local loaded, LOADING = {}, {} -- by key: what a library gave
local require_with

-- To be called in a `return` of `require`, so that the chunk that requires stands directly above it.
local function library(key)
  if loaded[key] == LOADING then error("the library " .. key .. " is being loaded: does it import itself?", 2) end
  if loaded[key] == nil then
    local found, lua = libraries[key], globals()
    lua.require = require_with(found.imports)
    local chunk, problem = load(found.source, "=" .. found.name, "t", lua)
    if not chunk then error(errors.new("SYNTAX", problem), 0) end
    loaded[key] = LOADING
    local ok, value = pcall(chunk)
    loaded[key] = nil
    if not ok then error(value, 0) end
    loaded[key] = value == nil and true or value
  end
  return loaded[key]
end

-- Why there is no module of a name, and what to write in its place.
local function absent(name)
  local head, field = name:match("^([%w_]+)%.?([%a_]?[%w_]*)$")
  if type(env[head]) == "table" and head ~= "_G" then return head .. " is a global table: use it without require" end
  if head and field ~= "" then
    local other = module(head) and "" or "add '" .. head .. "' to modules and "
    return other .. 'write require("' .. head .. '").' .. field
  end
  return "it is not among this entry's modules: add it there"
end

-- The `require` of a chunk that knows libraries by the aliases of `imports`.
function require_with(imports)
  return function(name)
    if type(name) ~= "string" then error("require takes the name of a module", 2) end
    if imports[name] then return library(imports[name]) end
    local found = module(name)
    if found == nil then
      error("module '" .. name:sub(1, 80) .. "' is not available here: " .. absent(name), 2)
    end
    return found
  end
end

-- The `require` of the program.
return function(program)
  libraries, most_calls = program.libraries, program.host_calls
  return require_with(program.imports)
end
