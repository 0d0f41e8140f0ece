"""Commands about the notebook: which revision of the registry it sees, and which conversation it goes on with."""

from __future__ import annotations

import asyncio

from micro_agi_kernel.agent_entry import need_agent
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.logs.turns import find_log, read_turns
from micro_agi_kernel.markdown_text import code, prose, table
from micro_agi_kernel.notebook_memory import minute
from micro_agi_kernel.pinning import own_revision, shown
from micro_agi_kernel.registry.store import NEWEST
from micro_agi_kernel.resuming import Resumed, newest
from micro_agi_kernel.resuming import resume as resume_session
from micro_agi_kernel.session import Session
from micro_agi_kernel.values import many, money, short_commit, shorten

TALKS = 10
"""Rows of the table of a notebook's sessions."""

MAX_TEXT = 60
"""Characters of a first prompt."""


async def pin(session: Session, context: CallContext, rev: str = "") -> str:
    """Have this notebook see the registry as it was at REV from now on; show what is pinned.

    REV is a commit, or `v12` as `%log` shows it, with `~2` or `^` behind it; `%pin main` follows the newest again. The
    agent, its tools, their code and the pages are those of the pinned revision, and nothing is written. Policies, trust
    and models are always those of the newest one.
    """
    commit, said = await asyncio.to_thread(_looked_up, session, rev)
    session.workspace.pin.to(commit)  # not in the thread, which goes on when the cell is stopped
    return said


def _looked_up(session: Session, rev: str) -> tuple[str, str]:
    """The commit to pin, and what to say then. Blocks."""
    workspace = session.workspace
    newest = workspace.registry.snapshot()
    wanted = workspace.registry.snapshot(workspace.pin.commit) if workspace.pin.commit else None
    if rev in NEWEST:
        wanted = None
    elif rev:
        wanted = own_revision(workspace.registry, rev)
        need_agent(wanted)
    if wanted is None:
        return "", f"This notebook follows the newest commit, {shown(newest)}."
    return wanted.commit, (
        f"This notebook sees the registry at {shown(wanted)}; the newest commit is {shown(newest)}, and its "
        "policies are in force. Nothing is written meanwhile; `%pin main` follows the newest again."
    )


async def resume(session: Session, context: CallContext, *, id: str = "") -> str:
    """Go on with the newest conversation of this notebook, or with that of the session ID, where it ended.

    ID is what `%session` shows, the beginning of it, or the path of a log. What is said here until now stays in the log
    of this session, `%resume` with its id goes back to it. Back come what was said, the loaded tools that still may be
    loaded, the pinned revision, and what was spent of the session's limits. Without ID nothing changes where there is
    no earlier conversation, or this one goes on with the newest already: a notebook can be run from the top, again.
    """
    if not id:
        id = await asyncio.to_thread(newest, session)
        if not id:
            return _nothing_earlier(session)
        if id == session.resumed:
            return f"This notebook goes on with {code(id)} already."
    left = session.id
    done = await resume_session(session, context, id)
    return await asyncio.to_thread(_said, session, done, left)


def _nothing_earlier(session: Session) -> str:
    where = (
        "This notebook has no earlier conversation" if session.notebook.path else "Nobody says which notebook this is"
    )
    return f"{where}: nothing is resumed. `%resume ID` goes on with any session, Tab behind `%resume` shows them."


def _said(session: Session, done: Resumed, left: str) -> str:
    stood, state = done.stood, done.stood.state
    spent = session.budget.session
    named, when = (code(text) for text in (stood.header.session, minute(stood.header.time)))
    lines = [
        f"This notebook goes on with {named} of {when}: {many(state.cells, 'cell')}, {len(state.messages):,} messages."
    ]
    facts = (
        []
        if stood.is_whole
        else ["not all of it is in its log, perhaps since its last cell was cut: what is there was taken"]
    )
    if loaded := len(state.loaded) - len(done.gone):
        facts.append(f"{many(loaded, 'loaded tool')}")
    facts += [f"not loaded again: {code(str(id))} ({prose(why)})" for id, why in done.gone]
    if spent.tokens:
        facts.append(f"{spent.tokens:,} tokens and {money(spent.cost)} count against the limits of the session")
    facts.append(_registry(session, state.registry))
    if done.unpinned:
        facts.append(f"it was pinned, and is not any more: {prose(done.unpinned)}")
    return "\n".join((*lines, "", *(f"- {fact}" for fact in facts)))


def _registry(session: Session, then: str) -> str:
    """What the registry's revision was and is."""
    workspace = session.workspace
    now = f"{shown(workspace.pin.current())}{', pinned' * bool(workspace.pin.commit)}"
    if not then or then == workspace.pin.head():
        return f"the registry is at {now}" + ", as it was" * bool(then)
    try:
        was = shown(own_revision(workspace.registry, then))
    except MicroAgiError:
        was = f"{short_commit(then)}, which this registry does not have"
    return f"the registry was at {was}; it is at {now}"


def talks(session: Session) -> str:
    """The newest conversations of this notebook, as a table; empty when there are none. Blocks."""
    rows: list[tuple[str, ...]] = []
    for talk in session.notebook.talks():
        if len(rows) == TALKS:
            break
        here = "this one" if talk.session == session.id else ""
        first = code(first_prompt(session, talk.session))
        rows.append((code(talk.session), minute(talk.time), f"{talk.cells:,}", here, first))
    return table(("session", "time", "prompts", "now", "first prompt"), rows) if rows else ""


def first_prompt(session: Session, id: str) -> str:
    """The first prompt of a session that went to a model, on one line; "" when none did. Blocks."""
    try:
        turns = read_turns(find_log(session.settings.sessions, id))
        asked = (turn.prompt for turn in turns if any(step.prompt == turn.prompt for step in turn.steps))
        return shorten(" ".join(next(asked, "").split()), MAX_TEXT)
    except MicroAgiError:
        return ""
