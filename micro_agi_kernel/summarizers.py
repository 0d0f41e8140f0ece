"""Who summarizes a long conversation, and who counts its tokens: the models chosen for each turn's compaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from micro_agi_kernel import models
from micro_agi_kernel.agent.budget import Budget
from micro_agi_kernel.agent.compression import Compaction
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.summaries import Compressor
from micro_agi_kernel.agent.tokens import TokenCounter
from micro_agi_kernel.environment import secret
from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.events import Notice
from micro_agi_kernel.interfaces import CallContext, Model
from micro_agi_kernel.logs.recorder import Recorder
from micro_agi_kernel.logs.writer import SessionLog
from micro_agi_kernel.models import demo, replay
from micro_agi_kernel.models.catalog import ModelSpec, find, unknown
from micro_agi_kernel.models.fallback import FallbackModel
from micro_agi_kernel.settings import CompressionSettings

_PLAYERS = frozenset({demo.PROVIDER, replay.PROVIDER})
"""Providers whose models play a script and cannot summarize."""

_SMALL = "gpt-4.1-nano"
"""Summarizes where nobody else is named, as in the reference."""


class Summarizers:
    """Makes the Compaction of each turn of one conversation."""

    def __init__(
        self, settings: CompressionSettings, conversation: Conversation, log: SessionLog, budget: Budget
    ) -> None:
        self.settings = settings
        self._budget = budget
        self.log = log
        self._conversation = conversation
        self._counter: TokenCounter | None = None
        self._opened: tuple[ModelSpec, Model] | None = None
        self._told = False

    async def compaction_of_turn(
        self, model: FallbackModel, known: Sequence[ModelSpec], context: CallContext
    ) -> Compaction:
        """For a turn that `model` answers; `known` are the models among which the setting finds its own."""
        spec = model.spec
        if self._counter is None or self._counter.model != spec.name:
            self._counter = TokenCounter(spec.name)
        compressors: list[Callable[[], Compressor]] = []
        if spec.providers[0].id not in _PLAYERS:
            wanted = self._wanted(spec, known)
            if wanted is None and self.settings.model and not self._told:
                self._told = True
                line = unknown(known, self.settings.model)
                context.emit(Notice(f"setting compression.model: {line}; {spec.name} summarizes"))
            if wanted is not None and wanted.name != spec.name and (other := await self._open(wanted)) is not None:
                compressors.append(partial(self._compressor, wanted, other))
            compressors.append(lambda: self._compressor(model.spec, model))
        return Compaction(
            self._conversation,
            self._counter,
            compressors,
            context.emit,
            window=lambda: model.spec.window,
            threshold=self.settings.threshold,
        )

    async def close(self) -> None:
        """Give back the connections of the model that summarizes; harmless when repeated."""
        if self._opened is not None:
            await self._opened[1].close()

    def _wanted(self, spec: ModelSpec, known: Sequence[ModelSpec]) -> ModelSpec | None:
        """Who summarizes rather than the model of `spec`: whom the setting names, else the small one of its server.

        What was said goes to no other server than the one that it was said to, unless the person says so.
        """
        if self.settings.model:
            return find(known, self.settings.model)
        small = find(known, _SMALL)
        return small if small is not None and _server(small) == _server(spec) else None

    async def _open(self, spec: ModelSpec) -> Model | None:
        """The model of `spec`, connected to nothing yet and kept from turn to turn; None when it is not set up."""
        if self._opened is None or self._opened[0] != spec:
            await self.close()
            try:
                self._opened = (spec, models.open_model(spec, secret))
            except ModelError:
                self._opened = None
        return None if self._opened is None else self._opened[1]

    def _compressor(self, spec: ModelSpec, model: Model) -> Compressor:
        return Compressor(
            Recorder(model, self.log, summarizes=True),
            spec.window,
            spec.output_tokens,
            self.settings.target,
            self._budget.check,
            lambda: self._budget.steps_left,
        )


def _server(spec: ModelSpec) -> tuple[str, str | None]:
    return spec.providers[0].id, spec.providers[0].base_url
