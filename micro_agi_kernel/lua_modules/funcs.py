"""The Lua module `funcs`: call another entry of the registry."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.values import Value

_CHUNK = """
-- funcs: call another entry of the registry.
local native, host = ...

local funcs = {}

local function invalid(message)
  return errors.new({kind = errors.INVALID, message = message, retryable = false})
end

function funcs.call(id, input, ...)
  if type(id) ~= "string" or not id:find("^[^:]+:[^:]+$") then
    return nil, invalid("id must be a string of the form namespace:name")
  end
  if select("#", ...) > 0 then return nil, invalid("one input is all that an entry takes; put more into a table") end
  if type(input) == "table" and next(input) == nil then input = native("empty_object") end
  return host("funcs.call", {id = id, input = input})
end

return funcs
"""


def _empty_object() -> Value:
    """What an empty input is: a tool's arguments are an object, and `{}` in Lua could be a list just as well."""
    return {}


MODULE = LuaModule(chunk=_CHUNK, functions={"empty_object": _empty_object}, services=frozenset({"funcs.call"}))
