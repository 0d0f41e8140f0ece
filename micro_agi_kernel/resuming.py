"""Going on with an earlier session: its conversation, its loaded tools, its budget and its pin, in a new one.

The log of the earlier one is only read. What it says is not believed: a tool is loaded under the policies of today, and
a pin is a commit of this registry's own line.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from micro_agi_kernel.agent.context import AgentContext
from micro_agi_kernel.agent.conversation import UNLOADED, tool_line
from micro_agi_kernel.agent_entry import need_agent
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import CallError, ErrorKind, MicroAgiError, Refused
from micro_agi_kernel.interfaces import Approver, CallContext
from micro_agi_kernel.logs.state import SessionState
from micro_agi_kernel.logs.turns import find_log
from micro_agi_kernel.messages import SystemMessage
from micro_agi_kernel.pinning import own_revision
from micro_agi_kernel.questions import Question
from micro_agi_kernel.resumable import Stood, read_state
from micro_agi_kernel.session import Session
from micro_agi_kernel.values import shorten
from micro_agi_kernel.workspace import RegistryTools


@dataclass(frozen=True, slots=True)
class Resumed:
    """What came of it."""

    stood: Stood
    gone: tuple[tuple[EntryId, str], ...]
    """Tools that were loaded and could not be again, each with why."""
    unpinned: str
    """Why the pin that there was is not there again; empty: it is, or there was none."""


class _UntilNo:
    """Asks the person until the first no, which answers what follows: a log may name any tools."""

    def __init__(self, approver: Approver) -> None:
        self._approver = approver
        self._said_no = False

    async def approve(self, question: Question) -> None:
        if self._said_no:
            raise Refused(ErrorKind.PERMISSION_DENIED, "not asked after a no: %load loads it", retryable=False)
        try:
            await self._approver.approve(question)
        except Refused:
            self._said_no = True
            raise


def newest(session: Session) -> str:
    """The id of the notebook's newest conversation but that of `session`; "" when there is none. Blocks."""
    return next((talk.session for talk in session.notebook.talks() if talk.session != session.id), "")


async def resume(session: Session, context: CallContext, named: str) -> Resumed:
    """Have `session` go on where the one `named` stood: by its id, the beginning of it, or the path of its log.

    Raises MicroAgiError with one line, and when it is cancelled, with everything as it was.
    """
    stood = await asyncio.to_thread(_stood, session, named)
    state, pin = stood.state, session.workspace.pin
    was = pin.commit
    try:
        pinned, unpinned = await asyncio.to_thread(_pinned, session, state.pinned)
        pin.to(pinned)  # not in the thread, which goes on when the cell is stopped
        agent = AgentContext(
            await asyncio.to_thread(lambda: need_agent(pin.current())), RegistryTools(session.workspace)
        )
        gone: list[tuple[EntryId, str]] = []
        approver = _UntilNo(context.approver)
        for id in state.loaded:
            if isinstance(loaded := await agent.load(id, approver), CallError):
                gone.append((id, loaded.message))
    except BaseException:
        pin.to(was)
        raise
    told = tuple(SystemMessage(tool_line(id, UNLOADED)) for id, _ in gone)
    messages = (*state.messages, *told)
    session.go_on_from(
        stood.header.session,
        SessionState(messages, state.cells, spent=state.spent),
        agent,
    )
    return Resumed(stood, tuple(gone), unpinned)


def _stood(session: Session, named: str) -> Stood:
    try:
        path = find_log(session.settings.sessions, named)
    except Refused as error:
        if error.kind is ErrorKind.NOT_FOUND:  # a shell's advice is no help in a cell
            there = "%session shows those of this notebook, Tab behind %resume all"
            raise Refused(error.kind, f"there is no session log {shorten(named)!r}: {there}") from error
        raise
    stood = read_state(path)
    if stood.header.session == session.id:
        raise Refused(ErrorKind.INVALID, f"{session.id} is this session: it goes on with the next cell")
    if not stood.state.messages:
        raise Refused(ErrorKind.NOT_FOUND, f"nothing was said in the session {stood.header.session}")
    return stood


def _pinned(session: Session, commit: str) -> tuple[str, str]:
    """The commit to pin, that of the earlier session; and why not, where that is no longer possible. Blocks."""
    if commit:
        try:
            return own_revision(session.workspace.registry, commit).commit, ""
        except MicroAgiError as error:
            return "", str(error)
    return "", ""
