-- Calls one function or method again and again with something wrong, and tells what came of it that must not.
-- WHAT is replaced: make() gives the function, good(...) the right arguments.

local problems, known, count = {}, {}, 0
local trap = function() error("the tool's own trap") end
local cycle, deep = {}, {}
cycle[1] = cycle
for _ = 1, 300 do deep = {deep} end

local things = {
  {nil, "nil"}, {true, "boolean"}, {false, "boolean"},
  {0, "number"}, {-1, "number"}, {1 << 40, "number"}, {math.maxinteger, "number"}, {math.mininteger, "number"},
  {2.5, "number"}, {1e308, "number"}, {0/0, "nan"}, {1/0, "nan"}, {-1/0, "nan"},
  {"", "string"}, {"x", "string"}, {"\0", "string"}, {"a\0b", "string"}, {"\xff\xfe", "string"}, {"12", "string"},
  {("9"):rep(5000), "string"}, {("\u{1F600}"):rep(2000), "string"}, {"%s%n{}[]()$^*", "string"},
  {{}, "table"}, {{1, 2, 3}, "table"}, {{a = {b = 1}}, "table"}, {{1, nil, 3}, "table"}, {{1, a = 2}, "table"},
  {{[2^53] = 1}, "table"}, {{[true] = 1}, "table"}, {{[0/1] = print}, "table"}, {cycle, "table"}, {deep, "table"},
  {setmetatable({}, {__index = trap, __len = trap, __pairs = trap, __eq = trap}), "table"},
  {setmetatable({}, {__tostring = trap, __concat = trap, __lt = trap, __call = trap}), "table"},
  {setmetatable({}, {__index = function() return {} end, __tostring = function() return 7 end}), "table"},
  {print, "function"}, {coroutine.create(print), "thread"},
  {errors.new("an error"), "error"}, {channel.new(), "channel"}, {time.unix(0, 0), "Time"},
  {time.parse_duration("1s"), "Duration"}, {time.utc, "Location"}, {registry.snapshot(), "Snapshot"},
}
local things_by_kind = {}
for _, thing in ipairs(things) do things_by_kind[thing[2]] = thing[1] end

local function texts(value, kind)
  -- What a tool's own metamethod raises is the tool's.
  if value:find("own trap$") or value:find("'__tostring' must return a string") then return end
  if RAISES.text and kind == "raised" and not value:find("attempt to") and not value:find("module ") then return end
  return kind .. " the text " .. value
end

-- What is wrong with an error, if anything; `kind` is "raised" or "returned".
local function fault(err, kind, wrong_type)
  if type(err) == "string" then return texts(err, kind) end
  if getmetatable(err) ~= "error" then return kind .. " as an error: " .. type(err) end
  local said = err:kind() .. ": " .. err:message()
  if not RAISES[kind][err:kind()] then return kind .. " an error whose kind is not on the page: " .. said end
  for _, inside in ipairs({"%u%l+Error", "Exception", "Traceback", "attempt to", "<class", "object at 0x", "NoneType"}) do
    if said:find(inside) and not said:find("own trap") then return kind .. " the inside of a module: " .. said end
  end
  if #said > 2000 then return kind .. " an error of " .. #said .. " bytes" end
  if wrong_type and err:kind() ~= errors.INVALID then return "a wrong type is not INVALID but " .. said end
end

local function judge(how, wrong_type, ok, value, err)
  count = count + 1
  local problem
  if not ok then
    problem = fault(value, "raised", wrong_type)
  elseif err ~= nil and not value then
    problem = fault(err, "returned", wrong_type)
  elseif wrong_type then
    problem = "it was taken"
  end
  if not problem then return end
  problem = how .. ": " .. problem:sub(1, 200)
  if not known[problem] then problems[#problems + 1] = problem end
  known[problem] = true
end

-- Where a call may wait, it waits in a coroutine, and is dropped with it.
local function call(how, wrong_type, ...)
  local fn = make()
  if not WAITS then return judge(how, wrong_type, pcall(fn, ...)) end
  local given = table.pack(...)
  coroutine.spawn(function() judge(how, wrong_type, pcall(fn, table.unpack(given, 1, given.n))) end)
end

local args = table.pack(good())

local function with(position, value)
  local given = {table.unpack(args, 1, args.n)}
  given[position] = value
  return table.unpack(given, 1, math.max(args.n, position))
end

for given = 0, args.n do
  call(given .. " arguments", given < REQUIRED, table.unpack(args, 1, given))
end

-- Whether the value is of a type that a function with such an argument must refuse.
local function is_wrong(kind, position)
  local takes = " " .. (TAKES[position] or "") .. " "
  if takes == " any " or takes:find(" " .. kind .. " ", 1, true) then return false end
  if takes:find(" table ") and type(things_by_kind[kind]) == "table" then return false end
  local right = type(args[position])
  if kind == "nil" then return position <= REQUIRED end
  if kind == "nan" then kind = "number" end
  if right ~= "table" then return kind ~= right end
  -- Which objects, TAKES says. Where a plain table is right, an object is one: it shows the fields that it has.
  return getmetatable(args[position]) ~= nil or type(things_by_kind[kind]) ~= "table"
end

for index = 1, #things do
  local value, kind = things[index][1], things[index][2]
  for position = 1, args.n do
    call("argument " .. position .. ", a " .. kind, is_wrong(kind, position), with(position, value))
  end
  call("one too many", false, with(args.n + 1, value))
  call("one alone", false, value)
  for other = 1, #things, 5 do
    call("several", false, value, things[other][1], things[(index + other) % #things + 1][1], things[other][1], value)
  end
end
local all = {}
for index = 1, 300 do all[index] = things[index % #things + 1][1] end
call("300 arguments", false, table.unpack(all, 1, 300))
if WAITS then time.sleep("5ms") end
return {count, problems}
