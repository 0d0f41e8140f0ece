"""JSON Web Tokens for the Lua module `crypto`: signed with a secret (HS256, HS384, HS512) or an RSA key (RS256).

PyJWT checks header and signature. Keys are read here, to bound what they cost; and so are the claims, whose rules
are those of the reference: `exp` and `nbf` count, `iat`, `iss` and `aud` are for the tool to judge.
"""

from __future__ import annotations

import json
import math
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeGuard

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.lua_modules._arguments import invalid, octets, text
from micro_agi_kernel.values import Json, Value, shorten

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
    from jwt import PyJWS

ALGORITHMS = ("HS256", "HS384", "HS512", "RS256")
MAX_TOKEN = 1 << 20
"""Characters; a web server takes some thousand in a header."""
MAX_KEY = 16 << 10
"""Bytes of a secret or of a PEM text."""
RSA_BITS = range(1_024, 4_096 + 1)
"""Below, Go refuses a key as unsafe; above, checking a private one takes seconds."""

_NO_PEM = "no PEM text: -----BEGIN ... expected"
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")


def encode(payload: Value, key: Value, alg: Value) -> Value:
    """The signed token. Raises Refused, of the kind INVALID whatever is wrong."""
    claims, secret, algorithm = _claims(payload), _secret(key), _algorithm(alg)
    header = _header(claims.pop("_header", None), algorithm)
    signing = _private_key(secret) if algorithm == "RS256" else secret
    body = json.dumps(claims, separators=(",", ":")).encode()  # tables of Lua come sorted by key
    from jwt import PyJWTError

    try:
        with _any_key_length():
            token = _jws().encode(body, signing, algorithm, header)
    except PyJWTError as error:
        raise invalid(f"sign token: {error}") from error
    if len(token) > MAX_TOKEN:
        raise invalid(f"the token would be longer than {MAX_TOKEN} characters")
    return token


def verify(token: Value, key: Value, alg: Value, require_exp: Value) -> Value:
    """The claims of a token whose header, signature and times are right.

    Raises Refused: INTERNAL for what is wrong with the token or the public key, as the reference has it, and INVALID
    for any other argument.
    """
    signed, secret, algorithm = text(token, "token", MAX_TOKEN), _secret(key), _algorithm(alg)
    if require_exp is not None and not isinstance(require_exp, bool):
        raise invalid("require_exp must be a boolean")
    if not _FORM.fullmatch(signed):
        raise _failed("no token: three parts of base64url with dots between them expected")
    from jwt import InvalidKeyError, InvalidTokenError

    checking = _public_key(secret) if algorithm == "RS256" else secret
    try:
        named = _jws().get_unverified_header(signed).get("alg")
        if named != algorithm:
            raise _failed(f"the token's algorithm is {shorten(str(named))}, not {algorithm}")
        with _any_key_length():
            found = _jws().decode_complete(signed, checking, [algorithm])
    except InvalidKeyError as error:
        raise invalid(str(error)) from error
    except InvalidTokenError as error:
        raise _failed(str(error)) from error
    if "crit" in found["header"] or "b64" in found["header"]:
        raise _failed("the header asks for extensions that are not known here")
    return _current(found["payload"], require_exp is not False)


def _failed(message: str) -> Refused:
    return Refused(ErrorKind.INTERNAL, f"verify token: {message}", retryable=False)


@cache
def _jws() -> PyJWS:
    from jwt import PyJWS

    return PyJWS(algorithms=ALGORITHMS)


