"""Conditions: what a policy asks of actor, action, resource and metadata beyond its patterns.

Field paths and operators are those of the reference: a field that is missing satisfies no operator but
`exists` and `nexists`, numbers compare with text that spells a number, and what cannot be compared at all is
an error, which the scope turns against the request.
"""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.patterns import Pattern, compile_re2
from micro_agi_kernel.values import Json, shorten

Fields: TypeAlias = Mapping[str, Json]
"""A request: `actor` {id, meta}, `action`, `resource`, `meta`."""

_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "lt": operator.lt,
    "gt": operator.gt,
    "lte": operator.le,
    "gte": operator.ge,
}
_NEGATED = {"ne": "eq", "nin": "in", "ncontains": "contains"}
OPERATORS = frozenset({"eq", "in", "contains", "matches", "nmatches", "exists", "nexists", *_ORDER, *_NEGATED})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
MAX_MATCHED = 65_536
"""Characters of text that `matches` looks at; longer text is an error. The time grows with the text only, but by up to
10 microseconds a character for the worst pattern, and some requests are judged where everything else waits."""

PATTERN_MEMORY = 1 << 18
"""Bytes that one pattern may become: 8,000 instructions of RE2. A larger pattern does not compile."""


class ConditionError(Exception):
    """A condition cannot be evaluated for this request."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`field operator value`, or `field operator` another field."""

    field: str
    operator: str
    value: Json = None
    value_from: str | None = None
    pattern: Pattern | None = dataclasses.field(default=None, repr=False, compare=False)
    """The value of `matches` and `nmatches`, compiled."""

    @classmethod
    def parse(cls, document: Json, where: str) -> Condition:
        """The condition that a policy's YAML holds. Raises EntryError that begins with `where`."""
        if not isinstance(document, dict) or not set(document) <= {"field", "operator", "value", "value_from"}:
            raise EntryError(f"{where}: a condition has field, operator, and value or value_from")
        subject, name, value = document.get("field"), document.get("operator"), document.get("value")
        other = document.get("value_from")
        for path in (subject, other) if "value_from" in document else (subject,):
            if not isinstance(path, str) or not _is_path(path):
                raise EntryError(
                    f"{where}: bad field {shorten(str(path))!r}: actor.id, actor.meta.x, action, resource, meta.x"
                )
        if not isinstance(name, str) or name not in OPERATORS:
            raise EntryError(f"{where}: unknown operator {shorten(str(name))!r}")
        if name in ("exists", "nexists"):
            value = document.get("value", True)
            if other is not None or not isinstance(value, bool):
                raise EntryError(f"{where}: the value of {name} is true or false")
        elif ("value" in document) == ("value_from" in document):
            raise EntryError(f"{where}: a condition has either value or value_from")
        pattern = _compile(value, where) if name in ("matches", "nmatches") else None
        return cls(str(subject), name, value, other if isinstance(other, str) else None, pattern)

    def holds(self, fields: Fields) -> bool:
        """Whether the request satisfies it. Raises ConditionError when that cannot be said."""
        actual = _look_up(fields, self.field)
        wanted = self.value if self.value_from is None else _look_up(fields, self.value_from)
        if self.operator in ("exists", "nexists"):
            return (actual is not None) == ((self.operator == "exists") == wanted)
        if actual is None:
            return False
        if self.pattern is not None:
            return _matches(self.pattern, _text(actual)) == (self.operator == "matches")
        if self.operator in _NEGATED:
            return not _compare(_NEGATED[self.operator], actual, wanted)
        return _compare(self.operator, actual, wanted)


def _compare(name: str, actual: Json, wanted: Json) -> bool:
    match name, wanted:
        case "eq", _:
            return _equal(actual, wanted)
        case "in", list():
            return any(_equal(actual, item) for item in wanted)
        case "in", str():
            return _equal(actual, wanted)
        case "contains", _ if isinstance(actual, list):
            return any(_equal(item, wanted) for item in actual)
        case "contains", _:
            return _text(wanted) in _text(actual)
        case _ if name in _ORDER:
            a, b = _number(actual), _number(wanted)
            if a is None or b is None:
                raise ConditionError(f"{name} needs two numbers")
            return _ORDER[name](a, b)
    raise ConditionError(f"{name} cannot compare with {shorten(str(wanted))!r}")


def _equal(a: Json, b: Json) -> bool:
    if isinstance(a, list | dict) or isinstance(b, list | dict):
        return a == b
    x, y = _number(a), _number(b)
    if x is not None and y is not None:
        return x == y
    return a is not None and b is not None and _text(a) == _text(b)


def _number(value: Json) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ConditionError("only text, numbers, true and false can be searched")


def _is_path(path: str) -> bool:
    parts = path.split(".")
    if not all(parts):
        return False
    return (
        path in ("actor.id", "action", "resource")
        or (parts[0] == "meta" and len(parts) > 1)
        or (parts[:2] == ["actor", "meta"] and len(parts) > 2)
    )


def _look_up(fields: Fields, path: str) -> Json:
    """The value at a dotted path; None when any step is missing."""
    value: Json = dict(fields)
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _compile(value: Json, where: str) -> Pattern:
    if not isinstance(value, str):
        raise EntryError(f"{where}: a pattern is text, not {shorten(str(value))!r}")
    try:
        return compile_re2(value, PATTERN_MEMORY, captures=False)
    except ValueError as error:
        raise EntryError(f"{where}: bad pattern {shorten(value)!r}: {shorten(str(error))!r}") from error


def _matches(pattern: Pattern, text: str) -> bool:
    if len(text) > MAX_MATCHED:
        raise ConditionError(f"text of {len(text)} characters is too long to match")
    try:
        return pattern.search(text) is not None
    except UnicodeEncodeError as error:
        raise ConditionError("text with half a surrogate pair cannot be matched") from error
