"""One conversation: a workspace, an agent, the model that runs it, and what was said so far."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from micro_agi_kernel.agent.budget import Budget, TimeLimit
from micro_agi_kernel.agent.compression import Compressed
from micro_agi_kernel.agent.context import AgentContext
from micro_agi_kernel.agent.conversation import Conversation
from micro_agi_kernel.agent.spec import AgentSpec, ListedTool
from micro_agi_kernel.agent.turn import Turn, TurnLimits
from micro_agi_kernel.agent_entry import need_agent
from micro_agi_kernel.approval import Approvals, Ask, Standing
from micro_agi_kernel.arguments import preload_checks
from micro_agi_kernel.attachments import with_files
from micro_agi_kernel.autosync import AutoSync
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ErrorKind, MicroAgiError, Refused
from micro_agi_kernel.events import Event, Notice, Revision, TurnFinished
from micro_agi_kernel.interfaces import Approver, CallContext, Nobody, Provenance
from micro_agi_kernel.logs.recorder import Recorder
from micro_agi_kernel.logs.state import SessionState
from micro_agi_kernel.logs.writer import SessionLog
from micro_agi_kernel.messages import ModelRequest
from micro_agi_kernel.model_choice import ChosenModel, Models, known_keys
from micro_agi_kernel.models.fallback import FallbackModel
from micro_agi_kernel.notebook_memory import NotebookMemory, Ran
from micro_agi_kernel.pinning import rerun_line
from micro_agi_kernel.questions import Subject
from micro_agi_kernel.settings import Settings
from micro_agi_kernel.summarizers import Summarizers
from micro_agi_kernel.working_folder import working_folder
from micro_agi_kernel.workspace import RegistryTools, Workspace

Emit: TypeAlias = Callable[[Event], None]
Work: TypeAlias = Callable[[Emit], Awaitable[TurnFinished]]
"""What a cell is to do: it tells what happens, and returns how it ended."""


@dataclass(frozen=True, slots=True)
class About:
    """What a session tells about itself."""

    id: str
    log: Path
    """It comes with the first cell."""
    prompts: int
    """Those of the conversation."""
    messages: int
    """Of the conversation, the results of tools among them."""
    loaded: tuple[EntryId, ...]
    model: str
    """The name of the one that answers the next prompt, or why none can."""
    registry: Path
    commit: str
    """The newest of the registry, and its number."""
    version: int


class Session:
    """A conversation. One turn at a time; `run` waits for the one before."""

    def __init__(self, workspace: Workspace, settings: Settings, notebook: NotebookMemory | None = None) -> None:
        """`notebook` is where its cells stand, if somebody knows."""
        self.id = _new_id()
        self.notebook = notebook or NotebookMemory(settings.sessions, "")
        self.resumed = ""
        """The id of the session with whose conversation it goes on."""
        self._counted: set[str] = set()
        """Sessions that are part of what this one took."""
        self.workspace = workspace
        self.settings = settings
        """Those of this session; `configure` puts others in their place."""
        self._models = ChosenModel(workspace.registry)
        self.budget = Budget(settings.limits, self._models.cost)
        self._conversation = Conversation()
        self._agent: AgentContext | None = None
        self._busy, self._closed = asyncio.Lock(), False
        self._cells = 0
        self.folder = working_folder()
        """Where the files lie that a prompt names."""
        self._asked = 0
        """Prompts of the conversation."""
        self._seen = ""
        """The commit that the last cell saw in the end."""
        self.approver: Approver = Nobody()
        """Asks the person of the cell that runs."""
        self.approved: set[Subject] = set()
        """What the person approved for the rest of the session."""
        self._preloading: asyncio.Task[None] | None = None
        self._sync = AutoSync(workspace, settings)
        self._log = self._new_log()
        self._summarizers = Summarizers(settings.compression, self._conversation, self._log, self.budget)

    async def run(
        self, text: str, *, cell: int = 0, cell_id: str = "", ask: Ask | None = None
    ) -> AsyncGenerator[Event, None]:
        """Answer one prompt: its events, the last of which is TurnFinished.

        `cell` is the number of the cell, `cell_id` what its front end calls it whenever it runs.
        `ask` asks the person what policies want them asked; it is called when all events until then were taken, and
        none comes before its answer. None: the answer is no.

        Leaving early (the iterating task is cancelled, or the generator is closed) stops the turn at
        once: the model's connection is closed, the running tool is killed, the conversation stays sendable.
        A task that is cancelled gets the events of that end before it gets the cancellation.

        Raises Refused for an empty prompt, and when the session is closed.
        """
        if not text.strip():
            raise Refused(ErrorKind.INVALID, "the prompt is empty")

        def work(emit: Emit) -> Awaitable[TurnFinished]:
            return self._answer(text, cell, emit, cell_id)

        async with aclosing(self.perform(work, text=text, cell=cell, cell_id=cell_id, ask=ask)) as events:
            async for event in events:
                if isinstance(event, TurnFinished):
                    self._note(event, text, cell_id)
                yield event

    async def perform(
        self, work: Work, *, text: str = "", cell: int = 0, cell_id: str = "", ask: Ask | None = None
    ) -> AsyncGenerator[Event, None]:
        """What `run` does, with other work than asking the model; a MicroAgiError of it is the turn's error."""
        events: asyncio.Queue[Event | Standing | None] = asyncio.Queue()

        def emit(event: Event) -> None:
            event = self.budget.count(event)
            log.event(event)
            events.put_nowait(event)

        async with self._busy:
            if self._closed:
                raise Refused(ErrorKind.INVALID, "this session is closed: make another one")
            self._cells += 1
            log = self._log  # of this cell, also when it resumes another session
            log.prompt(cell, text, cell_id)
            if self._cells == 1 and self.notebook.offer:
                emit(Notice(self.notebook.offer))
            pass_on = events.put_nowait if ask is not None else None
            self.approver = Approvals(pass_on, self.approved, emit, self.budget.clock_stopped)
            turn = asyncio.create_task(self._turn(work, cell, emit))
            turn.add_done_callback(lambda _: events.put_nowait(None))
            try:
                while (event := await events.get()) is not None:
                    if not isinstance(event, Standing):
                        yield event
                    elif ask is not None:
                        await event.settle(ask, self.approved)
            except asyncio.CancelledError:
                with suppress(asyncio.CancelledError):
                    await _end(turn)
                while not events.empty():  # a commit that could not be stopped any more, above all
                    if (event := events.get_nowait()) is not None and not isinstance(event, Standing):
                        yield event
                raise
            finally:
                try:
                    await _end(turn)
                finally:
                    if turn.cancelled() or turn.exception() is not None:
                        log.stopped()
                    else:
                        log.event(turn.result())
                    self._log.state(self._state)
                    if log is not self._log:
                        await asyncio.to_thread(log.close)
        yield turn.result()  # a bug of ours is raised here, with its traceback

    def configure(self, settings: Settings) -> None:
        """Use other settings from the next cell on, but for those that are read once (settings.AT_START)."""
        self.settings = settings
        self.budget.bounds = settings.limits
        self._summarizers.settings = settings.compression
        self._sync.settings = settings.sync
        self.workspace.configure(settings)

    def mention(self, text: str) -> None:
        """The person says something that the next prompt is to go on from; no model is asked now."""
        self._conversation.say(text)

    def reset(self) -> int:
        """Forget the conversation and what was loaded; how many messages that were.

        What was approved or configured stays, and so does what the session took of its budget.
        """
        said = len(self._conversation.messages)
        self._conversation.replace_beginning(said, ())
        self._agent = None
        self._log.reset()
        self._asked, self.resumed = 0, ""
        self.notebook.note(self.id, 0)
        return said

    def go_on_from(self, session: str, state: SessionState, agent: AgentContext) -> None:
        """Be a new session, with a log of its own, that goes on where `session` stood; `agent` has what it loaded."""
        if session not in self._counted:  # nor is it counted twice that one goes back to
            self.budget.add(state.spent)
        self._counted |= {session, self.id}
        self.id, self.resumed = _new_id(), session
        self._log = self._summarizers.log = self._new_log()
        self._conversation.replace_beginning(len(self._conversation.messages), state.messages)
        self._agent, self._asked = agent, state.cells
        self.notebook.note(self.id, self._asked)

    @property
    def _state(self) -> SessionState:
        loaded = self._agent.loaded if self._agent is not None else ()
        pinned, spent = self.workspace.pin.commit, self.budget.by_model
        return SessionState(self._conversation.messages, self._asked, loaded, pinned, self._seen, spent)

    def _new_log(self) -> SessionLog:
        about = {"notebook": self.notebook.path, "resumed": self.resumed}
        return SessionLog(
            self.settings.sessions,
            self.id,
            lambda: known_keys(self.workspace.registry, self.settings.mcp_servers),
            lambda line: self.workspace.notices.append(line),
            {name: text for name, text in about.items() if text},
        )

    async def about(self) -> About:
        """What there is to tell of this session now."""
        version = await asyncio.to_thread(self.workspace.registry.version, "main")
        model = self._models.answers((await self.known_models()).choice)
        return About(
            self.id,
            self._log.path,
            self._asked,
            len(self._conversation.messages),
            self._agent.loaded if self._agent is not None else (),
            model,
            self.workspace.registry.path,
            version.commit,
            version.number,
        )

    async def agent(self) -> AgentContext:
        """The agent, with its instructions as they stand now and what it has loaded."""
        return self._agent_with(await asyncio.to_thread(self._read_spec))

    async def known_models(self, settings: Settings | None = None) -> Models:
        """The models that there are, and which runs at the next prompt, with `settings` in place of the session's."""
        return await asyncio.to_thread(lambda: self._models.known(settings or self.settings, self._read_spec().model))

    async def close(self) -> None:
        """End what the session started; harmless when repeated."""
        self._closed = True
        if self._preloading is not None:
            self._preloading.cancel()
        await self._models.close()
        await self._summarizers.close()
        await self._sync.close()
        await asyncio.to_thread(self._log.close)
        await asyncio.to_thread(self.notebook.close)
        await self.workspace.close()

    def preload(self) -> None:
        """Start what the first turn needs while nobody waits: the jail, and the model's client."""
        self._preloading = asyncio.create_task(self._preload())
        self.workspace.servers.start()
        self._sync.start()

    async def _preload(self) -> None:
        with suppress(MicroAgiError):  # the first turn says what is wrong
            await asyncio.to_thread(lambda: self._models.preload(self.settings, self._read_spec().model))
        with suppress(MicroAgiError):  # the first call says what is wrong
            await self.workspace.sandbox.start()
        await asyncio.to_thread(preload_checks)

    async def _turn(self, work: Work, cell: int, emit: Emit) -> TurnFinished:
        """Do the work of a cell, with what happened to the registry around it."""
        self.budget.begin_turn()
        try:
            self._sync.start()
            before = await asyncio.to_thread(self.workspace.pin.head)
            for line in self.workspace.take_notices():
                emit(Notice(line))
            try:
                end = await work(emit)
            except MicroAgiError as error:
                end = _failed(error)
            after = self._seen = await asyncio.to_thread(self.workspace.pin.head)
        except MicroAgiError as error:  # the registry cannot be read
            return replace(_failed(error), spent=self.budget.turn)
        finally:
            self._sync.turn_ended()
            self.workspace.uses.save()
        return replace(end, registry=Revision(after, before, self.id, cell), spent=self.budget.turn)

    async def _answer(self, text: str, cell: int, emit: Emit, cell_id: str = "") -> TurnFinished:
        agent, model = await self._ready(emit)
        origin = Provenance(model.name, text, self.id, cell, lambda: self.budget.since_commit)
        context = CallContext(emit=emit, approver=self.approver, provenance=origin)
        said = await with_files(text, self.folder, model.spec, context)
        await self._begins(text, cell_id, emit)
        recorder, talk = Recorder(model, self._log), self._conversation
        compaction = (
            await self._summarizers.compaction_of_turn(model, self._models.specs, context)
            if self.settings.compression.enabled
            else None
        )

        def limits() -> TurnLimits:
            return TurnLimits(model.spec.window, model.spec.output_tokens)

        turn = Turn(recorder, agent, talk, self.workspace, limits, self.budget, context, compaction)
        return await turn.run(said)

    async def _begins(self, text: str, cell_id: str, emit: Emit) -> None:
        """Remember that a cell is asked, and say so when it saw another revision before."""
        workspace, ran = self.workspace, self.notebook.ran(cell_id, text)
        if ran and not workspace.pin.commit:  # else its person chose what it sees
            now = await asyncio.to_thread(workspace.pin.head)
            if line := await asyncio.to_thread(rerun_line, workspace.registry, ran.before, ran.after, now):
                emit(Notice(line))
        self._asked += 1
        self.notebook.note(self.id, self._asked)

    def _note(self, end: TurnFinished, text: str, cell_id: str) -> None:
        """Remember what a cell that was answered did to the registry; of one that ran pinned, how it ran before."""
        if end.status == "ok" and end.registry is not None and not self.workspace.pin.commit:
            ran = Ran(end.registry.before, end.registry.registry)
            self.notebook.note(self.id, self._asked, cell_id=cell_id, prompt=text, ran=ran)

    async def compact(self, context: CallContext) -> Compressed:
        """Compress the conversation now, however long it is and whatever the setting says.

        Raises LimitReached, with the conversation as it was, when a limit of the turn or the session is reached.
        """
        agent, model = await self._ready(context.emit)
        compaction = await self._summarizers.compaction_of_turn(model, self._models.specs, context)
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
            raise TimeLimit(f"{self.budget.time_line}; ask again to go on") from error

    async def _ready(self, emit: Emit) -> tuple[AgentContext, FallbackModel]:
        """The agent and its model, as the registry and the settings have them now."""
        for line in await self.workspace.servers.ready():
            emit(Notice(line))
        agent = await self.agent()
        return agent, await self._models.open(self.settings, agent.spec.model, emit)

    def _read_spec(self) -> AgentSpec:
        """The agent's instructions as they stand now."""
        return need_agent(self.workspace.pin.current())

    def _agent_with(self, spec: AgentSpec) -> AgentContext:
        """The agent with what it has loaded, and `spec` as its instructions."""
        if self._agent is None:
            self._agent = AgentContext(spec, RegistryTools(self.workspace))
        of_servers = tuple(ListedTool(f"{namespace}:*") for namespace in self.workspace.servers.offering)
        self._agent.spec = replace(spec, tools=(*spec.tools, *of_servers))
        return self._agent


async def _end(turn: asyncio.Task[TurnFinished]) -> None:
    """Stop a turn and wait until it is done, also when the waiting task is cancelled again: it may be writing."""
    turn.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not turn.done():
        try:
            await asyncio.wait([turn])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _failed(error: MicroAgiError) -> TurnFinished:
    return TurnFinished("error", str(error), type(error).__name__)


def _new_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def open_session(settings: Settings, notebook: str = "") -> Session:
    """A new conversation on the registry of the settings, in the notebook at that path. Raises MicroAgiError."""
    return Session(Workspace(settings), settings, NotebookMemory(settings.sessions, notebook))
