-- url: web addresses taken apart and put together; text in them encoded and decoded.
local native = ...

local url = {}

-- Percent-encoding. The classes are written out, since what %w matches depends on the system's language, and what
-- stands for what is in tables, since megabytes of calls would take a minute.

local ESCAPED, UNESCAPED = {}, {} -- " " -> "%20", and "20" -> " ", in all spellings of the digits
for byte = 0, 255 do
  local char = string.char(byte)
  local high, low = string.format("%02X", byte):match("(.)(.)")
  ESCAPED[char] = "%" .. high .. low
  for _, digits in ipairs({high .. low, high:lower() .. low, high .. low:lower(), high:lower() .. low:lower()}) do
    UNESCAPED[digits] = char
  end
end

function url.encode(text)
  if type(text) ~= "string" then return nil, invalid("text must be a string") end
  return (text:gsub("[^A-Za-z0-9._~-]", ESCAPED))
end

function url.decode(text)
  if type(text) ~= "string" then return nil, invalid("text must be a string") end
  if text:gsub("%%%x%x", ""):find("%", 1, true) then
    return nil, invalid("a % without two hexadecimal digits behind it")
  end
  return (text:gsub("%%(%x%x)", UNESCAPED))
end

-- Queries, in the form that web pages send: + for a space.

local function form_encode(text)
  return (text:gsub("[^A-Za-z0-9*._ -]", ESCAPED):gsub(" ", "+"))
end

local function form_decode(text)
  return (text:gsub("%+", " "):gsub("%%(%x%x)", UNESCAPED))
end

-- The text of a value in a query, or nil when it has none.
local function plain(value)
  if type(value) == "number" then return value - value == 0 and number_text(value) or nil end
  if type(value) == "boolean" then return tostring(value) end
  return type(value) == "string" and value or nil
end

-- Appends name=value to `fields`, or one of them for each item of a list; says whether the value is of those.
local function add(fields, name, value)
  local list = type(value) == "table" and value or {value}
  local length = rawlen(list)
  for key in next, list do
    if math.type(key) ~= "integer" or key < 1 or key > length then return false end
  end
  for i = 1, length do
    local text = plain(rawget(list, i))
    if not text then return false end
    fields[#fields + 1] = name .. "=" .. form_encode(text)
  end
  return true
end

-- Sorted by name: a Lua table has no order, and the same query should be the same text.
function url.encode_query(query)
  if type(query) ~= "table" then return nil, invalid("query must be a table") end
  local names, fields = {}, {}
  for name in next, query do
    if type(name) ~= "string" then return nil, invalid("the names of a query must be strings") end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if not add(fields, form_encode(name), rawget(query, name)) then
      return nil, invalid("a value of a query must be a string, number, boolean or a list of them: " .. name:sub(1, 40))
    end
  end
  return table.concat(fields, "&")
end

function url.decode_query(text)
  if type(text) ~= "string" then return nil, invalid("query must be a string") end
  local query = empty_object()
  for pair in text:gsub("^%?", ""):gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    name, value = form_decode(name), form_decode(value)
    local before = query[name]
    if type(before) == "table" then
      before[#before + 1] = value
    else
      query[name] = before and {before, value} or value
    end
  end
  return query
end

-- Whole addresses.

function url.parse(text, base)
  local parts, err = native("parse", text, base)
  if err then return nil, err end
  parts.query = url.decode_query(parts.search)
  return parts
end

function url.join(base, ref) return native("join", base, ref) end

local PARTS = {
  "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "query", "hash", "href",
}
for _, name in ipairs(PARTS) do PARTS[name] = true end

-- The search of `parts` in the words of its query. A search that says the same stays as it was written.
local function search_of(parts)
  local wanted, err = url.encode_query(parts.query)
  if err then return nil, err end
  local search = parts.search
  if type(search) == "string" and url.encode_query(url.decode_query(search)) == wanted then return search end
  return wanted
end

function url.build(parts)
  if type(parts) ~= "table" then return nil, invalid("parts must be a table") end
  local given = empty_object()
  for name, part in next, parts do
    if type(name) ~= "string" or not PARTS[name] then
      local shown = type(name) == "string" and name:sub(1, 40) or type(name)
      return nil, invalid("a URL has no such part: " .. shown .. ": there are " .. table.concat(PARTS, ", "))
    end
    given[name] = part
  end
  if given.query ~= nil then
    local search, err = search_of(given)
    if err then return nil, err end
    given.search = search
  end
  given.hostname = given.hostname or given.host
  given.port = math.type(given.port) and plain(given.port) or given.port
  given.href, given.host, given.query = nil, nil, nil
  return native("build", given)
end

return url
