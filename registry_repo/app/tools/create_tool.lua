-- Writes a generated tool: checks the request, asks the policies, commits one entry.
-- The host asks the same policies again before it writes, so what stands here is for clear answers.
local json = require("json")
local registry = require("registry")
local security = require("security")

local NAMESPACE = "app.generated"
local MAX_SOURCE_LEN = 16000
local MAX_NAME_LEN = 64
local MAX_MODULES = 32

local function check_input(input)
    if type(input.name) ~= "string" or not input.name:find("^[a-z][a-z0-9_]*$") or #input.name > MAX_NAME_LEN then
        return "name: a lower-case letter, then a-z, 0-9 or _, at most " .. MAX_NAME_LEN .. " characters"
    end
    if type(input.description) ~= "string" or input.description == "" then
        return "description: say in one sentence what the tool does"
    end
    if type(input.source) ~= "string" or input.source == "" then
        return "source: the Lua source of the tool is missing"
    end
    if (utf8.len(input.source) or #input.source) > MAX_SOURCE_LEN then
        return "source: longer than " .. MAX_SOURCE_LEN .. " characters"
    end
    if input.modules ~= nil and (type(input.modules) ~= "table" or #input.modules > MAX_MODULES) then
        return "modules: a list of at most " .. MAX_MODULES .. " module names"
    end
end

local function read_schema(schema)
    if type(schema) == "string" then
        local decoded, err = json.decode(schema)
        if err then
            return nil, "input_schema: not JSON: " .. err:message()
        end
        schema = decoded
    end
    if type(schema) ~= "table" then
        return nil, "input_schema: a JSON Schema object is required"
    end
    return schema
end

local function check_policies(action, id, modules)
    local actor = security.new_actor("service:agent", { role = "agent" })
    local scope, scope_err = security.named_scope("app:agent_security")
    if scope_err then
        return scope_err:message()
    end
    local result, err, policy = scope:evaluate(actor, action, id)
    if err then
        return err:message()
    end
    if result == "deny" then
        return "policy denied: " .. action .. " on " .. id .. " (policy " .. policy .. ")"
    end

    local tools, tools_err = security.named_scope("app:tool_security")
    if tools_err then
        return tools_err:message()
    end
    local tool = security.new_actor("tool:" .. id, { namespace = NAMESPACE, modules = modules })
    for _, module in ipairs(modules) do
        if tools:evaluate(tool, "lua.module", tostring(module)) ~= "allow" then
            return "policy denied: lua.module on " .. tostring(module)
        end
    end
end

-- The aliases are for the host to check, as the ids are when the tool runs: that one is there is for a clear answer.
local function check_imports(imports, snapshot)
    if type(imports) ~= "table" then
        return "imports: a table of alias and id is required"
    end
    for alias, id in pairs(imports) do
        if type(id) ~= "string" then
            return "imports." .. alias .. ": the id of a library is required"
        end
        local library, err = snapshot:get(id)
        if err then
            return "imports." .. alias .. ": " .. err:message()
        end
        if library.kind ~= "library.lua" then
            return "imports." .. alias .. ": " .. id .. " is not a library"
        end
    end
end

local function handler(input)
    local problem = check_input(input)
    if problem then
        return { error = problem }
    end
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
    local imports_problem = input.imports ~= nil and check_imports(input.imports, snapshot)
    if imports_problem then
        return { error = imports_problem }
    end
    local modules = input.modules or {}
    local denied = check_policies(existing and "registry.update" or "registry.create", id, modules)
    if denied then
        return { error = denied }
    end

    local entry = {
        id = id,
        kind = "function.lua",
        meta = {
            type = "tool",
            title = input.name,
            comment = input.description,
            input_schema = schema,
            llm_alias = input.name,
            llm_description = input.description,
        },
        data = {
            source = input.source,
            modules = modules,
            imports = input.imports,
            tests = input.tests,
            method = "handler",
        },
    }
    local changes = snapshot:changes()
    if existing then
        changes:update(entry)
    else
        changes:create(entry)
    end
    local version, apply_err = changes:apply()
    if apply_err then
        return { error = apply_err:message() }
    end
    local result = { id = id, commit = version:commit() }
    result[existing and "updated" or "created"] = true
    return result
end

return { handler = handler }
