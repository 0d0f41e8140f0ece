-- Lists entries: a bounded answer, since the model pays for every line of it.
local registry = require("registry")

local DEFAULT_LIMIT = 50
local MAX_LIMIT = 200
local MAX_CHARS = 200 -- of a title or a comment

local function shorten(text)
    local cut = text and utf8.len(text) and utf8.offset(text, MAX_CHARS + 1)
    return cut and cut <= #text and text:sub(1, cut - 1) .. "..." or text
end

local function handler(input)
    local filter = { [".ns"] = input.namespace, [".kind"] = input.kind, ["meta.type"] = input.type }
    local limit = math.max(1, math.min(math.tointeger(input.limit) or DEFAULT_LIMIT, MAX_LIMIT))
    local found, err = registry.list(filter, { query = input.query, limit = limit })
    if err then
        return { error = err:message() }
    end
    for _, entry in ipairs(found.entries) do
        entry.title, entry.comment = shorten(entry.title), shorten(entry.comment)
    end
    local shown = #found.entries
    local answer = { entries = found.entries, total = found.total, truncated = found.total > shown }
    if answer.truncated then
        answer.hint = ("%d of %d: narrow it with query (words of what you need), namespace or type"):format(
            shown,
            found.total
        )
    end
    return answer
end

return { handler = handler }
