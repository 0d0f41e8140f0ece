-- yaml: Lua tables as YAML and back.
local native = ...

local MAX_DEPTH = 128 -- tables within one another, as they may cross

local yaml = {}

function yaml.decode(text) return native("decode", text) end

-- The value with the text of each object that has one (a Time) in its place. `known` is what each table met has become;
-- one that contains itself is left for the crossing to refuse, as is what is nested too deeply.
local function crossing(value, known, depth)
  if type(value) ~= "table" or kind_of(value) then return value end
  if known[value] then return known[value] end
  local meta = getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__tostring") then return tostring(value) end
  if depth == MAX_DEPTH then return value end
  known[value] = value
  local copy
  for key, item in next, value do
    local new = crossing(item, known, depth + 1)
    if not rawequal(new, item) then
      if not copy then
        copy = {}
        for k, v in next, value do copy[k] = v end
      end
      copy[key] = new
    end
  end
  known[value] = copy or value
  return known[value]
end

local OPTIONS = {field_order = "table", sort_unordered = "boolean"}

-- What is wrong with the options, if anything.
local function option_problem(options)
  if type(options) ~= "table" then return "options must be a table" end
  for name, value in next, options do
    if not OPTIONS[name] then return "unknown option: " .. tostring(name):sub(1, 40) end
    if type(value) ~= OPTIONS[name] then return name .. " must be a " .. OPTIONS[name] end
  end
end

-- Keys come by the alphabet in any case, so `sort_unordered` changes nothing.
function yaml.encode(value, options)
  options = options == nil and {} or options
  local problem = option_problem(options)
  if problem then return nil, invalid(problem) end
  local data = crossing(value, {}, 0)
  if type(data) ~= "table" or kind_of(data) then return nil, invalid("table expected") end
  return native("encode", data, rawget(options, "field_order") or {})
end

return yaml
