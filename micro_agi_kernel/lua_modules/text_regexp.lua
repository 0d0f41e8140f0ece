-- text: regular expressions. Python tells where the matches lie; the texts are cut out here.
local native = ...

local Regexp = {}
Regexp.__index = Regexp

local function compile(pattern)
  local names, err = native("names", pattern)
  if err then return nil, err end
  return setmetatable({_pattern = pattern, _names = names}, Regexp)
end

-- Gives `take(first, last, offset)` of each match as a list; of at most `most` (-1: all). `offset` is where the
-- positions of its groups begin in `found`, the text in which Python sent them.
local function collect(self, s, most, groups, take)
  local found = must(native("positions", self._pattern, s, most, groups or false))
  local width = groups and 8 * #self._names or 8
  local list = {}
  for index = 1, #found // width do
    local offset = (index - 1) * width + 1
    local start, stop = string.unpack("=i4i4", found, offset)
    list[index] = take(start + 1, stop, offset, found, width)
  end
  return list
end

local function text_of(s)
  return function(first, last) return s:sub(first, last) end
end

local function groups_of(s)
  return function(_, _, offset, found, width)
    local groups = {}
    for at = offset, offset + width - 8, 8 do
      local start, stop = string.unpack("=i4i4", found, at)
      groups[#groups + 1] = start < 0 and "" or s:sub(start + 1, stop)
    end
    return groups
  end
end

local function pair(first, last) return {first, last} end

function Regexp:match_string(s)
  check_self(Regexp, self, "re:match_string(s)")
  return collect(self, s, 1, false, pair)[1] ~= nil
end

function Regexp:find_string(s)
  check_self(Regexp, self, "re:find_string(s)")
  local found = collect(self, s, 1, false, text_of(s))[1]
  return found ~= "" and found or nil
end

function Regexp:find_all_string(s)
  check_self(Regexp, self, "re:find_all_string(s)")
  return collect(self, s, -1, false, text_of(s))
end

function Regexp:find_string_submatch(s)
  check_self(Regexp, self, "re:find_string_submatch(s)")
  return collect(self, s, 1, true, groups_of(s))[1]
end

function Regexp:find_all_string_submatch(s)
  check_self(Regexp, self, "re:find_all_string_submatch(s)")
  return collect(self, s, -1, true, groups_of(s))
end

function Regexp:find_string_index(s)
  check_self(Regexp, self, "re:find_string_index(s)")
  return collect(self, s, 1, false, pair)[1]
end

function Regexp:find_all_string_index(s)
  check_self(Regexp, self, "re:find_all_string_index(s)")
  local found = collect(self, s, -1, false, pair)
  return #found > 0 and found or nil
end

function Regexp:replace_all_string(s, repl)
  check_self(Regexp, self, "re:replace_all_string(s, repl)")
  return must(native("replaced", self._pattern, s, repl))
end

function Regexp:split(s, n)
  check_self(Regexp, self, "re:split(s, n)")
  n = n == nil and -1 or math.type(n) and math.tointeger(n) or error(invalid("n must be an integer"))
  if s == "" and n ~= 0 and self._pattern ~= "" then return {""} end
  local parts, from, cut = {}, 1, 1
  for _, match in ipairs(collect(self, s, n, false, pair)) do
    if #parts + 1 == n then break end
    cut = match[1]
    -- An empty match at the start of the text cuts nothing off.
    if match[2] > 0 then parts[#parts + 1] = s:sub(from, cut - 1) end
    from = match[2] + 1
  end
  if n ~= 0 and cut <= #s then parts[#parts + 1] = s:sub(from) end
  return parts
end

function Regexp:num_subexp()
  check_self(Regexp, self, "re:num_subexp()")
  return #self._names - 1
end

function Regexp:subexp_names()
  check_self(Regexp, self, "re:subexp_names()")
  return table.move(self._names, 1, #self._names, 1, {})
end

function Regexp:string()
  check_self(Regexp, self, "re:string()")
  return self._pattern
end

return {compile = compile}
