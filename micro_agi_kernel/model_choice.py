"""Which models a registry has, which of them runs with the settings, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from micro_agi_kernel import models
from micro_agi_kernel.agent_entry import read_agent
from micro_agi_kernel.environment import secret
from micro_agi_kernel.errors import MicroAgiError, ModelError
from micro_agi_kernel.events import Event, Notice
from micro_agi_kernel.mcp_client.keys import keys_of
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.models.catalog import MODEL_TYPE, ModelSpec, Pricing, read_specs
from micro_agi_kernel.models.endpoint import OPENAI_KEY
from micro_agi_kernel.models.fallback import FallbackModel
from micro_agi_kernel.models.replay import named_logs
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.trust import with_trust


class Models(NamedTuple):
    """The models that there are, lines about broken ones, and the one that would run, or why none would."""

    specs: tuple[ModelSpec, ...]
    problems: tuple[str, ...]
    choice: models.Choice | ModelError


def models_in(snapshot: Snapshot) -> tuple[tuple[ModelSpec, ...], tuple[str, ...]]:
    """The models of a registry, and a line for each that is broken, as `read_specs` has them. Blocks."""
    return read_specs(snapshot.find({"meta.type": MODEL_TYPE}))


def read_models(registry: Registry, settings: Settings, agent_model: str | None, *, begun: bool = False) -> Models:
    """What `registry` and `settings` say of models now; `agent_model` and `begun` are as in `models.choose`."""
    found, problems = models_in(registry.snapshot())
    specs = with_trust(found, registry.path, settings.home)
    specs += named_logs((settings.model, agent_model), settings.sessions)
    try:
        choice = models.choose(specs, settings.model or None, agent_model, secret, begun=begun)
    except ModelError as error:
        return Models(specs, problems, error)
    return Models(specs, problems, choice)


def models_now(registry: Registry, settings: Settings) -> Models:
    """What `registry` and `settings` say of models, for the agent that the registry names. Blocks."""
    agent = read_agent(registry.snapshot())
    return read_models(registry, settings, agent.model if agent is not None else None)


class ChosenModel:
    """The model of one conversation: chosen anew for each turn, and kept open while the choice stays the same."""

    def __init__(self, registry: Registry) -> None:
        self.specs: tuple[ModelSpec, ...] = ()
        """Those that there were at the last choice."""
        self._registry = registry
        self._open: FallbackModel | None = None
        self._choice: models.Choice | None = None

    def known(self, settings: Settings, agent_model: str | None) -> Models:
        """The models that there are, and which would run now. Blocks."""
        begun = self._choice is not None and not self._choice.fallback
        return read_models(self._registry, settings, agent_model, begun=begun)

    def preload(self, settings: Settings, agent_model: str | None) -> None:
        """Import what the model needs that would run now. Blocks. Raises ModelError."""
        models.preload(self._choose(settings, agent_model).spec)

    async def open(self, settings: Settings, agent_model: str | None, emit: Callable[[Event], None]) -> FallbackModel:
        """The model that runs now; a notice says so when it takes the place of one that has no key."""
        choice = await asyncio.to_thread(self._choose, settings, agent_model)
        if self._open is None or self._choice != choice:
            await self.close()
            self._open, self._choice = await asyncio.to_thread(models.open_choice, choice, secret), choice
            if choice.fallback:
                emit(Notice(choice.reason))
        return self._open

    def answers(self, choice: models.Choice | ModelError) -> str:
        """The name of the model that answers with `choice`, or why none does."""
        if isinstance(choice, ModelError):
            return str(choice)
        if self._open is not None and choice == self._choice:
            return self._open.name  # another one may have taken over
        return choice.spec.name

    def cost(self, model: str, usage: Usage) -> float:
        """Money that the model named so takes for `usage`; 0 where its entry gives no prices."""
        return {spec.name: spec.pricing for spec in self.specs}.get(model, Pricing()).cost(usage)

    async def close(self) -> None:
        """Close the connection of the one that is open; harmless when repeated."""
        if self._open is not None:
            await self._open.close()
            self._open = None

    def _choose(self, settings: Settings, agent_model: str | None) -> models.Choice:
        found = self.known(settings, agent_model)
        self.specs = found.specs
        if isinstance(found.choice, ModelError):
            raise found.choice
        return found.choice


def known_keys(registry: Registry, servers: Iterable[McpServer]) -> Iterator[str]:
    """What must not get into a log: the keys of the models and of the MCP servers that the settings name."""
    names = {OPENAI_KEY}
    with suppress(MicroAgiError):  # the turn says what is wrong
        names |= {
            provider.api_key_env
            for spec in models_in(registry.snapshot())[0]
            for provider in spec.providers
            if provider.api_key_env
        }
    yield from ((secret(name) or "").strip() for name in names)
    for server in servers:
        yield from keys_of(server)
