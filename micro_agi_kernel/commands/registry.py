"""Commands about the registry: its tools, its history, and going back in it."""

from __future__ import annotations

import asyncio

from micro_agi_kernel.bisecting import bisect as find_breaking
from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.events import DiffShown
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.markdown_text import code, prose, table
from micro_agi_kernel.naming import named
from micro_agi_kernel.panels import Change
from micro_agi_kernel.pinning import Pin
from micro_agi_kernel.registry import Registry, Version
from micro_agi_kernel.registry.differences import differences
from micro_agi_kernel.registry_panel import registry_panel
from micro_agi_kernel.rollback import RolledBack, going_back_of
from micro_agi_kernel.rollback import restore as restore_state
from micro_agi_kernel.rollback import revert as revert_commit
from micro_agi_kernel.session import Session
from micro_agi_kernel.values import minute_of, number, short_commit, shorten

MAX_LOG = 1_000
"""Commits in a table."""
MAX_TEXT = 200
"""Characters of a title or a subject."""
MAX_DIFF = 100_000
"""Characters of all differences together."""


async def registry(session: Session, context: CallContext, *, query: str = "") -> str:
    """Show the tools of the registry, or those whose id, title or description has the words of QUERY.

    In a notebook each opens to its source and its history, with what every commit changed and the line that undoes it.
    """
    workspace = session.workspace
    shown = await asyncio.to_thread(
        lambda: registry_panel(workspace.registry, workspace.pin.current(), workspace.uses, query)
    )
    where = await asyncio.to_thread(workspace.pin.said_of, "the registry")
    if shown.tools:
        context.emit(shown)
        return where
    none = f"No tool has the words {code(query)}." if query else "The registry has no tools."
    return f"{none} {where}".rstrip()


async def log(session: Session, context: CallContext, limit: str = "20") -> str:
    """Show the newest commits, newest first: 20 of them, or LIMIT."""
    most = number(limit, MAX_LOG)
    if most is None:
        raise Refused(ErrorKind.INVALID, f"write it as %log [LIMIT], with a LIMIT from 1 to {MAX_LOG:,}")
    versions = await asyncio.to_thread(lambda: list(session.workspace.registry.versions(most + 1)))
    rows = [
        (
            f"v{version.number}",
            code(short_commit(version.commit)),
            minute_of(version.time),
            code(shorten(version.actor, MAX_TEXT)),
            code(_subject(version)),
        )
        for version in versions[:most]
    ]
    shown = table(("version", "commit", "time", "by", "subject"), rows)
    return f"{shown}\n\nOlder ones: `%log {min(most * 5, MAX_LOG)}`" if len(versions) > most < MAX_LOG else shown


def _subject(version: Version) -> str:
    """With what a person's commit undid or brought back; what an agent's body says is the agent's."""
    going_back = going_back_of(version.body) if version.actor.startswith("user:") else ""
    subject = shorten(version.subject, MAX_TEXT)
    return f"{subject} ({going_back.lower()})" if going_back else subject


async def diff(session: Session, context: CallContext, a: str, b: str = "main") -> str:
    """Show what differs between the revisions A and B, or A and now, entry by entry.

    A revision is a commit, `main`, or `v12` as `%log` shows it, with `~2` or `^` behind it: `%diff v12^ v12` shows what
    v12 did.
    """
    shown = await asyncio.to_thread(_differences, session.workspace.registry, a, b)
    if not shown.changes and not shown.all_of_it:
        return f"Nothing differs between {code(a)} and {code(b)}."
    context.emit(shown)
    return ""


def _differences(registry: Registry, a: str, b: str) -> DiffShown:
    changes: list[Change] = []
    room = MAX_DIFF
    for found in differences(registry, registry.snapshot(a), registry.snapshot(b)):
        change = Change(found.action, str(found.id or found.path), found.text)
        room -= len(change.name) + len(change.diff)
        if room < 0:
            return DiffShown(tuple(changes), f"micro-agi registry diff {a} {b}")
        changes.append(change)
    return DiffShown(tuple(changes))


async def revert(session: Session, context: CallContext, rev: str, id: str | None = None) -> str:
    """Undo what the commit REV did, or what it did to the entry ID."""
    workspace = session.workspace
    return _rolled_back(
        await revert_commit(workspace.registry, workspace.publishing, context, rev, await _meant(session, id)),
        workspace.pin,
    )


async def restore(session: Session, context: CallContext, rev: str, id: str | None = None) -> str:
    """Bring back the registry, or the entry ID, as it was at REV."""
    workspace = session.workspace
    return _rolled_back(
        await restore_state(workspace.registry, workspace.publishing, context, rev, await _meant(session, id)),
        workspace.pin,
    )


async def _meant(session: Session, id: str | None) -> EntryId | None:
    return None if id is None else await asyncio.to_thread(named, session.workspace.registry, id, cell=True)


def _rolled_back(done: RolledBack, pin: Pin) -> str:
    """What was done; a single step is not said again where the sentence names its entry."""
    version = f"v{done.published.version}: " if done.published else ""
    steps = [*done.steps]
    is_said = len(steps) == 1 and steps[0].partition(" ")[2] in done.summary
    lines = [prose(line) for line in (*(() if is_said else steps), *done.left)]
    if pin.commit:
        lines.append(
            f"this was done to the newest commit; the notebook sees {code(short_commit(pin.commit))} until `%pin main`"
        )
    return "\n".join((f"{version}{prose(done.summary)}", "", *(f"- {line}" for line in lines))).rstrip()


async def bisect(session: Session, context: CallContext, id: str, *, test: str = "") -> str:
    """Find the commit since which the tool ID fails its tests, or the one TEST: its name, or as JSON."""
    tool = await asyncio.to_thread(named, session.workspace.registry, id, cell=True)
    found = await find_breaking(session.workspace, tool, test)
    if found is None:
        return f"{code(str(tool))} passes now: nothing is broken."
    bad = found.bad.version
    others = [code(str(id)) for id in found.bad.changed if id != tool]
    uses = [f"- it changed {', '.join(others)}, which {tool.name} uses"] if tool not in found.bad.changed else []
    return "\n".join(
        (
            f"{code(found.bad.short)} of {minute_of(bad.time)} broke {code(str(tool))}: {code(bad.subject)}",
            "",
            *uses,
            f"- it fails: {prose(found.why)}",
            f"- {code(found.good.short)} was the last that passed",
            f"- `{found.bad.undo()}` undoes it",
        )
    )
