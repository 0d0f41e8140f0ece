-- The error objects of a tool: what they hold, their methods, and the functions of `errors`.

local text = ...

local error, ipairs, setmetatable, type = error, ipairs, setmetatable, type
local concat, getinfo = table.concat, debug.getinfo

local SANDBOX = "=[sandbox]" -- so begin the names of these files, but not those of the modules
local KINDS = {
  "NOT_FOUND", "ALREADY_EXISTS", "INVALID", "PERMISSION_DENIED", "UNAVAILABLE", "INTERNAL",
  "CANCELED", "CONFLICT", "TIMEOUT", "RATE_LIMITED", "UNKNOWN",
}
local KNOWN = {} -- what a tool may call an error of its own; limits and the like have other kinds
for _, kind in ipairs(KINDS) do KNOWN[kind] = true end

local facts = setmetatable({}, { __mode = "k" }) -- error object -> { kind, message, retryable, details, frames }
local error_methods, error_meta = {}, { __metatable = "error", __name = "error" }

-- Where the caller of new_error stands: the lines of tools and modules, innermost first.
local function frames()
  local found, level = {}, 3
  while #found < 16 do
    local info = getinfo(level, "Sln")
    if not info then break end
    if info.what ~= "C" and info.source:sub(1, #SANDBOX) ~= SANDBOX then
      local name = info.what ~= "main" and info.name or nil
      found[#found + 1] = { source = info.short_src, line = info.currentline, name = name }
    end
    level = level + 1
  end
  return found
end

local function new_error(kind, message, retryable, details)
  local object = setmetatable({}, error_meta)
  facts[object] = {
    kind = kind,
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

local library = {} -- what a tool sees as `errors`
for _, kind in ipairs(KINDS) do library[kind] = kind end

function library.new(spec)
  if type(spec) == "string" then return new_error("UNKNOWN", spec) end
  local message = type(spec) == "table" and spec.message
  if type(message) ~= "string" then error("errors.new takes a message or a table with the field 'message'", 2) end
  local retryable = spec.retryable
  if type(retryable) ~= "boolean" then retryable = nil end
  return new_error(KNOWN[spec.kind] and spec.kind or "UNKNOWN", message, retryable, spec.details)
end

function library.wrap(err, context)
  if type(context) ~= "string" then error("errors.wrap takes an error and a text", 2) end
  local fact = facts[err] or { kind = "UNKNOWN", message = text.tostring(err) }
  return new_error(fact.kind, context .. ": " .. fact.message, fact.retryable, fact.details)
end

function library.is(err, kind) return facts[err] ~= nil and facts[err].kind == kind end

function library.call_stack(err)
  if not facts[err] then return nil end
  local copies = {}
  for index, frame in ipairs(facts[err].frames) do
    copies[index] = { source = frame.source, line = frame.line, name = frame.name }
  end
  return { thread = "main", frames = copies }
end

return {
  facts = facts, known = KNOWN, library = library,
  new = new_error, invalid = invalid, text = error_meta.__tostring,
}
