"""The builtins on numbers."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Sequence

from micro_agi_kernel.expr.budget import MAX_NUMBER, Budget
from micro_agi_kernel.expr.comparing import less, more
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import (
    INTEGERS,
    NUMBERS,
    SLICES,
    Byte,
    Bytes,
    Duration,
    Dynamic,
    Month,
    Weekday,
    type_name,
    wrap,
)
from micro_agi_kernel.expr.operators import as_int, quotient
from micro_agi_kernel.go_time import MAX_INT64, MIN_INT64
from micro_agi_kernel.values import shorten

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE)
_HEX_FLOAT = re.compile(r"[+-]?0x(?:[0-9a-f]+(?:\.[0-9a-f]*)?|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE)
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])_(?=[0-9])")
_BETWEEN_HEX_DIGITS = re.compile(r"(?<=[0-9a-fx])_(?=[0-9a-f])", re.IGNORECASE)


def absolute(budget: Budget, value: Dynamic) -> Dynamic:
    """A number without its sign, of the same type."""
    if type(value) is int:
        return wrap(abs(value))
    if type(value) in NUMBERS:
        return -value if value < 0 else value
    raise RunError(f"abs does not take {type_name(value)}")


def ceil(budget: Budget, value: Dynamic) -> float:
    return _rounded(value, math.ceil)


def floor(budget: Budget, value: Dynamic) -> float:
    return _rounded(value, math.floor)


def round_(budget: Budget, value: Dynamic) -> float:
    """Halves away from zero."""
    return _rounded(value, lambda x: math.trunc(x) + (int(math.copysign(1, x)) if abs(x - math.trunc(x)) >= 0.5 else 0))


def _rounded(value: Dynamic, cut: Callable[[float], int]) -> float:
    if type(value) not in NUMBERS:
        raise RunError(f"a number is needed, not {type_name(value)}")
    number = float(value)
    return math.copysign(float(cut(number)), number) if math.isfinite(number) else number


def to_int(budget: Budget, value: Dynamic) -> int:
    """A number cut towards zero, or the integer that a string spells in decimal."""
    kind = type(value)
    if kind in NUMBERS:
        return as_int(value)
    if kind is str:
        _pay_reading(budget, value)
        # Nineteen digits are what 64 bits hold; there may be zeros before them.
        if _INTEGER.fullmatch(value) and len(value.lstrip("+-0")) <= 19 and MIN_INT64 <= _int(value) <= MAX_INT64:
            return _int(value)
        raise RunError(f"{shorten(value, 40)!r} is no integer")
    if kind is Duration:
        return int(value.nanoseconds)
    if kind in (Month, Weekday):
        return int(value.number)
    raise RunError(f"int does not take {type_name(value)}")


def _pay_reading(budget: Budget, value: str) -> None:
    budget.work(1 + (len(value) >> 3))
    if len(value) > MAX_NUMBER:
        raise RunError(f"a text of {len(value):,} characters is no number, more than {MAX_NUMBER:,}")


def _int(value: str) -> int:
    number = int(value.lstrip("+-0") or "0")
    return -number if value[0] == "-" else number


def to_float(budget: Budget, value: Dynamic) -> float:
    """A number as a float, or the one that a string spells."""
    if type(value) in NUMBERS:
        return float(value)
    if type(value) is not str:
        raise RunError(f"float does not take {type_name(value)}")
    _pay_reading(budget, value)
    number = None
    if _FLOAT.fullmatch(digits := _BETWEEN_DIGITS.sub("", value)):
        number = float(digits)
    elif _HEX_FLOAT.fullmatch(digits := _BETWEEN_HEX_DIGITS.sub("", value)):
        with contextlib.suppress(OverflowError):
            number = float.fromhex(digits)
    if number is None or (math.isinf(number) and "n" not in value.lower()):
        raise RunError(f"{shorten(value, 40)!r} is no number")
    return number


def maximum(budget: Budget, *values: Dynamic) -> Dynamic:
    return _extreme(budget, "max", lambda best, value: less(budget, best, value), values)


def minimum(budget: Budget, *values: Dynamic) -> Dynamic:
    return _extreme(budget, "min", lambda best, value: more(budget, best, value), values)


def _extreme(
    budget: Budget, name: str, beats: Callable[[Dynamic, Dynamic], bool], values: Sequence[Dynamic]
) -> Dynamic:
    """The best of all numbers in `values` and the arrays in it; nil for none. One value that is neither is itself."""
    best = None
    for value in values:
        kind = type(value)
        if kind in SLICES or kind is Bytes:
            budget.work(4 * len(value) + 4)
            if kind not in (list, Bytes) and any(
                type(item) not in NUMBERS and type(item) not in SLICES for item in value
            ):
                raise RunError(f"{name} does not take an array of {type_name(value[0])}")
            for item in value if kind is not Bytes else map(Byte, value):
                found = item
                if type(item) not in NUMBERS:
                    if type(item) not in SLICES and type(item) is not Bytes:
                        raise RunError(f"{name} does not take {type_name(item)}")
                    found = _extreme(budget, name, beats, [item])
                if found is not None and (best is None or beats(best, found)):
                    best = found
        elif kind in NUMBERS or kind in (Duration, Month, Weekday):
            if best is None or beats(best, value):
                best = value
        elif len(values) == 1:
            return value
        else:
            raise RunError(f"{name} does not take {type_name(value)}")
    return best


def mean(budget: Budget, *values: Dynamic) -> float:
    found = _flat(budget, "mean", values)
    return quotient(_sum(found), float(len(found))) if found else 0.0


def _sum(numbers: Sequence[float]) -> float:
    # One after the other, as Go adds: Python's sum corrects the rounding in its newer versions.
    total = 0.0
    for number in numbers:
        total += number
    return total


def median(budget: Budget, *values: Dynamic) -> float:
    """The middle one of all numbers, or what lies half way between the middle two."""
    found = sorted(_flat(budget, "median", values), key=lambda x: (x == x, x if x == x else 0.0))
    if not found:
        return 0.0
    half = len(found) // 2
    return found[half] if len(found) % 2 else (found[half - 1] + found[half]) / 2


def _flat(budget: Budget, name: str, values: Sequence[Dynamic]) -> list[float]:
    found: list[float] = []
    for value in values:
        kind = type(value)
        if kind in NUMBERS:
            found.append(float(value))
        elif kind is Duration:
            found.append(float(value.nanoseconds))
        elif kind in (Month, Weekday):
            found.append(float(value.number))
        elif kind in SLICES or kind is Bytes:
            budget.grow(len(value))
            budget.work(4 * len(value) + 4)
            found += _flat(budget, name, value)
        else:
            raise RunError(f"{name} does not take {type_name(value)}")
    return found


def _integers(name: str, *values: Dynamic) -> tuple[int, ...]:
    for value in values:
        if type(value) not in INTEGERS:
            raise RunError(f"{name} takes integers, not {type_name(value)}")
    return values


def bitand(budget: Budget, a: Dynamic, b: Dynamic) -> int:
    x, y = _integers("bitand", a, b)
    return x & y


def bitor(budget: Budget, a: Dynamic, b: Dynamic) -> int:
    x, y = _integers("bitor", a, b)
    return x | y


def bitxor(budget: Budget, a: Dynamic, b: Dynamic) -> int:
    x, y = _integers("bitxor", a, b)
    return x ^ y


def bitnand(budget: Budget, a: Dynamic, b: Dynamic) -> int:
    """The bits of `a` that `b` does not have."""
    x, y = _integers("bitnand", a, b)
    return x & ~y


def bitnot(budget: Budget, value: Dynamic) -> int:
    (number,) = _integers("bitnot", value)
    return ~number


def bitshl(budget: Budget, value: Dynamic, count: Dynamic) -> int:
    number, places = _shift("bitshl", value, count)
    return wrap(number << places) if places < 64 else 0


def bitshr(budget: Budget, value: Dynamic, count: Dynamic) -> int:
    number, places = _shift("bitshr", value, count)
    return number >> min(places, 63)


def bitushr(budget: Budget, value: Dynamic, count: Dynamic) -> int:
    """Shifted to the right as a number without a sign."""
    number, places = _shift("bitushr", value, count)
    return wrap((number & 0xFFFF_FFFF_FFFF_FFFF) >> places) if places < 64 else 0


def _shift(name: str, value: Dynamic, count: Dynamic) -> tuple[int, ...]:
    found = _integers(name, value, count)
    if found[1] < 0:
        raise RunError(f"{name} by a negative count")
    return found
