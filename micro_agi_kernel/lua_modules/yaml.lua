-- yaml: Lua tables as YAML and back.
local native = ...

local yaml = {}

-- The numbers that JSON lacks, which is what values cross to Python and back as.
local NOT_FINITE = {[".inf"] = math.huge, ["-.inf"] = -math.huge, [".nan"] = -(0/0)}

function yaml.decode(text)
  local found, err = native("decode", text)
  if err then return nil, err end
  local value = found[1]
  for _, place in ipairs(found[2]) do
    local number, parent = NOT_FINITE[table.remove(place)], nil
    local last = table.remove(place)
    if not last then return number end
    parent = value
    for _, key in ipairs(place) do parent = parent[key] end
    parent[last] = number
  end
  return value
end

-- A string that is no text, for Python to know it by.
local function crossing_number(value)
  if value ~= value then return "\255.nan" end
  if value == math.huge or value == -math.huge then return value > 0 and "\255.inf" or "\255-.inf" end
  return value
end

-- The value with such strings for such numbers, and with the text of an object that has one (an error, a Time).
-- `known` is what each table met has become; one that contains itself is left for the crossing to refuse.
local function crossing(value, known)
  if type(value) == "number" then return crossing_number(value) end
  if type(value) ~= "table" then return value end
  if known[value] then return known[value] end
  local meta = getmetatable(value)
  if kind_of(value) == "error" or type(meta) == "table" and rawget(meta, "__tostring") then return tostring(value) end
  known[value] = value
  local copy
  for key, item in next, value do
    local new = crossing(item, known)
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
  local data = crossing(value, {})
  if type(data) ~= "table" then return nil, invalid("table expected") end
  return native("encode", data, rawget(options, "field_order") or {})
end

return yaml
