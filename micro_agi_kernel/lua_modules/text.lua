-- text: regular expressions, differences and patches, splitting; its parts stand in the files text_*.lua.
local native, _, _, _, part = ...

local function is_table(value) return type(value) == "table" and not kind_of(value) end

return {
  regexp = part("regexp", native),
  diff = part("diff", native, is_table),
  splitter = part("splitter", native, is_table),
}