@contextmanager
def _any_key_length() -> Iterator[None]:
    """Without PyJWT's warning about short keys: nobody sees it in a child, and the reference takes any length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# -- arguments


def _algorithm(alg: Value) -> str:
    if alg is None:
        return "HS256"
    if alg in ALGORITHMS:
        return str(alg)
    raise invalid(f"unsupported algorithm: {shorten(repr(alg))}: use {', '.join(ALGORITHMS)}")


def _secret(key: Value) -> bytes:
    secret = octets(key, "key")
    if not secret:
        raise invalid("key cannot be empty")
    if len(secret) > MAX_KEY:
        raise invalid(f"key is longer than {MAX_KEY} bytes")
    return secret


def _claims(payload: Value) -> dict[str, Json]:
    match payload:
        case dict():
            for name in ("exp", "nbf", "iat"):
                if name in payload and not _is_number(payload[name]):
                    raise invalid(f"the claim {name} must be a number of seconds, such as time.now():unix() + 3600")
            return {name: _json(claim) for name, claim in payload.items()}
        case []:  # an empty table of Lua
            return {}
        case _:
            raise invalid("payload must be a table with string keys")


def _json(value: Value) -> Json:
    """`value` as JSON: whole numbers without a fraction, as other languages expect their times."""
    match value:
        case bytes():
            raise invalid("a string of the payload is not valid UTF-8; send bytes as base64")
        case float() if not math.isfinite(value):
            raise invalid("a number of the payload is not finite")
        case float() if value.is_integer() and abs(value) < 1 << 63:
            return int(value)
        case list():
            return [_json(item) for item in value]
        case dict():
            return {name: _json(item) for name, item in value.items()}
        case _:
            return value


def _header(header: Json, algorithm: str) -> dict[str, Json]:
    """The fields that `_header` adds. It may not say how the token is signed: that is the argument's word."""
    if header is None or header == []:
        return {}
    if not isinstance(header, dict):
        raise invalid("_header must be a table with string keys")
    if header.get("alg", algorithm) != algorithm or "crit" in header or "b64" in header:
        raise invalid("_header cannot change alg, crit and b64")
    return header


# -- RSA keys


@lru_cache(maxsize=4)  # to check a private key costs thirty times as much as to sign with it
def _private_key(pem: bytes) -> RSAPrivateKey:
    """The key in a PEM text, PKCS #1 or PKCS #8. Raises Refused."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"-----BEGIN" not in pem:
        raise invalid(f"invalid RSA private key: {_NO_PEM}")
    try:
        # Unchecked at first: the checks take time by the cube of sizes that are not known yet.
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("it is of another kind")
        _check_size(key.key_size)
        factors = key.private_numbers()
        if max(factors.p, factors.q).bit_length() >= key.key_size:
            raise ValueError("its parts do not fit")
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise invalid(f"invalid RSA private key: {shorten(str(error))}") from error
    assert isinstance(key, RSAPrivateKey)
    return key


def _public_key(pem: bytes) -> RSAPublicKey:
    """The key in a PEM text, which is a public key or a certificate. Raises Refused."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    if b"-----BEGIN" not in pem:
        raise _failed(f"invalid RSA public key: {_NO_PEM}")
    try:
        certified = b"BEGIN CERTIFICATE" in pem
        key = load_pem_x509_certificate(pem).public_key() if certified else load_pem_public_key(pem)
        if not isinstance(key, RSAPublicKey):
            raise ValueError("it is of another kind")
        _check_size(key.key_size)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _failed(f"invalid RSA public key: {shorten(str(error))}") from error
    return key


def _check_size(bits: int) -> None:
    if bits not in RSA_BITS:
        raise ValueError(f"it has {bits} bits, not {RSA_BITS[0]} to {RSA_BITS[-1]}")


# -- claims


def _current(payload: bytes, require_exp: bool) -> Value:
    """The claims in `payload`, if their time has come and is not over."""
    import jiter

    try:
        claims: Value = jiter.from_json(payload, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise _failed(f"the claims are no JSON: {shorten(str(error))}") from error
    if not isinstance(claims, dict):
        raise _failed("the claims are no JSON object")
    if require_exp and "exp" not in claims:
        raise _failed("the claim exp is missing")
    now = time.time()
    if "exp" in claims and now >= _moment(claims, "exp"):
        raise _failed("token has expired")
    if "nbf" in claims and now < _moment(claims, "nbf"):
        raise _failed("token is not valid yet")
    return claims


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _moment(claims: dict[str, Value], name: str) -> float:
    seconds = claims[name]
    if _is_number(seconds) and seconds != math.inf:
        return seconds
    raise _failed(f"the claim {name} is no number")


def preload() -> None:
    """Sign and verify with each algorithm, and fail once: keys, parsers and error texts are loaded by that."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    pair = generate_private_key(65_537, RSA_BITS[0])
    private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ALGORITHMS:
        signing, checking = (private, public) if algorithm == "RS256" else (b"secret", b"secret")
        token = encode({}, signing, algorithm)
        verify(token, checking, algorithm, False)
    for wrong in (public, b"-----BEGIN CERTIFICATE-----", b"no key"):  # the first lacks only an exp
        try:
            verify(token, wrong, "RS256", True)
        except Refused:
            continue
    _private_key.cache_clear()
