"""Conditions: the fields and operators of the reference's documentation, one by one."""

from __future__ import annotations

import pytest

from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.policy.conditions import MAX_MATCHED, OPERATORS, Condition, ConditionError
from micro_agi_kernel.values import Json

FIELDS: dict[str, Json] = {
    "actor": {
        "id": "user:1",
        "meta": {"role": "admin", "clearance": 3, "deep": {"er": "x"}, "on": True, "tags": ["a", 2]},
    },
    "action": "registry.create",
    "resource": "doc:secret",
    "meta": {"owner": "user:1", "size": "1000", "null": None},
}

HOLDS = """
actor.id eq user:1 yes
actor.meta.role eq admin yes
actor.meta.role eq Admin no
actor.meta.deep.er eq x yes
action eq registry.create yes
resource ne doc:secret no
resource ne other yes
actor.meta.clearance lt 4 yes
actor.meta.clearance lt 3 no
actor.meta.clearance gt 2 yes
actor.meta.clearance lte 3 yes
actor.meta.clearance gte 3 yes
actor.meta.clearance gte 3.5 no
actor.meta.clearance eq 3.0 yes
actor.meta.clearance eq "3" yes
meta.size lte 1000 yes
meta.size gt 999 yes
action in ["a","registry.create"] yes
action in [] no
action in registry.create yes
actor.meta.clearance in ["3"] yes
action nin ["a"] yes
action nin ["registry.create"] no
meta.owner exists true yes
meta.owner exists false no
meta.missing exists true no
meta.missing exists false yes
meta.null exists true no
meta.missing nexists true yes
meta.owner nexists true no
meta.owner nexists false yes
resource contains secret yes
resource contains Secret no
resource ncontains public yes
resource ncontains secret no
actor.meta.tags contains a yes
actor.meta.tags contains "2" yes
actor.meta.tags contains b no
actor.meta.tags ncontains b yes
actor.meta.on eq true yes
actor.meta.on eq "true" yes
actor.meta.on eq 1 no
resource matches ^doc:.* yes
resource matches ^oc: no
resource matches (?i)SECRET$ yes
actor.id nmatches ^system:.* yes
actor.id nmatches ^user: no
meta.missing eq x no
meta.missing ne x no
meta.missing nin ["x"] no
meta.missing ncontains x no
meta.missing nmatches x no
meta.missing lt 3 no
actor.meta.role.deeper exists true no
"""


def value_of(text: str) -> Json:
    import json

    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError:
        return text


@pytest.mark.parametrize("line", HOLDS.strip().splitlines())
def test_operators(line: str) -> None:
    field, operator, value, expected = line.split(" ")
    condition = Condition.parse({"field": field, "operator": operator, "value": value_of(value)}, "app:p")
    assert condition.holds(FIELDS) is (expected == "yes")


def test_every_operator_is_tried() -> None:
    assert {line.split(" ")[1] for line in HOLDS.strip().splitlines()} == OPERATORS


def test_comparing_two_fields() -> None:
    def holds(field: str, operator: str, other: str) -> bool:
        return Condition.parse({"field": field, "operator": operator, "value_from": other}, "x").holds(FIELDS)

    assert holds("meta.owner", "eq", "actor.id") and not holds("meta.owner", "ne", "actor.id")
    assert not holds("resource", "eq", "meta.missing") and holds("resource", "ne", "meta.missing")
    assert holds("actor.meta.clearance", "lt", "meta.size")


