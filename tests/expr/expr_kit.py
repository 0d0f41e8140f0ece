"""How the tests run expressions and compare what they give."""

from __future__ import annotations

import math
from typing import Any

from micro_agi_kernel import expr
from micro_agi_kernel.expr.kinds import NO_SLICE, SLICES, AnyMap, Byte, Bytes, Duration
from micro_agi_kernel.expr.printing import shown
from micro_agi_kernel.go_time import Time

_CLASSES: dict[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    str: "string",
    bytes: "string",
    dict: "map",
    AnyMap: "map",
    Bytes: "array",
    Time: "time",
    Duration: "duration",
}


def run(source: str, env: Any = None, *, hints: Any = None, boolean: bool = False) -> Any:
    return expr.compile(source, hints, boolean=boolean).run(env)


def outcome(source: str, env: Any) -> tuple[str, Any]:
    """The stage that an expression comes to (ok, compile, run), and its result or error."""
    try:
        program = expr.compile(source)
    except expr.CompileError as error:
        return "compile", error
    try:
        return "ok", program.run(env)
    except expr.RunError as error:
        return "run", error


def type_class(result: Any) -> str:
    """The class of types that a result has in the conformance vectors."""
    if type(result) in SLICES:
        return "array"
    if isinstance(result, float):
        return "float" if math.isfinite(result) else "float-special"
    return _CLASSES.get(type(result), "other")


def as_json(result: Any) -> Any:
    """A result as the conformance vectors write it down."""
    match result:
        case Bytes():
            return ["uint8"] * len(result)
        case bytes():
            # JSON has no bytes: each that is no UTF-8 was written as U+FFFD.
            text = result.decode("utf-8", "surrogateescape")
            return "".join("\ufffd" if "\ud800" <= char < "\ue000" else char for char in text)
        case Byte():
            return "uint8"
        case list():
            return [] if result is NO_SLICE else [as_json(item) for item in result]
        case dict():
            return {key: as_json(item) for key, item in result.items()}
        case AnyMap():
            return {shown(key): as_json(item) for key, item in result.items()}
        case float() if not math.isfinite(result):
            return shown(result)
        case Time():
            return result.format("2006-01-02T15:04:05.999999999Z07:00")
        case Duration():
            return result.nanoseconds
    return result
