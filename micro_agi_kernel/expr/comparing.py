"""`==` and `<`, and what they mean for values of different types."""

from __future__ import annotations

from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.kinds import (
    NO_SLICE,
    NUMBERS,
    SLICES,
    TEXTS,
    AnyMap,
    Bytes,
    Duration,
    Dynamic,
    Pair,
    Pairs,
    is_nil,
    raw,
)
from micro_agi_kernel.expr.operators import unfit
from micro_agi_kernel.go_time import Time


def equal(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    """`==`: numbers of any type by value, arrays element by element, maps only with the same types inside."""
    a, b = type(left), type(right)
    if a is b:
        if a in TEXTS:
            if len(left) > 255:
                budget.read(len(left))
            return bool(left == right)
        if a in _SCALARS:
            return bool(left == right)
    if a in NUMBERS and b in NUMBERS:
        # Go compares an integer and a float as floats.
        return float(left) == float(right) if float in (a, b) else int(left) == int(right)
    if a is Time and b is Time:
        return bool(left.instant == right.instant)
    if (a in SLICES or a is Bytes) and (b in SLICES or b is Bytes):
        return _arrays_equal(budget, left, right)
    return (is_nil(left) and is_nil(right)) or _same(budget, left, right)


_SCALARS = frozenset({int, float, bool})


def _arrays_equal(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    a, b = _slice_type(left), _slice_type(right)
    if Pairs in (a, b) or Pair in (a, b) or (a is not b and list not in (a, b)):
        return _same(budget, left, right)
    if len(left) != len(right):
        return False
    budget.work(4 * len(left))
    return all(equal(budget, x, y) for x, y in zip(left, right, strict=True))


def _slice_type(value: Dynamic) -> type:
    return list if value is NO_SLICE else type(value)


def _same(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    """Go's deep equality: the same types all the way down."""
    if left is right and type(left) in (dict, AnyMap):
        return True
    if type(left) is not type(right):
        return False
    if type(left) in SLICES:
        budget.work(4 * len(left))
        return len(left) == len(right) and all(_same(budget, x, y) for x, y in zip(left, right, strict=True))
    if type(left) is dict:
        budget.work(4 * len(left))
        return len(left) == len(right) and all(
            _has(budget, right, key) and _same(budget, value, right[key]) for key, value in left.items()
        )
    if type(left) is AnyMap:
        budget.work(4 * len(left))
        return len(left) == len(right) and all(
            right.has(budget, key) and _same(budget, value, right.find(budget, key)) for key, value in left.items()
        )
    if type(left) in TEXTS:
        budget.read(len(left))
    return bool(left == right)


def _has(budget: Budget, entries: dict[str, Dynamic], key: str) -> bool:
    budget.key(key)
    return key in entries


def equal_int(left: Dynamic, right: Dynamic) -> bool:
    """`==` of what the checker took for two integers: something else is an error, as in expr-lang."""
    if type(left) is not int or type(right) is not int:
        unfit("==", left, right)
    return bool(left == right)


def equal_text(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    """`==` of what the checker took for two strings."""
    if type(left) not in TEXTS or type(right) not in TEXTS:
        unfit("==", left, right)
    budget.read(len(left))
    return bool(left == right)


def less(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    x, y = _ordered(budget, "<", left, right)
    return bool(x < y)


def less_or_equal(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    x, y = _ordered(budget, "<=", left, right)
    return bool(x <= y)


def more(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    x, y = _ordered(budget, ">", left, right)
    return bool(x > y)


def more_or_equal(budget: Budget, left: Dynamic, right: Dynamic) -> bool:
    x, y = _ordered(budget, ">=", left, right)
    return bool(x >= y)


def _ordered(budget: Budget, operator: str, left: Dynamic, right: Dynamic) -> tuple[Dynamic, Dynamic]:
    """Both as Python orders them."""
    a, b = type(left), type(right)
    if a in NUMBERS and b in NUMBERS:
        return (float(left), float(right)) if float in (a, b) else (left, right)
    if a in TEXTS and b in TEXTS:
        if a is b:
            budget.read(min(len(left), len(right)))
            return left, right
        budget.read(len(left) + len(right))
        return raw(left), raw(right)
    if a is b is Time:
        return left.instant, right.instant
    if not a is b is Duration:
        unfit(operator, left, right)
    return left.nanoseconds, right.nanoseconds