def test_what_cannot_be_compared_is_an_error() -> None:
    cases: list[tuple[str, str, Json]] = [
        ("action", "lt", 3),
        ("actor.meta.on", "gt", 0),
        ("actor.meta.clearance", "lt", "three"),
        ("actor.meta.deep", "contains", "x"),
        ("action", "contains", None),
        ("action", "in", 3),
        ("actor.meta.tags", "matches", "x"),
    ]
    for field, operator, value in cases:
        with pytest.raises(ConditionError):
            Condition.parse({"field": field, "operator": operator, "value": value}, "x").holds(FIELDS)
    long = {**FIELDS, "resource": "x" * (MAX_MATCHED + 1)}
    with pytest.raises(ConditionError, match="too long"):
        Condition.parse({"field": "resource", "operator": "matches", "value": "y"}, "x").holds(long)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\w+$", "ab_9", True),
        (r"^\w+$", "é", False),
        (r"^\d$", "٣", False),
        (r"\bsecret\b", "a secret place", True),
        (r"^\pL+$", "été", True),
        (r"(?i)^É$", "é", True),
        (r"(?P<a>x)(?:y)(?s:.)\z", "xy\n", True),
        (r"x$", "x\n", False),
        (r"(?m)^b$", "a\nb\nc", True),
        (r"[[:^alpha:]]", "abc", False),
        (r"^(a+)+$", "a" * 5_000 + "!", False),
        (r"(.*)*(.*)*(.*)*=", "x" * MAX_MATCHED, False),
    ],
)
def test_patterns_are_those_of_re2(pattern: str, text: str, found: bool) -> None:
    """Classes are ASCII, `$` is the very end, and no text makes a pattern run for ever."""
    for operator in ("matches", "nmatches"):
        condition = Condition.parse({"field": "resource", "operator": operator, "value": pattern}, "x")
        assert condition.holds({"resource": text}) is (found == (operator == "matches"))


def test_text_that_is_no_unicode_cannot_be_matched() -> None:
    condition = Condition.parse({"field": "resource", "operator": "nmatches", "value": "x"}, "x")
    with pytest.raises(ConditionError, match="surrogate"):
        condition.holds({"resource": "\ud800"})


TOO_LARGE = [r"\pL{500}", "(?i)" + r"\w{1000}" * 3, "a{1001}", "(a{100}){100}"]
NOT_RE2 = ["(", "(?=x)", "(?<!x)", r"(a)\1", "a++", "(?>a)", "(?P=n)", r"a\Z", "a\n("]
BAD_PATTERNS: list[Json] = [*TOO_LARGE, *NOT_RE2, 3, None]
BROKEN: list[Json] = [
    "x",
    {},
    {"field": "action", "operator": "eq"},
    {"field": "action", "operator": "eq", "value": 1, "value_from": "resource"},
    {"field": "action", "operator": "is", "value": 1},
    {"field": "action", "operator": None, "value": 1},
    {"field": "action", "operator": "eq", "value": 1, "not": True},
    {"field": "actor", "operator": "exists"},
    {"field": "actor.meta", "operator": "exists"},
    {"field": "actor.name", "operator": "eq", "value": 1},
    {"field": "meta", "operator": "exists"},
    {"field": "meta..x", "operator": "exists"},
    {"field": "Action", "operator": "eq", "value": 1},
    {"field": "action.x", "operator": "eq", "value": 1},
    {"field": 3, "operator": "eq", "value": 1},
    {"field": "action", "operator": "eq", "value_from": "nope"},
    {"field": "action", "operator": "exists", "value": "yes"},
    {"field": "action", "operator": "exists", "value_from": "meta.x"},
    *({"field": "action", "operator": "matches", "value": pattern} for pattern in BAD_PATTERNS),
    *({"field": "action", "operator": "nmatches", "value": pattern} for pattern in BAD_PATTERNS),
    {"field": "action", "operator": "matches", "value_from": "resource"},
]


@pytest.mark.parametrize("document", BROKEN, ids=range(len(BROKEN)))
def test_conditions_are_read_strictly(document: Json) -> None:
    with pytest.raises(EntryError) as error:
        Condition.parse(document, "app:p")
    assert str(error.value).startswith("app:p: ") and "\n" not in str(error.value)


def test_reading_changes_nothing() -> None:
    document: dict[str, Json] = {"field": "meta.x", "operator": "exists"}
    assert Condition.parse(document, "x").holds({"meta": {"x": 1}}) and "value" not in document
