"""One policy: its patterns, and how strictly it is read."""

from __future__ import annotations

from typing import Any

import pytest

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.policy import Pattern, Policy, check_policy
from micro_agi_kernel.values import Json

DENY_CORE: dict[str, Any] = {
    "policy": {"actions": "*", "resources": "app:*", "effect": "deny"},
    "groups": ["agent_security"],
}


def entry(data: dict[str, Json], kind: str = "security.policy") -> Entry:
    return Entry(EntryId.parse("app:p"), kind, {}, data)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "", True),
        ("*", "app:x", True),
        ("app:*", "app:x", True),
        ("app:*", "app:", True),
        ("app:*", "app.generated:x", False),
        ("app:*", "App:x", False),
        ("app:*", "xapp:x", False),
        ("*.read", "file.read", True),
        ("*.read", "file.reads", False),
        ("registry.create", "registry.create", True),
        ("registry.create", "registry.created", False),
        ("a.c", "abc", False),
        ("https://*", "https://example.com/a*b", True),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert Pattern.parse(pattern, "x").matches(name) is matches


@pytest.mark.parametrize("pattern", ["", "a*b", "**", "*a*", "a**", "**a", "*a*b", "***", 3, None, True, ["a"]])
def test_other_patterns_are_errors(pattern: Json) -> None:
    with pytest.raises(EntryError, match="x: bad pattern"):
        Pattern.parse(pattern, "x")


def test_a_policy_is_read_from_its_entry() -> None:
    policy = Policy.from_entry(entry(DENY_CORE))
    assert (policy.effect, policy.groups, str(policy.id)) == ("deny", ("agent_security",), "app:p")
    assert policy.covers("registry.create", "app:x") and not policy.covers("registry.create", "app.tools:x")
    listed = {"policy": {"actions": ["a", "b.*"], "resources": ["x", "y"], "effect": "allow", "conditions": []}}
    policy = Policy.from_entry(entry(listed))
    assert policy.covers("b.c", "y") and not policy.covers("c", "y") and not policy.covers("a", "z")


BROKEN: list[dict[str, Any]] = [
    {},
    {"policy": "deny"},
    {"policy": {}},
    {"policy": {"actions": "*", "resources": "*"}},
    {"policy": {"actions": "*", "resources": "*", "effect": "Deny"}},
    {"policy": {"actions": "*", "effect": "deny"}},
    {"policy": {"actions": [], "resources": "*", "effect": "deny"}},
    {"policy": {"actions": "*", "resources": "a*b", "effect": "deny"}},
    {"policy": {"actions": "*", "resources": "*", "effect": "deny", "condition": []}},
    {"policy": {"actions": "*", "resources": "*", "effect": "deny", "conditions": {}}},
    {"policy": {"actions": "*", "resources": "*", "effect": "deny", "conditions": ["x"]}},
    {**DENY_CORE, "groups": "agent_security"},
    {**DENY_CORE, "groups": [3]},
    {**DENY_CORE, "groups": ["app:agent_security"]},
    {**DENY_CORE, "group": ["agent_security"]},
]


@pytest.mark.parametrize("data", BROKEN)
def test_a_policy_is_read_strictly(data: dict[str, Json]) -> None:
    for read in (Policy.from_entry, check_policy):
        with pytest.raises(EntryError) as error:
            read(entry(data))
        assert str(error.value).startswith("app:p") and "\n" not in str(error.value)


def test_expression_policies_have_an_expression_and_nothing_else_of_their_own() -> None:
    body = {"actions": "*", "resources": "*", "effect": "deny"}
    whole = entry({"policy": {**body, "expression": "true"}, "groups": ["g"]}, "security.policy.expr")
    check_policy(whole)
    assert Policy.from_entry(whole).groups == ("g",)
    with pytest.raises(EntryError, match="expression is missing"):
        check_policy(entry({"policy": body}, "security.policy.expr"))
    with pytest.raises(EntryError, match="unknown key 'conditions'"):
        check_policy(entry({"policy": {**body, "expression": "true", "conditions": []}}, "security.policy.expr"))
    with pytest.raises(EntryError, match="unknown key 'expression'"):
        check_policy(entry({"policy": {**body, "expression": "true"}}))
