"""The Lua module `json`: Lua tables as JSON text and back, both in Lua, and JSON Schema."""

from __future__ import annotations

from micro_agi_kernel.interfaces import LuaModule
from micro_agi_kernel.lua_modules._arguments import invalid
from micro_agi_kernel.lua_modules._json_schema import preload_schemas, problems
from micro_agi_kernel.lua_modules._json_text import parse
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.values import Value


def _validate(schema: Value, schema_is_table: Value, data: Value, data_is_table: Value) -> Value:
    """True; or an error that tells where `data` is not as `schema` says. Both are JSON texts, some of Lua tables."""
    if not isinstance(schema, str):
        raise invalid("schema: the text is not valid UTF-8")
    try:
        if not isinstance(data, str):
            raise ValueError("the text is not valid UTF-8")
        value = parse(data)
    except ValueError as error:
        raise invalid(f"validation failed: {error}") from error
    try:
        found = problems(schema, bool(schema_is_table), value, bool(data_is_table))
    except BadSchema as error:
        raise invalid(str(error)) from error
    if found:
        raise invalid("validation failed: " + "; ".join(found))
    return True


def preload() -> None:
    """Read what JSON Schema needs while files can still be opened."""
    preload_schemas()


MODULE = LuaModule(functions={"validate": _validate})
