-- json: Lua tables as JSON text and back, and JSON Schema.
local native, _, _, _, part = ...

local MAX_DEPTH = 128 -- tables within one another

local json = {encode = part("encode", MAX_DEPTH), decode = part("decode", MAX_DEPTH)}

-- The text of a value that goes to validation, or nil and an error; texts cost the crossing nothing.
local function text_of(value, name)
  local text, err = json.encode(value)
  if text then return text end
  return nil, invalid(name .. ": " .. err:message())
end

local function validate(schema, data, is_table)
  if schema == nil then return false, invalid("schema is required") end
  local text, err = schema, nil
  if type(schema) == "table" then
    text, err = text_of(schema, "schema")
    if err then return false, err end
  elseif type(schema) ~= "string" then
    return false, invalid("schema must be a string or table")
  end
  local valid, problem = native("validate", text, type(schema) == "table", data, is_table)
  -- A text that cannot be read is refused in the words of `decode`.
  if problem and not is_table then
    local _, unread = json.decode(data)
    if unread then problem = invalid("validation failed: " .. unread:message():gsub("^decode failed: ", "")) end
  end
  return valid or false, problem
end

function json.validate(schema, data)
  if data == nil and schema ~= nil then return false, invalid("data is required") end
  local text, err = text_of(data, "data")
  if err then return false, err end
  return validate(schema, text, true)
end

function json.validate_string(schema, text)
  if type(text) ~= "string" and schema ~= nil then return false, invalid("data must be a JSON string") end
  return validate(schema, text, false)
end

return json
