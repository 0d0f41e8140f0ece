"""Which models there are and which one would run, as things stand now: for `micro-agi models` and `doctor`."""

from __future__ import annotations

from micro_agi_kernel.agent_entry import read_agent
from micro_agi_kernel.model_choice import Models, read_models
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.settings import Settings


def models_now(registry: Registry, settings: Settings) -> Models:
    """What `registry` and `settings` say of models, for the agent that the registry names. Blocks."""
    agent = read_agent(registry.snapshot())
    return read_models(registry, settings, agent.model if agent is not None else None)
