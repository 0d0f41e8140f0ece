"""Sharing a registry: what its remote has is fetched, judged and merged entry by entry; what it lacks is pushed.

Nothing of the remote's is declared merged before everything in it is decided. Until then, what was accepted stands
here in commits of our own, and the rest is found anew from the two branches each time. Only what the person decided
to leave is kept in a file, by what it was: something else under that name is asked about again.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ParamSpec, TypeVar

from micro_agi_kernel.entries import Changeset
from micro_agi_kernel.environment import git_environment
from micro_agi_kernel.errors import Conflict, ErrorKind, Refused, RegistryError
from micro_agi_kernel.intake import Fate, Item, Plan, Wishes, examine, undecided
from micro_agi_kernel.registry.care.history import step_between
from micro_agi_kernel.registry.lock import FOLDER
from micro_agi_kernel.registry.message import clean
from micro_agi_kernel.registry.sharing.merging import is_ancestor, line_since
from micro_agi_kernel.registry.sharing.remote import SHOWN, Behind, Remote
from micro_agi_kernel.registry.signing import signer_of
from micro_agi_kernel.replay import may_join_our_line
from micro_agi_kernel.trust import TrustedKey, read_trust
from micro_agi_kernel.values import many, short_commit
from micro_agi_kernel.workspace import Workspace

MAX_TRIES = 5
"""How often it is judged again because other writers were faster."""

DECISIONS = "sync.json"
"""In the registry's folder `micro-agi`: what the person decided to leave, `{name: digest of what it was}`."""

TRIED = "tried.json"
"""Beside it: what pulls tested that had no time for all, `[name]`. It may be lost: it says no more than an order."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did."""

    remote: str
    """The name of the remote's address."""
    theirs: str | None
    """The remote's commit; None when it has none."""
    commit: str
    """The newest commit here, afterwards."""
    items: tuple[Item, ...] = ()

    @property
    def open(self) -> list[Item]:
        return undecided(self.items)

    def of(self, fate: Fate) -> list[Item]:
        return [item for item in self.items if item.fate == fate]


