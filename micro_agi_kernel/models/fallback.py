"""The model of a session that goes on with the next one of its class when a provider is down."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from micro_agi_kernel.errors import ModelChanged, ModelError
from micro_agi_kernel.interfaces import Model
from micro_agi_kernel.messages import ModelChunk, ModelRequest, RetryChunk
from micro_agi_kernel.models.catalog import ModelSpec
from micro_agi_kernel.models.failures import ProviderDown


class FallbackModel:
    """Several models that stand in for one another; it speaks as the one that answered last.

    A request goes to that one first, then to the others in their order, and only while nothing of an answer was seen.
    """

    def __init__(self, specs: Sequence[ModelSpec], open: Callable[[ModelSpec], Model]) -> None:
        """`specs`: at least one, the first choice first; each is opened when it is first needed."""
        self._specs = tuple(specs)
        self._open = open
        self._opened: dict[str, Model] = {}
        self._spec = self._specs[0]
        self._down: set[str] = set()
        """Those that failed since one answered."""

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def spec(self) -> ModelSpec:
        """What the registry says of the model that is asked first: its window, its prices."""
        return self._spec

    async def close(self) -> None:
        opened, self._opened = self._opened, {}
        for model in opened.values():
            await model.close()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelChunk, None]:
        """Answer `request`, with a RetryChunk for each change of the model. Raises ModelError when none answers.

        Raises ModelChanged instead of asking one that can hold less: it is asked first from then on.
        """
        others = (spec for spec in self._specs if spec is not self._spec and spec.name not in self._down)
        order = (self._spec, *others)
        for spec, following in zip(order, (*order[1:], None), strict=True):
            try:
                async with aclosing(self._model(spec).stream(request)) as chunks:
                    async for chunk in chunks:
                        if not isinstance(chunk, RetryChunk):
                            self._spec = spec
                            self._down.clear()
                        yield chunk
                return
            except ProviderDown as error:
                line = str(error)
            if following is None:
                self._down.clear()
                raise ModelError(line)
            self._down.add(spec.name)
            yield RetryChunk(f"{line}; going on with {following.name}")
            if following.window < spec.window or following.output_tokens < min(spec.output_tokens, request.max_tokens):
                self._spec = following
                raise ModelChanged(line)

    def _model(self, spec: ModelSpec) -> Model:
        if spec.name not in self._opened:
            self._opened[spec.name] = self._open(spec)
        return self._opened[spec.name]
