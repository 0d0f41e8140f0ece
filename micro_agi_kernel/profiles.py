"""Profiles: policies that a setting adds to those of the registry, where no commit can take them away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.permissions import AGENT_SCOPE, TOOL_SCOPE
from micro_agi_kernel.policy import Policy
from micro_agi_kernel.policy.policies import EXPRESSION_KIND, POLICY_KIND
from micro_agi_kernel.settings import Profile
from micro_agi_kernel.values import Json

_ITSELF = 'actor.id == "tool:" + resource'
"""Not what another entry imports or calls: that was asked about when the other one was written."""


@cache
def policies_of(profile: Profile) -> Mapping[str, tuple[Policy, ...]]:
    """What the profile adds, by the name of the scope."""
    if profile == "reference":
        return {}
    return {AGENT_SCOPE: tuple(_on_the_agent()), TOOL_SCOPE: tuple(_on_tools())}


def _on_the_agent() -> Iterator[Policy]:
    yield _asks("ask_write", ["registry.create", "registry.update", "registry.delete"], "*")


def _on_tools() -> Iterator[Policy]:
    generated = f"{GENERATED_NAMESPACE}:*"
    yield _asks("ask_load", "tool.load", generated, expression=_ITSELF)
    yield _asks("ask_call", "tool.call", generated, expression=f'{_ITSELF} and "http_client" in actor.meta.modules')
    yield _asks("ask_server", "tool.call", "mcp.*")
    yield _asks("ask_host", "http_client.request", "*")


def _asks(name: str, actions: Json, resources: Json, **more: Json) -> Policy:
    kind = EXPRESSION_KIND if "expression" in more else POLICY_KIND
    body: Json = {"actions": actions, "resources": resources, "effect": "ask", **more}
    return Policy.from_entry(Entry(EntryId("guarded", name), kind, {}, {"policy": body}))
