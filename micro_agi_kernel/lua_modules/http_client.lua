-- http_client: requests that the host makes, behind its guard. Options go there as they are; it checks them all.
local native, host = ...

local http_client = {}

local MAX_TOKEN = 1 << 20 -- bytes of one line or word

local function failure(kind, message)
  return errors.new({kind = kind, message = message, retryable = false})
end

-- Streams: what a response with `stream = true` has in place of a body.

-- Each gives the token that begins at `start` and where the next one begins; nothing when more is needed for it.
local SPLITS = {}

function SPLITS.lines(text, start, ended)
  local stop = text:find("\n", start, true)
  if not stop and not (ended and start <= #text) then return nil end
  local line = text:sub(start, (stop or #text + 1) - 1)
  return line:sub(-1) == "\r" and line:sub(1, -2) or line, (stop or #text) + 1
end

function SPLITS.words(text, start, ended)
  local first = text:find("%S", start)
  local stop = first and text:find("%s", first)
  if not first or not (stop or ended) then return nil end
  return text:sub(first, (stop or #text + 1) - 1), (stop or #text) + 1
end

function SPLITS.bytes(text, start)
  if start <= #text then return text:sub(start, start), start + 1 end
end

function SPLITS.runes(text, start, ended)
  if start > #text then return nil end
  if utf8.len(text, start, start) then
    local byte = text:byte(start)
    local stop = start + (byte < 0x80 and 1 or byte < 0xE0 and 2 or byte < 0xF0 and 3 or 4)
    return text:sub(start, stop - 1), stop
  end
  if ended or start + 3 <= #text then return "\u{FFFD}", start + 1 end -- else its other bytes are still to come
end

local function new_scanner(stream, split)
  local text, start, ended, token, fault = "", 1, false, "", nil
  local scanner = {}

  function scanner.scan()
    while not fault do
      local found, after = split(text, start, ended)
      if found then
        token, start = found, after
        return true
      end
      token = ""
      if ended then return false end
      text, start = text:sub(start), 1
      local chunk
      if #text > MAX_TOKEN then
        fault = failure(errors.INTERNAL, "a token has more than " .. MAX_TOKEN .. " bytes")
      else
        chunk, fault = stream:read()
      end
      if chunk then text = text .. chunk else ended = true end
    end
    return false, fault
  end

  function scanner.text() return token end

  function scanner.err() return fault and fault:message() or nil end

  return scanner
end

local function new_stream(id, size)
  local position, ended, closed = 0, false, false
  local stream = {}

  local function gone() return failure(errors.INTERNAL, "the stream is closed") end

  function stream.read(_, bytes)
    if bytes == nil then bytes = 0 end
    if math.type(bytes) ~= "integer" or bytes < 0 then return nil, invalid("read takes a number of bytes, 0 or more") end
    if closed then return nil, gone() end
    if ended then return nil end
    local chunk, err = host("http.read", {stream = id, size = bytes > 0 and math.min(bytes, 1 << 20) or nil})
    if err then return nil, err end
    ended = chunk == nil
    position = position + #(chunk or "")
    return chunk
  end

  function stream.close()
    if not closed then
      closed = true
      if not ended then host("http.close", {stream = id}) end
    end
    return true
  end

  function stream.seek() return nil, failure(errors.INTERNAL, "an answer cannot be read twice: no seek") end

  function stream.stat()
    if closed then return nil, gone() end
    return {size = size, position = position, readable = true, writable = false, seekable = false}
  end

  function stream.scanner(_, split)
    local known = SPLITS[split == nil and "lines" or split]
    if not known then return nil, invalid("scanner takes lines, words, bytes or runes") end
    if closed then return nil, gone() end
    return new_scanner(stream, known)
  end

  return stream
end

-- Requests.

local function canonical(name)
  return (name:lower():gsub("^%l", string.upper):gsub("%-%l", string.upper))
end

-- Header names as "Content-Type"; a look-up in any spelling finds them.
local HEADERS = {__index = function(headers, name)
  return type(name) == "string" and rawget(headers, canonical(name)) or nil
end}

local function response_of(answer)
  setmetatable(answer.headers, HEADERS)
  if answer.stream then
    answer.stream, answer.body_size, answer.size = new_stream(answer.stream, answer.size), -1, nil
  else
    answer.body_size = #answer.body
  end
  return answer
end

-- What the host is asked for, and whether its answer is wanted as a stream; or nil and an error.
local function request_of(method, url, options)
  if type(method) ~= "string" then return nil, invalid("method must be a string such as \"GET\"") end
  if type(url) ~= "string" or url == "" then return nil, invalid("url must be a string that is not empty") end
  if options ~= nil and type(options) ~= "table" then return nil, invalid("options must be a table") end
  local request = {}
  for name, value in pairs(options or {}) do
    if type(name) ~= "string" or name == "method" or name == "url" then
      return nil, invalid("there is no option " .. tostring(name):sub(1, 40))
    end
    request[name] = value
  end
  local stream = request.stream or false
  if type(stream) ~= "boolean" then return nil, invalid("stream must be true or false") end
  if request.timeout ~= nil then
    local seconds, err = native("timeout", request.timeout)
    if err then return nil, err end
    request.timeout = seconds
  end
  request.method, request.url, request.stream = method, url, nil
  return request, stream
end

function http_client.request(method, url, options)
  local request, stream = request_of(method, url, options)
  if not request then return nil, stream end
  local answer, err
  if stream then
    answer, err = host("http.open", request)
  else
    answer, err = host("http.request", request)
  end
  if err then return nil, err end
  return response_of(answer)
end

for _, method in ipairs({"get", "post", "put", "patch", "delete", "head"}) do
  http_client[method] = function(url, options) return http_client.request(method:upper(), url, options) end
end

function http_client.request_batch(requests)
  if type(requests) ~= "table" or #requests == 0 then
    return nil, invalid("request_batch takes a list of {method, url, options}")
  end
  local asked = {}
  for index, parts in ipairs(requests) do
    if type(parts) ~= "table" then return nil, invalid("request " .. index .. " must be {method, url, options}") end
    local request, stream = request_of(parts[1], parts[2], parts[3])
    if not request then return nil, errors.wrap(stream, "request " .. index) end
    if stream then return nil, invalid("request " .. index .. ": a batch has no streams") end
    asked[index] = request
  end
  local answers, err = host("http.batch", {requests = asked})
  if err then return nil, err end
  local responses, faults, failed = {}, {}, false
  for index, answer in ipairs(answers) do
    failed = failed or answer.error ~= nil
    responses[index] = answer.response and response_of(answer.response) or false
    faults[index] = answer.error and errors.new(answer.error) or false
  end
  return responses, failed and faults or nil
end

-- Text in URLs, as Go's QueryEscape writes it.

-- Its result is a string only, so what is wrong is raised.
function http_client.encode_uri(text)
  return must(native("encode_uri", text))
end

function http_client.decode_uri(text) return native("decode_uri", text) end

return http_client
