"""The turn: the model answers, its tools run, it answers again, until it calls none.

What goes wrong inside a tool goes back to the model as that call's result. What goes wrong with the
model ends the turn with one line for the person. However a turn ends, the conversation can be sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from micro_agi_kernel.agent.context import AgentContext, BoundTool, Toolset
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.results import error_json, failure, outcome_json, to_text
from micro_agi_kernel.agent.runner import Step, run_step
from micro_agi_kernel.entries import TOOLS_NAMESPACE, EntryId
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind, MicroAgiError
from micro_agi_kernel.events import (
    Event,
    Notice,
    TextDelta,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolStarted,
    TurnFinished,
)
from micro_agi_kernel.interfaces import CallContext, Caller, Model
from micro_agi_kernel.messages import ModelRequest, ToolCall, ToolResult
from micro_agi_kernel.values import Json, shorten

LOAD_TOOL = EntryId(TOOLS_NAMESPACE, "load_tool")

RESULT_SHARE = 0.25
"""Part of the model's window that one tool result may fill."""

SIDE_BY_SIDE = 8
"""Tool calls that run at once; each may hold a process of 64 MiB, and a model may ask for hundreds."""

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
        self._caller = caller
        self._limits = limits
        self._context = context
        self._emit: Callable[[Event], None] = context.emit

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
                    self._refuse_cut_calls(step.calls)
                else:
                    await self._run_calls(step.calls, toolset)
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

    def _refuse_cut_calls(self, calls: Iterable[ToolCall]) -> None:
        limit = self._limits.output_tokens
        error = CallError(ErrorKind.INVALID, f"your answer was cut at {limit} tokens inside this call; make it shorter")
        for call in calls:
            self._emit(ToolStarted(call.id, call.name, call.arguments))
            self._finish(call, error_json(error), time.monotonic())

    async def _run_calls(self, calls: tuple[ToolCall, ...], toolset: Toolset) -> None:
        """Run the calls of one answer: neighbours side by side, an exclusive one alone, in the model's order."""
        together: list[ToolCall] = []
        for call in calls:
            tool = toolset.get(call.name)
            if tool is not None and tool.exclusive:
                await self._run_together(together, toolset)
                together = []
                await self._run_call(call, tool)
            else:
                together.append(call)
        await self._run_together(together, toolset)

    async def _run_together(self, calls: Iterable[ToolCall], toolset: Toolset) -> None:
        slots = asyncio.Semaphore(SIDE_BY_SIDE)

        async def run(call: ToolCall) -> None:
            async with slots:
                await self._run_call(call, toolset.get(call.name))

        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(run(call))
        except BaseExceptionGroup as failures:  # one line for the person, not a tree of them
            raise failures.exceptions[0] from None

    async def _run_call(self, call: ToolCall, tool: BoundTool | None) -> None:
        started = time.monotonic()
        self._emit(ToolStarted(call.id, call.name, call.arguments))
        try:
            value = await self._value_of(call, tool)
            loaded = self._load(value) if tool is not None and tool.id == LOAD_TOOL else None
        except BaseException as error:  # a start has its end, whatever becomes of the turn
            stopped = isinstance(error, asyncio.CancelledError)
            summary = "interrupted" if stopped else failure({"error": str(error)}) or ""
            seconds = time.monotonic() - started
            self._emit(ToolFinished(call.id, call.name, "interrupted" if stopped else "error", summary, seconds))
            raise
        if isinstance(loaded, CallError):
            value = error_json(loaded)
        elif loaded is not None and isinstance(value, dict):
            value = {**value, "alias": loaded.spec.name}
        self._finish(call, value, started)
        if isinstance(loaded, BoundTool):
            self._emit(ToolLoaded(loaded.id, loaded.spec.name))

    async def _value_of(self, call: ToolCall, tool: BoundTool | None) -> Json:
        """What the call gives: the tool's value, or the error that the model reads."""
        if tool is None:
            return error_json(CallError(ErrorKind.NOT_FOUND, f"no tool {shorten(call.name)!r} is loaded"))
        try:
            arguments = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError) as error:
            return error_json(CallError(ErrorKind.INVALID, f"the arguments are no JSON: {error}"))
        if not isinstance(arguments, dict):
            return error_json(CallError(ErrorKind.INVALID, "the arguments are no JSON object"))
        context = replace(self._context, on_output=lambda text: self._emit(ToolOutput(call.id, text)))
        return outcome_json(await self._caller.call(tool.id, arguments, context))

    def _load(self, value: Json) -> BoundTool | CallError | None:
        """Add the tool that load_tool named. Its word is checked here: the tool is Lua, the agent is not."""
        if not isinstance(value, dict) or value.get("loaded") is not True:
            return None
        try:
            return self._agent.load(EntryId.parse(str(value.get("id"))))
        except EntryError as error:
            return CallError(ErrorKind.INVALID, str(error))

    def _finish(self, call: ToolCall, value: Json, started: float) -> None:
        reason = failure(value)
        content = to_text(value, self._limits.result_characters)
        self._conversation.result(ToolResult(call.id, call.name, content, ok=reason is None))
        status: Literal["ok", "error"] = "ok" if reason is None else "error"
        self._emit(ToolFinished(call.id, call.name, status, reason or "", time.monotonic() - started))
