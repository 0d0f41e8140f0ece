"""The calls of one answer: run side by side, told to the front end, their results put into the conversation.

What goes wrong inside a tool is that call's result, which the model reads; it is never raised.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from micro_agi_kernel.agent.context import AgentContext, BoundTool, Toolset
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.results import error_json, failure, outcome_json, summary, to_text
from micro_agi_kernel.entries import TOOLS_NAMESPACE, EntryId
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind
from micro_agi_kernel.events import (
    EntryPublished,
    Event,
    ToolDisplay,
    ToolFinished,
    ToolLoaded,
    ToolOutput,
    ToolProgress,
    ToolStarted,
)
from micro_agi_kernel.interfaces import CallContext, Caller, Writing
from micro_agi_kernel.messages import ToolCall, ToolResult
from micro_agi_kernel.outputs import Display, Output, Printed, Progress
from micro_agi_kernel.values import Json, short_commit, shorten

LOAD_TOOL = EntryId(TOOLS_NAMESPACE, "load_tool")

SIDE_BY_SIDE = 8
"""Tool calls that run at once; each may hold a process of 64 MiB, and a model may ask for hundreds."""


class ToolCalls:
    """Runs the tool calls of a conversation."""

    def __init__(
        self,
        agent: AgentContext,
        conversation: Conversation,
        caller: Caller,
        context: CallContext,
        *,
        result_characters: Callable[[], int],
    ) -> None:
        """`result_characters`: what of one result goes to the model; `context.emit` is told what happens."""
        self._agent = agent
        self._conversation = conversation
        self._caller = caller
        self._context = context
        self._emit = context.emit
        self._result_characters = result_characters

    def answered_by(self, model: str) -> None:
        """The calls that run from now on are this model's: what they commit names it."""
        self._context = replace(self._context, provenance=replace(self._context.provenance, model=model))

    def refuse(self, calls: Iterable[ToolCall], error: CallError) -> None:
        """Answer `calls` with `error`; none of them runs."""
        for call in calls:
            self._emit(ToolStarted(call.id, call.name, call.arguments))
            self._finish(call, error_json(error), time.monotonic())

    async def run(self, calls: tuple[ToolCall, ...], toolset: Toolset) -> None:
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
        commits, writing = list[EntryPublished](), Writing()
        self._emit(ToolStarted(call.id, call.name, call.arguments))
        try:
            value = await self._value_of(call, tool, commits, writing)
            loaded = await self._load(value) if tool is not None and tool.id == LOAD_TOOL else None
        except BaseException as error:  # a start has its end, whatever becomes of the turn
            stopped = isinstance(error, asyncio.CancelledError)
            status: Literal["interrupted", "error"] = "interrupted" if stopped else "error"
            wrote = _wrote(commits, writing)
            why = wrote or status if stopped else summary(str(error))
            self._emit(ToolFinished(call.id, call.name, status, why, time.monotonic() - started))
            if wrote:  # the call is answered with that; else whoever stopped the turn says why
                error_value = error_json(CallError(ErrorKind.CANCELED, wrote))
                self._conversation.result(ToolResult(call.id, call.name, json.dumps(error_value), ok=False))
            raise
        if isinstance(loaded, CallError):
            value = error_json(loaded)
        elif loaded is not None and isinstance(value, dict):
            value = {**value, "alias": loaded.spec.name}
        self._finish(call, value, started)
        if isinstance(loaded, BoundTool):
            self._emit(ToolLoaded(loaded.id, loaded.spec.name))

    async def _value_of(
        self, call: ToolCall, tool: BoundTool | None, commits: list[EntryPublished], writing: Writing
    ) -> Json:
        """What the call gives: the tool's value, or the error that the model reads. `commits` gets what it wrote."""
        if tool is None:
            return error_json(CallError(ErrorKind.NOT_FOUND, f"no tool {shorten(call.name)!r} is loaded"))
        try:
            arguments = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError) as error:
            return error_json(CallError(ErrorKind.INVALID, f"the arguments are no JSON: {error}"))
        if not isinstance(arguments, dict):
            return error_json(CallError(ErrorKind.INVALID, "the arguments are no JSON object"))

        def emit(event: Event) -> None:
            if isinstance(event, EntryPublished):
                commits.append(event)
            self._emit(event)

        context = replace(
            self._context,
            emit=emit,
            values=tool.context,
            on_output=lambda output: emit(event_of(call.id, output)),
            writing=writing,
        )
        return outcome_json(await self._caller.call(tool.id, arguments, context))

    async def _load(self, value: Json) -> BoundTool | CallError | None:
        """Add the tool that load_tool named. Its word is checked here: the tool is Lua, the agent is not."""
        if not isinstance(value, dict) or value.get("loaded") is not True:
            return None
        try:
            return await self._agent.load(EntryId.parse(str(value.get("id"))), self._context.approver)
        except EntryError as error:
            return CallError(ErrorKind.INVALID, str(error))

    def _finish(self, call: ToolCall, value: Json, started: float) -> None:
        reason = failure(value)
        content = to_text(value, self._result_characters())
        self._conversation.result(ToolResult(call.id, call.name, content, ok=reason is None))
        status: Literal["ok", "error"] = "ok" if reason is None else "error"
        self._emit(ToolFinished(call.id, call.name, status, reason or "", time.monotonic() - started, value))


def _wrote(commits: Iterable[EntryPublished], writing: Writing) -> str:
    """What a call that was stopped has written; "": nothing."""
    done = ", ".join(f"{short_commit(commit.commit)} ({commit.subject})" for commit in commits)
    parts = [f"after it had committed {done}"] if done else []
    parts += ["while it wrote a commit: read the entry to know whether it was written"] if writing.under_way else []
    return f"stopped, {', and '.join(parts)}" if parts else ""


def event_of(call: str, output: Output) -> Event:
    """What the call of that id showed, as an event."""
    match output:
        case Printed(text):
            return ToolOutput(call, text)
        case Progress(done, total, text):
            return ToolProgress(call, done, total, text)
        case Display(data):
            return ToolDisplay(call, data)
