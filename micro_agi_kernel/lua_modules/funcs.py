"""The Lua module `funcs`: call another entry of the registry."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule

_CHUNK = """
-- funcs: call another entry of the registry.
local _, host = ...

local funcs = {}

local function invalid(message)
  return errors.new({kind = errors.INVALID, message = message, retryable = false})
end

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
"""

MODULE = LuaModule(chunk=_CHUNK, services=frozenset({"funcs.call"}))
