-- text: long texts in chunks.
local native, is_table = ...

local Splitter = {}
Splitter.__index = Splitter

local function new(kind, options)
  if options ~= nil and not is_table(options) then return nil, invalid("options must be a table") end
  local checked, err = native("splitter", kind, options or {})
  if err then return nil, err end
  return setmetatable({_kind = kind, _options = checked}, Splitter)
end

function Splitter:split_text(text)
  check_self(Splitter, self, "splitter:split_text(text)")
  return native("split", self._kind, self._options, text)
end

function Splitter:split_batch(pages)
  check_self(Splitter, self, "splitter:split_batch(pages)")
  if not is_table(pages) then return nil, invalid("pages must be a table") end
  local chunks = {}
  for i, page in ipairs(pages) do
    local metadata = is_table(page) and page.metadata
    if metadata == nil then metadata = {} end
    if not is_table(page) or type(page.content) ~= "string" or not is_table(metadata) then
      return nil, invalid("pages[" .. i .. "] must be a table with the field content, and metadata if any a table")
    end
    local texts, err = native("split", self._kind, self._options, page.content)
    if err then return nil, err end
    for _, text in ipairs(texts) do chunks[#chunks + 1] = {content = text, metadata = metadata} end
  end
  return chunks
end

return {
  recursive = function(options) return new("recursive", options) end,
  markdown = function(options) return new("markdown", options) end,
}
