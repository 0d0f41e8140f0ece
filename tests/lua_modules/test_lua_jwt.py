"""JSON Web Tokens of the Lua module `crypto`: signed as others sign them, and not verified as a token would like it."""

from __future__ import annotations

import base64
import datetime
import hmac
import json
import time
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from lua_double import RunLua

from micro_agi_kernel.values import Value

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a secret that is long enough for any of the algorithms, all sixty-four bytes"
LATER = 4_102_444_800
"""2100-01-01, in seconds."""

ENCODE = """
local crypto = require("crypto")
return {handler = function(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local token, err = crypto.jwt.encode(case.payload, case.key, case.alg)
    found[i] = token or tostring(err)
  end
  return found
end}
"""

VERIFY = """
local crypto = require("crypto")
return {handler = function(cases)
  local found = {}
  for i, case in ipairs(cases) do
    local claims, err = crypto.jwt.verify(case.token, case.key, case.alg, case.require_exp)
    found[i] = claims or tostring(err)
  end
  return found
end}
"""


async def _encode(run_lua: RunLua, *cases: dict[str, Any]) -> list[Any]:
    ran = await run_lua(ENCODE, [{"key": SECRET, **case} for case in cases])
    assert isinstance(ran.value, list)
    return ran.value


async def _verify(run_lua: RunLua, *cases: dict[str, Any]) -> list[Any]:
    ran = await run_lua(VERIFY, [{"key": SECRET, **case} for case in cases])
    assert isinstance(ran.value, list)
    return ran.value


