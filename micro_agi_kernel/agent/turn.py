"""The turn: the model answers, its tools run, it answers again, until it calls none.

What goes wrong inside a tool goes back to the model as that call's result. What goes wrong with the
model ends the turn with one line for the person. However a turn ends, the conversation can be sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from micro_agi_kernel.agent.calls import ToolCalls
from micro_agi_kernel.agent.context import AgentContext, Toolset
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.runner import Step, run_step
from micro_agi_kernel.errors import CallError, ErrorKind, MicroAgiError
from micro_agi_kernel.events import Event, Notice, TextDelta, TurnFinished
from micro_agi_kernel.interfaces import CallContext, Caller, Model
from micro_agi_kernel.messages import ModelRequest

RESULT_SHARE = 0.25
"""Part of the model's window that one tool result may fill."""

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English and code; only the cut of oversized results depends on it."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Bounds of a turn: model requests, and tokens of the model in use."""

    steps: int
    window: int
    output_tokens: int

    @property
    def result_characters(self) -> int:
        return int(self.window * RESULT_SHARE * CHARACTERS_PER_TOKEN)


class Turn:
    """One prompt, answered. `context.emit` is told everything but the end, which `run` returns."""

    def __init__(
        self,
        model: Model,
        agent: AgentContext,
        conversation: Conversation,
        caller: Caller,
        limits: TurnLimits,
        context: CallContext,
    ) -> None:
        self._model = model
        self._agent = agent
        self._conversation = conversation
        self._limits = limits
        self._emit: Callable[[Event], None] = context.emit
        self._calls = ToolCalls(agent, conversation, caller, context, result_characters=limits.result_characters)

    async def run(self, prompt: str) -> TurnFinished:
        """Answer `prompt`. Cancelling leaves a conversation that can be sent."""
        self._conversation.say(prompt)
        try:
            for _ in range(self._limits.steps):
                toolset = await self._refresh_tools()
                step = await self._ask(toolset)
                if not step.calls:
                    return TurnFinished("ok")
                if step.cut:
                    self._calls.refuse(step.calls, self._cut())
                else:
                    await self._calls.run(step.calls, toolset)
        except MicroAgiError as error:
            return TurnFinished("error", str(error), type(error).__name__)
        finally:
            self._conversation.close_open_calls()
        return TurnFinished(
            "error",
            f"stopped after {self._limits.steps} steps (setting limits.steps); go on with another cell",
            "StepLimit",
        )

    async def _refresh_tools(self) -> Toolset:
        toolset, gone = await asyncio.to_thread(self._agent.refresh)
        for id in gone:
            self._conversation.tell(f"The tool {id} is no longer in the registry.")
            self._emit(Notice(f"{id} is no longer in the registry"))
        return toolset

    async def _ask(self, toolset: Toolset) -> Step:
        """One answer of the model; asked once more, with room for its largest, when a call was cut."""
        step = await self._step(toolset, self._agent.spec.max_tokens, self._emit)
        if step.cut:
            # What was shown stays, and is not shown again in the words of the second answer.
            quiet, shown = (self._emit_but_text, step.text) if step.text else (self._emit, "")
            step = await self._step(toolset, self._limits.output_tokens, quiet)
            step.text = shown or step.text
        self._conversation.answer(step.message)
        return step

    def _emit_but_text(self, event: Event) -> None:
        if not isinstance(event, TextDelta):
            self._emit(event)

    async def _step(self, toolset: Toolset, max_tokens: int, emit: Callable[[Event], None]) -> Step:
        spec, step = self._agent.spec, Step()
        request = ModelRequest(
            messages=self._conversation.request(spec.prompt),
            tools=tuple(tool.spec for tool in toolset.values()),
            max_tokens=max_tokens,
            temperature=spec.temperature,
            thinking_effort=spec.thinking_effort,
        )
        try:
            await run_step(self._model, request, step, emit)
        except BaseException:  # an interrupt too: what the person saw stays in the conversation
            self._conversation.answer(replace(step.message, calls=(), interrupted=True))
            raise
        return step

    def _cut(self) -> CallError:
        limit = self._limits.output_tokens
        return CallError(ErrorKind.INVALID, f"your answer was cut at {limit} tokens inside this call; make it shorter")
