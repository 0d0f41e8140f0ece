-- Lists entries: a bounded answer, since the model pays for every line of it.
local registry = require("registry")

local DEFAULT_LIMIT = 50
local MAX_LIMIT = 200

local function handler(input)
    local filter = { [".ns"] = input.namespace, [".kind"] = input.kind, ["meta.type"] = input.type }
    local limit = math.max(1, math.min(math.tointeger(input.limit) or DEFAULT_LIMIT, MAX_LIMIT))
    local found, err = registry.list(filter, { query = input.query, limit = limit })
    if err then
        return { error = err:message() }
    end
    return { entries = found.entries, total = found.total, truncated = found.total > #found.entries }
end

return { handler = handler }
