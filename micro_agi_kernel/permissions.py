"""Who may do what, now: the scopes of policies, loaded from a snapshot of the registry.

Three scopes exist. `app:agent_security` is asked for what the agent writes; undefined means allowed.
`app:tool_security` is asked for what a tool does; undefined means allowed, but for the actions of
ONLY_ON_ALLOW, which nothing but an allow opens. `app:mcp_security` is asked for what a client of `micro-agi mcp`
calls, and for all that is called on its behalf; undefined means allowed. "ask" is for whoever can ask the person
(`approval`); to all others, and for an action of ONLY_ON_ALLOW, it is a no.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from micro_agi_kernel.entries import AGENT, GENERATED_NAMESPACE, Entry
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.policy import Actor, Decision, Policy, Scope, load_scope
from micro_agi_kernel.questions import Subject
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.values import shorten

Ruling: TypeAlias = tuple[Subject, Decision]
"""An action on a resource, and what the policies decided on it."""

AGENT_SCOPE = "app:agent_security"
TOOL_SCOPE = "app:tool_security"
CLIENT_SCOPE = "app:mcp_security"

CLIENT = "mcp:"
"""How the name of an actor begins that is a client of `micro-agi mcp`; no other's does."""
UNPROVEN = f"{CLIENT}unproven:"
"""How that begins where the client named itself; a name that the person gave holds no colon."""

AGENT_ACTOR = Actor(AGENT, {"role": "agent"})

ONLY_ON_ALLOW = frozenset(
    {"lua.module", "http_client.private_ip", "http_client.insecure_tls", "http_client.unix_socket"}
)

MAX_SHOWN = 300
"""Characters of a resource in an error line; a URL or a module's name may be any text of any length."""

HOST_MODULES = frozenset({"ctx", "docs", "funcs", "registry", "security"})
"""Modules that reach into the host; granted by where an entry lies, never by a policy."""

FUNCS = "funcs"
"""Of these, an entry that lists functions in `calls` has this one wherever it lies, for exactly those functions."""

GLOBALS = frozenset({"channel", "coroutine", "errors", "math", "os", "string", "table", "utf8"})
"""The tables that a tool has without `require` (sandbox/globals.lua)."""

_ALIKE = 0.5
"""From 0 to 1, as difflib measures it: with this "http" still finds http_client."""


@dataclass(frozen=True, slots=True)
class Older(Entry):
    """An entry as an older revision has it. Policies are asked for it and for what it is now; the stricter counts."""

    newest: Entry | None = None
    """What it is now; None: it is gone."""


