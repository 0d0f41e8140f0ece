"""Which models a registry has, which of them runs with the settings, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from micro_agi_kernel import models
from micro_agi_kernel.errors import MicroAgiError, ModelError
from micro_agi_kernel.models.catalog import MODEL_TYPE, ModelSpec, read_specs
from micro_agi_kernel.models.endpoint import OPENAI_KEY
from micro_agi_kernel.models.replay import named_logs
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.settings import Settings, secret
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


def known_keys(registry: Registry) -> Iterator[str]:
    """What must not get into a log: whatever stands in the variables that models take their keys from."""
    names = {OPENAI_KEY}
    with suppress(MicroAgiError):  # the turn says what is wrong
        names |= {
            provider.api_key_env
            for spec in models_in(registry.snapshot())[0]
            for provider in spec.providers
            if provider.api_key_env
        }
    return ((secret(name) or "").strip() for name in names)
