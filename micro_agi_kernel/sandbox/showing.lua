-- What a tool shows: printed text, how far it is, and things to display.

local raw, host, text, errors, values, scheduler = ... -- raw(op, payload): see boot.lua; a print has no answer to settle

local error = error
local concat, pack, running, tostring = table.concat, table.pack, coroutine.running, text.tostring

local MAX_PRINT = 256 << 10 -- bytes that cross at once
local room = 0 -- bytes that the output limit has left; main counts too, and ends the call

local function set_limit(bytes) room = bytes end

local function take(size)
  if room >= 0 and size > room then scheduler.mark((running())) end
  room = room - size
end

local function print(...)
  local parts = pack(...)
  for index = 1, parts.n do parts[index] = tostring(parts[index]) end
  local line = concat(parts, "\t") .. "\n"
  take(#line)
  for start = 1, #line, MAX_PRINT do raw("print", line:sub(start, start + MAX_PRINT - 1)) end
end

-- Main reads the message with the same check as the one that answers here.
local function show(kind, value)
  local encoded, problem = values.encode(value, kind)
  if encoded then
    local message = '{"t":"' .. kind .. '","value":' .. encoded .. "}"
    take(#message)
    problem = host("show", message)
  end
  if problem then error(errors.invalid(problem)) end
end

local function progress(done, total, word) show("progress", { done = done, total = total, text = word }) end

local function display(bundle) show("display", bundle) end

return { set_limit = set_limit, print = print, progress = progress, display = display }
