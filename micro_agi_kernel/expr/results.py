"""Results as plain values: what Lua gets of an expression."""

from __future__ import annotations

from micro_agi_kernel.expr.budget import DEFAULT, Budget, Limits
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import NO_SLICE, SLICES, AnyMap, Byte, Bytes, Dynamic, text_of, type_name
from micro_agi_kernel.expr.printing import shown
from micro_agi_kernel.go_time import Time
from micro_agi_kernel.values import MAX_DEPTH, Value


def to_value(result: Dynamic, limits: Limits = DEFAULT) -> Value:
    """`result` as plain data: a time becomes its Unix seconds, keys of maps become text.

    Raises RunError for what has no such form (durations, time zones, functions) and for nesting beyond MAX_DEPTH, and
    LimitError: a result that holds one array or string many times is small only until it is written out.
    """
    return _plain(result, Budget(limits), 0)


def _plain(result: Dynamic, budget: Budget, depth: int) -> Value:
    kind = type(result)
    if result is None or kind in (bool, int, float):
        return result  # type: ignore[no-any-return]
    if kind in (str, bytes):
        budget.write(len(result))
        return result  # type: ignore[no-any-return]
    if depth >= MAX_DEPTH:
        raise RunError(f"the result is nested more than {MAX_DEPTH} deep")
    if result is NO_SLICE:
        return None
    if kind in SLICES:
        budget.grow(len(result))
        return [_plain(item, budget, depth + 1) for item in result]
    if kind is dict:
        budget.grow(len(result))
        return {key: _plain(item, budget, depth + 1) for key, item in result.items()}
    if kind is AnyMap:
        budget.grow(len(result))
        return {_key(key): _plain(item, budget, depth + 1) for key, item in result.items()}
    if kind is Byte:
        return int(result)
    if kind is Bytes:
        return text_of(bytes(result))
    if kind is Time:
        return int(result.seconds)
    raise RunError(f"a {type_name(result)} is no plain value: take its parts, or print it with string()")


def _key(key: Dynamic) -> str:
    text = shown(key) if not isinstance(key, list) else ""
    return text if isinstance(text, str) else text.decode(errors="replace")