class Syncing:
    """The remote of one workspace's registry."""

    def __init__(self, workspace: Workspace, home: Path, *, at_terminal: bool = False) -> None:
        """`home` is the data folder, which says whose keys are trusted; `at_terminal`: git may ask the person."""
        self._workspace = workspace
        self._registry = workspace.registry
        self._home = home
        self.remote = Remote(workspace.registry.path, git_environment(), at_terminal=at_terminal)

    async def pull(self, wishes: Wishes | None = None, *, shows: bool = True) -> Pulled:
        """Fetch, and merge what may be merged. Raises RegistryError when nothing can be fetched or written.

        `shows`: the person will read the result. Wishes are about what they were last shown, so for them nothing
        is fetched. Raises Refused when they name what is not there to be decided.
        """
        name = self.remote.address.name
        theirs = await self._talk(self.remote.fetch if wishes is None else self._shown)
        if theirs is None:
            return Pulled(name, None, self._registry.head())
        wishes = wishes or Wishes()
        for _ in range(MAX_TRIES):
            plan = await self._plan(theirs, wishes)
            if unknown := sorted(wishes.names - {str(item.subject) for item in plan.items}):
                raise Refused(ErrorKind.NOT_FOUND, f"nothing to decide about {clean(unknown[0])}")
            for item in plan.items:
                if item.fate == "refused" and str(item.subject) in wishes.accept:
                    raise Refused(ErrorKind.INVALID, f"{clean(str(item.subject))} cannot be taken: {item.why}")
            commit = await self._carry_out(plan, name)
            if commit is not None:
                await asyncio.to_thread(self._remember, plan)
                if shows:
                    await asyncio.to_thread(self.remote.mark_shown, theirs)
                return Pulled(name, theirs, commit, tuple(plan.items))
        raise Conflict("the registry changes faster than a pull can be judged; try again")

    async def push(self) -> str:
        """Bring the remote up to what stands here; its newest commit. Raises Behind, with what stands against it."""
        head = await asyncio.to_thread(self._registry.head)
        try:
            await self._talk(self.remote.push, head)
        except Behind:
            theirs = await self._talk(self.remote.fetch)
            if theirs is not None and await asyncio.to_thread(is_ancestor, self._registry, head, theirs):
                return theirs  # it has all of ours; what it has beside that, a pull brings
            plan = await self._plan(theirs, Wishes()) if theirs is not None else None
            if plan is None or not plan.open:
                raise
            raise Behind(
                f"first decide about {many(len(plan.open), 'change')} from {self.remote.address.name}: "
                "`micro-agi registry pull` shows them"
            ) from None
        return head

    async def _talk(self, work: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
        """Do what talks to the remote beside the loop; where nobody waits for it any more, it is ended."""
        try:
            return await asyncio.to_thread(work, *args, **named)
        except asyncio.CancelledError:
            self.remote.stop.set()
            raise

    def _shown(self) -> str:
        shown = self.remote.fetched(SHOWN)
        if shown is None:
            raise Refused(ErrorKind.INVALID, "nothing to decide yet: `micro-agi registry pull` shows what there is")
        return shown

    async def _plan(self, commit: str, wishes: Wishes) -> Plan:
        left, tried, keys = await asyncio.to_thread(lambda: (self._decisions(), self._tried(), self._keys()))
        is_trusted = lru_cache(maxsize=None)(lambda commit: signer_of(self._registry, commit, keys) is not None)
        try:
            theirs = await asyncio.to_thread(self._registry.snapshot, commit)
            theirs.check_format_once(set())
            return await examine(self._workspace, theirs, wishes, left, is_trusted, tried)
        except RegistryError as error:
            what = f"{short_commit(commit)} of {self.remote.address.name}"
            raise RegistryError(f"cannot merge {what}: {error}") from error

    def _keys(self) -> list[str]:
        return [key.line for key in read_trust(self._home).of(TrustedKey)]

    async def _carry_out(self, plan: Plan, name: str) -> str | None:
        """Write what was judged; the newest commit then, None when another writer was faster."""
        ours, theirs = plan.ours.commit, plan.theirs.commit
        registry, publishing, changeset = self._registry, self._workspace.publishing, plan.changeset
        subject = f"Merge {many(len(plan.changes), 'entry', 'entries')} from {name}"
        if plan.open:
            if changeset == Changeset(()):
                return ours
            return await publishing.merge(changeset, subject, _origins(plan), plan.ours, plan.users, None)
        if await asyncio.to_thread(is_ancestor, registry, theirs, ours):
            return ours
        if not plan.left and await asyncio.to_thread(is_ancestor, registry, ours, theirs):
            if await asyncio.to_thread(self._may_forward, plan):
                return theirs if await publishing.forward(theirs, plan.ours) else None
            if not plan.changes:
                return ours  # they have all of ours, and nothing else that counts
        return await publishing.merge(changeset, subject, _origins(plan), plan.ours, plan.users, theirs)

    def _may_forward(self, plan: Plan) -> bool:
        """Whether the remote's commits may become part of our own line, which an audit believes and a log shows.

        They must go on from our newest commit, so that none of ours leaves the line; change nothing but what was
        judged; and each must be what our own would be. Else a merge leaves them on a line beside ours.
        """
        registry, ours, theirs = self._registry, plan.ours, plan.theirs
        line = line_since(registry, theirs.commit, ours.commit)
        if not line or registry.objects.commit(line[-1]).parents[:1] != (ours.commit,):
            return False
        judged = {item.subject for item in plan.items}
        for path, _, node in registry.objects.changed(ours.tree, theirs.tree):
            if (theirs.layout.entry_id(path) or path) not in judged or not (node is None or node.is_as_we_write_it):
                return False
        parents = [*line[1:], ours.commit]
        try:
            return all(
                may_join_our_line(self._workspace, step_between(registry, parent, commit))
                for parent, commit in zip(parents, line, strict=True)
            )
        except RegistryError:
            return False

    # What is remembered from one pull to the next

    def _decisions(self) -> dict[str, str]:
        document = self._kept(DECISIONS)
        pairs = document.items() if isinstance(document, dict) else ()
        return {name: state for name, state in pairs if isinstance(state, str)}

    def _tried(self) -> list[str]:
        document = self._kept(TRIED)
        return [name for name in document if isinstance(name, str)] if isinstance(document, list) else []

    def _remember(self, plan: Plan) -> None:
        left = plan.left if plan.open else {}
        if left != self._decisions():
            self._keep(DECISIONS, left)
        if plan.tried != self._tried():
            self._keep(TRIED, plan.tried)

    def _kept(self, name: str) -> object:
        try:
            document: object = json.loads((self._registry.path / FOLDER / name).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return document

    def _keep(self, name: str, document: dict[str, str] | list[str]) -> None:
        file = self._registry.path / FOLDER / name
        try:
            made, path = tempfile.mkstemp(prefix=f"{name}.", dir=file.parent)
            try:
                with os.fdopen(made, "w", encoding="utf-8") as out:
                    json.dump(document, out, indent=1, sort_keys=True)
                os.replace(path, file)
            except BaseException:
                with suppress(OSError):
                    os.unlink(path)
                raise
        except OSError as error:
            raise RegistryError(f"cannot write {file}: {error.strerror or error}") from error


def _origins(plan: Plan) -> str:
    """Which commits of the remote made what is taken: an audit of ours begins its search there."""
    return ", ".join(f"{item.subject} by {short_commit(item.theirs)}" for item in plan.items if item.fate == "taken")
