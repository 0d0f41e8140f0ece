"""The Lua module `hash`: MD5, SHA-1, SHA-2, their HMACs, and FNV."""

from __future__ import annotations

import hashlib
import hmac

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, octets
from micro_agi_kernel.values import Value

_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")


def _algorithm(name: Value) -> str:
    if isinstance(name, str) and name in _ALGORITHMS:
        return name
    raise invalid("unknown algorithm")


def _digest(algorithm: Value, data: Value, raw: Value) -> Value:
    found = hashlib.new(_algorithm(algorithm), octets(data, "data"), usedforsecurity=False)
    return found.digest() if raw else found.hexdigest()


def _hmac(algorithm: Value, data: Value, secret: Value, raw: Value) -> Value:
    message = octets(data, "data")
    found = hmac.new(octets(secret, "secret"), message, _algorithm(algorithm))
    return found.digest() if raw else found.hexdigest()


def preload() -> None:
    """Let OpenSSL fetch its algorithms while files can still be opened."""
    for algorithm in _ALGORITHMS:
        _hmac(algorithm, "", "", False)
        _digest(algorithm, "", False)


MODULE = LuaModule(functions={"digest": _digest, "hmac": _hmac})
