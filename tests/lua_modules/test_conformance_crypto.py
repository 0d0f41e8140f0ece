"""The Lua modules `crypto` and `hash` against Wycheproof: what must be accepted, and what must not."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import pytest
from conformance_kit import vectors
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lua_double import RunLua

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_OFFERED = {
    "hmac_sha224_test.json": "no such function, as in the reference",
    "hmac_sha384_test.json": "no such function, as in the reference",
    "hmac_sha512_256_test.json": "no such function, as in the reference",
    "pbkdf2_hmacsha1_test.json": "pbkdf2 takes sha256 and sha512, as in the reference",
}


def _cases(*files: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(group, test) of the files; the fields that are hexadecimal as bytes."""
    return [
        (case["group"], _in_bytes(case["test"])) for case in vectors("wycheproof.jsonl.gz") if case["file"] in files
    ]


def _in_bytes(test: dict[str, Any]) -> dict[str, Any]:
    hexadecimal = ("key", "iv", "aad", "msg", "ct", "tag", "password", "salt", "dk")
    return {key: bytes.fromhex(value) if key in hexadecimal else value for key, value in test.items()}


async def test_each_file_is_covered_or_left_out_by_name() -> None:
    files = Counter(case["file"] for case in vectors("wycheproof.jsonl.gz"))
    assert sum(files.values()) == 2_263
    covered = {*AEAD, *MAC, *PBKDF2, "json_web_signature_test.json"}
    assert covered | set(NOT_OFFERED) == set(files) and not covered & set(NOT_OFFERED)


# -- authenticated encryption

AEAD = {"aes_gcm_test.json": "aes", "chacha20_poly1305_test.json": "chacha20"}

DECRYPT = """
local crypto = require("crypto")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local data, err = crypto.decrypt[case.cipher](case.sealed, case.key, case.aad)
    if err then
      found[i] = err:kind()
    else
      -- Sealed anew, under a nonce of the module's own, it opens again.
      local again = crypto.encrypt[case.cipher](data, case.key, case.aad)
      assert(again ~= case.sealed and #again == #case.sealed)
      found[i] = crypto.decrypt[case.cipher](again, case.key, case.aad) == data and data
    end
  end
  return found
end
return {handler = handler}
"""


@pytest.mark.parametrize(
    ("file", "count", "other_nonces"), [("aes_gcm_test.json", 197, 119), ("chacha20_poly1305_test.json", 316, 9)]
)
async def test_sealed_data_opens_only_as_it_was_sealed(
    file: str, count: int, other_nonces: int, run_lua: RunLua
) -> None:
    every = _cases(file)
    # The module's nonces have 96 bits, so data that was sealed under another size cannot be written down for it.
    cases = [test for group, test in every if group["ivSize"] == 96 and group["tagSize"] == 128]
    assert (len(cases), len(every) - len(cases)) == (count, other_nonces)
    inputs = [
        {"cipher": AEAD[file], "key": test["key"], "aad": test["aad"], "sealed": test["iv"] + test["ct"] + test["tag"]}
        for test in cases
    ]
    ran = await run_lua(DECRYPT, inputs)
    assert isinstance(ran.value, list)
    for test, got in zip(cases, ran.value, strict=True):
        got = got.encode() if isinstance(got, str) and test["result"] == "valid" else got
        assert got == (test["msg"] if test["result"] == "valid" else "INTERNAL"), test


# -- HMAC

MAC = {
    "hmac_sha1_test.json": ["hash"],
    "hmac_sha256_test.json": ["hash", "crypto"],
    "hmac_sha512_test.json": ["hash", "crypto"],
}

HMAC = """
local hash, crypto = require("hash"), require("crypto")
local function handler(input)
  local found = {}
  for i, case in ipairs(input.cases) do
    if input.module == "hash" then
      found[i] = hash["hmac_" .. input.name](case.msg, case.key)
      assert(#hash["hmac_" .. input.name](case.msg, case.key, true) * 2 == #found[i])
    else
      found[i] = crypto.hmac[input.name](case.key, case.msg)
    end
  end
  return found
end
return {handler = handler}
"""


