"""What is remembered of calls: how often an entry ran and failed, and that one which worked no longer does."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from functools import lru_cache

from micro_agi_kernel.code_hash import code_hash
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, RegistryError
from micro_agi_kernel.events import Notice
from micro_agi_kernel.interfaces import CallContext, CallOutcome
from micro_agi_kernel.reaching import ChangeOfReach, EntryLookup, reached_by, steps_of
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
        """The versions that were looked into."""
        self._offered: set[tuple[str, tuple[EntryId, ...]]] = set()
        """Commits, each with what it changed."""

    async def ended(self, entry: Entry, outcome: CallOutcome, context: CallContext) -> None:
        """A call of `entry` ran. The person is told, once, when a change may have broken it: its own, or one of what it
        imports and calls.
        """
        is_broken = outcome.error is not None and outcome.error.kind in _BROKEN
        if is_broken or _needs(entry):
            if line := await asyncio.to_thread(self._counted, entry, outcome.ok, is_broken):
                context.emit(Notice(line))
        else:
            self.uses.count(entry.id, _version_of(entry, {}), ok=outcome.ok)

    def _counted(self, entry: Entry, ok: bool, is_broken: bool) -> str | None:
        """Count a call. A line with what to do, when this version of `entry` never worked and an earlier one did."""
        reached = _reached(entry, self._registry.snapshot().get)
        version = _version_of(entry, reached)
        self.uses.count(entry.id, version, ok=ok)
        if not is_broken or (entry.id, version) in self._told:
            return None
        earlier = self.uses.versions(entry.id)
        now = earlier.pop(version, Uses())
        if now.calls > now.failed or all(old.calls == old.failed for old in earlier.values()):
            return None
        self._told.add((entry.id, version))
        try:
            found = self._changed(entry.id, version, reached)
        except RegistryError:  # the history cannot be read: `registry verify` says why
            return None
        if found is None or (found.version.commit, found.changed) in self._offered:  # to whoever called what it called
            return None
        self._offered.add((found.version.commit, found.changed))
        what = f"{found.changed[0]}, which it uses" if found.changed[0] != entry.id else "it"
        undo = f"`{found.undo()}` undoes that"
        return f"{entry.id} fails since commit {found.short} changed {what}, and worked before: {undo}"

    def _changed(self, id: EntryId, version: str, reached: Mapping[EntryId, Entry | None]) -> ChangeOfReach | None:
        """The commit that brought what a call of `id` runs now."""
        changed = None
        for step in steps_of(self._registry, (id, *reached), MOST_WALKED):
            try:
                then = self._registry.snapshot(step.version.commit).get
                entry = then(id)
                if entry is None or _version_of(entry, _reached(entry, then)) != version:
                    break
            except EntryError:
                break
            changed = step
        else:
            return None  # it never was anything else
        return changed


def _needs(entry: Entry) -> bool:
    return any(entry.data.get(field) for field in ("imports", "calls"))


def _reached(entry: Entry, state: EntryLookup) -> Mapping[EntryId, Entry | None]:
    """What else a call of `entry` depends on, as far as anyone can say."""
    try:
        return {id: other for id, other in (reached_by(entry, state) or {}).items() if id != entry.id}
    except RegistryError:
        return {}


def _version_of(entry: Entry, reached: Mapping[EntryId, Entry | None]) -> str:
    """What tells versions of an entry apart that may behave differently, with what else it depends on."""
    said = _said(entry)
    for id, other in sorted(reached.items()):
        said += f"\n{id} {_said(other) if other is not None else ''}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:16]


def _said(entry: Entry) -> str:
    named = [entry.data.get(field) for field in ("imports", "calls", "method")]
    return f"{sorted(entry.modules)} {named} {_code(entry.source or '')}"


@lru_cache(maxsize=256)
def _code(source: str) -> str:
    return code_hash(source) or source