class Permissions:
    """Answers from the policies that stand in a snapshot. Scopes are loaded once per commit."""

    def __init__(self, registry: Registry, added: Mapping[str, tuple[Policy, ...]] | None = None) -> None:
        """`added`: policies beside those of the registry, by the name of their scope."""
        self._registry = registry
        self._added = added or {}
        self._scopes: dict[tuple[str, str], Scope] = {}

    def scope(self, name: str, snapshot: Snapshot) -> Scope:
        """The named scope as it stands in `snapshot`."""
        key = (snapshot.commit, name)
        scope = self._scopes.get(key)
        if scope is None:
            namespace = name.partition(":")[0]  # no other can hold a policy of the scope
            scope = load_scope(name, snapshot.entries(namespace), snapshot.problems(namespace))
            if scope.policies or name != AGENT_SCOPE:  # that one without any of the registry's refuses all
                scope = replace(scope, policies=(*scope.policies, *self._added.get(name, ())))
            # Threads share this: a new table each time, so that no one ever sees the scope of another commit.
            kept = {k: s for k, s in self._scopes.items() if k[0] == snapshot.commit}
            self._scopes = {**kept, key: scope}
        return scope

    def decide_for_agent(self, action: str, resource: str, snapshot: Snapshot) -> Decision:
        """The decision on a registry write by the agent, which may be "ask". Raises Refused when it is denied.

        A scope that is empty or partly unreadable refuses every write (ScopeError).
        """
        scope = self.scope(AGENT_SCOPE, snapshot)
        scope.require_sound()
        decision = scope.evaluate(AGENT_ACTOR, action, resource)
        if decision.effect == "deny":
            raise denied(action, resource, decision)
        return decision

    def check_action(self, tool: Entry, action: str, resource: str, snapshot: Snapshot | None = None) -> None:
        """Raise Refused unless `tool` may do `action` on `resource` under the policies of `snapshot`, or the newest.

        It may not what a person must be asked about.
        """
        decision = self.decide_for_tool(tool, action, resource, snapshot)
        if decision.effect == "ask":
            raise denied(action, resource, decision)

    def decide_for_tool(self, tool: Entry, action: str, resource: str, snapshot: Snapshot | None = None) -> Decision:
        """The decision on what `tool` does, as in `check_action`, which may be "ask". Raises Refused when it is denied.

        Policies see the tool's namespace and modules as the actor's, and the meta of its entry as that of the request.
        """
        policies = snapshot or self._registry.snapshot()
        decision = self._decide(tool, action, resource, policies)
        if not isinstance(tool, Older) or tool.newest is None:
            return decision
        now = self._decide(tool.newest, action, resource, policies)
        return now if now.effect == "ask" else decision

    def decide_for_client(self, client: str, action: str, resource: str, snapshot: Snapshot) -> Decision:
        """The decision on what the actor `client` calls, which may be "ask". Raises Refused when it is denied."""
        decision = self.scope(CLIENT_SCOPE, snapshot).evaluate(Actor(client), action, resource)
        if decision.effect == "deny":
            raise denied(action, resource, decision)
        return decision

    def _decide(self, tool: Entry, action: str, resource: str, snapshot: Snapshot) -> Decision:
        scope = self.scope(TOOL_SCOPE, snapshot)
        actor = Actor(f"tool:{tool.id}", {"namespace": tool.id.namespace, "modules": list(tool.modules)})
        decision = scope.evaluate(actor, action, resource, tool.meta)
        if decision.effect == "deny" or (decision.effect in ("ask", "undefined") and action in ONLY_ON_ALLOW):
            raise denied(action, resource, decision)
        return decision

    def check_modules(self, tool: Entry, known: frozenset[str], snapshot: Snapshot | None = None) -> frozenset[str]:
        """The modules that `tool` lists, all of which it may require. Raises Refused for the first it may not.

        `known` are the modules that exist; `snapshot` is as in `check_action`. The refusal says what there is instead.
        """
        for module in tool.modules:
            try:
                if module not in known:
                    raise Refused(ErrorKind.NOT_FOUND, f"modules: {_no_module(module, known - HOST_MODULES)}")
                self.check_module(tool, module, snapshot)
            except Refused as refusal:
                granted = ", ".join(name for name in sorted(known) if self._may_require(tool, name, snapshot))
                reason = f"{refusal}; there are: {granted}" if granted else str(refusal)
                raise Refused(refusal.kind, reason, retryable=False) from refusal
        return frozenset(tool.modules) | ({FUNCS} if tool.calls else set())

    def check_module(self, tool: Entry, module: str, snapshot: Snapshot | None = None) -> None:
        """Raise Refused unless `tool` may require `module`; no agent can write an entry that may have the host's."""
        if module not in HOST_MODULES:
            self.check_action(tool, "lua.module", module, snapshot)
        elif tool.id.namespace == GENERATED_NAMESPACE and not (module == FUNCS and tool.calls):
            why = "list in calls what it calls" if module == FUNCS else "it is for entries that no agent can write"
            reason = f"policy denied: lua.module on {module} ({why})"
            raise Refused(ErrorKind.PERMISSION_DENIED, reason)

    def _may_require(self, tool: Entry, module: str, snapshot: Snapshot | None) -> bool:
        try:
            self.check_module(tool, module, snapshot)
        except Refused:
            return False
        return True


def _no_module(name: str, known: Collection[str]) -> str:
    """That there is no module of the name, and what its author may have meant."""
    module, _, field = name.partition(".")
    if module in GLOBALS:
        return f"{module!r} is a global table, no module: use it without require and leave it out"
    if module in known and field.isidentifier():
        return f'there is no module {shorten(name)!r}: list {module!r} and take its field, require("{module}").{field}'
    near = difflib.get_close_matches(shorten(name), known, 1, _ALIKE)
    return f"there is no module {shorten(name)!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def denied(action: str, resource: str, decision: Decision) -> Refused:
    """What the model reads: the reference's words, and the policy's name."""
    shown = resource[:MAX_SHOWN]
    reason = decision.refusal(action, shown if shown.isprintable() else repr(shown))
    if not decision.why:
        reason += f" (policy {decision.policy})" if decision.policy else " (no policy allows it)"
    return Refused(ErrorKind.PERMISSION_DENIED, reason, retryable=False)
