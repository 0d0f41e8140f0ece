-- text: what its parts share to check arguments.

-- For methods that return a value only: an error there is raised, with its kind.
local function must(value, err)
  if err then error(err) end
  return value
end

local function check(class, self, call)
  if type(self) ~= "table" or getmetatable(self) ~= class then error(invalid("call it with a colon: " .. call)) end
end

local function is_table(value) return type(value) == "table" and not kind_of(value) end

return {must = must, check = check, is_table = is_table}
