"""The values of a running expression that plain Python lacks: Go's typed slices, bytes, maps with any key.

Most values are Python's own: None, bool, int (64 bits), float, `str` (and `bytes` for a string that is no
UTF-8), list, dict with text keys. What stands here exists because the language can tell it apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from micro_agi_kernel.expr.budget import Budget
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.go_time import MIN_INT64, MONTHS, WEEKDAYS, Time, Zone

Dynamic: TypeAlias = Any
"""A value while an expression runs."""


def wrap(number: int) -> int:
    """`number` in 64 bits, as Go's integers overflow."""
    return (number - MIN_INT64 & 0xFFFF_FFFF_FFFF_FFFF) + MIN_INT64


class Byte(int):
    """One byte of a string: Go's uint8."""

    __slots__ = ()


class Ints(list[Dynamic]):
    """What `..` makes: Go's []int."""


class Strings(list[Dynamic]):
    """What `split` makes: Go's []string."""


class Pairs(list[Dynamic]):
    """What `toPairs` makes: Go's [][2]any."""


class Pair(list[Dynamic]):
    """One of Pairs: Go's [2]any."""


class NoSlice(list[Dynamic]):
    """Go's nil slice: an array of no elements that is also nil."""


NO_SLICE = NoSlice()

SLICES = frozenset({list, Ints, Strings, Pairs, Pair, NoSlice})
INTEGERS = frozenset({int, Byte})
NUMBERS = INTEGERS | {float}
TEXTS = frozenset({str, bytes})


class Bytes(bytes):
    """A literal `b"..."`: Go's []byte, an array. Plain `bytes` is a string."""


@dataclass(frozen=True, slots=True)
class Duration:
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Month:
    """What `date.Month()` gives: no number, though it has one."""

    number: int

    def __str__(self) -> str:
        return MONTHS[self.number - 1]


@dataclass(frozen=True, slots=True)
class Weekday:
    """What `date.Weekday()` gives; 0 is Sunday."""

    number: int

    def __str__(self) -> str:
        return WEEKDAYS[self.number]


_HASHABLE = frozenset({int, bool, float, bytes, Byte, type(None), Time, Duration, Zone, Month, Weekday})


def hashed(budget: Budget, key: Dynamic) -> object:
    """`key`, paid for, as a key of a Python dict that tells types apart.

    Raises RunError for arrays and maps; of pairs only those of plain values are keys.
    """
    if type(key) is Pair:
        return (Pair, *(_secret(_hashed(budget, item)) for item in key))
    return _hashed(budget, key)


def _hashed(budget: Budget, key: Dynamic) -> object:
    kind = type(key)
    if kind is str:
        budget.key(key)
        return key
    if kind is float and key != key:
        return object()  # NaN is never found again
    if kind is int and key.bit_length() > 64:
        key = wrap(key)  # an environment may hold such, and any number of them hash alike
    if kind is Time or kind is Zone:
        budget.work(8)
        return _secret((kind, key))
    if kind in _HASHABLE:
        budget.key(key)
        return (kind, key)
    raise RunError(f"a value of type {type_name(key)} cannot be a map key")


def _secret(key: object) -> object:
    """`key` with a hash that nobody can foresee: as text. Only one number alone hashes well enough.

    Of several numbers whoever knows how Python hashes can choose thousands with the same hash.
    """
    if type(key) is not tuple or type(key[1]) is bytes:
        return key
    kind, value = key
    return (kind, repr(value + 0.0 if kind is float else value))  # 0.0 is -0.0


class AnyMap:
    """A map whose keys may be of any type: what `groupBy` and `fromPairs` make. 1, 1.0, "1" and true differ."""

    __slots__ = ("entries", "missing")

    def __init__(self, missing: Dynamic) -> None:
        self.entries: dict[object, tuple[Dynamic, Dynamic]] = {}
        self.missing = missing

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, budget: Budget, key: Dynamic, value: Dynamic) -> None:
        self.entries[hashed(budget, key)] = (key, value)

    def find(self, budget: Budget, key: Dynamic) -> Dynamic:
        """The value at `key`, or what this map has for keys that it lacks."""
        found = self.entries.get(hashed(budget, key))
        return self.missing if found is None else found[1]

    def has(self, budget: Budget, key: Dynamic) -> bool:
        return hashed(budget, key) in self.entries

    def items(self) -> Iterator[tuple[Dynamic, Dynamic]]:
        return iter(self.entries.values())


class NoItem:
    """What stands for an element of a map that a predicate runs over: it can be counted, not looked at."""


NO_ITEM = NoItem()


class Method:
    """A method of a time, duration ... that was looked up and not yet called."""

    __slots__ = ("name", "owner", "type")

    def __init__(self, name: str, owner: Dynamic, type_: Dynamic) -> None:
        self.name = name
        self.owner = owner
        self.type = type_


_NAMES: dict[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    bytes: "string",
    Byte: "byte",
    Bytes: "bytes",
    dict: "map",
    AnyMap: "map",
    Method: "function",
    NoItem: "map element",
    Time: "time",
    Duration: "duration",
    Zone: "timezone",
    Month: "month",
    Weekday: "weekday",
}


def type_name(value: Dynamic) -> str:
    """How error lines call the type of `value`."""
    kind = type(value)
    if kind in SLICES:
        return "array"
    return _NAMES.get(kind, kind.__name__)


def is_nil(value: Dynamic) -> bool:
    return value is None or value is NO_SLICE


def text_of(raw: bytes) -> str | bytes:
    """A string from its bytes: `str` when they are UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def raw(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
