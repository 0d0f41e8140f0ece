-- expr: expressions that come as text, evaluated with the variables of a table.
local native = ...

local expr, Program = {}, {}
Program.__index = Program

function expr.eval(expression, env) return native("eval", expression, env) end

function expr.compile(expression, env)
  local _, err = native("compile", expression, env)
  if err then return nil, err end
  return setmetatable({_source = expression}, Program)
end

function Program:run(env)
  check_self(Program, self, "program:run(env)")
  return native("run", self._source, env)
end

return expr
