-- text: differences of two texts, and patches.
local native, is_table = ...

local Differ = {}
Differ.__index = Differ

local function new(options)
  if options ~= nil and not is_table(options) then return nil, invalid("options must be a table") end
  local checked, err = native("differ", options or {})
  if err then return nil, err end
  return setmetatable({_options = checked}, Differ)
end

function Differ:compare(text1, text2)
  check_self(Differ, self, "differ:compare(text1, text2)")
  return native("compare", self._options, text1, text2)
end

function Differ:patch_make(text1, text2)
  check_self(Differ, self, "differ:patch_make(text1, text2)")
  local texts, err = native("patch_make", self._options, text1, text2)
  if err then return nil, err end
  local patches = {}
  for i, text in ipairs(texts) do patches[i] = {text = text} end
  return patches
end

function Differ:patch_apply(patches, text)
  check_self(Differ, self, "differ:patch_apply(patches, text)")
  if not is_table(patches) then error(invalid("patches must be a table, from differ:patch_make")) end
  local texts = {}
  for i, patch in ipairs(patches) do
    if not is_table(patch) or type(patch.text) ~= "string" then
      error(invalid("patches[" .. i .. "] must be a table with the field text"))
    end
    texts[i] = patch.text
  end
  local result = must(native("patch_apply", self._options, texts, text))
  return result[1], result[2]
end

local OPERATIONS = {equal = "equals", delete = "deletions", insert = "insertions"}

-- What is wrong with a list of differences, as an error; nil if nothing is.
local function problem(diffs)
  if not is_table(diffs) then return invalid("diffs must be a table, from differ:compare") end
  for i, diff in ipairs(diffs) do
    if not is_table(diff) or not OPERATIONS[diff.operation] or type(diff.text) ~= "string" then
      return invalid("diffs[" .. i .. "] must be a table with the fields operation and text")
    end
  end
end

function Differ:summarize(diffs)
  check_self(Differ, self, "differ:summarize(diffs)")
  must(nil, problem(diffs))
  local summary = {equals = 0, deletions = 0, insertions = 0}
  for _, diff in ipairs(diffs) do
    local name = OPERATIONS[diff.operation]
    summary[name] = summary[name] + (utf8.len(diff.text) or #diff.text)
  end
  return summary
end

local COLORS = {delete = "\27[31m", insert = "\27[32m"}

function Differ:pretty_text(diffs)
  check_self(Differ, self, "differ:pretty_text(diffs)")
  local err = problem(diffs)
  if err then return nil, err end
  local parts = {}
  for i, diff in ipairs(diffs) do
    local color = COLORS[diff.operation]
    -- Each line is colored on its own.
    parts[i] = color and color .. diff.text:gsub("\n", "\27[0m\n" .. color) .. "\27[0m" or diff.text
  end
  return table.concat(parts)
end

local TAGS = {
  equal = {"<span>", "</span>"},
  delete = {'<del style="background:#ffe6e6;">', "</del>"},
  insert = {'<ins style="background:#e6ffe6;">', "</ins>"},
}
local ENTITIES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&#34;", ["'"] = "&#39;", ["\n"] = "&para;<br>",
}

function Differ:pretty_html(diffs)
  check_self(Differ, self, "differ:pretty_html(diffs)")
  local err = problem(diffs)
  if err then return nil, err end
  local parts = {}
  for i, diff in ipairs(diffs) do
    local tag = TAGS[diff.operation]
    parts[i] = tag[1] .. diff.text:gsub("[&<>\"'\n]", ENTITIES) .. tag[2]
  end
  return table.concat(parts)
end

return {new = new}
