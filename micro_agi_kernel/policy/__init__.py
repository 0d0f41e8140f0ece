"""Policies: registry entries that say which actor may do what to which resource.

    scope = load_scope("app:agent_security", entries, problems)
    scope.require_sound()
    decision = scope.evaluate(Actor("service:agent", {"role": "agent"}), "registry.create", "app:x")

A `Policy` is one entry, a `Scope` the policies of one group, a `Decision` what they say to one request. What
"undefined" means, and who is asked where it says "ask", is for the caller to decide.
"""

from micro_agi_kernel.policy.conditions import Condition
from micro_agi_kernel.policy.policies import EFFECTS, Actor, Pattern, Policy, check_policy
from micro_agi_kernel.policy.scope import Decision, Scope, ScopeError, Unreadable, load_scope

__all__ = [
    "EFFECTS",
    "Actor",
    "Condition",
    "Decision",
    "Pattern",
    "Policy",
    "Scope",
    "ScopeError",
    "Unreadable",
    "check_policy",
    "load_scope",
]