@pytest.mark.parametrize("file", MAC)
async def test_hmac(file: str, run_lua: RunLua) -> None:
    cases = [test for _, test in _cases(file)]
    assert len(cases) >= 170
    name = file.removeprefix("hmac_").removesuffix("_test.json")
    for module in MAC[file]:
        inputs = [{"key": test["key"], "msg": test["msg"]} for test in cases]
        ran = await run_lua(HMAC, {"module": module, "name": name, "cases": inputs})
        assert isinstance(ran.value, list)
        for test, got in zip(cases, ran.value, strict=True):
            # A tag may be cut off: then the first of its bytes count.
            assert str(got).startswith(test["tag"].hex()) is (test["result"] == "valid"), test


# -- keys from passwords

PBKDF2 = {"pbkdf2_hmacsha256_test.json": "sha256", "pbkdf2_hmacsha512_test.json": "sha512"}

DERIVE = """
local crypto = require("crypto")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local key, err = crypto.pbkdf2(case.password, case.salt, case.iterations, case.length, case.hash)
    found[i] = key or err:message()
  end
  return found
end
return {handler = handler}
"""


@pytest.mark.parametrize(("file", "count"), [("pbkdf2_hmacsha256_test.json", 60), ("pbkdf2_hmacsha512_test.json", 58)])
async def test_pbkdf2(file: str, count: int, run_lua: RunLua) -> None:
    cases = [test for _, test in _cases(file)]
    assert len(cases) == count
    inputs = [
        {
            "password": test["password"],
            "salt": test["salt"],
            "iterations": test["iterationCount"],
            "length": test["dkLen"],
            "hash": PBKDF2[file],
        }
        for test in cases
    ]
    ran = await run_lua(DERIVE, inputs)
    assert isinstance(ran.value, list)
    refused = 0
    for test, got in zip(cases, ran.value, strict=True):
        if not test["password"] or not test["salt"]:  # the reference refuses to derive a key from nothing
            assert str(got).endswith("cannot be empty"), test
            refused += 1
        else:
            assert (got.encode() if isinstance(got, str) else got) == test["dk"], test
    assert refused == 1


# -- JSON Web Tokens

VERIFY = """
local crypto = require("crypto")
local function handler(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local claims, err = crypto.jwt.verify(case.token, case.key, case.alg, false)
    found[i] = claims and "accepted" or err:kind() .. " " .. err:message()
  end
  return found
end
return {handler = handler}
"""

OTHER_KEYS = {"rsa_encryption", "ec_key_for_encryption"}
"""Groups whose JWK says that it is not for signatures; a PEM text cannot say so."""

CONTRADICTORY = {
    367: "the token of 357, which is valid",
    370: "the token of 357, which is valid",
    372: "valid, with a ? among the base64; 361 to 371 are invalid for less",
    373: "valid, with a ? among the base64; 361 to 371 are invalid for less",
}


def _key(group: dict[str, Any]) -> str | bytes:
    """The group's secret, or its public key as PEM."""

    def number(name: str) -> int:
        return int.from_bytes(_base64url(group["public"][name]))

    if "public" not in group:
        return _base64url(group["private"]["k"])
    public = RSAPublicNumbers(number("e"), number("n")).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_signatures_of_tokens(run_lua: RunLua) -> None:
    every = _cases("json_web_signature_test.json")
    algorithms = Counter(group["private"].get("alg") for group, _ in every if group["comment"] not in OTHER_KEYS)
    offered = {"HS256", "RS256"}
    # No such algorithms here, as in the reference.
    assert set(algorithms) - offered == {"RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES521"}
    cases = [
        (group, test)
        for group, test in every
        if group["private"].get("alg") in offered and test["tcId"] not in CONTRADICTORY
    ]
    assert len(cases) == 269
    inputs = [{"token": test["jws"], "key": _key(group), "alg": group["private"]["alg"]} for group, test in cases]
    ran = await run_lua(VERIFY, inputs)
    assert isinstance(ran.value, list)
    for (_, test), got in zip(cases, ran.value, strict=True):
        # These tokens sign any text, ours only claims: the signature was right when just the claims are wrong.
        right = got == "accepted" or str(got).startswith("INTERNAL verify token: the claims are no JSON")
        assert right is (test["result"] == "valid"), (test, got)
        assert str(got).startswith("INTERNAL"), (test, got)
