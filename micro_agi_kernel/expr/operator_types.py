"""Which operand types an operator takes, and the type of what it gives."""

from __future__ import annotations

from micro_agi_kernel.expr.static_types import (
    BOOL,
    DURATION,
    FLOAT,
    INT,
    INTEGERS,
    NIL,
    NUMBERS,
    STRING,
    TIME,
    UNKNOWN,
    ZONE,
    Static,
    array_of,
    assignable,
    comparable,
    maybe,
)

_STRING = frozenset({"string"})
_TIMES = frozenset({"time", "duration"})
_DURATION = frozenset({"duration"})
_SUMS = {
    ("+", "string", "string"): STRING,
    ("+", "time", "duration"): TIME,
    ("+", "duration", "time"): TIME,
    ("+", "duration", "duration"): DURATION,
    ("-", "time", "time"): DURATION,
    ("-", "time", "duration"): TIME,
    ("-", "duration", "duration"): DURATION,
    ("*", "duration", "duration"): DURATION,
}
_OTHERS = {
    "+": NUMBERS | _STRING | _TIMES,
    "-": NUMBERS | _TIMES,
    "*": NUMBERS | _DURATION,
    "/": NUMBERS,
    "**": NUMBERS,
    "%": INTEGERS,
    "..": INTEGERS,
}


def binary_type(operator: str, left: Static, right: Static) -> Static | None:
    """The type of `left operator right`; None when no two values of these types fit."""
    match operator:
        case "==" | "!=":
            return BOOL if comparable(left, right) else None
        case "<" | ">" | "<=" | ">=":
            return BOOL if check_order(left, right) else None
        case "in":
            return BOOL if _contained(left, right) else None
        case "matches":
            fits = (left.name in ("string", "bytes") and right == STRING) or maybe(left, right, _STRING)
            return BOOL if fits else None
        case "contains" | "startsWith" | "endsWith":
            return BOOL if (left == right == STRING) or maybe(left, right, _STRING) else None
        case "??":
            return _coalesced(left, right)
    return _arithmetic(operator, left, right)


def check_order(left: Static, right: Static) -> bool:
    """Whether < and its like may take both."""
    if left.is_number and right.is_number:
        return True
    same = left == right and left.name in ("string", "time", "duration")
    return same or maybe(left, right, NUMBERS | _STRING | _TIMES)


def _arithmetic(operator: str, left: Static, right: Static) -> Static | None:
    known = {left.name, right.name} <= (INTEGERS if operator in ("%", "..") else NUMBERS)
    fits = known
    if not fits:
        if found := _SUMS.get((operator, left.name, right.name)):
            return found
        if operator == "*" and {left.name, right.name} <= NUMBERS | _DURATION:
            return DURATION
        fits = maybe(left, right, _OTHERS[operator])
    if not fits:
        return None
    if operator in ("/", "**"):
        return FLOAT
    if operator == "%":
        return INT
    if operator == "..":
        return array_of(INT)
    if not known:
        return UNKNOWN
    return FLOAT if FLOAT in (left, right) else INT


def _contained(left: Static, right: Static) -> bool:
    if right in (TIME, ZONE):
        return left == STRING or left.is_unknown
    if right.is_map:
        return left.is_unknown or assignable(left, right.key)
    if right.is_array:
        return comparable(left, right.element)
    return right.is_unknown or (left.is_unknown and right == STRING)


def _coalesced(left: Static, right: Static) -> Static:
    if left.is_nil:
        return NIL if right.is_nil else right
    return left if right.is_nil or assignable(right, left) else UNKNOWN
