-- What `require` gives: a module's table, which its chunk makes from a way to Python and a way to the host.

local host, errors, values, scheduler, globals = ...

local assert, error, load, select, type = assert, error, load, select, type
local concat, encode, decode = table.concat, values.encode, values.decode

local function failed(fault) return nil, errors.new(fault.kind, fault.message, fault.retryable) end

local function native_of(module)
  return function(name, ...)
    local parts = {}
    for index = 1, select("#", ...) do
      local text, problem = encode((select(index, ...)), "argument " .. index)
      if not text then return nil, errors.invalid(problem) end
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
    if not text then return nil, errors.invalid(problem) end
    local id = scheduler.next_id()
    host("ask", module .. "\0" .. op .. "\0" .. id .. "\0" .. text)
    local answer = scheduler.await(id)
    if answer.error then return failed(answer.error) end
    return answer.value
  end
end

local modules = {}
local env = globals() -- what the chunks of modules see; out of every tool's reach
env.empty_object, env.is_empty_object = values.empty_object, values.is_empty_object

local function require(name)
  if type(name) ~= "string" then error("require takes the name of a module", 2) end
  if modules[name] == nil then
    local chunk = host("module", name)
    if not chunk then
      error("module '" .. name:sub(1, 80) .. "' is not available here: it is not among this entry's modules", 2)
    end
    local body = assert(load(chunk, "=[module " .. name .. "]", "t", env))
    modules[name] = body(native_of(name), host_of(name), scheduler.sleep)
  end
  return modules[name]
end

return require
