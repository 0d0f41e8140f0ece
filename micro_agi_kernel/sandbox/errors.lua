-- The error objects of a tool: what they hold, their methods, and the functions of `errors`.

local error, ipairs, next, setmetatable, type = error, ipairs, next, setmetatable, type
local concat, getinfo = table.concat, debug.getinfo

local SANDBOX = "=[sandbox]" -- so begin the names of these files, but not those of the modules
local KINDS = {
  "NOT_FOUND", "ALREADY_EXISTS", "INVALID", "PERMISSION_DENIED", "UNAVAILABLE", "INTERNAL",
  "CANCELED", "CONFLICT", "TIMEOUT", "RATE_LIMITED", "UNKNOWN",
}
local KNOWN = {} -- what a tool may call an error of its own; limits and the like have other kinds
for _, kind in ipairs(KINDS) do KNOWN[kind] = true end

-- error object -> { kind, message, bare, retryable, details, frames }; `bare` is the message without the last context
local facts = setmetatable({}, { __mode = "k" })
local error_meta = { __metatable = "error", __name = "error" }

-- Where the caller of new_error stands: the lines of tools and modules, innermost first.
local function frames()
  local found, level = {}, 3
  while #found < 16 do
    local info = getinfo(level, "Sln")
    if not info then break end
    if info.what ~= "C" and info.source:sub(1, #SANDBOX) ~= SANDBOX then
      local name = info.what ~= "main" and info.name or ""
      found[#found + 1] = { source = info.short_src, line = info.currentline, name = name, type = info.what }
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

local function as_text(object)
  local fact = facts[object]
  return fact.kind == "UNKNOWN" and fact.message or fact.kind .. ": " .. fact.message
end

local function stack_of(fact)
  local lines = {}
  for index, frame in ipairs(fact.frames) do
    lines[index] = frame.source .. ":" .. frame.line .. (frame.name ~= "" and ": in " .. frame.name or "")
  end
  return concat(lines, "\n")
end

local methods = {
  kind = function(fact) return fact.kind end,
  message = function(fact) return fact.bare or fact.message end,
  retryable = function(fact) return fact.retryable end,
  details = function(fact) return fact.details end,
  stack = stack_of,
}
error_meta.__index = {}
for name, of in next, methods do
  error_meta.__index[name] = function(self)
    return of(facts[self] or error(invalid("call it with a colon, on an error object: err:" .. name .. "()")))
  end
end

local function joinable(value)
  if facts[value] then return as_text(value) end
  local kind = type(value)
  if kind == "string" or kind == "number" then return value end
  error("attempt to concatenate a " .. kind .. " value", 3)
end

error_meta.__tostring = as_text
error_meta.__concat = function(left, right) return joinable(left) .. joinable(right) end
error_meta.__newindex = function() error("an error object cannot be changed", 2) end

local library = {} -- what a tool sees as `errors`
for _, kind in ipairs(KINDS) do library[kind] = kind end

function library.new(spec)
  if type(spec) == "string" then return new_error("UNKNOWN", spec) end
  local message = type(spec) == "table" and spec.message
  if type(message) ~= "string" then
    error(invalid("errors.new takes a message, or a table whose field 'message' is a string"))
  end
  local retryable, details = spec.retryable, spec.details
  if type(retryable) ~= "boolean" then retryable = nil end
  if type(details) ~= "table" or next(details) == nil then details = nil end
  return new_error(KNOWN[spec.kind] and spec.kind or "UNKNOWN", message, retryable, details)
end

function library.wrap(err, context)
  local fact = facts[err] or type(err) == "string" and { kind = "UNKNOWN", message = err }
  if not fact or type(context) ~= "string" then
    error(invalid("errors.wrap takes an error object or a message, and a context, which is a string"))
  end
  local object = new_error(fact.kind, context .. ": " .. fact.message, fact.retryable, fact.details)
  facts[object].bare = fact.message
  return object
end

function library.is(err, kind) return facts[err] ~= nil and facts[err].kind == kind end

function library.call_stack(err)
  if not facts[err] then return nil end
  local copies = {}
  for index, frame in ipairs(facts[err].frames) do
    copies[index] = { level = index - 1 }
    for key, value in next, frame do copies[index][key] = value end
  end
  return { thread = "main", frames = copies }
end

return { facts = facts, known = KNOWN, library = library, new = new_error, invalid = invalid, text = as_text }
