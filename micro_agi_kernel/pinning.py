"""Which revision of the registry a notebook sees: the newest, or the one that its person pinned.

What is read and run follows the pin. Policies, trust and what is granted to an entry never do: they are those of the
newest commit, so that no old revision brings back a permission that was taken away.
"""

from __future__ import annotations

from dataclasses import replace

from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import ErrorKind, Refused, RegistryError
from micro_agi_kernel.lua_entries import LUA_KINDS
from micro_agi_kernel.permissions import FUNCS, Older
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.values import short_commit, shorten


class Pin:
    """The revision that one notebook sees. It may be asked from any thread."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.commit = ""
        """The pinned commit; empty: the newest is seen."""

    def to(self, commit: str) -> None:
        """See `commit`, one that `own_revision` gave, from now on; empty: the newest again."""
        self.commit = commit

    def current(self, newest: Snapshot | None = None) -> Snapshot:
        """What is seen. `newest` is the newest snapshot, where its reader has that already."""
        if self.commit:
            return self._registry.snapshot(self.commit)
        return newest or self._registry.snapshot()

    def runs(self, id: EntryId, newest: Snapshot) -> Entry | None:
        """The entry that is seen, with no grant that it does not have in `newest`. Raises EntryError and Refused."""
        seen = self.current(newest)
        entry = seen.get(id)
        return entry if entry is None or seen.commit == newest.commit else granted(entry, newest.get(id))

    def as_granted(self, entry: Entry) -> Entry:
        """`entry`, one that is seen, as in `runs`."""
        return granted(entry, self._registry.snapshot().get(entry.id)) if self.commit else entry

    @property
    def place(self) -> str:
        """`v12 (abc123456789)`, the revision that is pinned; empty: the newest is seen. Blocks."""
        return shown(self.current()) if self.commit else ""

    def said_of(self, what: str) -> str:
        """The sentence that says at which revision `what` is shown; empty: the newest is seen. Blocks."""
        return f"This is {what} at {place}, where this notebook is pinned." if (place := self.place) else ""

    def head(self) -> str:
        """The commit that is seen. Raises RegistryError if there is none."""
        return self.commit or self._registry.head()

    def check_writable(self) -> None:
        """Raise Refused while an old revision is pinned: what was written would not be seen. Blocks."""
        if self.commit:
            line = f"nothing is written while the registry is pinned to {self.place}"
            line += ": %pin main in a cell follows the newest"
            raise Refused(ErrorKind.PERMISSION_DENIED, line, retryable=False)


def granted(old: Entry, newest: Entry | None) -> Entry:
    """The entry `old` of a pinned revision, with no grant that it does not have now, as `newest`.

    A person's entry keeps the modules and calls that both list, `meta.callable` if both say it, and has the limits of
    the newest. Of a generated one an agent wrote all of that: it grants nothing. Policies are asked for both. Raises
    Refused for a person's entry that is gone.
    """
    whole = Older(old.id, old.kind, old.meta, old.data, newest)
    if old.id.namespace == GENERATED_NAMESPACE:
        return whole
    if newest is None or newest.kind != old.kind:
        what = "gone" if newest is None else f"of the kind {newest.kind}"
        line = f"{old.id} is {what} in the newest revision: what it was granted does not come back with a pinned one"
        raise Refused(ErrorKind.PERMISSION_DENIED, line, retryable=False)
    if old.kind not in LUA_KINDS:
        return whole
    now = newest.meta
    meta = {name: value for name, value in old.meta.items() if name != "callable" or now.get(name) is True}
    meta.pop("limits", None)
    meta |= {"limits": now["limits"]} if "limits" in now else {}
    modules = [module for module in old.modules if module in newest.modules]
    calls = _calls_of_both(old, newest)
    if not calls and not (_calls_any(old) and _calls_any(newest)):  # without a list this module reaches everything
        modules = [module for module in modules if module != FUNCS]
    return replace(whole, meta=meta, data={**old.data, "modules": [*modules], "calls": [*calls]})


def _calls_of_both(old: Entry, newest: Entry) -> list[str]:
    """What both may call; empty: nothing, or both call what they like."""
    if _calls_any(old) or _calls_any(newest):
        return [*(newest if _calls_any(old) else old).calls]
    return [id for id in old.calls if id in newest.calls]


def _calls_any(entry: Entry) -> bool:
    """Whether it lists nothing at all: what is no list of ids grants nothing."""
    return FUNCS in entry.modules and not entry.data.get("calls")


def own_revision(registry: Registry, rev: str) -> Snapshot:
    """What the registry held at `rev`. Raises RegistryError unless that was once its newest commit.

    Others lie beside it too, such as what a remote brought and the policies refused: nothing of these may run.
    """
    found = registry.snapshot(rev)
    try:
        is_own = registry.resolve(f"v{found.number}") == found.commit
    except RegistryError:
        is_own = False
    if not is_own:
        line = f"{shorten(rev)} was never the newest commit of this registry: %log shows those that were"
        raise Refused(ErrorKind.NOT_FOUND, line)
    found.check_format_once(set())
    return found


def rerun_line(registry: Registry, before: str, after: str, now: str) -> str | None:
    """What to say of a cell that ran between the commits `before` and `after`, and runs again at `now`. Blocks.

    A cell that wrote is shown what it left: pinned to what it found it could not have written that.
    """
    if now in (before, after):
        return None
    did, was = ("ran with", "runs it as it was") if before == after else ("left", "shows what it left")
    try:
        then = own_revision(registry, after)
    except RegistryError:
        return f"this cell ran with a registry at {short_commit(after)}, a commit that this one does not have"
    except Refused:
        return f"this cell ran with a registry at {short_commit(after)}, which was never the newest commit of this one"
    seen = f"it is at v{registry.snapshot(now).number} now"
    return f"this cell {did} the registry at {shown(then)}; {seen}: %pin v{then.number} {was}"


def shown(snapshot: Snapshot) -> str:
    """`v12 (abc123456789)`."""
    return f"v{snapshot.number} ({short_commit(snapshot.commit)})"
