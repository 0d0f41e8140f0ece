"""The Lua module `crypto` but for its tokens: random values, HMAC, encryption, keys from passwords, comparison."""

from __future__ import annotations

from collections import Counter

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from lua_double import RunLua

from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _refusals(calls: list[str], run_lua: RunLua) -> list[str]:
    """ "KIND: message" of each call, all of which must fail for good."""
    tries = "\n".join(f"try({call})" for call in calls)
    ran = await run_lua(f"""
        local crypto = require("crypto")
        local found, key = {{}}, ("k"):rep(32)
        local function try(value, err)
          found[#found + 1] = value == nil and err:retryable() == false and tostring(err) or "no error"
        end
        {tries}
        return found
    """)
    assert isinstance(ran.value, list)
    return [str(text) for text in ran.value]


# -- random


async def test_random_values_have_the_size_asked_for(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local crypto, uuid = require("crypto"), require("uuid")
        local largest = crypto.random.bytes(1 << 20)
        return {
          #crypto.random.bytes(1), #largest, #crypto.random.bytes(64 / 2), #crypto.random.string(1 << 20, "x"),
          crypto.random.string(40):match("^%w+$") ~= nil, crypto.random.string(4, "y"),
          uuid.version(crypto.random.uuid()), crypto.random.uuid() ~= crypto.random.uuid(),
        }
    """)
    assert ran.value == [1, 1 << 20, 32, 1 << 20, True, "yyyy", 4, True]


async def test_each_byte_of_a_charset_is_as_likely_as_the_others(run_lua: RunLua) -> None:
    charset = bytes(range(10, 210))
    ran = await run_lua(
        "return {handler = function(charset) return (require('crypto').random.string(1 << 18, charset)) end}", charset
    )
    assert isinstance(ran.value, bytes)
    counts = Counter(ran.value)
    assert set(counts) == set(charset)
    # About 1,311 of each; 256 is no multiple of 200, so a plain remainder would give 56 of them twice as often.
    assert min(counts.values()) > 1_000 and max(counts.values()) < 1_600


async def test_no_two_children_draw_the_same(run_lua: RunLua) -> None:
    source = """
        local crypto = require("crypto")
        return {crypto.random.string(20), crypto.random.uuid(), (crypto.encrypt.aes("", ("k"):rep(32)))}
    """
    first, second = (await run_lua(source)).value, (await run_lua(source)).value
    assert isinstance(first, list) and isinstance(second, list)
    assert all(a != b for a, b in zip(first, second, strict=True))


async def test_random_values_are_bounded(run_lua: RunLua) -> None:
    calls = [
        "crypto.random.bytes(0)",
        "crypto.random.bytes((1 << 20) + 1)",
        "crypto.random.bytes(2^80)",
        "crypto.random.bytes(2.5)",
        'crypto.random.bytes("32")',
        "crypto.random.string(-1)",
        "crypto.random.string(1 << 40)",
        'crypto.random.string(1, "")',
        'crypto.random.string(1, ("x"):rep(257))',
        "crypto.random.string(1, 7)",
    ]
    assert await _refusals(calls, run_lua) == [
        "INVALID: length must be a positive integer",
        "INVALID: length exceeds maximum allowed size (1048576 bytes)",
        "INVALID: length must be an integer",
        "INVALID: length must be an integer",
        "INVALID: length must be an integer",
        "INVALID: length must be a positive integer",
        "INVALID: length exceeds maximum allowed size (1048576 bytes)",
        "INVALID: charset cannot be empty",
        "INVALID: charset has more than 256 bytes",
        "INVALID: charset must be a string",
    ]


# -- HMAC and encryption


async def test_hmac_is_that_of_rfc_4231(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local crypto = require("crypto")
        local key, data = "Jefe", "what do ya want for nothing?"
        return {crypto.hmac.sha256(key, data), crypto.hmac.sha512(key, data):sub(1, 32), #crypto.hmac.sha512(key, "")}
    """)
    assert ran.value == [
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "164b7a7bfcf819e2e395fbe73b56e0a3",
        128,
    ]
    assert await _refusals(['crypto.hmac.sha256("", "x")', 'crypto.hmac.sha512("k", nil)'], run_lua) == [
        "INVALID: key cannot be empty",
        "INVALID: data must be a string",
    ]


@pytest.mark.parametrize(
    ("name", "size", "cipher"),
    [("aes", 16, AESGCM), ("aes", 24, AESGCM), ("aes", 32, AESGCM), ("chacha20", 32, ChaCha20Poly1305)],
)
async def test_encrypted_data_is_nonce_then_ciphertext_then_tag(
    name: str, size: int, cipher: type[AESGCM] | type[ChaCha20Poly1305], run_lua: RunLua
) -> None:
    key, data, aad, nonce = bytes(range(size)), b"plain \xff text", b"seen \xfe by all", bytes(12)
    sealed: Value = nonce + cipher(key).encrypt(nonce, data, aad)
    ran = await run_lua(
        """
        local crypto = require("crypto")
        return {handler = function(input)
          local encrypt, decrypt = crypto.encrypt[input.name], crypto.decrypt[input.name]
          return {encrypt(input.data, input.key, input.aad), encrypt("", input.key),
            decrypt(input.sealed, input.key, input.aad)}
        end}
        """,
        {"name": name, "key": key, "data": data, "aad": aad, "sealed": sealed},
    )
    assert isinstance(ran.value, list)
    ours, empty, opened = ran.value
    assert isinstance(ours, bytes) and isinstance(empty, bytes)
    assert cipher(key).decrypt(ours[:12], ours[12:], aad) == data
    assert cipher(key).decrypt(empty[:12], empty[12:], None) == b""
    assert opened == data


