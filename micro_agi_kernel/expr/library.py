"""The names that compiled expressions call: operators, builtins and what loops end with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from micro_agi_kernel.expr import (
    access,
    arrays,
    comparing,
    conversion,
    dates,
    numeric,
    operators,
    patterns,
    printing,
    strings,
)
from micro_agi_kernel.expr.kinds import NO_ITEM, NO_SLICE, Dynamic


@dataclass(frozen=True, slots=True)
class Function:
    """A builtin as it is called: with the budget first."""

    call: Callable[..., Dynamic]
    least: int
    most: int


def _f(call: Callable[..., Dynamic], least: int, most: int | None = None) -> Function:
    return Function(call, least, least if most is None else most)


_ANY_NUMBER = 1 << 30

FUNCTIONS: Mapping[str, Function] = {
    "len": _f(strings.length, 1),
    "type": _f(conversion.type_of, 1),
    "abs": _f(numeric.absolute, 1),
    "ceil": _f(numeric.ceil, 1),
    "floor": _f(numeric.floor, 1),
    "round": _f(numeric.round_, 1),
    "int": _f(numeric.to_int, 1),
    "float": _f(numeric.to_float, 1),
    "string": _f(printing.to_string, 1),
    "trim": _f(strings.trim, 1, 2),
    "trimPrefix": _f(strings.trim_prefix, 1, 2),
    "trimSuffix": _f(strings.trim_suffix, 1, 2),
    "upper": _f(strings.upper, 1),
    "lower": _f(strings.lower, 1),
    "split": _f(strings.split, 2, 3),
    "splitAfter": _f(strings.split_after, 2, 3),
    "replace": _f(strings.replace, 3, 4),
    "repeat": _f(strings.repeat, 2),
    "join": _f(strings.join, 1, 2),
    "indexOf": _f(strings.index_of, 2),
    "lastIndexOf": _f(strings.last_index_of, 2),
    "hasPrefix": _f(strings.has_prefix, 2),
    "hasSuffix": _f(strings.has_suffix, 2),
    "max": _f(numeric.maximum, 1, _ANY_NUMBER),
    "min": _f(numeric.minimum, 1, _ANY_NUMBER),
    "mean": _f(numeric.mean, 1, _ANY_NUMBER),
    "median": _f(numeric.median, 1, _ANY_NUMBER),
    "toJSON": _f(printing.to_json, 1),
    "fromJSON": _f(conversion.from_json, 1),
    "toBase64": _f(strings.to_base64, 1),
    "fromBase64": _f(strings.from_base64, 1),
    "now": _f(dates.now, 0, 1),
    "duration": _f(dates.duration, 1),
    "date": _f(dates.date, 1, 4),
    "timezone": _f(dates.timezone, 1),
    "first": _f(arrays.first, 1),
    "last": _f(arrays.last, 1),
    "get": _f(access.get, 2),
    "take": _f(arrays.take, 2),
    "keys": _f(arrays.keys, 1),
    "values": _f(arrays.values, 1),
    "toPairs": _f(arrays.to_pairs, 1),
    "fromPairs": _f(arrays.from_pairs, 1),
    "reverse": _f(arrays.reverse, 1),
    "uniq": _f(arrays.uniq, 1),
    "concat": _f(arrays.concat, 1, _ANY_NUMBER),
    "flatten": _f(arrays.flatten, 1),
    "sort": _f(arrays.sort, 1, 2),
    "bitand": _f(numeric.bitand, 2),
    "bitor": _f(numeric.bitor, 2),
    "bitxor": _f(numeric.bitxor, 2),
    "bitnand": _f(numeric.bitnand, 2),
    "bitshl": _f(numeric.bitshl, 2),
    "bitshr": _f(numeric.bitshr, 2),
    "bitushr": _f(numeric.bitushr, 2),
    "bitnot": _f(numeric.bitnot, 1),
}
"""Every builtin without a predicate."""

_HELPERS: tuple[Callable[..., Dynamic], ...] = (
    *(operators.add, operators.subtract, operators.multiply, operators.divide, operators.modulo, operators.power),
    *(operators.negate, operators.invert, operators.span, operators.bad_bool),
    *(comparing.equal, comparing.equal_int, comparing.equal_text),
    *(comparing.less, comparing.less_or_equal, comparing.more, comparing.more_or_equal),
    *(access.fetch, access.cut, access.bound, access.call, access.elements, access.no_item, access.wrong_count),
    *(access.contained, access.among_texts, access.among_ints),
    *(access.contains, access.starts_with, access.ends_with, patterns.matches, patterns.matches_pattern),
    *(arrays.made, arrays.made_map, arrays.total, arrays.total_of_literal, arrays.sort_by, arrays.group_by),
    *(arrays.count_up_to, arrays.found_or_fail, arrays.backwards, arrays.reduced),
    *(type, len, all, any, next, enumerate, reversed, str, int, float, dict),
)

NAMESPACE: Mapping[str, Dynamic] = {
    **{helper.__name__: helper for helper in _HELPERS},
    **{f"do_{name}": function.call for name, function in FUNCTIONS.items()},
    "NO_ITEM": NO_ITEM,
    "NO_SLICE": NO_SLICE,
    "MISSING": object(),
    "__builtins__": {},
}
"""All that compiled expressions see: nothing of the source becomes a name in them."""
