-- security: actors, and named scopes of policies to ask about them.
local _, host = ...

local security = {}
local Actor, Scope = {}, {}
Actor.__index, Scope.__index = Actor, Scope

local function given(value)
  return type(value) == "string" and value ~= ""
end

-- `{}` means an object here; in Lua it could be a list just as well.
local function metadata(value)
  if value == nil or type(value) == "table" and next(value) == nil then return empty_object() end
  return type(value) == "table" and value or nil
end

function security.new_actor(id, meta)
  if not given(id) then error(invalid("id must be a string that is not empty")) end
  meta = metadata(meta) or error(invalid("meta must be a table"))
  return setmetatable({_id = id, _meta = meta}, Actor)
end

function Actor:id()
  check_self(Actor, self, "actor:id()")
  return self._id
end

function Actor:meta()
  check_self(Actor, self, "actor:meta()")
  return self._meta
end

function security.named_scope(id)
  if not given(id) then return nil, invalid("id must be a string that is not empty") end
  local found, err = host("security.named_scope", {id = id})
  if err then return nil, err end
  return setmetatable({_id = found.id}, Scope)
end

function Scope:evaluate(actor, action, resource, meta)
  check_self(Scope, self, "scope:evaluate(actor, action, resource)")
  if getmetatable(actor) ~= Actor then return nil, invalid("actor must be an Actor, from security.new_actor") end
  if not given(action) then return nil, invalid("action must be a string that is not empty") end
  if not given(resource) then return nil, invalid("resource must be a string that is not empty") end
  local about = metadata(meta)
  if not about then return nil, invalid("meta must be a table") end
  local decision, err = host("security.evaluate", {
    scope = self._id,
    actor = {id = actor._id, meta = actor._meta},
    action = action,
    resource = resource,
    meta = about,
  })
  if err then return nil, err end
  return decision.result, nil, decision.policy
end

return security
