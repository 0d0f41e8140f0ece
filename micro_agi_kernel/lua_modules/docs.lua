-- docs: pages of the documentation, and search in them.
local _, host = ...

local docs = {}

function docs.page(path)
  if type(path) ~= "string" or path == "" then return nil, invalid("path must be a string that is not empty") end
  return host("docs.page", {path = path})
end

function docs.search(query, limit)
  if type(query) ~= "string" or query == "" then return nil, invalid("query must be a string that is not empty") end
  if limit ~= nil and (math.type(limit) ~= "integer" or limit < 1) then
    return nil, invalid("limit must be a positive integer")
  end
  return host("docs.search", {query = query, limit = limit})
end

function docs.remote()
  return host("docs.remote", {})
end

return docs
