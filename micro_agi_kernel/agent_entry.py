"""The agent of a registry: the entry that says what it is told, with its traits."""

from __future__ import annotations

from micro_agi_kernel.agent.spec import TRAIT_KIND, TRAIT_TYPE, AgentSpec
from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.registry import Snapshot

AGENT_ENTRY = EntryId("app", "dev_assistant")


def read_agent(snapshot: Snapshot) -> AgentSpec | None:
    """The agent of this registry, None when it has none. Raises EntryError when it, or a trait of it, is unusable."""

    def find_trait(name: str) -> Entry | None:
        if ":" in name:
            return snapshot.get(EntryId.parse(name))
        named = snapshot.find({".kind": TRAIT_KIND, "meta.type": TRAIT_TYPE, "meta.name": name})
        return next((trait for trait in named if trait.id.namespace != GENERATED_NAMESPACE), None)

    entry = snapshot.get(AGENT_ENTRY)
    return None if entry is None else AgentSpec.from_entry(entry, find_trait)


def need_agent(snapshot: Snapshot) -> AgentSpec:
    """As `read_agent`, where nothing goes on without an agent: one line for the person."""
    spec = read_agent(snapshot)
    if spec is None:
        raise MicroAgiError(f"the registry has no agent {AGENT_ENTRY}: bring it back with git, or start a new registry")
    return spec
