-- uuid: make, check and take apart UUIDs.
local native = ...

return {
  v1 = function() return native("v1") end,
  v3 = function(namespace, name) return native("v3", namespace, name) end,
  v4 = function() return native("v4") end,
  v5 = function(namespace, name) return native("v5", namespace, name) end,
  v7 = function() return native("v7") end,
  validate = function(value) return type(value) == "string" and native("validate", value) end,
  version = function(value) return native("version", value) end,
  variant = function(value) return native("variant", value) end,
  parse = function(value) return native("parse", value) end,
  format = function(value, form) return native("format", value, form == nil and "standard" or form) end,
}
