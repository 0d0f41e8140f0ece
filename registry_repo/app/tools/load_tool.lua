-- Checks that an entry is a tool and says how it will be called; the turn then adds it to the agent.
local registry = require("registry")

local function handler(input)
    local entry, err = registry.get(input.id)
    if err then
        return { error = err:message() }
    end
    if not entry.meta or entry.meta.type ~= "tool" then
        return { error = "not a tool (meta.type != 'tool'): " .. entry.id }
    end
    return {
        loaded = true,
        id = entry.id,
        alias = entry.meta.llm_alias or entry.id,
        description = entry.meta.llm_description or "",
    }
end

return { handler = handler }
