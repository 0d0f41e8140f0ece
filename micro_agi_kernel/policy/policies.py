"""One policy: an entry of either policy kind, checked when it is loaded and never interpreted loosely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.policy.conditions import Condition, Fields
from micro_agi_kernel.policy.expressions import Expression
from micro_agi_kernel.values import Json, shorten

POLICY_KIND = "security.policy"
EXPRESSION_KIND = "security.policy.expr"
POLICY_KINDS = frozenset({POLICY_KIND, EXPRESSION_KIND})

Effect: TypeAlias = Literal["allow", "deny", "ask"]
EFFECTS: tuple[Effect, ...] = ("deny", "ask", "allow")
"""The strongest first."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: "service:agent", "user:<name>", "tool:<entry id>" ..., and what is known about them."""

    id: str
    meta: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A set of names: one name, `*`, `prefix*` or `*suffix`; case-sensitive."""

    text: str

    @classmethod
    def parse(cls, text: Json, where: str) -> Pattern:
        if not isinstance(text, str) or not text or "*" in text[1:-1] or (text != "*" and text.strip("*") == ""):
            raise EntryError(f"{where}: bad pattern {shorten(str(text))!r}: a name, *, prefix* or *suffix")
        if len(text) > 1 and text[0] == text[-1] == "*":
            raise EntryError(f"{where}: bad pattern {shorten(text)!r}: one * only, at the beginning or the end")
        return cls(text)

    def matches(self, name: str) -> bool:
        if self.text.endswith("*"):
            return name.startswith(self.text[:-1])
        if self.text.startswith("*"):
            return name.endswith(self.text[1:])
        return name == self.text


@dataclass(frozen=True, slots=True)
class Policy:
    """What one policy entry says. It applies where an action, a resource and all conditions match.

    A policy of kind security.policy.expr has one condition, its expression.
    """

    id: EntryId
    actions: tuple[Pattern, ...]
    resources: tuple[Pattern, ...]
    effect: Effect
    conditions: tuple[Condition | Expression, ...] = ()
    groups: tuple[str, ...] = ()

    @classmethod
    def from_entry(cls, entry: Entry) -> Policy:
        """Raises EntryError for anything that is not exactly a policy: a typing error must not open a door."""
        asked = "conditions" if entry.kind == POLICY_KIND else "expression"
        body = _body(entry, {"actions", "resources", "effect", asked})
        return cls(
            entry.id,
            patterns(body.get("actions"), f"{entry.id}: actions"),
            patterns(body.get("resources"), f"{entry.id}: resources"),
            _effect(body, entry),
            _conditions(body, entry),
            groups(entry),
        )

    def covers(self, action: str, resource: str) -> bool:
        return any(p.matches(action) for p in self.actions) and any(p.matches(resource) for p in self.resources)

    def applies(self, fields: Fields) -> bool:
        """Whether the conditions hold. Raises ConditionError."""
        return all(condition.holds(fields) for condition in self.conditions)


def check_policy(entry: Entry) -> None:
    """The kind check of both policy kinds: raise EntryError unless the entry is a policy that can be evaluated."""
    Policy.from_entry(entry)


def patterns(value: Json, where: str) -> tuple[Pattern, ...]:
    """One pattern or a list of at least one."""
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise EntryError(f"{where}: empty")
    return tuple(Pattern.parse(item, where) for item in listed)


def groups(entry: Entry) -> tuple[str, ...]:
    """The groups of a policy: plain names, since a group belongs to the policy's own namespace."""
    value = entry.data.get("groups", [])
    if not isinstance(value, list) or not all(isinstance(group, str) and group and ":" not in group for group in value):
        raise EntryError(f"{entry.id}: groups are a list of names without a namespace")
    return tuple(cast(list[str], value))


def _body(entry: Entry, known: set[str]) -> Mapping[str, Json]:
    body = entry.data.get("policy")
    if not isinstance(body, dict):
        raise EntryError(f"{entry.id}: policy is missing")
    for keys, allowed in ((set(entry.data), {"policy", "groups"}), (set(body), known)):
        if unknown := sorted(keys - allowed):
            raise EntryError(
                f"{entry.id}: unknown key {shorten(unknown[0])!r} (there are {', '.join(sorted(allowed))})"
            )
    return body


def _conditions(body: Mapping[str, Json], entry: Entry) -> tuple[Condition | Expression, ...]:
    if entry.kind == EXPRESSION_KIND:
        return (Expression.parse(body.get("expression"), str(entry.id)),)
    conditions = body.get("conditions", [])
    if not isinstance(conditions, list):
        raise EntryError(f"{entry.id}: conditions are a list")
    return tuple(Condition.parse(condition, str(entry.id)) for condition in conditions)


def _effect(body: Mapping[str, Json], entry: Entry) -> Effect:
    for effect in EFFECTS:
        if body.get("effect") == effect:
            return effect
    raise EntryError(f"{entry.id}: effect is allow, deny or ask")
