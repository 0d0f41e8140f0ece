"""Scopes: what several policies decide together, and that whatever is unreadable refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import ErrorKind
from micro_agi_kernel.policy import Actor, Scope, ScopeError, load_scope
from micro_agi_kernel.values import Json

AGENT = Actor("service:agent", {"role": "agent"})


@dataclass
class Broken:
    path: str
    namespace: str | None = "app"
    kind: str | None = None
    reason: str = "broken YAML at line 2"


def policy(id: str, effect: str, resources: Json, actions: Json = "*", group: str = "g", **more: Json) -> Entry:
    body: dict[str, Json] = {"actions": actions, "resources": resources, "effect": effect, **more}
    return Entry(EntryId.parse(id), "security.policy", {}, {"policy": body, "groups": [group]})


CORE = policy("app:deny_core_ns", "deny", "app:*", group="agent_security")
TOOLS = policy("app:deny_tools_ns", "deny", "app.tools:*", group="agent_security")
SEED = [TOOLS, policy("app:allow_modules", "allow", ["time", "json"], "lua.module", group="tool_security"), CORE]


def effect(scope: Scope, resource: str, action: str = "registry.create") -> str:
    return scope.evaluate(AGENT, action, resource).effect


def test_the_seed_policies() -> None:
    scope = load_scope("app:agent_security", SEED, [])
    scope.require_sound()
    assert [str(policy.id) for policy in scope.policies] == ["app:deny_core_ns", "app:deny_tools_ns"]
    for resource, expected in {
        "app:x": "deny",
        "app.tools:create_tool": "deny",
        "app.generated:x": "undefined",
        "app.toolsx:y": "undefined",
        "appx:y": "undefined",
        "App:x": "undefined",
    }.items():
        assert effect(scope, resource) == expected
    decision = scope.evaluate(AGENT, "registry.create", "app.generated:x")
    assert decision.trailer == "undefined (app:deny_core_ns, app:deny_tools_ns)"
    denied = scope.evaluate(AGENT, "registry.create", "app.tools:x")
    assert denied.policy == "app:deny_tools_ns" and denied.trailer == "deny (app:deny_tools_ns)"
    assert denied.refusal("registry.create", "app.tools:x") == "policy denied: registry.create on app.tools:x"
    modules = load_scope("app:tool_security", SEED, [])
    assert effect(modules, "time", "lua.module") == "allow" and effect(modules, "os", "lua.module") == "undefined"


def test_deny_beats_ask_beats_allow_in_any_order() -> None:
    entries = [policy("app:a", "allow", "*"), policy("app:b", "ask", ["x", "y"]), policy("app:c", "deny", "x")]
    for listed in (entries, entries[::-1]):
        scope = load_scope("app:g", listed, [])
        assert [effect(scope, resource) for resource in "xyz"] == ["deny", "ask", "allow"]


def test_conditions_see_actor_and_meta() -> None:
    condition: Json = {"field": "actor.meta.role", "operator": "eq", "value": "agent"}
    owned: Json = {"field": "meta.owner", "operator": "eq", "value_from": "actor.id"}
    scope = load_scope("app:g", [policy("app:a", "deny", "*", conditions=[condition, owned])], [])
    assert scope.evaluate(AGENT, "a", "r", {"owner": "service:agent"}).effect == "deny"
    assert scope.evaluate(AGENT, "a", "r", {"owner": "user:x"}).effect == "undefined"
    assert scope.evaluate(AGENT, "a", "r").effect == "undefined"
    assert scope.evaluate(Actor("service:agent"), "a", "r", {"owner": "service:agent"}).effect == "undefined"


def test_a_group_belongs_to_its_namespace() -> None:
    denies = [policy("other:deny", "deny", "*"), policy("app.sub:deny", "deny", "*")]
    entries = [*denies, policy("app:allow", "allow", "*")]
    assert effect(load_scope("app:g", entries, []), "x") == "allow"
    assert effect(load_scope("other:g", entries, []), "x") == "deny"


def refused(entries: list[Entry], problems: list[Broken] = []) -> str:  # noqa: B006
    """Why the agent's scope is refused, having seen that every request is."""
    scope = load_scope("app:agent_security", entries, problems)
    with pytest.raises(ScopeError) as error:
        scope.require_sound()
    assert error.value.kind is ErrorKind.PERMISSION_DENIED
    assert str(error.value) == f"failed to load security scope: {error.value.why}" and "\n" not in str(error.value)
    if entries:
        assert effect(scope, "app:x") == "deny"
    return error.value.why


