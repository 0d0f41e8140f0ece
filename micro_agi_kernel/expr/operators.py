"""What the operators do with values of any type."""

from __future__ import annotations

import math
from typing import NoReturn

from micro_agi_kernel.expr.advice import misfit
from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import (
    INTEGERS,
    NUMBERS,
    TEXTS,
    Byte,
    Duration,
    Dynamic,
    Ints,
    raw,
    text_of,
    type_name,
    wrap,
)
from micro_agi_kernel.go_time import MAX_INT64, MIN_INT64, Time

EXACT = 1 << 53
"""Integers up to this are exact as floats."""


def unfit(operator: str, left: Dynamic, right: Dynamic) -> NoReturn:
    raise RunError(misfit(operator, type_name(left), type_name(right)))


def bad_bool(value: Dynamic) -> NoReturn:
    raise RunError(f"a condition is bool, not {type_name(value)}")


def add(budget: Budget, left: Dynamic, right: Dynamic) -> Dynamic:
    """`left + right`: numbers, strings, times and durations."""
    a, b = type(left), type(right)
    if a is b:
        if a is int:
            total = left + right
            return total if MIN_INT64 <= total <= MAX_INT64 else wrap(total)
        if a is float:
            return left + right
        if a is str:
            budget.write(len(left) + len(right))
            return left + right
        if a is Duration:
            return Duration(wrap(left.nanoseconds + right.nanoseconds))
    if a in NUMBERS and b in NUMBERS:
        total = left + right
        return total if b is float or a is float else wrap(total)
    if a in TEXTS and b in TEXTS:
        budget.write(len(left) + len(right))
        return text_of(raw(left) + raw(right))
    if a is Time and b is Duration:
        return left.add(right.nanoseconds)
    if a is Duration and b is Time:
        return right.add(left.nanoseconds)
    unfit("+", left, right)


def subtract(budget: Budget, left: Dynamic, right: Dynamic) -> Dynamic:
    """`left - right`: numbers, times and durations."""
    a, b = type(left), type(right)
    if a in NUMBERS and b in NUMBERS:
        rest = left - right
        return rest if type(rest) is float or MIN_INT64 <= rest <= MAX_INT64 else wrap(rest)
    if a is Time and b is Time:
        return Duration(left.sub(right))
    if a is Time and b is Duration:
        return left.add(-right.nanoseconds)
    if a is b is Duration:
        return Duration(wrap(left.nanoseconds - right.nanoseconds))
    unfit("-", left, right)


def multiply(budget: Budget, left: Dynamic, right: Dynamic) -> Dynamic:
    """`left * right`: numbers and durations."""
    a, b = type(left), type(right)
    if a in NUMBERS and b in NUMBERS:
        product = left * right
        return product if type(product) is float or MIN_INT64 <= product <= MAX_INT64 else wrap(product)
    if Duration in (a, b):
        # A float among them makes the result a float: Go converts the duration to one.
        x = left.nanoseconds if a is Duration else left
        y = right.nanoseconds if b is Duration else right
        if type(x) in NUMBERS and type(y) in NUMBERS:
            return float(x) * float(y) if float in (a, b) else Duration(wrap(x * y))
    unfit("*", left, right)


def divide(budget: Budget, left: Dynamic, right: Dynamic) -> float:
    if type(left) not in NUMBERS or type(right) not in NUMBERS:
        unfit("/", left, right)
    return quotient(float(left), float(right))


def quotient(x: float, y: float) -> float:
    """x / y, which in floating point never fails."""
    if y:
        try:
            return x / y
        except OverflowError:
            return math.copysign(math.inf, x) * math.copysign(1, y)
    if x == 0 or x != x or y != y:
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1, y)


def modulo(budget: Budget, left: Dynamic, right: Dynamic) -> int:
    """`left % right`: the sign is that of `left`."""
    if type(left) not in INTEGERS or type(right) not in INTEGERS:
        unfit("%", left, right)
    if right == 0:
        raise RunError("division by zero")
    return remainder(left, right)


def remainder(left: int, right: int) -> int:
    """`left % right` of integers as Go has it, cut towards zero; `right` is not 0."""
    rest = int(abs(left) % abs(right))
    return -rest if left < 0 else rest


def power(budget: Budget, left: Dynamic, right: Dynamic) -> float:
    if type(left) not in NUMBERS or type(right) not in NUMBERS:
        unfit("**", left, right)
    return raised(float(left), float(right))


def raised(x: float, y: float) -> float:
    """x to the power y. Go multiplies squares, where C rounds better: so do we, for the same last digit."""
    if y == 0 or x == 1:
        return 1.0
    if not math.isfinite(x) or not math.isfinite(y) or x == 0:
        return _special(x, y)
    if abs(y) == 0.5:
        root = math.sqrt(x) if x >= 0 else math.nan
        return root if y > 0 else 1 / root
    fraction, whole = math.modf(abs(y))
    if fraction and x < 0:
        return math.nan
    if whole >= 1 << 63:
        return 1.0 if x == -1 else 0.0 if (abs(x) < 1) == (y > 0) else math.inf
    result, exponent = 1.0, 0
    if fraction:
        if fraction > 0.5:
            fraction -= 1
            whole += 1
        result = math.exp(fraction * math.log(x))
    result, exponent = _multiplied(result, x, int(whole))
    if y < 0:
        result, exponent = 1 / result, -exponent
    try:
        return math.ldexp(result, exponent)
    except OverflowError:
        return math.copysign(math.inf, result)


def _multiplied(result: float, x: float, times: int) -> tuple[float, int]:
    """`result` times x**times as a mantissa and an exponent of two."""
    square, power_of_two = math.frexp(x)
    exponent = 0
    while times:
        if abs(power_of_two) > 1 << 12:  # far beyond any float
            return result, exponent + power_of_two
        if times & 1:
            result *= square
            exponent += power_of_two
        square *= square
        power_of_two *= 2
        if square < 0.5:
            square *= 2
            power_of_two -= 1
        times >>= 1
    return result, exponent


def _special(x: float, y: float) -> float:
    """Powers of and to zero, infinity and NaN, which C defines as Go does but for the errors."""
    try:
        return math.pow(x, y)
    except ValueError:  # zero to a negative power
        return math.copysign(math.inf, x) if y % 2 == 1 else math.inf


def negate(value: Dynamic) -> Dynamic:
    """`-value`, of the same type."""
    kind = type(value)
    if kind is int:
        return wrap(-value)
    if kind is float:
        return -value
    if kind is Byte:
        return Byte(-value & 255)
    raise RunError(f"- does not take {type_name(value)}")


def invert(value: Dynamic) -> bool:
    """`not value`."""
    if value is True:
        return False
    if value is False:
        return True
    raise RunError(f"not does not take {type_name(value)}")


def span(budget: Budget, left: Dynamic, right: Dynamic) -> Ints:
    """`left..right`."""
    first, last = as_int(left), as_int(right)
    size = wrap(last - first + 1)
    if size <= 0:
        return Ints()
    budget.grow(size)
    return Ints(map(wrap, range(first, first + size)) if first + size > MAX_INT64 else range(first, first + size))


def as_int(value: Dynamic) -> int:
    """A number as an integer, cut towards zero. NaN and what 64 bits cannot hold is the smallest integer."""
    kind = type(value)
    if kind in INTEGERS:
        return int(value)
    if kind is float:
        return int(value) if -9.3e18 < value < 9.3e18 and MIN_INT64 <= int(value) <= MAX_INT64 else MIN_INT64
    raise RunError(f"a number is needed, not {type_name(value)}")
