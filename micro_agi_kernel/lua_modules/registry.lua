-- registry: read entries and versions, and change entries in one commit.
local _, host = ...

local registry = {}
local Snapshot, Changes, Version, History = {}, {}, {}, {}
Snapshot.__index, Changes.__index, Version.__index, History.__index = Snapshot, Changes, Version, History

-- An empty table is an object where one is meant, not a list.
local function object(value)
  return next(value) == nil and empty_object() or value
end

-- "namespace:name" of an id, given as such or as {ns = , name = } or {namespace, name}.
local function id_of(value)
  if type(value) == "table" then
    local ns, name = value.ns or value[1], value.name or value[2]
    value = type(ns) == "string" and type(name) == "string" and ns .. ":" .. name
  end
  if type(value) == "string" and value:find("^[^:]+:[^:]+$") then return value end
  return nil, invalid("an entry id has the form namespace:name")
end

local function limit_of(value)
  if value == nil or math.type(value) == "integer" and value > 0 then return value end
  return nil, invalid("limit must be a positive integer")
end

local function find(filter, request)
  if filter == nil then filter = {} end
  if type(filter) ~= "table" then return nil, invalid("filter must be a table") end
  request.filter = object(filter)
  return host("registry.find", request)
end

-- Versions ------------------------------------------------------------------

local function new_version(found, err)
  if not found then return nil, err end
  return setmetatable({_number = found.version, _commit = found.commit}, Version)
end

function Version:id()
  check_self(Version, self, "version:id()")
  return self._number
end

function Version:commit()
  check_self(Version, self, "version:commit()")
  return self._commit
end

function Version:string()
  check_self(Version, self, "version:string()")
  return self._number .. " (" .. self._commit:sub(1, 7) .. ")"
end

Version.__tostring = Version.string

function Version:previous()
  check_self(Version, self, "version:previous()")
  return new_version(host("registry.version", {commit = self._commit, step = "previous"}))
end

function Version:next()
  check_self(Version, self, "version:next()")
  return new_version(host("registry.version", {commit = self._commit, step = "next"}))
end

function Version:info()
  check_self(Version, self, "version:info()")
  return host("registry.version", {commit = self._commit})
end

function registry.current_version()
  return new_version(host("registry.snapshot", {}))
end

function registry.versions(limit)
  local checked, err = limit_of(limit)
  if err then return nil, err end
  local rows, failure = host("registry.versions", {limit = checked or 100})
  if failure then return nil, failure end
  local versions = {}
  for i, row in ipairs(rows) do versions[i] = new_version(row) end
  return versions
end

function registry.history(id, limit)
  if id == nil then return setmetatable({}, History) end
  local found, wrong_id = id_of(id)
  if wrong_id then return nil, wrong_id end
  local checked, err = limit_of(limit)
  if err then return nil, err end
  return host("registry.history", {id = found, limit = checked})
end

-- What names a version for the host: a Version, a row of registry.history, a version's number, or a
-- revision such as a commit or "v3~1".
local function revision_of(value)
  if type(value) == "table" then value = value._commit or value.commit end
  local number = type(value) == "number" and math.tointeger(value)
  if number and number > 0 then return "v" .. number end
  if type(value) == "string" and value ~= "" then return value end
  return nil, invalid("version must be a Version, a number or a commit")
end

function registry.apply_version(version)
  local revision, err = revision_of(version)
  if err then return nil, err end
  return new_version(host("registry.apply_version", {commit = revision}))
end

-- Entries -------------------------------------------------------------------

function registry.parse_id(id)
  local found, err = id_of(id)
  if err then return nil, err end
  local ns, name = found:match("^(.-):(.*)$")
  return {ns = ns, name = name}
end

function registry.get(id)
  local found, err = id_of(id)
  if err then return nil, err end
  return host("registry.get", {id = found})
end

function registry.uses(id)
  local found, err = id_of(id)
  if err then return nil, err end
  return host("registry.uses", {id = found})
end

function registry.find(filter)
  return find(filter, {})
end

function registry.list(filter, options)
  if options == nil then options = {} end
  if type(options) ~= "table" then return nil, invalid("options must be a table") end
  if options.query ~= nil and type(options.query) ~= "string" then return nil, invalid("query must be a string") end
  local limit, err = limit_of(options.limit)
  if err then return nil, err end
  return find(filter, {query = options.query, limit = limit, heads = true})
end

-- Snapshots -----------------------------------------------------------------

local function new_snapshot(version, err)
  if err then return nil, err end
  return setmetatable({_version = version}, Snapshot)
end

function registry.snapshot()
  return new_snapshot(registry.current_version())
end

function registry.snapshot_at(version)
  local revision, err = revision_of(version)
  if err then return nil, err end
  return new_snapshot(new_version(host("registry.snapshot", {commit = revision})))
end

function History:versions()
  check_self(History, self, "hist:versions()")
  return registry.versions(200)
end

function History:get_version(id)
  check_self(History, self, "hist:get_version(id)")
  local number = type(id) == "number" and math.tointeger(id)
  if not number or number < 0 then return nil, invalid("a version's id is a whole number") end
  return new_version(host("registry.version", {commit = "v" .. number}))
end

function History:snapshot_at(version)
  check_self(History, self, "hist:snapshot_at(version)")
  return registry.snapshot_at(version)
