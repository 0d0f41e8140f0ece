-- JSON text to Lua values, in Lua: reading it in Python and sending the values across costs two to three times as much,
-- because the values are then written and read once more. It also stops when the call's time or memory is used up.

local MAX_DEPTH = ... -- lists and objects within one another

local error, pcall, rawequal, tonumber, type = error, pcall, rawequal, tonumber, type
local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local char, len = utf8.char, utf8.len

local problem -- what is wrong with the text, once that is found

local function fail(position, message)
  problem = { position = position, message = message }
  error(problem, 0)
end

local ESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local LONE = char(0xFFFD) -- what half a surrogate pair becomes

-- The text of a string that has escapes, all but its quotes; `start` is where it begins.
local function unescaped(body, start)
  local high -- the first half of a pair, when the escape before was one
  local text = body:gsub("\\(.)([^\\]*)", function(mark, rest)
    local before = high and LONE or ""
    if mark ~= "u" then
      high = nil
      local plain = ESCAPES[mark]
      if not plain then fail(start, "a string has the unknown escape \\" .. mark) end
      return before .. plain .. rest
    end
    if not find(rest, "^%x%x%x%x") then fail(start, "a string has \\u without four hexadecimal digits") end
    local code = tonumber(sub(rest, 1, 4), 16)
    rest = sub(rest, 5)
    if high and code & 0xFC00 == 0xDC00 then
      code, before = 0x10000 + ((high & 0x3FF) << 10 | code & 0x3FF), ""
    elseif code & 0xFC00 == 0xD800 and rest == "" then
      high = code
      return before
    elseif code & 0xF800 == 0xD800 then
      code = 0xFFFD
    end
    high = nil
    return before .. char(code) .. rest
  end)
  return high and text .. LONE or text
end

-- The string whose first character is at `start`, and where it ends.
local function read_string(text, start)
  local found, stop = match(text, '^([^"\\\0-\31]*)"()', start)
  if found then return found, stop end
  stop = match(text, '^[^"\\\0-\31]*()', start)
  while byte(text, stop) == 92 do stop = match(text, '^[^"\\\0-\31]*()', stop + 2) or #text + 1 end
  if byte(text, stop) ~= 34 then
    fail(stop, stop > #text and "a string has no end" or "a string has a control character, which needs an escape")
  end
  return unescaped(sub(text, start, stop - 1), start), stop + 1
end

-- Integers beyond 64 bits become floats, as Lua reads them.
local function read_number(text, start)
  local stop = match(text, "^-?%d+()", start)
  if not stop then fail(start, "a number has no digits") end
  if find(text, "^-?0%d", start) then fail(start, "a number begins with 0") end
  if find(text, "^[.eE]", stop) then
    stop = match(text, "^%.%d+()", stop) or stop
    stop = match(text, "^[eE][-+]?%d+()", stop) or stop
    if find(text, "^[.eE]", stop) then fail(start, "a number has no digits after its point or exponent") end
  end
  local number = tonumber(sub(text, start, stop - 1))
  if number - number ~= 0 then fail(start, "a number is out of range") end
  return number, stop
end

local WORDS = { [116] = { "^true()", true }, [102] = { "^false()", false }, [110] = { "^null()", nil } }

local read

local function read_list(text, position, depth)
  local list, count = {}, 0
  position = match(text, "^[ \n\r\t]*()", position)
  if byte(text, position) == 93 then return list, position + 1 end
  local delimiter
  repeat
    count = count + 1
    list[count], position = read(text, position, depth)
    delimiter, position = match(text, "^[ \n\r\t]*([,%]]?)[ \n\r\t]*()", position)
  until delimiter ~= ","
  if delimiter ~= "]" then fail(position, "expected , or ] in a list") end
  return list, position
end

local function read_object(text, position, depth)
  local object, empty = {}, true
  position = match(text, "^[ \n\r\t]*()", position)
  if byte(text, position) == 125 then return empty_object(), position + 1 end
  local delimiter
  repeat
    local key, start = match(text, '^"([^"\\\0-\31]*)"[ \n\r\t]*:[ \n\r\t]*()', position)
    if not key then
      if byte(text, position) ~= 34 then fail(position, "expected a key in quotes in an object") end
      key, start = read_string(text, position + 1)
      start = match(text, "^[ \n\r\t]*:[ \n\r\t]*()", start) or fail(start, "expected : after the key of an object")
    end
    object[key], position = read(text, start, depth)
    delimiter, position = match(text, "^[ \n\r\t]*([,}]?)[ \n\r\t]*()", position)
  until delimiter ~= ","
  if delimiter ~= "}" then fail(position, "expected , or } in an object") end
  return object, position
end

-- The value at `position`, inside of `depth` lists and objects, and where it ends.
function read(text, position, depth)
  local mark = byte(text, position)
  if mark == 34 then return read_string(text, position + 1) end
  if mark == 123 or mark == 91 then
    if depth == MAX_DEPTH then fail(position, "nested deeper than " .. MAX_DEPTH) end
    return (mark == 123 and read_object or read_list)(text, position + 1, depth + 1)
  end
  local word = WORDS[mark]
  if word then
    local stop = match(text, word[1], position)
    if stop then return word[2], stop end
  elseif mark == 45 or mark and mark >= 48 and mark <= 57 then
    return read_number(text, position)
  end
  fail(position, mark and "expected a value" or "the text ends where a value is expected")
end

local function read_text(text)
  local value, stop = read(text, match(text, "^[ \n\r\t]*()"), 0)
  stop = match(text, "^[ \n\r\t]*()", stop)
  if stop <= #text then fail(stop, "something follows the value") end
  return value
end

local function failed(kind, message) return nil, errors.new({ kind = kind, message = message, retryable = false }) end

return function(text)
  if type(text) ~= "string" then return failed(errors.INVALID, "string expected") end
  if text == "" then return failed(errors.INVALID, "empty string is not valid JSON") end
  -- INTERNAL, not INVALID: that is what the reference's documentation promises for bad JSON.
  if not len(text) then return failed(errors.INTERNAL, "decode failed: the text is not valid UTF-8") end
  local ok, value = pcall(read_text, text)
  if ok then return value end
  if not rawequal(value, problem) then error(value, 0) end -- the end of the call's time or memory
  local _, line = sub(text, 1, problem.position - 1):gsub("\n", "")
  local where = ", at byte " .. problem.position .. " in line " .. line + 1
  return failed(errors.INTERNAL, "decode failed: " .. problem.message .. where)
end
