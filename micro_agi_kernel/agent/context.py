"""An agent at work: its entry's instructions, and the tools that it can call at this moment.

Tools are read anew from the registry at every step, so that an update (by the agent, another kernel or
a person's push) is in force at the next step, and a deleted tool is gone from the list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from micro_agi_kernel.agent.conversation import AWAY, GONE
from micro_agi_kernel.agent.spec import AgentSpec, ListedTool
from micro_agi_kernel.entries import GENERATED_NAMESPACE, Entry, EntryId
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind, Refused
from micro_agi_kernel.interfaces import Approver, ToolCatalog
from micro_agi_kernel.messages import NOT_AT_TOP, TOOL_NAME_LENGTH, ToolSpec, as_tool_name
from micro_agi_kernel.values import Json, check_json

_OWN = f"{GENERATED_NAMESPACE}:*"
"""May be listed before the agent has made a tool."""


@dataclass(frozen=True, slots=True)
class BoundTool:
    """A tool as the model sees it, and the entry behind it."""

    id: EntryId
    spec: ToolSpec
    exclusive: bool
    """Runs alone, in the model's order."""
    context: Mapping[str, Json]
    """What the agent's entry gives it beside its arguments, for its module ctx."""


Toolset = Mapping[str, BoundTool]
"""By the name that the model uses."""


class AgentContext:
    """The tools of one conversation: those of the agent's entry, and those loaded since."""

    def __init__(self, spec: AgentSpec, catalog: ToolCatalog) -> None:
        self.spec = spec
        self._catalog = catalog
        self._loaded: list[EntryId] = []
        self._unfound: tuple[str, ...] = ()
        self._told: set[str] = set()
        self._away: frozenset[EntryId] = frozenset()
        """Loaded tools that the pinned revision does not have: they come back with another one."""
        self.gone_where = GONE
        """Where the tools are not that the last refresh found gone."""

    async def load(self, id: EntryId, approver: Approver) -> BoundTool | CallError:
        """Add a tool to the agent, or say why not; `approver` is asked when a policy wants it."""
        catalog = self._catalog.at_one_commit()
        entry = catalog.get(id)
        if entry is None:
            return CallError(ErrorKind.NOT_FOUND, f"not found: {id}")
        if not entry.is_tool:
            return CallError(ErrorKind.INVALID, f"not a tool (meta.type != 'tool'): {id}")
        said = catalog.asks_load(entry)
        if isinstance(said, CallError):
            return said
        if said is not None and id not in self._loaded:
            try:
                await approver.approve(said)
            except Refused as refusal:
                return refusal.as_error()
        toolset = _toolset(self._entries(catalog))
        if had := next((tool for tool in toolset.values() if tool.id == id), None):
            return had
        tool = bind(entry, self._as_listed(id))
        if holder := toolset.get(tool.spec.name):
            return CallError(
                ErrorKind.ALREADY_EXISTS, f"the name {tool.spec.name!r} belongs to {holder.id}, loaded first"
            )
        self._loaded.append(id)
        return tool

    @property
    def loaded(self) -> tuple[EntryId, ...]:
        """Those beside its entry's, in the order of their loading."""
        return tuple(self._loaded)

    def tools(self) -> Toolset:
        """The tools callable now. Unlike `refresh` it forgets nothing, so that the model is still told what is gone."""
        return _toolset(self._entries(self._catalog.at_one_commit()))

    def refresh(self) -> tuple[Toolset, tuple[EntryId, ...]]:
        """The tools callable now, all as of one commit, and the loaded tools that are gone.

        Loaded tools that the registry no longer has (or that are broken now) are forgotten, but for those that only a
        pinned revision does not have.
        """
        catalog = self._catalog.at_one_commit()
        entries, pinned = self._entries(catalog), catalog.pinned_at
        found = {entry.id for entry, _ in entries}
        missing = frozenset(self._loaded) - found
        gone = tuple(id for id in self._loaded if id in missing and not (pinned and id in self._away))
        self.gone_where = AWAY.format(place=pinned) if pinned else GONE
        self._away = missing if pinned else frozenset()
        self._loaded = [id for id in self._loaded if pinned or id in found]
        names = {listed.name for _, listed in entries} | {_OWN}
        self._unfound = tuple(listed.name for listed in self.spec.tools if listed.name not in names)
        return _toolset(entries), gone

    def take_unfound(self) -> tuple[str, ...]:
        """What its entry lists and the last refresh did not find; each once in a conversation."""
        untold = tuple(name for name in self._unfound if name not in self._told)
        self._told.update(untold)
        return untold

    def _entries(self, catalog: ToolCatalog) -> list[tuple[Entry, ListedTool]]:
        """The agent's own tools, then those loaded, in the order of their loading; each as it is listed."""
        entries: list[tuple[Entry, ListedTool]] = []
        for listed in self.spec.tools:
            if listed.name.endswith(":*"):
                found = list(catalog.tools(listed.name.removesuffix(":*")))
            else:
                found = _readable_tool(catalog, EntryId.parse(listed.name))
            entries += [(entry, listed) for entry in found]
        own = {entry.id for entry, _ in entries}
        for id in self._loaded:
            if id not in own:
                entries += [(entry, self._as_listed(id)) for entry in _readable_tool(catalog, id)]
        return entries

    def _as_listed(self, id: EntryId) -> ListedTool:
        """A loaded tool as the agent's entry would list it."""
        return ListedTool(str(id), context=self.spec.context)


def _readable_tool(catalog: ToolCatalog, id: EntryId) -> list[Entry]:
    """The entry in a list, when it is a tool that can be read; else nothing."""
    try:
        entry = catalog.get(id)
    except EntryError:
        return []
    return [entry] if entry is not None and entry.is_tool else []


def _toolset(entries: Iterable[tuple[Entry, ListedTool]]) -> Toolset:
    """The tools by name; of two with one name the first keeps it."""
    tools: dict[str, BoundTool] = {}
    for entry, listed in entries:
        tool = bind(entry, listed)
        tools.setdefault(tool.spec.name, tool)
    return tools


def bind(entry: Entry, listed: ListedTool) -> BoundTool:
    """`entry` with a name and a schema that every provider accepts; what `listed` says counts before its own word."""
    alias = listed.alias or as_tool_name(entry.text("llm_alias") or entry.id.name)[:TOOL_NAME_LENGTH]
    own = entry.text("llm_description") or entry.text("comment") or entry.text("title")
    spec = ToolSpec(alias, listed.description or own, _schema(entry))
    return BoundTool(entry.id, spec, entry.meta.get("exclusive") is True, listed.context)


def _schema(entry: Entry) -> Mapping[str, Json]:
    schema = entry.meta.get("input_schema")
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
            check_json(schema, "input_schema")
        except (ValueError, RecursionError, EntryError):  # pushed by a person; what is sent must be sendable
            schema = None
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    kept = {key: value for key, value in schema.items() if key not in NOT_AT_TOP}
    return {**kept, "type": "object", "properties": schema.get("properties") or {}}
