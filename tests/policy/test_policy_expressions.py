"""Policies of kind security.policy.expr: what an expression sees, and that whatever goes wrong in one refuses."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.policy import Actor, Scope, ScopeError, check_policy, load_scope
from micro_agi_kernel.policy.conditions import ConditionError
from micro_agi_kernel.policy.expressions import Expression
from micro_agi_kernel.values import Json
from micro_agi_kernel.yaml_files import load_yaml

FIELDS: dict[str, Json] = {
    "actor": {
        "id": "user:1",
        "meta": {"role": "admin", "clearance": 3, "ratio": 0.5, "on": True, "tags": ["a", "b"], "deep": {"er": "x"}},
    },
    "action": "document.read",
    "resource": "document:secret",
    "meta": {"owner": "user:1", "public": True, "tags": ["public", "private"], "size": 1000, "none": None},
}

EXPRESSIONS = """
true | yes
false | no
actor.id == "user:1" | yes
actor.meta.role == "admin" | yes
actor.meta.role == "Admin" | no
actor["meta"]["role"] in ["admin", "root"] | yes
actor.meta.deep.er == "x" | yes
actor.meta.clearance >= 3 and actor.meta.clearance < 4 | yes
actor.meta.clearance == 3.0 | yes
actor.meta.ratio * 2 == 1 | yes
actor.meta.on | yes
not actor.meta.on | no
"b" in actor.meta.tags | yes
action == "document.read" | yes
action in ["document.read", "document.list"] && all(meta.tags, {# != "private"}) | no
any(meta.tags, # == "private") | yes
action startsWith "document." | yes
resource endsWith "secret" | yes
resource contains "Secret" | no
resource matches "^document:.*" && action == "document.read" | yes
resource matches "(?i)SECRET$" | yes
resource not matches "^doc:" | yes
meta.owner == actor.id | yes
meta.public == true || actor.meta.role == "root" | yes
meta.size > 999 ? true : false | yes
meta.none == nil | yes
meta.missing == nil | yes
meta.missing == "x" | no
meta.missing | no
(meta.missing ?? "none") == "none" | yes
meta.missing?.deeper == nil | yes
"owner" in meta | yes
"missing" in meta | no
"actor" in $env and not ("missing" in $env) | yes
let own = meta.owner == actor.id; own and meta.public | yes
len(actor.meta.tags) == 2 | yes
actor.meta.tags \\| filter(# != "a") \\| len() == 1 | yes
lower(upper(action)) == action | yes
split(action, ".")[0] == "document" | yes
"""


@pytest.mark.parametrize("line", EXPRESSIONS.strip().splitlines())
def test_what_an_expression_sees(line: str) -> None:
    source, _, expected = line.rpartition(" | ")
    expression = Expression.parse(source.replace("\\|", "|"), "app:p")
    assert expression.holds(FIELDS) is (expected == "yes")


def test_the_expression_of_the_documentation_of_the_reference() -> None:
    expression = Expression.parse(
        """(actor.meta.role == "editor" && action == "write") ||
        (action == "read" && meta.public == true) ||
        actor.id == meta.owner
        """,
        "app:p",
    )

    def holds(action: str, role: str, **meta: Json) -> bool:
        return expression.holds({"actor": {"id": "user:1", "meta": {"role": role}}, "action": action, "meta": meta})

    assert holds("write", "editor") and holds("read", "guest", public=True) and holds("any", "guest", owner="user:1")
    assert not holds("write", "guest") and not holds("read", "guest", public="yes") and not holds("x", "editor")


NOT_COMPILED: list[Json] = [
    None,
    True,
    3,
    ["true"],
    {"expression": "true"},
    "",
    " \n",
    "invalid syntax here",
    "true and",
    "actor.id = 'x'",
    '"x',
    "1 + 1",
    '"text"',
    "nil",
    "[true]",
    'resource matches "("',
    'resource matches "(?=x)"',
    "1 + true == 2",
    "acton == 'x'",
    "actor.id == 'x' or any(actor.meta.tags, # == rsource)",
    "missing?.deeper == nil",
    "nothing(actor.id)",
    "(" * 10_000 + "true" + ")" * 10_000,
    "not " * 100_000 + "true",
    "true or " * 100_000 + "true",
    "x" * 2_000_000,
    "[" * 100_000,
]


@pytest.mark.parametrize("source", NOT_COMPILED, ids=range(len(NOT_COMPILED)))
def test_what_does_not_compile_to_true_or_false_is_no_policy(source: Json) -> None:
    body: Json = {"actions": "*", "resources": "*", "effect": "deny", "expression": source}
    entry = Entry(EntryId.parse("app:p"), "security.policy.expr", {}, {"policy": body, "groups": ["g"]})
    with pytest.raises(EntryError, match=r"^app:p: ") as error:
        check_policy(entry)
    assert "\n" not in str(error.value) and len(str(error.value)) < 1_000
    with pytest.raises(ScopeError):
        load_scope("app:g", [entry], []).require_sound()


FAILING = {
    "no boolean": "actor.meta.role",
    "field of nil": "meta.missing.deeper == 1",
    "field of text": "actor.id.name == 'x'",
    "index": "actor.meta.tags[5] == 'x'",
    "order": "actor.meta.role < 3",
    "arithmetic": "actor.meta.tags + 1 == 2",
    "call": "actor.meta.role()",
    "pattern from a field": "resource matches meta.pattern",
    "range": "len(1..100000000) == 1",
    "nested loops": "all(1..1000, all(1..1000, all(1..1000, true)))",
    "repeat": 'len(repeat("x", 1000000000)) > 0',
    "doubling": 'len(reduce(1..60, #acc + #acc, "x")) > 0',
    "nesting arrays": "len(reduce(1..60, concat(#acc, #acc), [1])) > 0",
    "json": "fromJSON(meta.json) == nil",
    "replace": 'len(replace(repeat("a", 10000), "a", repeat("b", 100000))) > 0',
    "join": 'len(join(map(1..10000, repeat("x", 100000)))) > 0',
    "map of lists": "len(map(1..3000, 1..3000)) == 1",
}


def expression(id: str, effect: str, source: str, *, group: str = "g", resources: Json = "x") -> Entry:
    body: Json = {"actions": "*", "resources": resources, "effect": effect, "expression": source}
    return Entry(EntryId.parse(id), "security.policy.expr", {}, {"policy": body, "groups": [group]})


def decide(scope: Scope, resource: str = "x") -> str:
    actor: Any = FIELDS["actor"]
    meta: dict[str, Json] = {"pattern": "(", "json": "[" * 10_000}
    return scope.evaluate(Actor(actor["id"], actor["meta"]), "a", resource, meta).effect


@pytest.mark.parametrize("case", FAILING)
def test_what_fails_or_costs_too_much_never_opens(case: str) -> None:
    """In a policy that denies or asks it refuses what the policy covers; one that allows does not apply."""
    for effect, expected in (("deny", "deny"), ("ask", "deny"), ("allow", "undefined")):
        policy = expression("app:e", effect, FAILING[case])
        check_policy(policy)
        scope = load_scope("app:g", [policy], [])
        scope.require_sound()
        assert decide(scope) == expected
        assert decide(scope, "y") == "undefined"


def test_the_reason_names_the_policy() -> None:
    scope = load_scope("app:g", [expression("app:e", "deny", "actor.meta.x.y")], [])
    decision = scope.evaluate(Actor("a"), "act", "x")
    assert (decision.effect, decision.policy) == ("deny", "app:e")
    assert decision.refusal("act", "x").startswith("failed to load security scope: app:e: ")
    assert decision.why.endswith("(1:14)") and "\n" not in decision.why


def test_effects_of_both_kinds_of_policies_together() -> None:
    def declared(id: str, effect: str, resources: Json) -> Entry:
        body: Json = {"actions": "*", "resources": resources, "effect": effect}
        return Entry(EntryId.parse(id), "security.policy", {}, {"policy": body, "groups": ["g"]})

    entries = [
        expression("app:a", "allow", 'resource in ["x", "y", "z"]', resources="*"),
        declared("app:b", "ask", ["x", "y"]),
        expression("app:c", "deny", 'resource == "x"', resources="*"),
    ]
    for listed in (entries, entries[::-1]):
        scope = load_scope("app:g", listed, [])
        assert [decide(scope, resource) for resource in "xyzw"] == ["deny", "ask", "allow", "undefined"]
        assert decide(load_scope("app:other", listed, [])) == "undefined"


@pytest.mark.parametrize("page", ["examples/policies.md", "registry_repo/docs/lua/security/security.md"])
def test_the_policies_that_pages_show_are_policies(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```|<<'YAML'\n(.*?)^YAML$", text, re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    for found in shown:
        document = load_yaml("".join(found).encode(), page)
        assert isinstance(document, dict) and isinstance(document["data"], dict)
        check_policy(Entry(EntryId.parse("app:p"), str(document["kind"]), {}, document["data"]))


def test_an_expression_cannot_change_the_request() -> None:
    before = copy.deepcopy(FIELDS)
    for source in ("len(sort(actor.meta.tags, 'desc')) == 2", "reverse(meta.tags)[0] == 'private'"):
        assert Expression.parse(source, "x").holds(FIELDS)
    assert before == FIELDS


def test_text_that_is_no_unicode_is_an_error_at_most() -> None:
    expression = Expression.parse('resource matches "x" or upper(resource) == "Y"', "x")
    try:
        assert not expression.holds({**FIELDS, "resource": "\ud800"})
    except ConditionError as error:
        assert "\n" not in str(error)
