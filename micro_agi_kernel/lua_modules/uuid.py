"""The Lua module `uuid`: make, check and take apart UUIDs (RFC 9562)."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
import uuid

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, octets
from micro_agi_kernel.values import Value

_FORM = re.compile(
    r"(?:urn:uuid:)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"|\{([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}|([0-9a-f]{32})",
    re.IGNORECASE | re.ASCII,
)
_UUID_EPOCH = 0x01B21DD213814000
"""100-nanosecond steps from 1582-10-15, where version 1 counts from, to 1970."""


def _read(value: Value) -> uuid.UUID | None:
    """The UUID in one of its four forms: standard, urn:uuid:, {braces}, 32 digits. None for anything else."""
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    return uuid.UUID(match[1] or match[2] or match[3]) if match else None


def _require(value: Value) -> uuid.UUID:
    if not isinstance(value, (str, bytes)):
        raise invalid("input must be a string")
    if found := _read(value):
        return found
    raise invalid("invalid UUID format")


def _v1() -> Value:
    # A random node with the multicast bit set (RFC 9562, 6.10): never this machine's address.
    node = secrets.randbits(48) | 1 << 40
    return str(uuid.uuid1(node=node, clock_seq=secrets.randbits(14)))


def _v4() -> Value:
    return str(uuid.uuid4())


_latest = 0
"""The time of the newest version 7, in 4096ths of a millisecond since 1970."""


def _v7() -> Value:
    """Sorts behind every one before it, also in the same millisecond (RFC 9562, 6.2, method 3)."""
    global _latest
    _latest = max(_latest + 1, time.time_ns() * 4_096 // 1_000_000)
    milliseconds, fraction = divmod(_latest, 4_096)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)))


def _v3(namespace: Value, name: Value) -> Value:
    return _named(namespace, name, 3)


def _v5(namespace: Value, name: Value) -> Value:
    return _named(namespace, name, 5)


def _named(namespace: Value, name: Value, version: int) -> Value:
    # Not uuid.uuid3 and uuid5: those want text, and a name may be any bytes.
    if not isinstance(namespace, (str, bytes)):
        raise invalid("namespace must be a string")
    space = _read(namespace)
    if space is None:
        raise invalid("invalid namespace UUID")
    digest = hashlib.new("md5" if version == 3 else "sha1", usedforsecurity=False)
    digest.update(space.bytes + octets(name, "name"))
    return str(uuid.UUID(bytes=digest.digest()[:16], version=version))


def _validate(value: Value) -> Value:
    return _read(value) is not None


def _version(value: Value) -> Value:
    # Not UUID.version, which is None for all but the common variant.
    return _require(value).int >> 76 & 0xF


def _variant(value: Value) -> Value:
    """The names of the reference: "Reserved" is the oldest layout (NCS)."""
    bits = _require(value).int >> 61 & 0b111
    if bits < 0b100:
        return "Reserved"
    return {0b110: "Microsoft", 0b111: "Future"}.get(bits, "RFC4122")


def _parse(value: Value) -> Value:
    found = _require(value)
    version = _version(value)
    parts: dict[str, Value] = {"version": version, "variant": _variant(value)}
    if version == 1:
        parts["timestamp"] = (found.time - _UUID_EPOCH) // 10_000_000
        parts["node"] = found.node.to_bytes(6, "big")
    elif version == 7:
        parts["timestamp"] = (found.int >> 80) // 1_000
    return parts


def _format(value: Value, form: Value) -> Value:
    found = _require(value)
    match form:
        case "standard":
            return str(found)
        case "simple":
            return found.hex
        case "urn":
            return found.urn
        case _:
            raise invalid("unsupported format: use standard, simple or urn")


MODULE = LuaModule(
    functions={
        "v1": _v1,
        "v3": _v3,
        "v4": _v4,
        "v5": _v5,
        "v7": _v7,
        "validate": _validate,
        "version": _version,
        "variant": _variant,
        "parse": _parse,
        "format": _format,
    },
)
