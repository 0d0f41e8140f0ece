-- Reads one page of the documentation, or searches it. Pages come from the registry's own docs/;
-- a remote documentation is asked only where a person has set one (docs.remote).
local docs = require("docs")
local http_client = require("http_client")

local MAX_CHARS = 8000

local function truncate(text)
    if utf8.len(text) == nil then
        return text:sub(1, MAX_CHARS) .. "\n... (truncated)"
    end
    local cut = utf8.offset(text, MAX_CHARS + 1)
    if cut ~= nil and cut <= #text then
        return text:sub(1, cut - 1) .. "\n... (truncated)"
    end
    return text
end

local function fetch(url, query)
    local response, err = http_client.get(url, { query = query })
    if err then
        return nil, err:message()
    end
    if response.status_code ~= 200 then
        return nil, "HTTP " .. response.status_code
    end
    return truncate(response.body or "")
end

local function encode(path)
    local encoded = path:gsub("[^%w/_.~-]", function(byte)
        return ("%%%02X"):format(byte:byte())
    end)
    return encoded
end

local function read_page(path)
    local page, err = docs.page(path)
    if not err then
        return { path = path, content = truncate(page) }
    end
    local remote = docs.remote()
    if not remote or not errors.is(err, errors.NOT_FOUND) then
        return { error = err:message() }
    end
    if ("/" .. path .. "/"):find("/%.%.?/") then
        return { error = "not found: " .. path }
    end
    local content, fetch_err = fetch(remote .. "/path/en/" .. encode(path))
    if fetch_err then
        return { error = fetch_err }
    end
    return { path = path, content = content }
end

local function search(query)
    local hits, err = docs.search(query)
    if err then
        return { error = err:message() }
    end
    local remote = docs.remote()
    if #hits > 0 or not remote then
        return { results = hits }
    end
    local results, fetch_err = fetch(remote .. "/search", { q = query })
    if fetch_err then
        return { error = fetch_err }
    end
    return { results = results }
end

local function handler(input)
    if type(input.path) == "string" and input.path ~= "" then
        return read_page(input.path)
    end
    if type(input.query) == "string" and input.query ~= "" then
        return search(input.query)
    end
    return { error = "provide either 'path' or 'query'" }
end

return { handler = handler }