end

function Snapshot:version()
  check_self(Snapshot, self, "snap:version()")
  return self._version
end

function Snapshot:get(id)
  check_self(Snapshot, self, "snap:get(id)")
  local found, err = id_of(id)
  if err then return nil, err end
  return host("registry.get", {id = found, commit = self._version._commit})
end

function Snapshot:find(filter)
  check_self(Snapshot, self, "snap:find(filter)")
  return find(filter, {commit = self._version._commit})
end

function Snapshot:entries()
  check_self(Snapshot, self, "snap:entries()")
  return host("registry.entries", {commit = self._version._commit})
end

function Snapshot:namespace(namespace)
  check_self(Snapshot, self, "snap:namespace(ns)")
  if type(namespace) ~= "string" or namespace == "" then
    return nil, invalid("namespace must be a string that is not empty")
  end
  return host("registry.entries", {commit = self._version._commit, namespace = namespace})
end

function Snapshot:changes()
  check_self(Snapshot, self, "snap:changes()")
  return setmetatable({_commit = self._version._commit, _operations = {}}, Changes)
end

-- Changes -------------------------------------------------------------------

local function entry_of(value)
  if type(value) ~= "table" then return nil, invalid("an entry is a table with id, kind, meta and data") end
  local id, err = id_of(value.id)
  if err then return nil, err end
  local kind, meta, data = value.kind, value.meta or {}, value.data or {}
  if type(kind) ~= "string" or kind == "" then return nil, invalid("the entry " .. id .. " has no kind") end
  if type(meta) ~= "table" or type(data) ~= "table" then
    return nil, invalid("meta and data of the entry " .. id .. " must be tables")
  end
  return {id = id, kind = kind, meta = object(meta), data = object(data)}
end

function registry.similar(entry)
  local found, err = entry_of(entry)
  if err then return nil, err end
  return host("registry.similar", {entry = found})
end

function Changes:create(entry)
  check_self(Changes, self, "changes:create(entry)")
  table.insert(self._operations, {kind = "entry.create", entry = must(entry_of(entry))})
  return self
end

function Changes:update(entry)
  check_self(Changes, self, "changes:update(entry)")
  table.insert(self._operations, {kind = "entry.update", entry = must(entry_of(entry))})
  return self
end

function Changes:delete(id)
  check_self(Changes, self, "changes:delete(id)")
  table.insert(self._operations, {kind = "entry.delete", entry = {id = must(id_of(id))}})
  return self
end

function Changes:ops()
  check_self(Changes, self, "changes:ops()")
  return table.move(self._operations, 1, #self._operations, 1, {})
end

function Changes:apply()
  check_self(Changes, self, "changes:apply()")
  if #self._operations == 0 then return nil, invalid("no changes to apply") end
  local operations = {}
  for i, operation in ipairs(self._operations) do
    local action = operation.kind:sub(#"entry." + 1)
    operations[i] = {
      action = action,
      id = operation.entry.id,
      entry = action ~= "delete" and operation.entry or nil,
    }
  end
  return new_version(host("registry.apply", {commit = self._commit, operations = operations}))
end

-- Differences ---------------------------------------------------------------

local MAX_DEPTH = 128 -- what is nested deeper cannot be written anyway

local function same(a, b, depth)
  if rawequal(a, b) then return true end
  if type(a) ~= "table" or type(b) ~= "table" or depth > MAX_DEPTH then return false end
  for key, value in next, a do
    if not same(value, rawget(b, key), depth + 1) then return false end
  end
  for key in next, b do
    if rawget(a, key) == nil then return false end
  end
  return true
end

-- The entries of a list by id.
local function entries_by_id(list, name)
  if type(list) ~= "table" then return nil, invalid(name .. " must be a list of entries, or a Snapshot") end
  local entries, count = {}, 0
  for _, value in ipairs(list) do
    local entry, err = entry_of(value)
    if err then return nil, err end
    if entries[entry.id] then return nil, invalid(entry.id .. " stands twice in " .. name) end
    entries[entry.id], count = entry, count + 1
  end
  for _ in next, list do count = count - 1 end
  if count ~= 0 then return nil, invalid(name .. " must be a list of entries, without holes") end
  return entries
end

function registry.build_delta(from, to)
  local was_snapshot, is_snapshot = getmetatable(from) == Snapshot, getmetatable(to) == Snapshot
  if was_snapshot and is_snapshot then
    return host("registry.delta", {from = from._version._commit, to = to._version._commit})
  end
  if was_snapshot or is_snapshot then return nil, invalid("from and to must both be Snapshots, or both lists") end
  local before, wrong_from = entries_by_id(from, "from")
  if wrong_from then return nil, wrong_from end
  local after, wrong_to = entries_by_id(to, "to")
  if wrong_to then return nil, wrong_to end
  local operations = {}
  for id, entry in next, after do
    if not same(before[id], entry, 1) then
      table.insert(operations, {kind = before[id] and "entry.update" or "entry.create", entry = entry})
    end
  end
  for id, entry in next, before do
    if not after[id] then table.insert(operations, {kind = "entry.delete", entry = entry}) end
  end
  table.sort(operations, function(a, b) return a.entry.id < b.entry.id end)
  return operations
end

return registry
