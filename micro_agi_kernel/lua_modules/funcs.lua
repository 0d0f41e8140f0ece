-- funcs: call another entry of the registry.
local _, host = ...

local funcs = {}

function funcs.call(id, input, ...)
  if type(id) ~= "string" or not id:find("^[^:]+:[^:]+$") then
    return nil, invalid("id must be a string of the form namespace:name")
  end
  if select("#", ...) > 0 then return nil, invalid("one input is all that an entry takes; put more into a table") end
  -- A tool's arguments are an object; `{}` in Lua could be a list just as well.
  if type(input) == "table" and next(input) == nil then input = empty_object() end
  return host("funcs.call", {id = id, input = input})
end

return funcs
