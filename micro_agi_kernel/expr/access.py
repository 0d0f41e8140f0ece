"""Reaching into values: fields, elements, slices, `in`, calls of methods."""

from __future__ import annotations

from typing import NoReturn

from micro_agi_kernel.expr.advice import no_field, no_function, quote
from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.comparing import equal
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import (
    NO_ITEM,
    NO_SLICE,
    NUMBERS,
    SLICES,
    TEXTS,
    AnyMap,
    Byte,
    Bytes,
    Dynamic,
    Method,
    NoItem,
    is_nil,
    raw,
    text_of,
    type_name,
)
from micro_agi_kernel.expr.methods import ARGUMENTS, METHODS, TYPES
from micro_agi_kernel.expr.operators import EXACT, as_int, unfit
from micro_agi_kernel.expr.static_types import STRING

_METHOD = 20
"""Steps of a method's call: a time looks into the rules of its zone."""


def fetch(budget: Budget, base: Dynamic, key: Dynamic) -> Dynamic:
    """`base[key]` and `base.key`: a map lacks no key, an array only what lies beyond its ends."""
    kind = type(base)
    if kind is dict:
        return base.get(_text_key(budget, key))
    if kind in SLICES:
        return base[_index(base, len(base), key)]
    if kind in TEXTS or kind is Bytes:
        octets = bytes_of(budget, base)
        return Byte(octets[_index(base, len(octets), key)])
    if kind is AnyMap:
        return base.find(budget, key)
    method = _method(base, key)
    if method is None:
        if base is NO_ITEM:
            no_item(base)
        if type(key) is str:
            raise RunError(no_field(type_name(base), key))
        raise RunError(f"{type_name(base)} has no element by {type_name(key)}")
    return method


def get(budget: Budget, base: Dynamic, key: Dynamic) -> Dynamic:
    """The builtin: as fetch, but nil for what is not there."""
    kind = type(base)
    if kind is AnyMap and not base.has(budget, key):
        return None
    if kind is dict or kind is AnyMap:
        return fetch(budget, base, key)
    if kind in SLICES or kind in TEXTS or kind is Bytes:
        number = as_int(key)
        found = base if kind in SLICES else bytes_of(budget, base)
        if not -len(found) <= number < len(found):
            return None
        return found[number] if kind in SLICES else Byte(found[number])
    return _method(base, key)


def _text_key(budget: Budget, key: Dynamic) -> str | bytes:
    """A key of a map whose keys are text; nil is the empty text, as Go's zero value."""
    if type(key) in TEXTS:
        budget.key(key)
        return key  # type: ignore[no-any-return]
    if key is None:
        return ""
    raise RunError(f"a map has elements by string, not by {type_name(key)}")


def _index(base: Dynamic, size: int, key: Dynamic) -> int:
    if type(key) is str:
        raise RunError(no_field(type_name(base), key))
    number = as_int(key)
    at = number + size if number < 0 else number
    if not 0 <= at < size:
        raise RunError(f"index {number} is out of range: there are {size} elements")
    return at


def _method(base: Dynamic, name: Dynamic) -> Method | None:
    found = METHODS.get(TYPES.get(type(base), ""), {}).get(name) if type(name) is str else None
    return None if found is None else Method(name, base, found)


def call(budget: Budget, name: str, callee: Dynamic, *arguments: Dynamic) -> Dynamic:
    """A call of a method, which the source calls `name`; an environment has no functions."""
    if type(callee) is not Method:
        raise RunError(no_function(name) if is_nil(callee) else f"{quote(name)} is {type_name(callee)}, no function")
    wanted = callee.type.parameters
    if len(arguments) != len(wanted):
        raise RunError(f"{callee.name} takes {len(wanted)} arguments, not {len(arguments)}")
    for parameter, argument in zip(wanted, arguments, strict=True):
        if type(argument) not in ARGUMENTS[parameter]:
            raise RunError(f"{callee.name} takes {parameter}, not {type_name(argument)}")
        if parameter == STRING:  # a layout
            budget.write(len(argument))
            budget.work(4 * len(argument))
    budget.work(_METHOD)
    return callee.type.call(callee.owner, *arguments)


def bytes_of(budget: Budget, text: Dynamic) -> bytes:
    """The bytes of a string, which positions count."""
    budget.work(1 + (len(text) >> 7))
    return raw(text)


def cut(budget: Budget, base: Dynamic, start: Dynamic, stop: Dynamic) -> Dynamic:
    """`base[start:stop]`, of a string by bytes. A bound beyond an end is that end; None is left out."""
    kind = type(base)
    if kind is str and not base.isascii():
        base = bytes_of(budget, base)
    if kind not in SLICES and kind not in TEXTS and kind is not Bytes:
        raise RunError(f"{type_name(base)} has no slices")
    size = len(base)
    first = 0 if start is None else as_int(start)
    last = size if stop is None else as_int(stop)
    first = max(first + size if first < 0 else first, 0)
    last = min(max(last + size if last < 0 else last, 0), size)
    copied(budget, kind, last - first)
    part = base[min(first, last) : last]
    if kind in TEXTS:
        return part if type(part) is str else text_of(part)
    return part if kind is list else base if base is NO_SLICE else kind(part)


