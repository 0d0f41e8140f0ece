"""What the registry knows of a turn whose log ends within it, since its kernel was killed: whether it wrote a commit.

A commit is whole or not there, and the log may lack the last moments before the kill: so the commits are asked, which
say in which cell of which session they were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from micro_agi_kernel.events import EntryPublished, Notice
from micro_agi_kernel.logs.turns import Turn
from micro_agi_kernel.registry import Registry, Version
from micro_agi_kernel.values import short_commit

OLDER = 1_000
"""Commits older than a turn that are looked at for its own below them: the clocks of those who write may differ."""


def with_what_was_written(turns: Iterable[Turn], session: str, registry: Registry) -> Iterator[Turn]:
    """The turns of `session`; those that are cut end with a Notice of what they wrote to `registry`.

    Raises RegistryError when that cannot be read.
    """
    for turn in turns:
        if turn.status == "cut" and (line := _line(turn, session, registry)):
            turn.events.append(Notice(line))
        yield turn


def _line(turn: Turn, session: str, registry: Registry) -> str:
    """What the log does not say itself; "" when that cannot be told."""
    try:
        since = datetime.fromisoformat(turn.time) - timedelta(seconds=1)  # a commit's time is in whole seconds
    except (ValueError, OverflowError):  # none, or one at the beginning of the calendar
        return ""
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    logged = {event.commit for event in turn.events if isinstance(event, EntryPublished)}
    commits, are_all = _commits(turn.cell, session, since, registry)
    untold = [
        f"{short_commit(version.commit)} ({version.subject})" for version in commits if version.commit not in logged
    ]
    if untold:
        return f"the registry has what this cell wrote before the log ended: {', '.join(reversed(untold))}"
    return f"the registry has no {'other ' if logged else ''}commit of this cell" if are_all else ""


def _commits(cell: int, session: str, since: datetime, registry: Registry) -> tuple[list[Version], bool]:
    """Those of the agent that name the cell, newest first; and whether there can be no other."""
    found, older = list[Version](), 0
    for version in registry.versions():
        if version.time < since:
            older += 1
            if older > OLDER:
                return found, False
            continue
        said = version.said_by_agent
        if said.get("Session") == session and said.get("Cell", "0") == str(cell):
            found.append(version)
    return found, True
