"""A scope: the policies of one group, and what they decide together.

The group `g` on a policy in the namespace `ns` makes the scope `ns:g`. Nothing here fails open. A policy that
belongs to the scope and cannot be read refuses whatever it could have decided; so does a deny or ask policy
whose condition or expression cannot be evaluated; and `require_sound` refuses the scope as a whole, as agent writes do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.policy.conditions import ConditionError, Fields
from micro_agi_kernel.policy.policies import (
    EFFECTS,
    POLICY_KINDS,
    Actor,
    Pattern,
    Policy,
    groups,
    patterns,
)
from micro_agi_kernel.values import Json

_EVERYTHING = (Pattern("*"),)


class BrokenFile(Protocol):
    """A file of the registry that is no readable entry (`registry.Problem` has this shape)."""

    @property
    def path(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def kind(self) -> str | None: ...


class ScopeError(Refused):
    """A scope cannot be used as a whole. `str` is `failed to load security scope: <why>`."""

    def __init__(self, why: str) -> None:
        super().__init__(ErrorKind.PERMISSION_DENIED, f"failed to load security scope: {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A policy of the scope that cannot be read, and all that it could have decided."""

    name: str
    """Its id, or the path of a file that is no entry."""
    why: str
    actions: tuple[Pattern, ...] = _EVERYTHING
    resources: tuple[Pattern, ...] = _EVERYTHING


@dataclass(frozen=True, slots=True)
class Decision:
    """What a scope says to one request."""

    effect: Literal["allow", "deny", "ask", "undefined"]
    policy: str | None
    """The policy that decided; None when none did."""
    consulted: tuple[EntryId, ...]
    """All policies of the scope, in order."""
    why: str = ""
    """Set when a policy that could not be read or evaluated refused."""

    @property
    def trailer(self) -> str:
        """The value of the `Policy:` trailer: `undefined (app:deny_core_ns, app:deny_tools_ns)`."""
        return f"{self.effect} ({self.policy or ', '.join(map(str, self.consulted))})"

    def refusal(self, action: str, resource: str) -> str:
        """The line that the model reads when this decision refused."""
        return f"failed to load security scope: {self.why}" if self.why else f"policy denied: {action} on {resource}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The policies of one group. `name` is "ns:group"."""

    name: str
    policies: tuple[Policy, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def require_sound(self) -> None:
        """Raise ScopeError if a policy of the scope cannot be read, or if there is none at all."""
        if self.unreadable:
            raise ScopeError(self.unreadable[0].why)
        if not self.policies:
            raise ScopeError(f"{self.name} has no policy")

    def evaluate(self, actor: Actor, action: str, resource: str, meta: Mapping[str, Json] | None = None) -> Decision:
        """deny > ask > allow; "undefined" when no policy applies. Never raises."""
        consulted = tuple(policy.id for policy in self.policies)
        for broken in self.unreadable:
            if _any(broken.actions, action) and _any(broken.resources, resource):
                return Decision("deny", broken.name, consulted, broken.why)
        fields: Fields = {
            "actor": {"id": actor.id, "meta": dict(actor.meta)},
            "action": action,
            "resource": resource,
            "meta": dict(meta or {}),
        }
        applying: dict[str, str] = {}
        for policy in self.policies:
            try:
                if policy.covers(action, resource) and policy.applies(fields):
                    applying.setdefault(policy.effect, str(policy.id))
            except ConditionError as error:
                if policy.effect != "allow":
                    return Decision("deny", str(policy.id), consulted, f"{policy.id}: {error}")
        for effect in EFFECTS:
            if effect in applying:
                return Decision(effect, applying[effect], consulted)
        return Decision("undefined", None, consulted)


def load_scope(name: str, entries: Iterable[Entry], problems: Iterable[BrokenFile]) -> Scope:
    """The scope "ns:group", from the entries of a registry and its broken files (of all namespaces or of `ns`).

    What cannot be read counts as a policy of the scope unless it is known not to be one: a policy entry whose
    groups are unreadable, and a broken or misnamed YAML file in the scope's own namespace whose kind is a policy's
    or cannot be told. Broken files of other namespaces cannot be policies of this scope and do not count.
    """
    namespace, _, group = name.partition(":")
    loaded: list[Policy] = []
    unreadable: list[Unreadable] = []
    for entry in sorted(entries, key=lambda entry: entry.id):
        if entry.id.namespace != namespace or entry.kind not in POLICY_KINDS:
            continue
        try:
            if group not in groups(entry):
                _check_names(entry)
                continue
            loaded.append(Policy.from_entry(entry))
        except EntryError as error:
            unreadable.append(_unreadable(entry, str(error)))
    for problem in problems:
        is_yaml = problem.path.endswith((".yaml", ".yml"))
        if problem.namespace == namespace and is_yaml and problem.kind in (None, *POLICY_KINDS):
            unreadable.append(Unreadable(problem.path, f"{problem.path}: {problem.reason}"))
    return Scope(name, tuple(loaded), tuple(unreadable))


def _check_names(entry: Entry) -> None:
    """Raise EntryError if a misspelt key may hide that the policy belongs to the scope (`group:`, `Groups:`)."""
    if unknown := sorted(set(entry.data) - {"policy", "groups"}):
        raise EntryError(f"{entry.id}: unknown key {unknown[0]!r} (there are groups, policy)")


def _unreadable(entry: Entry, why: str) -> Unreadable:
    """As much of an unreadable policy as narrows down what it could have decided."""
    body = entry.data.get("policy")
    if not isinstance(body, dict):
        return Unreadable(str(entry.id), why)
    return Unreadable(str(entry.id), why, _or_everything(body.get("actions")), _or_everything(body.get("resources")))


def _or_everything(value: Json) -> tuple[Pattern, ...]:
    try:
        return patterns(value, "")
    except EntryError:
        return _EVERYTHING


def _any(patterns: tuple[Pattern, ...], name: str) -> bool:
    return any(pattern.matches(name) for pattern in patterns)
