-- expr: expressions that come as text, evaluated with the variables of a table.
local native = ...

local expr, Program = {}, {}
Program.__index = Program

local NUMBERS = {inf = math.huge, ["-inf"] = -math.huge, nan = 0/0} -- those that do not cross the bridge

-- Python gives the value in a list, or behind it the name of such a number.
local function result(found, err)
  if err then return nil, err end
  if found[2] then return NUMBERS[found[2]] end
  return found[1]
end

function expr.eval(expression, env)
  return result(native("eval", expression, env))
end

function expr.compile(expression, env)
  local _, err = native("compile", expression, env)
  if err then return nil, err end
  return setmetatable({_source = expression}, Program)
end

function Program:run(env)
  if type(self) ~= "table" or getmetatable(self) ~= Program then
    error(invalid("call it with a colon: program:run(env)"))
  end
  return result(native("run", self._source, env))
end

return expr
