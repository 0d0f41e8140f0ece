-- text: regular expressions, differences and patches, splitting; its parts stand in the files text_*.lua.
local native, _, _, _, part = ...

local arguments = part("arguments")

return {
  regexp = part("regexp", native, arguments),
  diff = part("diff", native, arguments),
  splitter = part("splitter", native, arguments),
}
