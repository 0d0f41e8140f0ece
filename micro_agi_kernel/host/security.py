"""Policies as Lua meets them: a scope by name, and what it says about an actor, an action and a resource."""

from __future__ import annotations

from collections.abc import Mapping

from micro_agi_kernel.entries import MAX_ID
from micro_agi_kernel.host.arguments import invalid, text
from micro_agi_kernel.host.service import Grant, Handler, Payload, in_thread
from micro_agi_kernel.permissions import Permissions
from micro_agi_kernel.policy import Actor, Scope
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.values import Json, Value, as_json


class SecurityService:
    """Answers `security.*`. Its answers inform; the host decides again where it acts."""

    module = "security"

    def __init__(self, registry: Registry, permissions: Permissions) -> None:
        self._registry = registry
        self._permissions = permissions
        self.handlers: Mapping[str, Handler] = {
            "security.named_scope": in_thread(self._named_scope),
            "security.evaluate": in_thread(self._evaluate),
        }

    def _scope(self, name: str) -> Scope:
        if len(name) > MAX_ID or name.count(":") != 1 or not name.isprintable():
            raise invalid("the id of a scope has the form namespace:group")
        return self._permissions.scope(name, self._registry.snapshot())

    def _named_scope(self, payload: Payload, grant: Grant) -> Value:
        scope = self._scope(text(payload, "id"))
        scope.require_sound()
        return {"id": scope.name, "policies": [str(policy.id) for policy in scope.policies]}

    def _evaluate(self, payload: Payload, grant: Grant) -> Value:
        actor = payload.get("actor")
        if not isinstance(actor, dict):
            raise invalid("actor must be a table with id and meta")
        decision = self._scope(text(payload, "scope")).evaluate(
            Actor(text(actor, "id"), _meta(actor)),
            text(payload, "action"),
            text(payload, "resource"),
            _meta(payload),
        )
        return {"result": decision.effect, "policy": decision.policy}


def _meta(payload: Payload) -> dict[str, Json]:
    """The argument `meta`, a table with text keys; an empty one unless given. Raises Refused."""
    value = as_json(payload.get("meta") or {}, "meta")
    if not isinstance(value, dict):
        raise invalid("meta must be a table with text keys")
    return value
