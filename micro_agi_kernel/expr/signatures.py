"""What the builtins take and give, as far as that is checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from micro_agi_kernel.expr.static_types import (
    ANY,
    ANYMAP,
    ARRAY,
    BOOL,
    DURATION,
    FLOAT,
    INT,
    NUMBERS,
    STRING,
    STRINGS,
    TIME,
    UNKNOWN,
    ZONE,
    Static,
    assignable,
)

LOOPS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("all", "none", "any", "one", "filter", "map"), (2, 2)),
    **dict.fromkeys(("find", "findIndex", "findLast", "findLastIndex", "groupBy"), (2, 2)),
    **dict.fromkeys(("count", "sum"), (1, 2)),
    **dict.fromkeys(("sortBy", "reduce"), (2, 3)),
}
"""The builtins whose second argument is a predicate: how many arguments they need and how many they take."""


class Mismatch(Exception):
    """The arguments do not fit; `str` says why, `argument` which one. None: their number, or several."""

    def __init__(self, why: str, argument: int | None = None) -> None:
        super().__init__(why)
        self.argument = argument


Check = Callable[[str, Sequence[Static]], Static]
"""The type of the result; raises Mismatch. A wholly unknown argument arrives as ANY."""


def _count(name: str, wanted: str, given: int) -> str:
    return f"{name} takes {wanted} {'argument' if wanted.endswith('1') else 'arguments'}, not {given}"


def match(name: str, parameters: Sequence[Static], arguments: Sequence[Static]) -> None:
    """Raise Mismatch unless a function with these parameters takes these arguments."""
    if len(parameters) != len(arguments):
        raise Mismatch(_count(name, str(len(parameters)), len(arguments)))
    for number, (wanted, given) in enumerate(zip(parameters, arguments, strict=True)):
        if wanted == ANY or (wanted.is_integer and given.is_integer):
            continue
        if given.is_nil or not (given.is_unknown or assignable(given, wanted)):
            raise Mismatch(f"argument {number + 1} of {name} is {given}, not {wanted}", number)


def _takes(result: Static, *overloads: tuple[Static, ...]) -> Check:
    """A builtin with fixed types of arguments, in one or several ways."""

    def check(name: str, arguments: Sequence[Static]) -> Static:
        failure = Mismatch(name)
        for parameters in overloads:
            try:
                match(name, parameters, arguments)
                return result
            except Mismatch as mismatch:
                failure = mismatch
        counts = sorted({len(parameters) for parameters in overloads})
        if len(arguments) not in counts:
            raise Mismatch(_count(name, " or ".join(map(str, counts)), len(arguments)))
        raise failure

    return check


def _one(families: frozenset[str], result: Static | None) -> Check:
    """A builtin of one argument, of one of these kinds or unknown. The result None: of the argument's type."""

    def check(name: str, arguments: Sequence[Static]) -> Static:
        if len(arguments) != 1:
            raise Mismatch(_count(name, "1", len(arguments)))
        if arguments[0].family not in families | {"any"}:
            raise Mismatch(f"{name} does not take {arguments[0]}")
        return arguments[0] if result is None else result

    return check


def _first(name: str, arguments: Sequence[Static]) -> Static:
    array = _one(frozenset({"slice"}), None)(name, arguments)
    return ANY if array.name == "array" else array.element


def _take(name: str, arguments: Sequence[Static]) -> Static:
    if len(arguments) != 2:
        raise Mismatch(_count(name, "2", len(arguments)))
    array = _one(frozenset({"slice"}), None)(name, arguments[:1])
    if arguments[1].family not in ("any", "int", "int64"):
        raise Mismatch(f"{name} takes a number of elements, not {arguments[1]}", 1)
    return ARRAY if array.name == "array" else array


def _aggregate(name: str, arguments: Sequence[Static]) -> Static:
    """max, min, mean, median: numbers, and arrays of them; what follows an array is not looked at."""
    if not arguments:
        raise Mismatch(_count(name, "at least 1", 0))
    for argument in arguments:
        if argument.family in ("any", "slice"):
            return ANY
        if argument.family not in NUMBERS:
            raise Mismatch(f"{name} does not take {argument}")
    return arguments[0]


def _concat(name: str, arguments: Sequence[Static]) -> Static:
    if not arguments:
        raise Mismatch(_count(name, "at least 1", 0))
    for argument in arguments:
        _one(frozenset({"slice"}), None)(name, [argument])
    return ARRAY


