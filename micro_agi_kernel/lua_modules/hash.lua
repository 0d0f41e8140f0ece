-- hash: MD5, SHA-1, SHA-2, their HMACs, and FNV.
local native = ...

local hash = {}

for _, algorithm in ipairs({"md5", "sha1", "sha256", "sha512"}) do
  hash[algorithm] = function(data, raw) return native("digest", algorithm, data, raw and true or false) end
  hash["hmac_" .. algorithm] = function(data, secret, raw)
    return native("hmac", algorithm, data, secret, raw and true or false)
  end
end

-- FNV-1 (multiply, then xor). Lua's integers wrap at 64 bits, which is what the algorithm asks for.
local function fnv(data, basis, prime, mask)
  if type(data) ~= "string" then return nil, invalid("data must be a string") end
  local value = basis
  for i = 1, #data do value = (value * prime & mask) ~ data:byte(i) end
  return value
end

function hash.fnv32(data) return fnv(data, 0x811c9dc5, 0x01000193, 0xffffffff) end
function hash.fnv64(data) return fnv(data, 0xcbf29ce484222325, 0x100000001b3, -1) end

return hash
