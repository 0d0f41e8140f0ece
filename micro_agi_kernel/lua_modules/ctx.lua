-- ctx: what the agent's entry gives to its tools.
local _, host = ...

local ctx = {}

function ctx.get(key)
  if type(key) ~= "string" or key == "" then return nil, invalid("key must be a string that is not empty") end
  return host("ctx.get", {key = key})
end

function ctx.all()
  return host("ctx.all", {})
end

return ctx