def copied(budget: Budget, kind: type, size: int) -> None:
    """Pay for a copy, which shares its elements with what it is of: expr-lang counts nothing for it."""
    if kind in TEXTS:
        budget.write(max(size, 0))
    else:
        budget.grow(max(size, 0) >> 3)


def bound(value: Dynamic) -> Dynamic:
    """A bound that is written in the source: nil is an error there."""
    if value is None:
        raise RunError("nil is no number")
    return value


def contained(budget: Budget, needle: Dynamic, haystack: Dynamic) -> bool:
    """`needle in haystack`."""
    kind = type(haystack)
    if kind in SLICES or kind is Bytes:
        budget.steps -= 1 + len(haystack)
        if budget.steps < 0:
            budget.work(0)
        if kind is Bytes:
            haystack = [Byte(octet) for octet in haystack]
        if type(needle) is str:  # which equals nothing but the same str, in Python too
            if len(needle) > 255:
                budget.work(len(haystack) * (len(needle) >> 8))
            return needle in haystack
        if type(needle) in NUMBERS and -EXACT < needle < EXACT and needle not in haystack:
            return False  # what Python finds equal may differ in type, what it does not find is not there
        budget.work(2 * len(haystack))
        return any(equal(budget, item, needle) for item in haystack)
    if kind is dict:
        return _text_key(budget, needle) in haystack
    if kind is AnyMap:
        return bool(haystack.has(budget, needle))
    # Of nil nothing is an element, and a time has no fields that can be seen.
    if not (haystack is None or (kind in TYPES and type(needle) in TEXTS)):
        unfit("in", needle, haystack)
    return False


def among_texts(budget: Budget, needle: Dynamic, members: frozenset[str]) -> bool:
    """`needle in ["a", "b"]`."""
    return _text_key(budget, needle) in members


def among_ints(budget: Budget, needle: Dynamic, members: frozenset[int]) -> bool:
    """`needle in [1, 2]` when the checker took the needle for an integer."""
    if needle is None:
        return 0 in members
    if type(needle) is not int:
        unfit("in", needle, [])
    return needle in members


def contains(budget: Budget, text: Dynamic, part: Dynamic) -> bool:
    """`text contains part`; of nil it is false."""
    if type(text) is str and type(part) is str:
        if len(text) > 64:
            budget.search(len(text), len(part))
        return part in text
    pair = _texts(budget, "contains", text, part)
    if pair is None:
        return False
    budget.search(len(pair[0]), len(pair[1]))
    return pair[1] in pair[0]


def starts_with(budget: Budget, text: Dynamic, part: Dynamic) -> bool:
    """`text startsWith part`; of nil it is false."""
    if type(text) is str and type(part) is str:
        if len(part) > 256:
            budget.read(len(part))
        return text.startswith(part)
    pair = _texts(budget, "startsWith", text, part)
    return pair is not None and pair[0].startswith(pair[1])


def ends_with(budget: Budget, text: Dynamic, part: Dynamic) -> bool:
    """`text endsWith part`; of nil it is false."""
    if type(text) is str and type(part) is str:
        if len(part) > 256:
            budget.read(len(part))
        return text.endswith(part)
    pair = _texts(budget, "endsWith", text, part)
    return pair is not None and pair[0].endswith(pair[1])


def _texts(budget: Budget, operator: str, text: Dynamic, part: Dynamic) -> tuple[bytes, bytes] | None:
    """Both as bytes; None when one of them is nil."""
    if is_nil(text) or is_nil(part):
        return None
    if type(text) not in TEXTS or type(part) not in TEXTS:
        unfit(operator, text, part)
    return bytes_of(budget, text), bytes_of(budget, part)


def elements(budget: Budget, collection: Dynamic, weight: int) -> list[Dynamic]:
    """What a predicate runs over; each element is paid for now, with `weight` steps.

    A string is its bytes. A map can be counted, but its elements cannot be looked at: so it is in expr-lang.
    """
    kind = type(collection)
    if kind in SLICES:
        budget.work(1 + weight * len(collection))
        return collection  # type: ignore[no-any-return]
    if kind in TEXTS or kind is Bytes:
        octets = raw(collection)
        budget.grow(len(octets))
        budget.work(1 + weight * len(octets))
        return [Byte(octet) for octet in octets]
    if kind is dict or kind is AnyMap:
        budget.work(1 + weight * len(collection))
        copied(budget, list, len(collection))
        return [NO_ITEM] * len(collection)
    raise RunError(f"{type_name(collection)} has no elements")


def fail(message: str) -> NoReturn:
    raise RunError(message)


def no_item(item: NoItem) -> NoReturn:
    raise RunError("the elements of a map cannot be looked at: use values, keys or toPairs")


def no_env(name: str) -> NoReturn:
    raise RunError(f"there is no variable {quote(name)}: the expression runs without any")
