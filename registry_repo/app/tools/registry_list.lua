-- Lists entries: a bounded answer, since the model pays for every line of it.
local registry = require("registry")

local DEFAULT_LIMIT = 50
local MAX_LIMIT = 200

local function matches(entry, words)
    local meta = entry.meta or {}
    local text = table.concat({ entry.id, tostring(meta.title or ""), tostring(meta.comment or "") }, " "):lower()
    for _, word in ipairs(words) do
        if not text:find(word, 1, true) then
            return false
        end
    end
    return true
end

local function handler(input)
    local filter = {}
    filter[".ns"] = input.namespace
    filter[".kind"] = input.kind
    filter["meta.type"] = input.type
    local found, err = registry.find(filter)
    if err then
        return { error = err:message() }
    end

    local words = {}
    for word in tostring(input.query or ""):lower():gmatch("%S+") do
        words[#words + 1] = word
    end
    local limit = math.max(1, math.min(math.tointeger(input.limit) or DEFAULT_LIMIT, MAX_LIMIT))
    local entries, total = {}, 0
    for _, entry in ipairs(found) do
        if matches(entry, words) then
            total = total + 1
            if #entries < limit then
                local meta = entry.meta or {}
                entries[#entries + 1] = {
                    id = entry.id,
                    kind = entry.kind,
                    type = meta.type,
                    title = meta.title,
                    comment = meta.comment,
                }
            end
        end
    end
    return { entries = entries, total = total, truncated = total > #entries }
end

return { handler = handler }
