-- Writes a generated tool: makes one entry of the request and commits it.
-- The host asks the policies, checks the entry and runs its tests before it writes; what it says goes to the model.
local json = require("json")
local registry = require("registry")

local NAMESPACE = "app.generated"

local function read_schema(schema)
    if type(schema) ~= "string" then
        return schema
    end
    local decoded, err = json.decode(schema)
    if err then
        return nil, "input_schema: not JSON: " .. err:message()
    end
    return decoded
end

-- What an error says, with places in the request as the model wrote them.
local function told(err)
    local message, found = err:message():gsub("^request%.[%w_.%[%]]-entry%.data%.", "")
    if found > 0 and message:find(": a sparse list", 1, true) then
        message = message .. "; a list cannot hold null: leave it out, or for a result take schema"
    end
    return message
end

-- Why the tool is not to be written as it was asked for; nil when it is. What is wrong with the entry, the commit says.
local function misunderstood(entry, exists, intent)
    if intent == "replace" then
        return not exists
            and { error = "intent: there is no " .. entry.id .. " to replace; give the name of the tool to write over" }
    end
    if intent == "new" and not exists then
        return
    end
    local similar, err = registry.similar(entry)
    if err then
        return { error = told(err) }
    end
    local standing = similar[1] and similar[1].why == "same name" and similar[1] or nil
    if standing then
        return {
            error = "name: " .. entry.id .. " exists, and nothing was written. If that is the tool to change, call "
                .. 'create_tool again with intent "replace"; for another tool choose another name.',
            existing = standing,
        }
    end
    if not exists and #similar > 0 then
        return {
            error = "nothing was written, for there are tools like this one. Load one of them (load_tool with its id) "
                .. "if it does what is wanted. Else call create_tool again, to have both: with intent \"new\"; to write "
                .. "over one of them in " .. NAMESPACE .. ": with its name and intent \"replace\".",
            similar = similar,
        }
    end
end

local function handler(input)
    local schema, schema_err = read_schema(input.input_schema)
    if schema_err then
        return { error = schema_err }
    end

    local id = NAMESPACE .. ":" .. input.name
    local snapshot, snapshot_err = registry.snapshot()
    if snapshot_err then
        return { error = snapshot_err:message() }
    end
    local existing, get_err = snapshot:get(id)
    if get_err and not errors.is(get_err, errors.NOT_FOUND) then
        return { error = get_err:message() }
    end

    -- What a person added to the entry (limits, marks for policies) stays, and so do tests unless others are given.
    local meta, tests = existing and existing.meta or {}, input.tests
    local inherited = not tests and existing and existing.data.tests
    tests = tests or inherited or nil
    meta.type, meta.title, meta.comment = "tool", input.name, input.description
    meta.input_schema, meta.llm_alias, meta.llm_description = schema, input.name, input.description
    local entry = {
        id = id,
        kind = "function.lua",
        meta = meta,
        data = {
            source = input.source,
            modules = input.modules or {},
            imports = input.imports,
            calls = input.calls,
            tests = tests,
            method = "handler",
        },
    }
    local problem = misunderstood(entry, existing ~= nil, input.intent)
    if problem then
        return problem
    end
    local changes = snapshot:changes()
    if existing then
        changes:update(entry)
    else
        changes:create(entry)
    end
    local version, apply_err = changes:apply()
    if apply_err then
        local message = told(apply_err)
        if inherited and message:find("^tests[:%[]") then
            message = message .. "; the tool had these tests before: give others if they are out of date, [] drops them"
        end
        return { error = message }
    end
    local result = { id = id, commit = version:commit() }
    result[existing and "updated" or "created"] = true
    return result
end

return { handler = handler }
