"""Models: which ones the registry knows, which one runs and why, and one file per provider.

`catalog` reads the entries, `endpoint` says where a key may go, `openai` and `demo` are the providers.
A provider is a module of this folder with the attributes of `ProviderModule`; being here makes it usable.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, cast

from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.models.catalog import ModelSpec, Provider, find
from micro_agi_kernel.models.endpoint import SET_UP, Secrets

DEMO = "demo"
"""The name of the embedded offline model, which runs when no other can."""


class ProviderModule(Protocol):
    """What a provider's file offers."""

    PROVIDER: str
    """The id that entries have under `data.providers[].id`."""

    def open_model(self, spec: ModelSpec, provider: Provider, secrets: Secrets) -> Model:
        """The model, not yet connected to anything. Raises ModelError when it is not set up (no key ...)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that runs, and one line that says why."""

    spec: ModelSpec
    reason: str
    fallback: bool = False
    """Nobody asked for this model: the person should read `reason`."""


def open_model(spec: ModelSpec, secrets: Secrets) -> Model:
    """The model of `spec`. `secrets` looks environment variables up. Connects to nothing yet.

    Raises ModelError when no provider of the entry is known here, or when its set-up is incomplete.
    """
    known = _providers()
    for provider in spec.providers:
        if provider.id in known:
            return known[provider.id].open_model(spec, provider, secrets)
    names = ", ".join(sorted(known))
    raise ModelError(f"{spec.name}: no provider for {spec.providers[0].id!r} (there are: {names})")


def preload(spec: ModelSpec) -> None:
    """Start to import, in the background, what the model of `spec` needs; the first answer then need not wait."""
    for provider in spec.providers:
        if (module := _providers().get(provider.id)) is not None and hasattr(module, "preload"):
            module.preload()


def obstacle(spec: ModelSpec, secrets: Secrets) -> str | None:
    """Why `spec` cannot run now, in one line; None when its set-up is complete."""
    try:
        open_model(spec, secrets)
    except ModelError as error:
        return str(error)
    return None


def choose(specs: Sequence[ModelSpec], wanted: str | None, agent_model: str | None, secrets: Secrets) -> Choice:
    """Which model runs: the one of the setting, else the agent's when its key or server is there, else the demo.

    `wanted` and `agent_model` are names or classes. Raises ModelError when `wanted` is unknown, or when
    there is neither a usable model nor a demo.
    """
    if wanted:
        spec = find(specs, wanted)
        if spec is None:
            raise ModelError(f"no model or class is called {wanted!r}: there are {_names(specs)}")
        return Choice(spec, f"{spec.name}: the setting `model` names {wanted!r}")
    spec = find(specs, agent_model) if agent_model else None
    if spec is not None:
        why_not = obstacle(spec, secrets)
        if why_not is None:
            return Choice(spec, f"{spec.name}: the agent's model")
    else:
        why_not = f"no model is called {agent_model!r}" if agent_model else "the agent names no model"
    demo = find(specs, DEMO)
    if demo is None:
        raise ModelError(f"no model can run ({why_not}), and the registry has no model {DEMO!r}: {SET_UP}")
    return Choice(demo, f"running the offline {DEMO} model, since {why_not}", fallback=True)


def _names(specs: Sequence[ModelSpec]) -> str:
    return ", ".join(spec.name for spec in specs) or "none"


@cache
def _providers() -> Mapping[str, ProviderModule]:
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.PROVIDER: cast(ProviderModule, module) for module in modules if hasattr(module, "PROVIDER")}