def test_an_empty_scope_is_refused() -> None:
    assert refused([]) == "app:agent_security has no policy"
    with pytest.raises(ScopeError):
        load_scope("app:agent_security", [policy("app:x", "deny", "*", group="other")], []).require_sound()


@pytest.mark.parametrize(
    "data",
    [
        {"policy": {"actions": "*", "resources": "app:*", "effect": "denied"}, "groups": ["agent_security"]},
        {"policy": {"actions": "*", "resources": "a*b", "effect": "deny"}, "groups": ["agent_security"]},
        {"policy": [], "groups": ["agent_security"]},
        {"policy": {"actions": "*", "resources": "app:*", "effect": "deny"}, "groups": "agent_security"},
        {"policy": {"actions": "*", "resources": "app:*", "effect": "deny"}, "group": ["agent_security"]},
        {"policy": {"actions": "*", "resources": "app:*", "effect": "deny"}, "groups": ["app:agent_security"]},
    ],
)
def test_an_unreadable_policy_refuses_the_scope(data: dict[str, Any]) -> None:
    assert refused([CORE, Entry(EntryId.parse("app:bad"), "security.policy", {}, data)]).startswith("app:bad")


def test_an_expression_that_does_not_compile_refuses_its_scope() -> None:
    body: Json = {"actions": "*", "resources": "x", "effect": "allow", "expression": "true and"}
    id, kind = EntryId.parse("app:e"), "security.policy.expr"
    why = refused([CORE, Entry(id, kind, {}, {"policy": body, "groups": ["agent_security"]})])
    assert why.startswith("app:e: expression 'true and': ")
    other = Entry(id, kind, {}, {"policy": body, "groups": ["other"]})
    load_scope("app:agent_security", [CORE, other], []).require_sound()


def test_broken_files_that_may_be_policies_refuse_the_scope() -> None:
    for problem in (
        Broken("app/x.yaml"),
        Broken("app/x.yaml", kind="security.policy"),
        Broken("app/Deny Core.yaml", kind="security.policy"),
        Broken("app/x.yml", kind="security.policy.expr"),
    ):
        assert refused([CORE], [problem]) == f"{problem.path}: broken YAML at line 2"


def test_broken_files_that_are_no_policies_stop_nothing() -> None:
    problems = [
        Broken("README.md", None),
        Broken("stray.yaml", None),
        Broken("app/notes.txt"),
        Broken("app/x.lua"),
        Broken("app/x.yaml", kind="function.lua"),
        Broken("app/generated/x.yaml", "app.generated"),
        Broken("app/tools/x.yaml", "app.tools"),
    ]
    load_scope("app:agent_security", [CORE], problems).require_sound()


def test_elsewhere_an_unreadable_policy_refuses_what_it_could_have_decided() -> None:
    allow = policy("app:allow_all", "allow", "*")
    narrow = policy("app:bad", "maybe", ["https://a*"], "http_client.request")
    scope = load_scope("app:g", [allow, narrow], [])
    decision = scope.evaluate(AGENT, "http_client.request", "https://a.example/")
    assert (decision.effect, decision.policy) == ("deny", "app:bad")
    assert decision.refusal("http_client.request", "x").startswith("failed to load security scope: app:bad")
    assert (
        effect(scope, "https://b.example/", "http_client.request") == "allow"
        and effect(scope, "x", "tool.call") == "allow"
    )
    wide = policy("app:bad", "deny", ["a*b"], "http_client.request")
    scope = load_scope("app:g", [allow, wide], [])
    assert effect(scope, "anything", "http_client.request") == "deny" and effect(scope, "x", "tool.call") == "allow"
    assert effect(load_scope("app:g", [allow], [Broken("app/x.yaml")]), "x", "tool.call") == "deny"


@pytest.mark.parametrize(("kind", "expected"), [("deny", "deny"), ("ask", "deny"), ("allow", "undefined")])
def test_an_error_inside_a_policy_never_opens(kind: str, expected: str) -> None:
    uncomparable: Json = {"field": "action", "operator": "lt", "value": 3}
    scope = load_scope("app:g", [policy("app:a", kind, "x", conditions=[uncomparable])], [])
    decision = scope.evaluate(AGENT, "a", "x")
    assert decision.effect == expected and bool(decision.why) is (expected == "deny")
    if decision.why:
        assert decision.refusal("a", "x") == "failed to load security scope: app:a: lt needs two numbers"
    assert effect(scope, "y") == "undefined"
