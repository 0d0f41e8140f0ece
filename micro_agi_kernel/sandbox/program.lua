-- One call: runs a tool's program, a value or an error of any kind being its end.

local host, errors, values, scheduler, ending, showing, globals, require_of = ...

local load, next, rawequal, type = load, next, rawequal, type
local format, sub = string.format, string.sub
local MAX_PROBLEM = 1000 -- bytes of what is wrong with a library: it may quote a token of any length

local function holds_function(value)
  for _, item in next, value do
    if type(item) == "function" then return true end
  end
  return false
end

local function problems_of(libraries)
  local problems = {}
  for key, library in next, libraries do
    local _, problem = load(library.source, "=" .. library.name, "t")
    problems[key] = problem and sub(problem, 1, MAX_PROBLEM)
  end
  return problems
end

-- true when the chunk gave what a call needs.
local function loaded(value, err, program)
  if value == nil and err ~= nil then return nil, err end
  if type(value) == "table" and type(value[program.method]) == "function" then return true end
  local wanted = "{ " .. program.method .. " = " .. program.method .. " }"
  return nil, errors.invalid("the source must end with `return " .. wanted .. "`, a function of one input")
end

local function run(program)
  local chunk, problem = load(program.source, program.chunk_name, "t", program.env)
  if not chunk then return nil, errors.new("SYNTAX", problem) end
  if not program.method then return problems_of(program.libraries) end -- only asked whether it compiles
  local value, err = chunk()
  if program.dry then return loaded(value, err, program) end
  if type(value) ~= "table" then return value, err end
  local method = value[program.method]
  if type(method) == "function" then return method(program.input) end
  if holds_function(value) then
    return nil, errors.invalid(program.name .. " does not return a function '" .. program.method .. "'")
  end
  return value
end

-- The last message of the call that `message` asks for; nil when memory ran out.
return function(message)
  host("settle")
  local program = values.decode(message)
  program.env, program.chunk_name = globals(program.now), "=" .. program.name
  program.env.require = require_of(program)
  scheduler.set_limit(format("%g", program.seconds))
  ending.set_limit(program.memory)
  showing.set_limit(program.output)
  scheduler.spawn(function() return ending.of_value(run(program)) end)
  local ok, last, failed = scheduler.run()
  if ok then return last end
  if rawequal(last, ending.OUT_OF_MEMORY) then return nil end
  local err, origin = last, failed and failed.origin
  scheduler.restart(function() return ending.of_error(err, origin) end)
  ok, last = scheduler.run()
  return ok and last or ending.of_failure(last)
end
