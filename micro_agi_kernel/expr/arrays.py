"""The builtins on arrays and maps, and what the predicates' loops end with."""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from micro_agi_kernel.expr.access import copied, fetch, no_item
from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.comparing import equal, less
from micro_agi_kernel.expr.errors import LimitError, RunError
from micro_agi_kernel.expr.kinds import (
    INTEGERS,
    NO_ITEM,
    NO_SLICE,
    NUMBERS,
    SLICES,
    AnyMap,
    Byte,
    Bytes,
    Dynamic,
    Ints,
    NoSlice,
    Pair,
    Pairs,
    Strings,
    hashed,
    type_name,
    wrap,
)
from micro_agi_kernel.expr.operators import add


def array(name: str, value: Dynamic) -> Sequence[Dynamic]:
    """`value`, which must be an array."""
    if type(value) in SLICES:
        return value  # type: ignore[no-any-return]
    if type(value) is Bytes:
        return [Byte(octet) for octet in value]
    raise RunError(f"{name} takes an array, not {type_name(value)}")


def first(budget: Budget, value: Dynamic) -> Dynamic:
    return _end(budget, value, 0)


def last(budget: Budget, value: Dynamic) -> Dynamic:
    return _end(budget, value, -1)


def _end(budget: Budget, value: Dynamic, at: int) -> Dynamic:
    """An element, or nil for whatever reason there is none."""
    try:
        return fetch(budget, value, at)
    except LimitError:
        raise
    except RunError:
        return None


def take(budget: Budget, value: Dynamic, count: Dynamic) -> Dynamic:
    """The first elements, as many as there are up to `count`."""
    if type(value) not in SLICES and type(value) is not Bytes:
        raise RunError(f"take takes an array, not {type_name(value)}")
    if type(count) is not int:
        raise RunError(f"take takes a number of elements, not {type_name(count)}")
    if count < 0:
        raise RunError(f"take takes a count of 0 or more, not {count}")
    copied(budget, list, min(count, len(value)))
    part = value[:count]
    return part if type(value) is list else value if value is NO_SLICE else type(value)(part)


def keys(budget: Budget, value: Dynamic) -> Dynamic:
    return [key for key, _ in entries(budget, "keys", value)]


def values(budget: Budget, value: Dynamic) -> Dynamic:
    return [item for _, item in entries(budget, "values", value)]


def to_pairs(budget: Budget, value: Dynamic) -> Dynamic:
    return Pairs(Pair(entry) for entry in entries(budget, "toPairs", value))


def entries(budget: Budget, name: str, value: Dynamic) -> Iterable[tuple[Dynamic, Dynamic]]:
    """Keys and values of a map in the order in which they came, where expr-lang's order changes from run to run."""
    if type(value) is not dict and type(value) is not AnyMap:
        raise RunError(f"{name} takes a map, not {type_name(value)}")
    budget.grow(len(value))
    return value.items()


def from_pairs(budget: Budget, value: Dynamic) -> AnyMap:
    """A map of an array of keys and values; of two equal keys the last counts."""
    pairs = array("fromPairs", value)
    budget.grow(len(pairs))
    made = AnyMap(None)
    for pair in pairs:
        if type(pair) not in SLICES or len(pair) != 2:
            raise RunError("fromPairs takes an array of arrays of two")
        made.put(budget, pair[0], pair[1])
    return made


def reverse(budget: Budget, value: Dynamic) -> Dynamic:
    found = array("reverse", value)
    budget.grow(len(found))
    return [*reversed(found)]


def uniq(budget: Budget, value: Dynamic) -> Dynamic:
    """The elements without those that equal one before them."""
    found = array("uniq", value)
    budget.grow(len(found))
    budget.work(2 * len(found))
    kept: list[Dynamic] = []
    alike: dict[object, list[Dynamic]] = {}
    for item in found:
        others = alike.setdefault(likeness(budget, item), [])
        budget.work(4 * len(others))
        if not any(equal(budget, item, other) for other in others):
            others.append(item)
            kept.append(item)
    return kept


_DOUBLE = struct.Struct("d")


def likeness(budget: Budget, value: Dynamic) -> object:
    """The same for all values that are equal, and mostly for no others.

    Of text and bytes, and of tuples and sets that hold some, nobody can foresee the hash, as of numbers.
    """
    kind = type(value)
    if kind is str:
        budget.key(value)
        return value
    if kind in NUMBERS:
        return _DOUBLE.pack(float(value) + 0.0)  # 0.0 is -0.0
    if value and (kind in SLICES or kind is Bytes):
        budget.work(4 * len(value))
        return ("[", *[likeness(budget, item) for item in value])
    if kind is dict:
        budget.work(4 * len(value))
        return frozenset([(key, likeness(budget, item)) for key, item in value.items()])
    return None


def concat(budget: Budget, *arrays: Dynamic) -> Dynamic:
    """The elements of all arrays in one; of none, an array that is also nil."""
    made: list[Dynamic] = []
    for value in arrays:
        found = array("concat", value)
        budget.grow(len(found))
        made += found
    return made or NO_SLICE


