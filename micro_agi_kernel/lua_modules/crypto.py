"""The Lua module `crypto`: random values, HMAC, authenticated encryption, JSON Web Tokens, keys from passwords.

What is secret here is a tool's own; the host's keys never reach a child. Nonces and random values come from the
system, never from a generator whose state was forked.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import uuid
from typing import TYPE_CHECKING

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules import _crypto_jwt as jwt
from micro_agi_kernel.lua_modules._arguments import integer, invalid, octets
from micro_agi_kernel.values import Value, shorten

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

MAX_RANDOM = 1 << 20
"""Bytes; the reference's."""
MAX_ITERATIONS = 10_000_000
"""The reference's, there for each block of the key, here for all of them together: a few seconds."""
MAX_DERIVED = 4_096
"""Bytes of a derived key: each block of it hashes the whole salt, and nobody needs more."""

_ALPHANUMERIC = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_NONCE = 12
_TAG = 16
"""Bytes before and at the end of what `encrypt` gives, as the reference lays them out."""


def _length(value: Value) -> int:
    length = integer(value, "length")
    if length <= 0:
        raise invalid("length must be a positive integer")
    if length > MAX_RANDOM:
        raise invalid(f"length exceeds maximum allowed size ({MAX_RANDOM} bytes)")
    return length


def _random_bytes(length: Value) -> Value:
    return os.urandom(_length(length))


def _random_string(length: Value, charset: Value) -> Value:
    """`length` bytes out of `charset`, each as likely as the others.

    A random byte picks by its remainder; those above the last full round of the charset would favour its beginning
    and are thrown away.
    """
    wanted = _length(length)
    choices = _ALPHANUMERIC if charset is None else octets(charset, "charset")
    if not 1 <= len(choices) <= 256:
        raise invalid("charset cannot be empty" if not choices else "charset has more than 256 bytes")
    rounds = 256 // len(choices)
    table, unfair = choices * rounds + bytes(256 - len(choices) * rounds), bytes(range(len(choices) * rounds, 256))
    found = b""
    while len(found) < wanted:
        found += os.urandom(wanted - len(found)).translate(table, unfair)
    return found


def _random_uuid() -> Value:
    return str(uuid.uuid4())


def _hmac(algorithm: Value, key: Value, data: Value) -> Value:
    secret, message = octets(key, "key"), octets(data, "data")
    if not secret:
        raise invalid("key cannot be empty")
    return hmac.new(secret, message, _hash(algorithm)).hexdigest()


def _hash(name: Value) -> str:
    if name in ("sha256", "sha512"):
        return str(name)
    raise invalid(f"unsupported hash function: {shorten(repr(name))}: use sha256 or sha512")


def _cipher(name: Value, key: Value) -> AESGCM | ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

    secret = octets(key, "key")
    if name == "aes":
        if len(secret) not in (16, 24, 32):
            raise invalid("key must be 16, 24, or 32 bytes")
        return AESGCM(secret)
    if len(secret) != 32:
        raise invalid("key must be 32 bytes")
    return ChaCha20Poly1305(secret)


def _optional(aad: Value) -> bytes | None:
    return None if aad is None else octets(aad, "aad")


def _encrypt(cipher: Value, data: Value, key: Value, aad: Value) -> Value:
    """A new nonce, the ciphertext, and its tag."""
    nonce = os.urandom(_NONCE)
    return nonce + _cipher(cipher, key).encrypt(nonce, octets(data, "data"), _optional(aad))


def _decrypt(cipher: Value, data: Value, key: Value, aad: Value) -> Value:
    from cryptography.exceptions import InvalidTag

    encrypted, sealed = octets(data, "data"), _cipher(cipher, key)
    if len(encrypted) < _NONCE + _TAG:
        raise invalid("encrypted data too short")
    try:
        return sealed.decrypt(encrypted[:_NONCE], encrypted[_NONCE:], _optional(aad))
    except InvalidTag as error:
        message = "decrypt: message authentication failed (wrong key, wrong aad, or changed data)"
        raise Refused(ErrorKind.INTERNAL, message, retryable=False) from error


def _pbkdf2(password: Value, salt: Value, iterations: Value, key_length: Value, hash: Value) -> Value:
    secret, grain = octets(password, "password"), octets(salt, "salt")
    rounds, length = integer(iterations, "iterations"), integer(key_length, "key_length")
    algorithm = "sha256" if hash is None else _hash(hash)
    for empty, name in ((not secret, "password"), (not grain, "salt")):
        if empty:
            raise invalid(f"{name} cannot be empty")
    if rounds <= 0:
        raise invalid("iterations must be positive")
    if length <= 0:
        raise invalid("key length must be positive")
    if length > MAX_DERIVED:
        raise invalid(f"key length exceeds maximum ({MAX_DERIVED} bytes)")
    blocks = -(-length // hashlib.new(algorithm).digest_size)
    if rounds > (most := MAX_ITERATIONS // blocks):
        raise invalid(f"iterations exceeds maximum ({most} for a key of this length)")
    return hashlib.pbkdf2_hmac(algorithm, secret, grain, rounds, length)


def _constant_time_compare(a: Value, b: Value) -> Value:
    return hmac.compare_digest(octets(a, "a"), octets(b, "b"))


def preload() -> None:
    """Have OpenSSL and the libraries over it load all that they load on first use, errors too."""
    for algorithm in ("sha256", "sha512"):
        _hmac(algorithm, "key", "")
        _pbkdf2("password", "salt", 1, 1, algorithm)
    for cipher in ("aes", "chacha20"):
        sealed = _encrypt(cipher, "", bytes(32), None)
        for aad in (None, "other"):
            try:
                _decrypt(cipher, sealed, bytes(32), aad)
            except Refused:
                continue
    jwt.preload()


MODULE = LuaModule(
    functions={
        "random_bytes": _random_bytes,
        "random_string": _random_string,
        "random_uuid": _random_uuid,
        "hmac": _hmac,
        "encrypt": _encrypt,
        "decrypt": _decrypt,
        "jwt_encode": jwt.encode,
        "jwt_verify": jwt.verify,
        "pbkdf2": _pbkdf2,
        "constant_time_compare": _constant_time_compare,
    },
)
