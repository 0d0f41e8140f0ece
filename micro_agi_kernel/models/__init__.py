"""Models: which ones the registry knows, which one runs and why, and one file per provider.

`catalog` reads the entries, `endpoint` says where a key may go, `openai` and `demo` are the providers; `fallback`
goes on with another model when a provider is down.
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
from micro_agi_kernel.models.catalog import TOOL_USE, ModelSpec, Provider, find, of_class, unknown
from micro_agi_kernel.models.endpoint import SET_UP, KeyMissing, Secrets
from micro_agi_kernel.models.fallback import FallbackModel

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
    others: tuple[ModelSpec, ...] = ()
    """Those that stand in for it when its provider is down, the best first."""


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


def open_choice(choice: Choice, secrets: Secrets) -> FallbackModel:
    """The model of `choice` with those that stand in for it; of these, each is opened when it is needed.

    Raises ModelError as `open_model` does.
    """
    first = open_model(choice.spec, secrets)
    return FallbackModel(
        (choice.spec, *choice.others), lambda spec: first if spec is choice.spec else open_model(spec, secrets)
    )


def preload(spec: ModelSpec) -> None:
    """Start to import, in the background, what the model of `spec` needs; the first answer then need not wait."""
    for provider in spec.providers:
        if (module := _providers().get(provider.id)) is not None and hasattr(module, "preload"):
            module.preload()


def obstacle(spec: ModelSpec, secrets: Secrets) -> str | None:
    """Why `spec` cannot be the agent's model now, in one line; None when it can call tools and its set-up is complete.

    A model that only writes text (a compressor) needs no more than that `open_model` takes it.
    """
    try:
        _check(spec, secrets)
    except ModelError as error:
        return str(error)
    return None


def _check(spec: ModelSpec, secrets: Secrets) -> None:
    """Raise ModelError when there is an obstacle, KeyMissing when it is no more than that."""
    if not spec.calls_tools:
        raise ModelError(
            f"{spec.name} cannot call tools, by which the agent works: choose another model, or add {TOOL_USE} to "
            f"the capabilities of {spec.id} if it can"
        )
    open_model(spec, secrets)


def choose(
    specs: Sequence[ModelSpec], wanted: str | None, agent_model: str | None, secrets: Secrets, *, begun: bool = False
) -> Choice:
    """Which model runs: the one of the setting, else the agent's when its key or server is there, else the demo.

    `wanted` and `agent_model` are names or classes; of a class, the first model that can run, by priority. The others
    of the class (for a name: of its classes) that can run stand in for it, but never the demo, which has its part only
    while no model has answered: `begun`. Raises ModelError when a name is unknown or its model calls no tools, when
    more is wrong with the agent's than a missing key, or when there is neither a usable model nor a demo.
    """
    if wanted:
        spec = _first_usable(specs, wanted, secrets)
        if spec is None:
            raise ModelError(unknown(specs, wanted))
        if not spec.calls_tools:
            _check(spec, secrets)
        return _choice(specs, spec, wanted, f"{spec.name}: the setting `model` names {wanted!r}", secrets)
    why_not = "the agent names no model"
    if agent_model:
        spec = _first_usable(specs, agent_model, secrets)
        if spec is None:
            raise ModelError(f"the agent's entry: {unknown(specs, agent_model)}")
        try:
            _check(spec, secrets)
        except KeyMissing as error:
            if begun:
                raise
            why_not = str(error)
        else:
            return _choice(specs, spec, agent_model, f"{spec.name}: the agent's model", secrets)
    demo = find(specs, DEMO)
    if demo is None:
        raise ModelError(f"no model can run ({why_not}), and the registry has no model {DEMO!r}: {SET_UP}")
    return Choice(demo, f"running the offline {DEMO} model, since {why_not}", fallback=True)


def _first_usable(specs: Sequence[ModelSpec], wanted: str, secrets: Secrets) -> ModelSpec | None:
    """The model called `wanted`; of a class, the best that can run, else the best, which says what it lacks."""
    best = find(specs, wanted)
    if best is None or best.name == wanted:
        return best
    return next((spec for spec in of_class(specs, wanted) if obstacle(spec, secrets) is None), best)


def _choice(specs: Sequence[ModelSpec], spec: ModelSpec, wanted: str, reason: str, secrets: Secrets) -> Choice:
    classes = spec.classes if wanted == spec.name else (wanted,)
    members = of_class(specs, *classes)
    others = (o for o in members if o.name not in {spec.name, DEMO} and obstacle(o, secrets) is None)
    return Choice(spec, reason, others=tuple(others))


@cache
def _providers() -> Mapping[str, ProviderModule]:
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.PROVIDER: cast(ProviderModule, module) for module in modules if hasattr(module, "PROVIDER")}
