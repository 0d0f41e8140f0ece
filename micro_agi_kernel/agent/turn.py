"""The turn: the model answers, its tools run, it answers again, until it calls none.

What goes wrong inside a tool goes back to the model as that call's result. What goes wrong with the
model ends the turn with one line for the person. However a turn ends, the conversation can be sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from micro_agi_kernel.agent.budget import Budget, TimeLimit
from micro_agi_kernel.agent.calls import ToolCalls
from micro_agi_kernel.agent.compression import Compaction
from micro_agi_kernel.agent.context import AgentContext, Toolset
from micro_agi_kernel.agent.conversation import Conversation, tool_line
from micro_agi_kernel.agent.endings import TokenLimit, cut_by_server, shortfall
from micro_agi_kernel.agent.runner import Step, run_step
from micro_agi_kernel.errors import CallError, ErrorKind, MicroAgiError, ModelChanged
from micro_agi_kernel.events import Event, Notice, TextDelta, TurnFinished
from micro_agi_kernel.interfaces import CallContext, Caller, Model
from micro_agi_kernel.messages import AssistantMessage, ModelRequest, UserMessage

RESULT_SHARE = 0.25
"""Part of the model's window that one tool result may fill."""

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English and code; only the cut of oversized results depends on it."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Tokens that the model in use can take and give."""

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
        limits: Callable[[], TurnLimits],
        budget: Budget,
        context: CallContext,
        compaction: Compaction | None = None,
    ) -> None:
        """`budget` is what the session may take; it counts what `context.emit` is told.

        `limits` are asked for at each step, since another model may have taken over.
        Without `compaction` a request may be too long for the model.
        """
        self._model = model
        self._agent = agent
        self._conversation = conversation
        self._limits = limits
        self._budget = budget
        self._emit: Callable[[Event], None] = context.emit
        self._compaction = compaction
        self._calls = ToolCalls(
            agent, conversation, caller, context, result_characters=lambda: limits().result_characters
        )

    async def run(self, prompt: UserMessage) -> TurnFinished:
        """Answer `prompt`. Cancelling leaves a conversation that can be sent."""
        self._conversation.say(prompt)
        clock = self._budget.turn_clock()
        try:
            async with clock:
                return await self._steps()
        except MicroAgiError as error:
            self._conversation.forget_refused_images()
            self._conversation.close_open_calls(ErrorKind.CANCELED, f"the turn ended: {error}")
            return TurnFinished("error", str(error), type(error).__name__)
        except TimeoutError:
            if not clock.expired():
                raise
            return self._out_of_time()
        finally:
            self._conversation.close_open_calls(ErrorKind.CANCELED, "interrupted by the user")

    async def _steps(self) -> TurnFinished:
        """Model and tools in turns, until the model calls none or a limit is reached."""
        after_tools = False
        while True:
            self._budget.check()
            toolset = await self._refresh_tools()
            await self._make_room(toolset)
            self._budget.check()  # making room may have asked a model
            try:
                step, limit = await self._ask(toolset)
            except ModelChanged:  # there is less room now
                continue
            if not step.calls:
                return self._end(step, limit, after_tools=after_tools)
            after_tools = True
            if step.cut:
                self._calls.refuse(step.calls, self._cut())
            else:
                await self._calls.run(step.calls, toolset)

    def _end(self, step: Step, limit: TokenLimit, *, after_tools: bool) -> TurnFinished:
        """The end of a turn whose last answer is `step`: an error when that answers nothing."""
        line = shortfall(step, self._model.name, limit)
        if line is None:
            return TurnFinished("ok")
        was_stopped = step.reason in {"length", "content_filter"}
        if not step.is_wordless or (after_tools and not was_stopped):  # what its tools did may say enough
            self._emit(Notice(line))
            return TurnFinished("ok")
        return TurnFinished("error", line, "ModelError")

    def _out_of_time(self) -> TurnFinished:
        """The end of a turn whose time is over: the calls that it stopped are answered with why."""
        line = self._budget.time_line
        self._conversation.close_open_calls(ErrorKind.TIMEOUT, f"the turn was {line}")
        return TurnFinished("error", f"{line}; ask again to go on", TimeLimit.__name__)

    async def _refresh_tools(self) -> Toolset:
        toolset, gone = await asyncio.to_thread(self._agent.refresh)
        for id in gone:
            self._conversation.tell(tool_line(id, self._agent.gone_where))
            self._emit(Notice(f"{id} is {self._agent.gone_where}"))
        for name in self._agent.take_unfound():
            self._emit(Notice(f"{self._agent.spec.id} lists {name}, and the registry has no such tool"))
        return toolset

    async def _make_room(self, toolset: Toolset) -> None:
        if self._compaction is not None:
            done = await self._compaction.make_room(lambda: self._request(toolset, self._agent.spec.max_tokens))
            if done is not None:
                self._emit(Notice(str(done)))

    async def _ask(self, toolset: Toolset) -> tuple[Step, TokenLimit]:
        """One answer of the model, and the limit that it had.

        It is asked once more, with room for its largest, when a call was cut or the limit came before the first word.
        """
        limit, largest = self._limit, TokenLimit(self._limits().output_tokens, "output_tokens of the model's entry")
        step, seen = await self._step(toolset, limit.tokens), ""
        before_a_word = step.reason == "length" and step.is_wordless and not cut_by_server(step, limit)
        if (step.cut or (before_a_word and largest.tokens > limit.tokens)) and not self._budget.reached():
            if before_a_word:
                name = self._model.name
                self._emit(Notice(f"{name} used all {limit} on thoughts; asking once more with {largest}"))
            seen = step.text if step.text.strip() else ""
            step, limit = await self._step(toolset, largest.tokens, seen), largest
        self._conversation.answer(replace(step.message, text=self._shown(seen, step)))
        return step, limit

    def _shown(self, seen: str, step: Step) -> str:
        """What the person has of the answer `step`, when the words `seen` were of an earlier try.

        Beside calls most models say the same again: it is not shown. Without calls it is the answer.
        """
        if not seen or step.calls or not step.text.strip():
            return seen or step.text
        more = step.text[len(seen) :] if step.text.startswith(seen) else f"\n\n{step.text}"
        if more:
            self._emit(TextDelta(more))
        return seen + more

    @property
    def _limit(self) -> TokenLimit:
        spec = self._agent.spec
        return TokenLimit(spec.max_tokens, f"max_tokens of {spec.id}")

    def _emit_but_text(self, event: Event) -> None:
        if not isinstance(event, TextDelta):
            self._emit(event)

    async def _step(self, toolset: Toolset, max_tokens: int, seen: str = "") -> Step:
        """One request. When the person has `seen` words of an earlier try, those that come are not shown yet."""
        step, request = Step(), self._request(toolset, max_tokens)
        try:
            await run_step(self._model, request, step, self._emit_but_text if seen else self._emit)
            self._calls.answered_by(self._model.name)
        except BaseException:  # an interrupt too: what the person saw stays in the conversation
            self._conversation.answer(AssistantMessage(seen or step.text, interrupted=True))
            raise
        if self._compaction is not None and step.finish is not None:
            self._compaction.counter.learn(request, step.finish.usage)
        return step

    def _request(self, toolset: Toolset, max_tokens: int) -> ModelRequest:
        spec = self._agent.spec
        return ModelRequest(
            messages=self._conversation.request(spec.prompt),
            tools=tuple(tool.spec for tool in toolset.values()),
            max_tokens=max_tokens,
            temperature=spec.temperature,
            thinking_effort=spec.thinking_effort,
        )

    def _cut(self) -> CallError:
        limit = self._limits().output_tokens
        return CallError(ErrorKind.INVALID, f"your answer was cut at {limit} tokens inside this call; make it shorter")
