-- time: what its parts share to check arguments.

-- A number as an integer, its fraction cut off; nil for anything else.
local function whole(value)
  if math.type(value) == "integer" then return value end
  if math.type(value) ~= "float" or value ~= value then return nil end
  return math.tointeger(value < 0 and math.ceil(value) or math.floor(value))
end

local function integer(value, name)
  return whole(value) or error(invalid(name .. " must be a number"))
end

-- nil and an error if `value` is no string.
local function text(value, name)
  if type(value) == "string" then return value end
  return nil, invalid(name .. " must be a string")
end

return {whole = whole, integer = integer, text = text}
