"""The tools that a client sees: those of the revision that is served, but for what policies deny it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from mcp_types import Tool

from micro_agi_kernel.agent.calls import LOAD_TOOL
from micro_agi_kernel.agent.context import BoundTool, bind
from micro_agi_kernel.agent.spec import ListedTool
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import CallError, EntryError, Refused, RegistryError
from micro_agi_kernel.frontends.mcp.content import plain_description, plain_schema
from micro_agi_kernel.frontends.mcp.names import unique_names
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.policy.policies import POLICY_KINDS
from micro_agi_kernel.reaching import CALL_ACTIONS
from micro_agi_kernel.registry import Snapshot
from micro_agi_kernel.workspace import RegistryTools, Workspace

_TITLE = 200
_REMEMBERED = 32
"""Clients for which a list is kept."""


@dataclass(frozen=True, slots=True)
class _Named:
    """All tools of one state by name: of the commit that is seen, and the newest, which grants."""

    seen: str
    newest: str
    tools: Mapping[str, tuple[Tool, Entry]]


class Catalog:
    """Tools by the name that clients have for them. It may be asked from any thread, and blocks."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._named = _Named("", "", {})
        self._allowed: dict[str, Mapping[str, tuple[Tool, Entry]]] = {}

    def get(self, client: str, name: str) -> Entry | None:
        """The tool of that name, if the actor `client` sees it."""
        found = self._of(client).get(name)
        return found[1] if found else None

    def tools(self, client: str) -> list[Tool]:
        """All that the actor `client` sees, sorted by id."""
        return [tool for tool, _ in self._of(client).values()]

    def _of(self, client: str) -> Mapping[str, tuple[Tool, Entry]]:
        with self._lock:
            newest = self._workspace.registry.snapshot()
            seen = self._workspace.pin.current(newest)
            if (self._named.seen, self._named.newest) != (seen.commit, newest.commit):
                self._named = _Named(seen.commit, newest.commit, self._all(seen))
                self._allowed = {}
            if client not in self._allowed:
                if len(self._allowed) >= _REMEMBERED:
                    self._allowed.pop(next(iter(self._allowed)))
                may = self._named.tools.items()
                self._allowed[client] = {name: found for name, found in may if self._may(client, found[1], newest)}
            return self._allowed[client]

    def _all(self, seen: Snapshot) -> Mapping[str, tuple[Tool, Entry]]:
        found = seen.find({"meta.type": "tool"})
        entries = {entry.id: entry for entry in found if entry.is_tool and entry.id != LOAD_TOOL}  # for our agent only
        named = unique_names(bind(entry, ListedTool(str(id))) for id, entry in entries.items())
        return {name: (_tool(name, tool, entries[tool.id]), entries[tool.id]) for name, tool in named.items()}

    def _may(self, client: str, entry: Entry, newest: Snapshot) -> bool:
        """Whether no policy denies the client this tool; what must be asked is asked when it is called."""
        permissions, id = self._workspace.permissions, str(entry.id)
        if isinstance(RegistryTools(self._workspace).asks_load(entry), CallError):
            return False
        try:
            for action in CALL_ACTIONS:
                permissions.decide_for_client(client, action, id, newest)
                permissions.decide_for_tool(entry, action, id, newest)
        except Refused:
            return False
        return True

    def changed(self, before: str, after: str) -> bool:
        """Whether what clients see may differ between two commits: a tool, or a policy. It takes as long as there are
        changes between them."""
        registry = self._workspace.registry
        try:
            old, new = registry.snapshot(before), registry.snapshot(after)
            return any(_matters(state, id) for _, id in old.changes_to(new)[0] for state in (old, new))
        except (RegistryError, EntryError):
            return True


def _matters(state: Snapshot, id: EntryId) -> bool:
    entry = state.get_if_sound(id)
    return state.has(id) if entry is None else entry.is_tool or entry.kind in POLICY_KINDS


def _tool(name: str, bound: BoundTool, entry: Entry) -> Tool:
    return Tool(
        name=name,
        title=one_line(entry.text("title"))[:_TITLE] or None,
        description=plain_description(bound.spec.description),
        input_schema=plain_schema(bound.spec.schema),
        _meta={"micro-agi/entry": str(entry.id)},
    )
