"""Who may do what, now: the scopes of `policies.md`, loaded from a snapshot of the registry.

Two scopes exist. `app:agent_security` is asked for what the agent writes; undefined means allowed.
`app:tool_security` is asked for what a tool does; undefined means allowed, but for the actions of
ONLY_ON_ALLOW, which nothing but an allow opens.
"""

from __future__ import annotations

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.policy import Actor, Decision, Scope, load_scope
from micro_agi_kernel.registry import Registry, Snapshot

AGENT_SCOPE = "app:agent_security"
TOOL_SCOPE = "app:tool_security"

AGENT_ACTOR = Actor("service:agent", {"role": "agent"})

ONLY_ON_ALLOW = frozenset(
    {"lua.module", "http_client.private_ip", "http_client.insecure_tls", "http_client.unix_socket"}
)

MAX_SHOWN = 300
"""Characters of a resource in an error line; a URL or a module's name may be any text of any length."""

HOST_MODULES = frozenset({"ctx", "docs", "funcs", "registry", "security"})
"""Modules that reach into the host; granted by where an entry lies, never by a policy."""


class Permissions:
    """Answers from the policies that stand in a snapshot. Scopes are loaded once per commit."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._scopes: dict[tuple[str, str], Scope] = {}

    def scope(self, name: str, snapshot: Snapshot) -> Scope:
        """The named scope as it stands in `snapshot`."""
        key = (snapshot.commit, name)
        scope = self._scopes.get(key)
        if scope is None:
            namespace = name.partition(":")[0]  # no other can hold a policy of the scope
            scope = load_scope(name, snapshot.entries(namespace), snapshot.problems(namespace))
            # Threads share this: a new table each time, so that no one ever sees the scope of another commit.
            kept = {k: s for k, s in self._scopes.items() if k[0] == snapshot.commit}
            self._scopes = {**kept, key: scope}
        return scope

    def agent_may(self, action: str, resource: str, snapshot: Snapshot) -> Decision:
        """The decision on a registry write by the agent. Raises Refused when it is denied.

        A scope that is empty or partly unreadable refuses every write (ScopeError).
        """
        scope = self.scope(AGENT_SCOPE, snapshot)
        scope.require_sound()
        decision = scope.evaluate(AGENT_ACTOR, action, resource)
        if decision.effect in ("deny", "ask"):
            raise denied(action, resource, decision)
        return decision

    def tool_may(self, tool: Entry, action: str, resource: str, snapshot: Snapshot | None = None) -> None:
        """Raise Refused unless `tool` may do `action` on `resource` under the policies of `snapshot`, or the newest."""
        scope = self.scope(TOOL_SCOPE, snapshot or self._registry.snapshot())
        actor = Actor(f"tool:{tool.id}", {"namespace": tool.id.namespace, "modules": list(tool.modules)})
        decision = scope.evaluate(actor, action, resource)
        if decision.effect in ("deny", "ask") or (decision.effect == "undefined" and action in ONLY_ON_ALLOW):
            raise denied(action, resource, decision)

    def check_modules(self, tool: Entry, known: frozenset[str], snapshot: Snapshot | None = None) -> frozenset[str]:
        """The modules that `tool` lists, all of which it may require. Raises Refused for the first it may not.

        `known` are the modules that exist; `snapshot` is as in `tool_may`. Those of the host are for entries that
        no agent can write.
        """
        for module in tool.modules:
            if module in HOST_MODULES:
                if tool.id.namespace != GENERATED_NAMESPACE:
                    continue
                raise Refused(
                    ErrorKind.PERMISSION_DENIED,
                    f"policy denied: lua.module on {module} (it is for entries that no agent can write)",
                )
            self.tool_may(tool, "lua.module", module, snapshot)
            if module not in known:
                raise Refused(ErrorKind.NOT_FOUND, f"no module {module!r}; there are: {', '.join(sorted(known))}")
        return frozenset(tool.modules)


def denied(action: str, resource: str, decision: Decision) -> Refused:
    """What the model reads: the reference's words, and the policy's name."""
    shown = resource[:MAX_SHOWN]
    reason = decision.refusal(action, shown if shown.isprintable() else repr(shown))
    if not decision.why:
        reason += f" (policy {decision.policy})" if decision.policy else " (no policy allows it)"
    return Refused(ErrorKind.PERMISSION_DENIED, reason, retryable=False)