def _token(claims: object, header: object = None, key: str = SECRET) -> str:
    """A token that is signed with HS256 whatever stands in it."""
    parts = [json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode()]
    parts.append(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    signed = b".".join(_base64url(part) for part in parts)
    return (signed + b"." + _base64url(hmac.digest(key.encode(), signed, "sha256"))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@cache
def _pair(bits: int = 2_048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


def _private_pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def _public_pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo
) -> str:
    return key.public_key().public_bytes(Encoding.PEM, form).decode()


def _certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example")])
    day = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


# -- tokens that are right


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_tokens_with_a_secret_are_those_of_others(alg: str, run_lua: RunLua) -> None:
    payload: dict[str, Any] = {"sub": "user", "exp": LATER, "ok": True, "list": [1, 2.5, {"a": "é"}], "big": 2**53}
    header = {"kid": "key-7", "typ": "at+jwt"}
    (token,) = await _encode(run_lua, {"payload": {**payload, "_header": header}, "alg": alg})
    assert jwt.decode(token, SECRET, [alg]) == payload
    assert jwt.get_unverified_header(token) == {"alg": alg, **header}
    theirs = jwt.encode(payload, SECRET, alg)
    assert await _verify(run_lua, {"token": theirs, "alg": alg}, {"token": token, "alg": alg}) == [payload, payload]


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
async def test_tokens_with_an_rsa_key_are_those_of_others(form: PrivateFormat, run_lua: RunLua) -> None:
    pair, payload = _pair(), {"sub": "user", "exp": LATER}
    (token,) = await _encode(run_lua, {"payload": payload, "key": _private_pem(pair, form), "alg": "RS256"})
    assert jwt.decode(token, pair.public_key(), ["RS256"]) == payload
    keys = [_public_pem(pair), _public_pem(pair, PublicFormat.PKCS1), _certificate(pair)]
    assert await _verify(run_lua, *({"token": token, "key": key, "alg": "RS256"} for key in keys)) == [payload] * 3


async def test_the_same_claims_are_the_same_token(run_lua: RunLua) -> None:
    payload = dict.fromkeys("abcdefghij", 1)
    first, second = await _encode(run_lua, {"payload": payload}), await _encode(run_lua, {"payload": payload})
    assert first == second
    # HS256 is what is meant when nothing is said; a whole number has no fraction; an empty table is an empty object.
    ran = await run_lua("""
        local tokens = {}
        for i, payload in ipairs({{exp = 10 / 2, a = 1e300, b = {2.0}}, {}, {_header = {}}}) do
          tokens[i] = require("crypto").jwt.encode(payload, "k")
        end
        return tokens
    """)
    assert isinstance(ran.value, list)
    parts = [str(token).split(".") for token in ran.value]
    assert [base64.urlsafe_b64decode(part + "==") for _, part, _ in parts] == [
        b'{"a":1e+300,"b":[2],"exp":5}',
        b"{}",
        b"{}",
    ]
    assert [json.loads(base64.urlsafe_b64decode(part + "==")) for part, _, _ in parts] == [
        {"alg": "HS256", "typ": "JWT"}
    ] * 3


async def test_claims_that_are_the_tools_own_affair_are_not_judged(run_lua: RunLua) -> None:
    claims = {"iat": LATER, "aud": ["others"], "iss": 7, "sub": 8, "jti": {}, "exp": LATER + 0.5, "nbf": 0}
    assert await _verify(run_lua, {"token": _token(claims)}) == [claims]


# -- times


async def test_a_token_counts_until_it_expires_and_from_when_it_begins(run_lua: RunLua) -> None:
    now = int(time.time())
    expired = "INTERNAL: verify token: token has expired"
    missing = "INTERNAL: verify token: the claim exp is missing"
    no_number = "INTERNAL: verify token: the claim {} is no number"
    cases: list[tuple[dict[str, Any], bool | None, object]] = [
        ({"exp": now + 1_000}, None, {"exp": now + 1_000}),
        ({"exp": now - 1}, None, expired),
        ({"exp": now - 1}, False, expired),
        ({"exp": 0}, False, expired),
        ({"exp": -1e300}, True, expired),
        ({}, None, missing),
        ({}, True, missing),
        ({}, False, {}),
        ({"nbf": now + 1_000}, False, "INTERNAL: verify token: token is not valid yet"),
        ({"nbf": now - 1}, False, {"nbf": now - 1}),
        ({"exp": str(LATER)}, None, no_number.format("exp")),
        ({"exp": True}, None, no_number.format("exp")),
        ({"exp": None}, None, no_number.format("exp")),
        ({"nbf": [0]}, False, no_number.format("nbf")),
    ]
    inputs = [{"token": _token(claims), "require_exp": require} for claims, require, _ in cases]
    assert await _verify(run_lua, *inputs) == [expected for _, _, expected in cases]


# -- tokens that are wrong


async def test_the_token_does_not_choose_how_it_is_verified(run_lua: RunLua) -> None:
    pair, claims = _pair(), {"exp": LATER}
    public = _public_pem(pair)
    none = _token(claims, {"alg": "none"}).rsplit(".", 1)[0] + "."
    signed_with_the_public_key = _token(claims, key=public)
    signed_with_the_private_key = jwt.encode(claims, pair, "RS256")
    other_hash = jwt.encode(claims, SECRET, "HS512")
    found = await _verify(
        run_lua,
        {"token": signed_with_the_public_key, "key": public, "alg": "RS256"},
        {"token": signed_with_the_private_key, "key": SECRET, "alg": "HS256"},
        {"token": other_hash, "alg": "HS256"},
        {"token": _token(claims, {"alg": "none"}), "alg": "HS256"},
        {"token": _token(claims, {"alg": ""})},
        {"token": _token(claims, {"alg": None})},
        {"token": _token(claims, {"alg": ["HS256"]})},
        {"token": _token(claims, {"alg": "hs256"})},
    )
    refused = "INTERNAL: verify token: the token's algorithm is "
    assert [text.removeprefix(refused) for text in found] == [
        "HS256, not RS256",
        "RS256, not HS256",
        "HS512, not HS256",
        *(f"{named}, not HS256" for named in ("none", "", "None", "['HS256']", "hs256")),
    ]
    assert (await _verify(run_lua, {"token": none}))[0].startswith("INTERNAL: verify token: no token")
    # A public key is no secret, even if the tool that verifies says so itself.
    (as_secret,) = await _verify(run_lua, {"token": signed_with_the_public_key, "key": public, "alg": "HS256"})
    assert as_secret.startswith("INVALID: ") and "should not be used as an HMAC secret" in as_secret


async def test_extensions_that_a_header_demands_are_refused(run_lua: RunLua) -> None:
    headers: list[dict[str, Any]] = [
        {"alg": "HS256", "crit": ["exp"], "exp": LATER},
        {"alg": "HS256", "crit": ["b64"], "b64": True},
        {"alg": "HS256", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "b64": True},
        {"alg": "HS256", "kid": 7},
        {"typ": "JWT"},
    ]
    found = await _verify(run_lua, *({"token": _token({"exp": LATER}, header)} for header in headers))
    assert all(text.startswith("INTERNAL: verify token: ") for text in found), found


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"{",
        b"\xff",
        b'{"exp": 4102444800, "exp": 1}',
        b'{"exp": NaN}',
        b'{"exp": 4102444800, "a": "\\ud800"}',
        b'{"exp": 4102444800, "a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
async def test_claims_are_one_json_object(claims: bytes, run_lua: RunLua) -> None:
    (found,) = await _verify(run_lua, {"token": _token(claims)})
    assert str(found).startswith("INTERNAL: verify token: the claims are no JSON")
    assert len(found) < 200


async def test_what_is_no_token_is_an_error(run_lua: RunLua) -> None:
    right = _token({"exp": LATER})
    header, claims, signature = right.split(".")
    deep = base64.urlsafe_b64encode(b"[" * 30_000).decode().rstrip("=")
    wrong = [
        "",
        "a",
        "..",
        "a.b.c",
        "é.é.é",
        right + "=",
        right + "\n",
        " " + right,
        right + "." + signature,
        f"{header}.{claims}.",
        f"{header}.{claims[:-1]}.{signature}",
        f"{header}.{claims}.{signature[:-1]}",
        f"{header}.{claims}.{'A' + signature[1:] if signature[0] != 'A' else 'B' + signature[1:]}",
        f"{deep}.{claims}.{signature}",
        right.replace("-", "+").replace("_", "/") + "+",
    ]
    found = await _verify(run_lua, *({"token": token} for token in wrong))
    assert [text for text in found if not str(text).startswith("INTERNAL: verify token: ")] == []
    assert max(map(len, found)) < 200
    (secret,) = await _encode(run_lua, {"payload": {}, "key": "secret", "alg": "RS256"})
    assert secret == "INVALID: invalid RSA private key: no PEM text: -----BEGIN ... expected"
    too_long, no_text, number = await _verify(
        run_lua, {"token": "a" * ((1 << 20) + 1)}, {"token": b"\xff.a.b"}, {"token": 7}
    )
    assert too_long == "INVALID: token is longer than 1048576 characters"
    assert (no_text, number) == ("INVALID: token is not valid UTF-8", "INVALID: token must be a string")


# -- arguments


async def test_wrong_arguments_to_encode(run_lua: RunLua) -> None:
    deep: Value = []
    for _ in range(120):
        deep = [deep]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"payload": [1, 2]}, "payload must be a table with string keys"),
        ({"payload": "x"}, "payload must be a table with string keys"),
        ({"payload": {}, "key": ""}, "key cannot be empty"),
        ({"payload": {}, "key": 7}, "key must be a string"),
        ({"payload": {}, "key": "k" * 20_000}, "key is longer than 16384 bytes"),
        ({"payload": {}, "alg": "none"}, "unsupported algorithm: 'none': use HS256, HS384, HS512, RS256"),
        ({"payload": {}, "alg": "RS512"}, "unsupported algorithm: 'RS512': use HS256, HS384, HS512, RS256"),
        ({"payload": {}, "alg": True}, "unsupported algorithm: True: use HS256, HS384, HS512, RS256"),
        ({"payload": {"_header": "kid"}}, "_header must be a table with string keys"),
        ({"payload": {"_header": {"alg": "none"}}}, "_header cannot change alg, crit and b64"),
        ({"payload": {"_header": {"alg": "HS512"}}}, "_header cannot change alg, crit and b64"),
        ({"payload": {"_header": {"b64": False}}}, "_header cannot change alg, crit and b64"),
        ({"payload": {"_header": {"kid": 7}}}, "sign token: Key ID header parameter must be a string"),
        ({"payload": {"a": b"\xff"}}, "a string of the payload is not valid UTF-8; send bytes as base64"),
        ({"payload": {"a": "x" * (1 << 20)}}, "the token would be longer than 1048576 characters"),
    ]
    found = await _encode(run_lua, *(case for case, _ in cases))
    assert found == [f"INVALID: {message}" for _, message in cases]
    (token,) = await _encode(run_lua, {"payload": {"a": deep, "_header": {"alg": "HS256"}}})
    assert (await _verify(run_lua, {"token": token, "require_exp": False})) == [{"a": deep}]


