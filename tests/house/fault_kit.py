"""The real provider, but that no test waits for its repeats."""

from __future__ import annotations

import pytest

from micro_agi_kernel.models import openai as provider_file
from micro_agi_kernel.models.catalog import ModelSpec, Provider
from micro_agi_kernel.models.endpoint import Secrets, endpoint_of
from micro_agi_kernel.models.openai import OpenAIModel, Patience


class Pauses:
    """Stands for the wait before a repeat, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def without_pauses(monkeypatch: pytest.MonkeyPatch, *, idle: float) -> Pauses:
    """What sessions open from now on; `idle`: seconds of silence after which a server is given up."""
    pauses = Pauses()

    def open_model(spec: ModelSpec, provider: Provider, secrets: Secrets) -> OpenAIModel:
        endpoint = endpoint_of(spec, provider, secrets)
        patience = Patience(idle=idle, idle_reasoning=idle)
        return OpenAIModel(spec, provider, endpoint, patience=patience, sleep=pauses, jitter=lambda: 0.0)

    monkeypatch.setattr(provider_file, "open_model", open_model)
    return pauses
