-- http_client: requests that the host makes, behind its guard.
local native, host = ...

local http_client = {}

local function invalid(message)
  return errors.new({kind = errors.INVALID, message = message, retryable = false})
end

-- A table of texts by name: {["Accept"] = "text/plain", page = 2}. Nothing for an empty one.
local function texts(option, value)
  if type(value) ~= "table" then return nil, invalid(option .. " must be a table of names and values") end
  local found = {}
  for name, item in pairs(value) do
    local kind = type(item)
    if type(name) ~= "string" or kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      return nil, invalid(option .. " must be a table of names and values, each a string")
    end
    found[name] = tostring(item)
  end
  return next(found) and found
end

local OPTIONS = {
  headers = function(value) return texts("headers", value) end,
  query = function(value) return texts("query", value) end,
  timeout = function(value) return native("timeout", value) end,
  body = function(value)
    if type(value) ~= "string" then return nil, invalid("body must be a string; json.encode makes one of a table") end
    return value
  end,
}

local function canonical(name)
  return (name:lower():gsub("^%l", string.upper):gsub("%-%l", string.upper))
end

-- Header names as "Content-Type", whatever the server wrote; a look-up in any spelling finds them.
local HEADERS = {__index = function(headers, name)
  return type(name) == "string" and rawget(headers, canonical(name)) or nil
end}

function http_client.request(method, url, options)
  if type(method) ~= "string" or not method:find("^%a[%a%d%-]*$") then
    return nil, invalid("method must be a string such as \"GET\"")
  end
  if type(url) ~= "string" or url == "" then return nil, invalid("url must be a string that is not empty") end
  if options ~= nil and type(options) ~= "table" then return nil, invalid("options must be a table") end
  local payload = {method = method:upper(), url = url}
  for name, value in pairs(options or {}) do
    local check = OPTIONS[name]
    if not check then
      return nil, invalid("unknown option " .. tostring(name) .. "; there are headers, query, body and timeout")
    end
    local checked, err = check(value)
    if err then return nil, err end
    payload[name] = checked or nil
  end
  local response, err = host("http.request", payload)
  if err then return nil, err end
  local headers = {}
  for name, value in pairs(response.headers) do headers[canonical(name)] = value end
  response.headers = setmetatable(headers, HEADERS)
  return response
end

function http_client.get(url, options) return http_client.request("GET", url, options) end
function http_client.post(url, options) return http_client.request("POST", url, options) end

return http_client