def flatten(budget: Budget, value: Dynamic) -> Dynamic:
    made: list[Dynamic] = []
    _flatten(budget, array("flatten", value), made)
    return made


def _flatten(budget: Budget, items: Sequence[Dynamic], made: list[Dynamic]) -> None:
    budget.work(1)
    for item in items:
        if type(item) in SLICES or type(item) is Bytes:
            _flatten(budget, array("flatten", item), made)
        else:
            budget.grow(1)
            made.append(item)


def sort(budget: Budget, value: Dynamic, order: Dynamic = "asc") -> Dynamic:
    """What is no array has nothing to sort: so it is in expr-lang."""
    descending = _descending(order)
    if type(value) not in (list, Ints, Strings, NoSlice):
        return NO_SLICE
    budget.grow(len(value))
    return _sorted(budget, [(item, item) for item in value], descending)


def _descending(order: Dynamic) -> bool:
    if type(order) is not str or order not in ("asc", "desc"):
        raise RunError("the order is asc or desc")
    return order == "desc"


def _sorted(budget: Budget, keyed: list[tuple[Dynamic, Dynamic]], descending: bool) -> list[Dynamic]:
    """The second of each pair in the order of the first; equal ones stay as they were."""
    budget.sort((key for key, _ in keyed), len(keyed))
    if {type(key) for key, _ in keyed} in ({str}, {int}, {float}):
        keyed.sort(key=operator.itemgetter(0), reverse=descending)
    else:
        budget.work(len(keyed).bit_length() * 4 * len(keyed))
        keyed.sort(key=functools.cmp_to_key(functools.partial(_order, budget)), reverse=descending)
    return [item for _, item in keyed]


def _order(budget: Budget, a: tuple[Dynamic, Dynamic], b: tuple[Dynamic, Dynamic]) -> int:
    return -1 if less(budget, a[0], b[0]) else int(less(budget, b[0], a[0]))


# What loops over predicates end with


def sort_by(budget: Budget, keyed: list[tuple[Dynamic, Dynamic]], order: Dynamic = "asc") -> list[Dynamic]:
    descending = _descending(order)
    budget.grow(len(keyed))
    return _sorted(budget, keyed, descending)


def group_by(budget: Budget, keyed: list[tuple[Dynamic, Dynamic]]) -> AnyMap:
    """A map from each key to the elements that have it."""
    budget.grow(len(keyed))
    groups = AnyMap(NO_SLICE)
    for key, item in keyed:
        _, group = groups.entries.setdefault(hashed(budget, key), (key, []))
        group.append(item)
    return groups


def made(budget: Budget, items: list[Dynamic]) -> list[Dynamic]:
    """An array, paid for."""
    budget.grow(len(items))
    return items


def made_map(budget: Budget, pairs: list[tuple[Dynamic, Dynamic]]) -> dict[str, Dynamic]:
    """A map literal; of two equal keys the first counts, as in expr-lang."""
    budget.grow(len(pairs))
    found: dict[str, Dynamic] = {}
    for key, value in pairs:
        if type(key) is not str:
            raise RunError(f"a key of a map is a string, not {type_name(key)}")
        budget.key(key)
        found.setdefault(key, value)
    return found


def total(budget: Budget, items: list[Dynamic]) -> Dynamic:
    """The sum, each element added to what there is so far, from 0."""
    kinds = {*map(type, items)}
    if kinds <= INTEGERS:
        return wrap(sum(items))
    if kinds == {float}:
        return functools.reduce(operator.add, items, 0.0)
    return functools.reduce(lambda so_far, item: add(budget, item, so_far), items, 0)


def total_of_literal(budget: Budget, items: list[Dynamic]) -> Dynamic:
    """sum([a, b, c]): expr-lang makes a + (b + c) of it, which also joins strings."""
    budget.work(len(items))
    return functools.reduce(lambda so_far, item: add(budget, item, so_far), reversed(items))


def count_up_to(found: Iterable[bool], enough: int) -> int:
    """How many are true, at most `enough`."""
    return sum(1 for _ in islice(filter(None, found), enough))


def found_or_fail(found: Dynamic, missing: object) -> Dynamic:
    if found is missing:
        raise RunError("index 0 is out of range: nothing was found")
    return found


def backwards(items: list[Dynamic]) -> Iterable[tuple[int, Dynamic]]:
    """Elements with their positions, the last one first."""
    return zip(range(len(items) - 1, -1, -1), reversed(items), strict=True)


def reduced(items: list[Dynamic], step: Callable[[Dynamic, Dynamic, int], Dynamic], *initial: Dynamic) -> Dynamic:
    """What `step` makes of each element and what it made before, from `initial` or the first element on."""
    start = 0
    if initial:
        so_far = initial[0]
    elif items:
        so_far, start = items[0], 1
        if so_far is NO_ITEM:
            no_item(so_far)
    else:
        raise RunError("reduce of an empty array needs an initial value")
    for position in range(start, len(items)):
        so_far = step(so_far, items[position], position)
    return so_far