def _sort(name: str, arguments: Sequence[Static]) -> Static:
    _takes(ARRAY, (ARRAY, STRING), (STRINGS, STRING), (ARRAY,), (STRINGS,))(name, arguments)
    return STRINGS if arguments[0] == STRINGS else ARRAY


def _now(name: str, arguments: Sequence[Static]) -> Static:
    if len(arguments) > 1:
        raise Mismatch(f"{name} takes nothing or a timezone")
    if arguments and arguments[0] != ZONE:
        raise Mismatch(f"{name} takes a timezone, not {arguments[0]}", 0)
    return TIME


def _date(name: str, arguments: Sequence[Static]) -> Static:
    if not arguments:
        raise Mismatch(_count(name, "at least 1", 0))
    most = 4 if arguments[0] == ZONE else 3
    if len(arguments) > most:
        raise Mismatch(_count(name, f"at most {most}", len(arguments)))
    return TIME


def _get(name: str, arguments: Sequence[Static]) -> Static:
    if len(arguments) != 2:
        raise Mismatch(_count(name, "2", len(arguments)))
    base, key = arguments
    if base.is_unknown:
        return UNKNOWN
    if base.is_array:
        if not (key.is_integer or key.is_unknown):
            raise Mismatch(f"an array has elements by number, not by {key}", 1)
        return base.element
    if not base.is_map:
        raise Mismatch(f"{base} has no elements", 0)
    if not (key.is_unknown or assignable(key, base.key)):
        raise Mismatch(f"a map has elements by {base.key}, not by {key}", 1)
    return base.element


_TEXT = _takes(STRING, (STRING,))
_SPLIT = _takes(STRINGS, (STRING, STRING), (STRING, STRING, INT))
_AFFIX = _takes(STRING, (STRING, STRING), (STRING,))
_BITS = _takes(INT, (INT, INT))
_SLICE, _MAP = frozenset({"slice"}), frozenset({"map"})

CHECKS: Mapping[str, Check] = {
    "len": _one(frozenset({"slice", "map", "string"}), INT),
    "type": _takes(STRING, (ANY,)),
    "abs": _one(NUMBERS, None),
    **dict.fromkeys(("ceil", "floor", "round"), _one(NUMBERS, FLOAT)),
    "int": _one(NUMBERS | {"string"}, INT),
    "float": _one(NUMBERS | {"string"}, FLOAT),
    "string": _takes(STRING, (ANY,)),
    "trim": _takes(STRING, (STRING,), (STRING, STRING)),
    **dict.fromkeys(("trimPrefix", "trimSuffix"), _AFFIX),
    **dict.fromkeys(("upper", "lower", "toBase64", "fromBase64"), _TEXT),
    **dict.fromkeys(("split", "splitAfter"), _SPLIT),
    "replace": _takes(STRING, (STRING, STRING, STRING, INT), (STRING, STRING, STRING)),
    "repeat": _takes(STRING, (STRING, INT)),
    "join": _takes(STRING, (STRINGS, STRING), (ARRAY, STRING), (ARRAY,), (STRINGS,)),
    **dict.fromkeys(("indexOf", "lastIndexOf"), _takes(INT, (STRING, STRING))),
    **dict.fromkeys(("hasPrefix", "hasSuffix"), _takes(BOOL, (STRING, STRING))),
    **dict.fromkeys(("max", "min", "mean", "median"), _aggregate),
    "toJSON": _takes(STRING, (ANY,)),
    "fromJSON": _takes(ANY, (STRING,)),
    "now": _now,
    "duration": _takes(DURATION, (STRING,)),
    "date": _date,
    "timezone": _takes(ZONE, (STRING,)),
    **dict.fromkeys(("first", "last"), _first),
    "get": _get,
    "take": _take,
    **dict.fromkeys(("keys", "values", "toPairs"), _one(_MAP, ARRAY)),
    "fromPairs": _one(_SLICE, ANYMAP),
    **dict.fromkeys(("reverse", "uniq", "flatten"), _one(_SLICE, ARRAY)),
    "concat": _concat,
    "sort": _sort,
    **dict.fromkeys(("bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr"), _BITS),
    "bitnot": _takes(INT, (INT,)),
}


def wrong_count(name: str, count: int) -> str | None:
    """Why a builtin of CHECKS never takes `count` arguments; None when it does."""
    try:
        CHECKS[name](name, [ANY] * count)
    except Mismatch as mismatch:
        return str(mismatch) if mismatch.argument is None else None
    return None


NAMES = frozenset({*LOOPS, *CHECKS})
"""Every builtin."""
