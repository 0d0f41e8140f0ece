"""The names that compiled expressions call: operators, builtins and what loops end with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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

FUNCTIONS: Mapping[str, Callable[..., Dynamic]] = {
    "len": strings.length,
    "type": conversion.type_of,
    "abs": numeric.absolute,
    "ceil": numeric.ceil,
    "floor": numeric.floor,
    "round": numeric.round_,
    "int": numeric.to_int,
    "float": numeric.to_float,
    "string": printing.to_string,
    "trim": strings.trim,
    "trimPrefix": strings.trim_prefix,
    "trimSuffix": strings.trim_suffix,
    "upper": strings.upper,
    "lower": strings.lower,
    "split": strings.split,
    "splitAfter": strings.split_after,
    "replace": strings.replace,
    "repeat": strings.repeat,
    "join": strings.join,
    "indexOf": strings.index_of,
    "lastIndexOf": strings.last_index_of,
    "hasPrefix": strings.has_prefix,
    "hasSuffix": strings.has_suffix,
    "max": numeric.maximum,
    "min": numeric.minimum,
    "mean": numeric.mean,
    "median": numeric.median,
    "toJSON": printing.to_json,
    "fromJSON": conversion.from_json,
    "toBase64": strings.to_base64,
    "fromBase64": strings.from_base64,
    "now": dates.now,
    "duration": dates.duration,
    "date": dates.date,
    "timezone": dates.timezone,
    "first": arrays.first,
    "last": arrays.last,
    "get": access.get,
    "take": arrays.take,
    "keys": arrays.keys,
    "values": arrays.values,
    "toPairs": arrays.to_pairs,
    "fromPairs": arrays.from_pairs,
    "reverse": arrays.reverse,
    "uniq": arrays.uniq,
    "concat": arrays.concat,
    "flatten": arrays.flatten,
    "sort": arrays.sort,
    "bitand": numeric.bitand,
    "bitor": numeric.bitor,
    "bitxor": numeric.bitxor,
    "bitnand": numeric.bitnand,
    "bitshl": numeric.bitshl,
    "bitshr": numeric.bitshr,
    "bitushr": numeric.bitushr,
    "bitnot": numeric.bitnot,
}
"""Every builtin without a predicate; each takes the budget first. How many arguments they take: `signatures`."""

_HELPERS: tuple[Callable[..., Dynamic], ...] = (
    *(operators.add, operators.subtract, operators.multiply, operators.divide, operators.modulo, operators.power),
    *(operators.negate, operators.invert, operators.span, operators.bad_bool),
    *(comparing.equal, comparing.equal_int, comparing.equal_text),
    *(comparing.less, comparing.less_or_equal, comparing.more, comparing.more_or_equal),
    *(access.fetch, access.cut, access.bound, access.call, access.elements, access.no_item, access.fail),
    *(access.contained, access.among_texts, access.among_ints),
    *(access.contains, access.starts_with, access.ends_with, patterns.matches, patterns.matches_pattern),
    *(arrays.made, arrays.made_map, arrays.total, arrays.total_of_literal, arrays.sort_by, arrays.group_by),
    *(arrays.count_up_to, arrays.found_or_fail, arrays.backwards, arrays.reduced),
    *(type, len, all, any, next, enumerate, reversed, str, int, float, dict),
)

NAMESPACE: Mapping[str, Dynamic] = {
    **{helper.__name__: helper for helper in _HELPERS},
    **{f"do_{name}": function for name, function in FUNCTIONS.items()},
    "NO_ITEM": NO_ITEM,
    "NO_SLICE": NO_SLICE,
    "MISSING": object(),
    "__builtins__": {},
}
"""All that compiled expressions see: nothing of the source becomes a name in them."""