@pytest.mark.parametrize("name", ["aes", "chacha20"])
async def test_what_was_not_sealed_so_does_not_open(name: str, run_lua: RunLua) -> None:
    ran = await run_lua(f"""
        local crypto = require("crypto")
        local key = ("k"):rep(32)
        local sealed = crypto.encrypt.{name}("attack at dawn", key, "to: all")
        local found = {{}}
        local function try(...)
          local data, err = crypto.decrypt.{name}(...)
          found[#found + 1] = data == nil and err:retryable() == false and err:kind() or "opened"
        end
        try(sealed, ("l"):rep(32), "to: all")
        try(sealed, key, "to: some")
        try(sealed, key)
        for _, at in ipairs({{1, 12, 13, #sealed}}) do
          local changed = sealed:sub(1, at - 1) .. string.char(sealed:byte(at) ~ 1) .. sealed:sub(at + 1)
          try(changed, key, "to: all")
        end
        try(sealed:sub(1, -2), key, "to: all")
        try(sealed:sub(1, 27), key, "to: all")
        try(sealed, key:sub(2), "to: all")
        try(sealed, key, false)
        return found
    """)
    assert ran.value == ["INTERNAL"] * 8 + ["INVALID"] * 3


async def test_keys_have_the_sizes_of_their_cipher(run_lua: RunLua) -> None:
    calls = [
        'crypto.encrypt.aes("x", "")',
        'crypto.encrypt.aes("x", ("k"):rep(20))',
        'crypto.encrypt.chacha20("x", ("k"):rep(16))',
        'crypto.decrypt.aes("x", key)',
        'crypto.decrypt.chacha20(("x"):rep(27), key)',
        'crypto.encrypt.aes("x", key, 7)',
        "crypto.encrypt.aes(nil, key)",
        'crypto.encrypt.aes("x")',
    ]
    assert await _refusals(calls, run_lua) == [
        "INVALID: key must be 16, 24, or 32 bytes",
        "INVALID: key must be 16, 24, or 32 bytes",
        "INVALID: key must be 32 bytes",
        "INVALID: encrypted data too short",
        "INVALID: encrypted data too short",
        "INVALID: aad must be a string",
        "INVALID: data must be a string",
        "INVALID: key must be a string",
    ]


async def test_megabytes_are_sealed_and_opened(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local crypto = require("crypto")
        local data, key = ("\\0\\xff"):rep(2 << 20), ("k"):rep(32)
        return {crypto.decrypt.aes(crypto.encrypt.aes(data, key), key) == data,
          crypto.decrypt.chacha20(crypto.encrypt.chacha20(data, key), key) == data}
    """)
    assert ran.value == [True, True]


# -- the rest


async def test_keys_are_derived_from_passwords(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local crypto = require("crypto")
        local function hex(text) return (text:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)) end
        return {hex(crypto.pbkdf2("passwd", "salt", 1, 8)), hex(crypto.pbkdf2("passwd", "salt", 1, 8, "sha512")),
          #crypto.pbkdf2("p", "s", 1, 4096), #crypto.pbkdf2("p", "s", 2e3, 64 / 2, "sha256")}
    """)
    assert ran.value == ["55ac046e56e3089f", "c74319d99499fc3e", 4096, 32]


async def test_the_work_of_a_derivation_is_bounded(run_lua: RunLua) -> None:
    calls = [
        'crypto.pbkdf2("p", "s", 10000001, 32)',
        'crypto.pbkdf2("p", "s", math.maxinteger, math.maxinteger)',
        'crypto.pbkdf2("p", "s", 5000001, 33)',
        'crypto.pbkdf2("p", "s", 1, 4097)',
        'crypto.pbkdf2("p", "s", 0, 32)',
        'crypto.pbkdf2("p", "s", 1, -1)',
        'crypto.pbkdf2("", "s", 1, 32)',
        'crypto.pbkdf2("p", "", 1, 32)',
        'crypto.pbkdf2("p", "s", 1, 32, "md5")',
        'crypto.pbkdf2("p", "s", 1, 32, true)',
        'crypto.pbkdf2("p", "s", 1)',
        'crypto.pbkdf2("p", "s", 0/0, 1)',
    ]
    assert await _refusals(calls, run_lua) == [
        "INVALID: iterations exceeds maximum (10000000 for a key of this length)",
        "INVALID: key length exceeds maximum (4096 bytes)",
        "INVALID: iterations exceeds maximum (5000000 for a key of this length)",
        "INVALID: key length exceeds maximum (4096 bytes)",
        "INVALID: iterations must be positive",
        "INVALID: key length must be positive",
        "INVALID: password cannot be empty",
        "INVALID: salt cannot be empty",
        "INVALID: unsupported hash function: 'md5': use sha256 or sha512",
        "INVALID: unsupported hash function: True: use sha256 or sha512",
        "INVALID: key_length must be an integer",
        "INVALID: an argument: not a finite number",
    ]


async def test_a_comparison_is_true_or_false_or_raises(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local equal = require("crypto").constant_time_compare
        local raised = {}
        for i, pair in ipairs({{"a", 1}, {nil, "a"}, {{}, {}}}) do
          local ok, err = pcall(equal, pair[1], pair[2])
          raised[i] = not ok and err:kind()
        end
        return {equal("a\\xff", "a\\xff"), equal("a", "b"), equal("a", "ab"), equal("", ""), raised}
    """)
    assert ran.value == [True, False, False, True, ["INVALID"] * 3]
