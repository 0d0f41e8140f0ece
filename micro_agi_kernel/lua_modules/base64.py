"""The Lua module `base64`: RFC 4648 with the standard alphabet, as Go reads it."""

from __future__ import annotations

import binascii
import re

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid, octets
from micro_agi_kernel.values import Value

# Checked here, since what binascii lets pass differs from one Python to the next. No repeated group: `re` would keep
# a hundred bytes for each of its rounds.
_FORM = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


def _encode(data: Value) -> Value:
    return binascii.b2a_base64(octets(data, "data"), newline=False).decode("ascii")


def _decode(data: Value) -> Value:
    """The decoded bytes. Line ends are skipped, as Go does: mail and many APIs wrap base64 into lines."""
    compact = octets(data, "data").translate(None, b"\r\n")
    if len(compact) % 4 or not _FORM.fullmatch(compact):
        raise invalid("invalid base64: a character outside A-Z a-z 0-9 + / or wrong padding")
    return binascii.a2b_base64(compact)


MODULE = LuaModule(functions={"encode": _encode, "decode": _decode})
