"""The Lua module `base64`: RFC 4648 with the standard alphabet, as Go reads it."""

from __future__ import annotations

import binascii

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, octets
from micro_agi_kernel.values import Value, decode_base64


def _encode(data: Value) -> Value:
    return binascii.b2a_base64(octets(data, "data"), newline=False).decode("ascii")


def _decode(data: Value) -> Value:
    try:
        return decode_base64(octets(data, "data"))
    except ValueError as error:
        raise invalid(str(error)) from error


MODULE = LuaModule(functions={"encode": _encode, "decode": _decode})
