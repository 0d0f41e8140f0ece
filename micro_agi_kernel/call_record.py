"""What is remembered of calls: how often an entry ran and failed, and that one which worked no longer does."""

from __future__ import annotations

import asyncio
import hashlib
from functools import lru_cache

from micro_agi_kernel.code_hash import code_hash
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind
from micro_agi_kernel.events import Notice
from micro_agi_kernel.interfaces import CallContext, CallOutcome
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.uses import UseCounter, Uses

MOST_WALKED = 100
"""Commits of an entry among which the one is looked for that brought what runs now."""

_BROKEN = frozenset(
    {
        *(ErrorKind.UNKNOWN, ErrorKind.INTERNAL, ErrorKind.SYNTAX, ErrorKind.CRASHED),
        *(ErrorKind.TIMEOUT, ErrorKind.MEMORY_LIMIT, ErrorKind.OUTPUT_LIMIT, ErrorKind.CALL_LIMIT),
    }
)
"""How a tool fails that is broken; other kinds are what it says of its input."""


class CallRecord:
    """Counts the calls of a registry's entries on this machine."""

    def __init__(self, registry: Registry) -> None:
        self.uses = UseCounter(registry.path)
        self._registry = registry
        self._told: set[tuple[EntryId, str]] = set()

    async def ended(self, entry: Entry, outcome: CallOutcome, context: CallContext) -> None:
        """A call of `entry` ran. The person is told, once, when a change of the entry may have broken it."""
        version = _version_of(entry)
        self.uses.count(entry.id, version, ok=outcome.ok)
        is_broken = outcome.error is not None and outcome.error.kind in _BROKEN
        if is_broken and (line := await asyncio.to_thread(self._worked_before, entry.id, version)):
            context.emit(Notice(line))

    def _worked_before(self, id: EntryId, version: str) -> str | None:
        """A line with what to do, when this version of an entry never worked and an earlier one did."""
        earlier = self.uses.versions(id)
        now = earlier.pop(version, Uses())
        if (
            (id, version) in self._told
            or now.calls > now.failed
            or all(old.calls == old.failed for old in earlier.values())
        ):
            return None
        changed = ""
        for step in self._registry.versions(MOST_WALKED, id=id):
            try:
                then = self._registry.snapshot(step.commit).get(id)
            except EntryError:
                break
            if then is None or _version_of(then) != version:
                break
            changed = step.commit
        if not changed:
            return None
        self._told.add((id, version))
        commit = changed[:10]
        return f"{id} fails since commit {commit} changed it, and worked before: `%revert {commit} {id}` undoes that"


def _version_of(entry: Entry) -> str:
    """What tells versions of an entry apart that may behave differently."""
    named = [entry.data.get(field) for field in ("imports", "calls", "method")]
    said = f"{sorted(entry.modules)} {named} {_code(entry.source or '')}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:16]


@lru_cache(maxsize=256)
def _code(source: str) -> str:
    return code_hash(source) or source
