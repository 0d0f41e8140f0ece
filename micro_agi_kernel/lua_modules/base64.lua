-- base64: bytes as text and back.
local native = ...

return {
  encode = function(data) return native("encode", data) end,
  decode = function(data) return native("decode", data) end,
}
