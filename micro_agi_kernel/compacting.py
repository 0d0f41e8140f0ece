"""What keeps a session's conversation within the model's window: who counts its tokens, and who summarizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from micro_agi_kernel import models
from micro_agi_kernel.agent.compression import Compaction
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.summaries import Compressor
from micro_agi_kernel.agent.tokens import TokenCounter
from micro_agi_kernel.errors import ModelError
from micro_agi_kernel.interfaces import CallContext, Model
from micro_agi_kernel.models import demo, replay
from micro_agi_kernel.models.catalog import ModelSpec, find
from micro_agi_kernel.recorder import Recorder
from micro_agi_kernel.session_log import SessionLog
from micro_agi_kernel.settings import CompressionSettings, secret

_PLAYERS = frozenset({demo.PROVIDER, replay.PROVIDER})
"""Providers whose models play a script and cannot summarize."""


class Compacting:
    """Makes the Compaction of each turn of one conversation."""

    def __init__(
        self, settings: CompressionSettings, conversation: Conversation, log: SessionLog, check: Callable[[], None]
    ) -> None:
        """`check` raises MicroAgiError when no model may be asked any more."""
        self._settings = settings
        self._check = check
        self._log = log
        self._conversation = conversation
        self._counter: TokenCounter | None = None
        self._opened: tuple[ModelSpec, Model] | None = None

    async def of_turn(
        self, spec: ModelSpec, model: Model, known: Sequence[ModelSpec], context: CallContext
    ) -> Compaction:
        """For a turn that `model` of `spec` answers; `known` are the models among which the setting finds its own."""
        if self._counter is None or self._counter.model != spec.name:
            self._counter = TokenCounter(spec.name)
        compressors = []
        wanted = find(known, self._settings.model)
        if wanted is not None and wanted.name != spec.name and (other := await self._open(wanted)) is not None:
            compressors.append(self._compressor(wanted, other))
        if spec.providers[0].id not in _PLAYERS:
            compressors.append(self._compressor(spec, model))
        return Compaction(
            self._conversation,
            self._counter,
            compressors,
            context.emit,
            window=spec.window,
            threshold=self._settings.threshold,
        )

    async def close(self) -> None:
        """Give back the connections of the model that summarizes; harmless when repeated."""
        if self._opened is not None:
            await self._opened[1].close()

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
        target = self._settings.target
        return Compressor(Recorder(model, self._log), spec.window, spec.output_tokens, target, self._check)
