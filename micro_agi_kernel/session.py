"""One conversation: a workspace, an agent, the model that runs it, and what was said so far."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from micro_agi_kernel import models
from micro_agi_kernel.agent.budget import Budget, TimeLimit
from micro_agi_kernel.agent.compression import Compressed
from micro_agi_kernel.agent.context import AgentContext
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.spec import TRAIT_KIND, TRAIT_TYPE, AgentSpec
from micro_agi_kernel.agent.turn import Turn, TurnLimits
from micro_agi_kernel.approval import Approvals, Ask, Standing
from micro_agi_kernel.arguments import preload_checks
from micro_agi_kernel.autosync import AutoSync
from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import Event, Notice, Revision, TurnFinished
from micro_agi_kernel.interfaces import Approver, CallContext, Nobody, Provenance
from micro_agi_kernel.messages import ModelRequest
from micro_agi_kernel.models.catalog import MODEL_TYPE, ModelSpec, Pricing, read_specs
from micro_agi_kernel.models.endpoint import OPENAI_KEY
from micro_agi_kernel.models.fallback import FallbackModel
from micro_agi_kernel.models.replay import named_logs
from micro_agi_kernel.questions import Subject
from micro_agi_kernel.recorder import Recorder
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.session_log import SessionLog
from micro_agi_kernel.settings import Settings, secret
from micro_agi_kernel.summarizers import Summarizers
from micro_agi_kernel.trust import with_trust
from micro_agi_kernel.workspace import RegistryTools, Workspace

AGENT_ENTRY = EntryId("app", "dev_assistant")


Emit: TypeAlias = Callable[[Event], None]
Work: TypeAlias = Callable[[Emit], Awaitable[TurnFinished]]
"""What a cell is to do: it tells what happens, and returns how it ended."""


class Session:
    """A conversation. One turn at a time; `run` waits for the one before."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self.workspace = workspace
        self._settings = settings
        self.budget = Budget(
            settings.limits,
            lambda model, usage: self._prices.get(model, Pricing()).cost(usage),
        )
        self._prices: dict[str, Pricing] = {}
        self._specs: tuple[ModelSpec, ...] = ()
        self._conversation = Conversation()
        self._agent: AgentContext | None = None
        self._model: FallbackModel | None = None
        self._choice: models.Choice | None = None
        self._busy = asyncio.Lock()
        self._approver: Approver = Nobody()
        self._always: set[Subject] = set()
        """What the person approved for the rest of the session."""
        self._preloading: asyncio.Task[None] | None = None
        self._sync = AutoSync(workspace, settings)
        self._log = SessionLog(
            settings.sessions, self.id, self._known_keys, lambda line: workspace.notices.append(line)
        )
        self._summarizers = Summarizers(settings.compression, self._conversation, self._log, self.budget)

    def run(self, text: str, *, cell: int = 0, ask: Ask | None = None) -> AsyncGenerator[Event, None]:
        """Answer one prompt: its events, the last of which is TurnFinished.

        `ask` asks the person what policies want them asked; it is called when all events until then were taken, and
        none comes before its answer. None: the answer is no.

        Leaving early (the iterating task is cancelled, or the generator is closed) stops the turn at
        once: the model's connection is closed, the running tool is killed, the conversation stays sendable.
        """
        return self.perform(lambda emit: self._answer(text, cell, emit), text=text, cell=cell, ask=ask)

    async def perform(
        self, work: Work, *, text: str = "", cell: int = 0, ask: Ask | None = None
    ) -> AsyncGenerator[Event, None]:
        """What `run` does, with other work than asking the model; a MicroAgiError of it is the turn's error."""
        events: asyncio.Queue[Event | Standing | None] = asyncio.Queue()

        def emit(event: Event) -> None:
            event = self.budget.count(event)
            self._log.event(event)
            events.put_nowait(event)

        async with self._busy:
            self._log.prompt(cell, text)
            pass_on = events.put_nowait if ask is not None else None
            self._approver = Approvals(pass_on, self._always, emit, self.budget.clock_stopped)
            turn = asyncio.create_task(self._turn(work, cell, emit))
            turn.add_done_callback(lambda _: events.put_nowait(None))
            try:
                while (event := await events.get()) is not None:
                    if not isinstance(event, Standing):
                        yield event
                    elif ask is not None:
                        await event.settle(ask, self._always)
            finally:
                turn.cancel()
                await asyncio.wait([turn])
                if turn.cancelled() or turn.exception() is not None:
                    self._log.stopped()
                else:
                    self._log.event(turn.result())
        yield turn.result()  # a bug of ours is raised here, with its traceback

    async def close(self) -> None:
        """End what the session started; harmless when repeated."""
        if self._preloading is not None:
            self._preloading.cancel()
        if self._model is not None:
            await self._model.close()
        await self._summarizers.close()
        await self._sync.close()
        await asyncio.to_thread(self._log.close)
        await self.workspace.close()

    def preload(self) -> None:
        """Start what the first turn needs while nobody waits: the jail, and the model's client."""
        self._preloading = asyncio.create_task(self._preload())
        self._sync.start()

    async def _preload(self) -> None:
        with suppress(MicroAgiError):  # the first turn says what is wrong
            await asyncio.to_thread(lambda: models.preload(self._choose(self._read_spec()).spec))
        with suppress(MicroAgiError):  # the first call says what is wrong
            await self.workspace.sandbox.start()
        await asyncio.to_thread(preload_checks)

    async def _turn(self, work: Work, cell: int, emit: Emit) -> TurnFinished:
        """Do the work of a cell, with what happened to the registry around it."""
        self.budget.begin_turn()
        try:
            self._sync.start()
            before = await asyncio.to_thread(self.workspace.registry.head)
            for line in self.workspace.take_notices():
                emit(Notice(line))
            end = await work(emit)
            after = await asyncio.to_thread(self.workspace.registry.head)
        except MicroAgiError as error:
            return TurnFinished("error", str(error), type(error).__name__, spent=self.budget.turn)
        finally:
            self._sync.turn_ended()
            self.workspace.uses.save()
        return replace(end, registry=Revision(after, before, self.id, cell), spent=self.budget.turn)

    async def _answer(self, text: str, cell: int, emit: Emit) -> TurnFinished:
        agent, model = await self._ready(emit)
        origin = Provenance(model.name, text, self.id, cell, lambda: self.budget.since_commit)
        context = CallContext(emit=emit, approver=self._approver, provenance=origin)
        recorder, talk = Recorder(model, self._log), self._conversation
        compaction = (
            await self._summarizers.compaction_of_turn(model, self._specs, context)
            if self._settings.compression.enabled
            else None
        )

        def limits() -> TurnLimits:
            return TurnLimits(model.spec.window, model.spec.output_tokens)

        turn = Turn(recorder, agent, talk, self.workspace, limits, self.budget, context, compaction)
        return await turn.run(text)

    async def compact(self, context: CallContext) -> Compressed:
        """Compress the conversation now, however long it is and whatever the setting says.

        Raises LimitReached, with the conversation as it was, when a limit of the turn or the session is reached.
        """
        agent, model = await self._ready(context.emit)
        compaction = await self._summarizers.compaction_of_turn(model, self._specs, context)
        toolset, _ = await asyncio.to_thread(agent.refresh)
        tools = tuple(tool.spec for tool in toolset.values())
        clock = self.budget.turn_clock()
        try:
            async with clock:
                return await compaction.compact(
                    lambda: ModelRequest(self._conversation.request(agent.spec.prompt), tools)
                )
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise TimeLimit(f"{self.budget.time_line}; go on with another cell") from error

    async def _ready(self, emit: Emit) -> tuple[AgentContext, FallbackModel]:
        """The agent and its model, as the registry and the settings have them now."""
        agent = self._agent_with(await asyncio.to_thread(self._read_spec))
        return agent, await self._open_model(await asyncio.to_thread(self._choose, agent.spec), emit)

    def _read_spec(self) -> AgentSpec:
        """The agent's instructions as they stand now."""
        spec = read_agent(self.workspace.registry.snapshot())
        if spec is None:
            raise MicroAgiError(
                f"the registry has no agent {AGENT_ENTRY}: bring it back with git, or start a new registry"
            )
        return spec

    def _agent_with(self, spec: AgentSpec) -> AgentContext:
        """The agent with what it has loaded, and `spec` as its instructions."""
        if self._agent is None:
            self._agent = AgentContext(spec, RegistryTools(self.workspace))
        self._agent.spec = spec
        return self._agent

    def _choose(self, agent: AgentSpec) -> models.Choice:
        specs = with_trust(self._read_models(), self.workspace.registry.path, self._settings.home)
        specs += named_logs((self._settings.model, agent.model), self._settings.sessions)
        self._specs = specs
        self._prices = {spec.name: spec.pricing for spec in specs}
        begun = self._choice is not None and not self._choice.fallback
        return models.choose(specs, self._settings.model or None, agent.model, secret, begun=begun)

    def _read_models(self) -> tuple[ModelSpec, ...]:
        return read_specs(self.workspace.registry.snapshot().find({"meta.type": MODEL_TYPE}))[0]

    def _known_keys(self) -> Iterator[str]:
        """What must not get into the log: whatever stands in the variables that models take their keys from."""
        names = {OPENAI_KEY}
        with suppress(MicroAgiError):  # the turn says what is wrong
            names |= {
                provider.api_key_env
                for spec in self._read_models()
                for provider in spec.providers
                if provider.api_key_env
            }
        return ((secret(name) or "").strip() for name in names)

    async def _open_model(self, choice: models.Choice, emit: Emit) -> FallbackModel:
        """The model of `choice`, kept open from turn to turn while it stays the same."""
        if self._model is None or self._choice != choice:
            if self._model is not None:
                await self._model.close()
            self._model, self._choice = await asyncio.to_thread(models.open_choice, choice, secret), choice
            if choice.fallback:
                emit(Notice(choice.reason))
        return self._model


def read_agent(snapshot: Snapshot) -> AgentSpec | None:
    """The agent of this registry, None when it has none. Raises EntryError when it, or a trait of it, is unusable."""

    def find_trait(name: str) -> Entry | None:
        if ":" in name:
            return snapshot.get(EntryId.parse(name))
        named = snapshot.find({".kind": TRAIT_KIND, "meta.type": TRAIT_TYPE, "meta.name": name})
        return next((trait for trait in named if trait.id.namespace != GENERATED_NAMESPACE), None)

    entry = snapshot.get(AGENT_ENTRY)
    return None if entry is None else AgentSpec.from_entry(entry, find_trait)


def open_session(settings: Settings) -> Session:
    """A new conversation on the registry of the settings. Raises MicroAgiError with one line."""
    return Session(Workspace(settings), settings)
