-- Shows one entry, now or at a commit, the newest commits that changed it, and how often it was called.
local registry = require("registry")

local HISTORY = 10

local function handler(input)
    local snapshot, err = registry.snapshot()
    if input.at then
        snapshot, err = registry.snapshot_at(input.at)
    end
    if err then
        return { error = err:message() }
    end
    local entry, get_err = snapshot:get(input.id)
    if get_err then
        return { error = get_err:message() }
    end
    local history, history_err = registry.history(input.id, HISTORY)
    if history_err then
        return { error = history_err:message() }
    end
    local uses, uses_err = registry.uses(input.id)
    if uses_err then
        return { error = uses_err:message() }
    end
    return {
        id = entry.id,
        kind = entry.kind,
        meta = entry.meta,
        data = entry.data,
        commit = snapshot:version():commit(),
        history = history,
        uses = uses,
    }
end

return { handler = handler }
