"""What is known of a value before the program runs: static types and the questions the checker asks of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from micro_agi_kernel.expr.kinds import Dynamic

if TYPE_CHECKING:
    from micro_agi_kernel.expr.methods import MethodType

_FAMILIES = {
    "unknown": "",
    "nil": "",
    "any": "any",
    "array": "slice",
    "strings": "slice",
    "bytes": "slice",
    "map": "map",
    "anymap": "map",
    "groups": "map",
    "time": "struct",
    "month": "int",
    "weekday": "int",
    "duration": "int64",
}
"""Go's kind, of types that are not called like it. Literals are int, Lua's integers int64."""
INTEGERS = frozenset({"int", "int64", "byte"})
NUMBERS = INTEGERS | {"float"}


@dataclass(frozen=True, slots=True)
class Static:
    """A static type. `unknown` is what nothing is known of; `any` is the declared type of elements that may be
    anything: the two differ only in what may be assigned to what."""

    name: str
    of: Static | None = field(default=None, compare=False)
    """Of an array, what is known of its elements; None: any."""
    method: MethodType | None = None
    """Of a method that was looked up, what it takes and gives."""

    @property
    def family(self) -> str:
        """Go's kind: what the checker compares when it does not look at names."""
        return _FAMILIES.get(self.name, self.name)

    @property
    def is_unknown(self) -> bool:
        return self.name in ("unknown", "any")

    @property
    def is_nil(self) -> bool:
        return self.name == "nil"

    @property
    def is_integer(self) -> bool:
        return self.name in INTEGERS

    @property
    def is_number(self) -> bool:
        return self.name in NUMBERS

    @property
    def is_array(self) -> bool:
        return self.family == "slice"

    @property
    def is_map(self) -> bool:
        return self.family == "map"

    @property
    def element(self) -> Static:
        """What indexing gives."""
        match self.name:
            case "array":
                return self.of or ANY
            case "strings":
                return STRING
            case "bytes":
                return BYTE
            case "groups":
                return ARRAY
        return ANY

    @property
    def key(self) -> Static:
        """Of a map."""
        return STRING if self.name == "map" else ANY

    def __str__(self) -> str:
        shown = {"strings": "array", "anymap": "map", "groups": "map", "int64": "int"}
        return shown.get(self.name, self.name)


UNKNOWN = Static("unknown")
ANY = Static("any")
NIL = Static("nil")
BOOL = Static("bool")
INT = Static("int")
INT64 = Static("int64")
BYTE = Static("byte")
FLOAT = Static("float")
STRING = Static("string")
BYTES = Static("bytes")
ARRAY = Static("array")
STRINGS = Static("strings")
MAP = Static("map")
ANYMAP = Static("anymap")
GROUPS = Static("groups")
FUNCTION = Static("function")
TIME = Static("time")
DURATION = Static("duration")
MONTH = Static("month")
WEEKDAY = Static("weekday")
ZONE = Static("timezone")


def array_of(element: Static) -> Static:
    return Static("array", element)


def hint(value: Dynamic) -> Static:
    """The static type of a value of the environment that the program is compiled for."""
    match value:
        case None:
            return NIL
        case bool():
            return BOOL
        case int():
            return INT64
        case float():
            return FLOAT
        case str() | bytes():
            return STRING
        case list():
            return ARRAY
    return MAP


def assignable(source: Static, target: Static) -> bool:
    """Whether a variable of type `target` would take a value of type `source`."""
    if source.is_nil:
        return target.family in ("any", "function", "map", "slice") or target == ZONE
    if source == UNKNOWN or target in (UNKNOWN, NIL):
        return False
    return target == ANY or source == target


def comparable(a: Static, b: Static) -> bool:
    """Whether == may compare the two."""
    return (
        a.is_unknown
        or b.is_unknown
        or a.is_nil
        or b.is_nil
        or (a.is_number and b.is_number)
        or (a.is_array and b.is_array)
        or assignable(a, b)
    )


def maybe(a: Static, b: Static, names: frozenset[str]) -> bool:
    """Whether the two may turn out to fit: one is unknown, and the other too or one of `names`."""
    return (a.is_unknown and (b.is_unknown or b.name in names)) or (b.is_unknown and a.name in names)