async def test_wrong_arguments_to_verify(run_lua: RunLua) -> None:
    token = _token({"exp": LATER})
    cases: list[tuple[dict[str, Any], str]] = [
        ({"key": ""}, "key cannot be empty"),
        ({"key": []}, "key must be a string"),
        ({"alg": "none"}, "unsupported algorithm: 'none': use HS256, HS384, HS512, RS256"),
        ({"alg": ["HS256"]}, "unsupported algorithm: ['HS256']: use HS256, HS384, HS512, RS256"),
        ({"require_exp": "no"}, "require_exp must be a boolean"),
        ({"require_exp": 0}, "require_exp must be a boolean"),
    ]
    found = await _verify(run_lua, *({"token": token, **case} for case, _ in cases))
    assert found == [f"INVALID: {message}" for _, message in cases]


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 128 + len(digits)]) + digits + content


def _pkcs1(*numbers: int) -> str:
    """A PEM of an RSA private key with these numbers, whether they fit or not."""
    integers = b"".join(_der(2, number.to_bytes(number.bit_length() // 8 + 1)) for number in (0, *numbers))
    text = base64.encodebytes(_der(0x30, integers)).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{text}-----END RSA PRIVATE KEY-----\n"


async def test_private_keys_that_cannot_sign(run_lua: RunLua) -> None:
    pair, other = _pair(), ec.generate_private_key(ec.SECP256R1())
    own, public = pair.private_numbers(), pair.public_key().public_numbers()
    huge = (1 << 30_000) - 1
    keys = [
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        _public_pem(pair),
        _private_pem(other),
        _private_pem(pair, encryption=BestAvailableEncryption(b"password")),
        _private_pem(pair)[:-60],
        _pkcs1(public.n, 65_537, own.d, huge, huge, own.dmp1, own.dmq1, own.iqmp),
        _pkcs1(public.n, 65_537, own.d, own.p + 2, own.q, own.dmp1, own.dmq1, own.iqmp),
        _pkcs1(huge, 65_537, own.d, own.p, own.q, own.dmp1, own.dmq1, own.iqmp),
        _pkcs1(15, 3, 3, 5, 3, 3, 1, 2),
    ]
    found = await _encode(run_lua, *({"payload": {}, "key": key, "alg": "RS256"} for key in keys))
    assert [text for text in found if not text.startswith("INVALID: invalid RSA private key: ")] == []
    assert max(map(len, found)) < 200
    (secret,) = await _encode(run_lua, {"payload": {}, "key": "secret", "alg": "RS256"})
    assert secret == "INVALID: invalid RSA private key: no PEM text: -----BEGIN ... expected"
    # Told before the checks that would take half a minute.
    assert [text.rpartition(": ")[2] for text in (found[6], found[8])] == [
        "its parts do not fit",
        "it has 30000 bits, not 1024 to 4096",
    ]


async def test_public_keys_that_cannot_verify(run_lua: RunLua) -> None:
    pair = _pair()
    token = jwt.encode({"exp": LATER}, pair, "RS256")
    keys = [
        "no key",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        _private_pem(pair),
        _public_pem(ec.generate_private_key(ec.SECP256R1())),
        rsa.RSAPublicNumbers(3, (1 << 5_000) + 1)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    ]
    found = await _verify(run_lua, *({"token": token, "key": key, "alg": "RS256"} for key in keys))
    assert [text for text in found if not text.startswith("INTERNAL: verify token: invalid RSA public key: ")] == []
    assert found[0].endswith(": no PEM text: -----BEGIN ... expected")
    (wrong,) = await _verify(run_lua, {"token": token, "key": _public_pem(_pair(1_024)), "alg": "RS256"})
    assert wrong == "INTERNAL: verify token: Signature verification failed"


async def test_numbers_that_are_not_finite(run_lua: RunLua) -> None:
    """JSON has none; a time out of a double's range is not for ever."""
    ran = await run_lua("""
        local jwt, found = require("crypto").jwt, {}
        for i, number in ipairs({1/0, -1/0, 0/0}) do
          local token, err = jwt.encode({list = {number}}, "secret")
          found[i] = token or tostring(err)
        end
        return found
    """)
    assert ran.value == ["INVALID: a number of the payload is not finite"] * 3
    header = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    signed = header + b"." + base64.urlsafe_b64encode(b'{"exp":1e999}').rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).rstrip(b"=")
    (refused,) = await _verify(run_lua, {"token": (signed + b"." + signature).decode(), "key": SECRET})
    assert refused == "INTERNAL: verify token: the claim exp is no number"


async def test_short_secrets_work_and_nothing_is_said_about_them(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local jwt = require("crypto").jwt
        local token = jwt.encode({sub = "user", exp = os.time() + 3600}, "secret", "HS512")
        local claims = jwt.verify(token, "secret", "HS512")
        return claims.sub
    """)
    assert (ran.value, ran.output) == ("user", "")


async def test_times_that_are_no_numbers_are_refused_when_a_token_is_made(run_lua: RunLua) -> None:
    ran = await run_lua("""
        local crypto, time = require("crypto"), require("time")
        local kinds = {}
        for i, claims in ipairs({{exp = time.now():add("1h")}, {nbf = "soon"}, {iat = true}}) do
          local token, err = crypto.jwt.encode(claims, "k")
          kinds[i] = token == nil and err:kind()
        end
        return kinds
    """)
    assert ran.value == ["INVALID"] * 3
