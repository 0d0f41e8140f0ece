-- crypto: random values, HMAC, authenticated encryption, JSON Web Tokens, keys from passwords.
local native = ...

local crypto = {
  random = {
    bytes = function(length) return native("random_bytes", length) end,
    string = function(length, charset) return native("random_string", length, charset) end,
    uuid = function() return native("random_uuid") end,
  },
  hmac = {
    sha256 = function(key, data) return native("hmac", "sha256", key, data) end,
    sha512 = function(key, data) return native("hmac", "sha512", key, data) end,
  },
  encrypt = {},
  decrypt = {},
  jwt = {
    encode = function(payload, key, alg) return native("jwt_encode", payload, key, alg) end,
    verify = function(token, key, alg, require_exp) return native("jwt_verify", token, key, alg, require_exp) end,
  },
  pbkdf2 = function(password, salt, iterations, key_length, hash)
    return native("pbkdf2", password, salt, iterations, key_length, hash)
  end,
}

for _, cipher in ipairs({"aes", "chacha20"}) do
  crypto.encrypt[cipher] = function(data, key, aad) return native("encrypt", cipher, data, key, aad) end
  crypto.decrypt[cipher] = function(data, key, aad) return native("decrypt", cipher, data, key, aad) end
end

-- Its result is a boolean only, so a wrong argument is raised: nil would look like "not equal".
function crypto.constant_time_compare(a, b)
  return must(native("constant_time_compare", a, b))
end

return crypto
