"""An agent at work: its entry's instructions, and the tools that it can call at this moment.

Tools are read anew from the registry at every step, so that an update (by the agent, another kernel or
a person's push) is in force at the next step, and a deleted tool is gone from the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind
from micro_agi_kernel.interfaces import ToolCatalog
from micro_agi_kernel.messages import ToolSpec
from micro_agi_kernel.values import Json, check_json

DEFAULT_MAX_TOKENS = 512
"""Of an agent entry that names none, as in the reference."""

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """What an agent entry (meta.type agent.gen1) says."""

    id: EntryId
    prompt: str
    model: str
    max_tokens: int
    temperature: float
    thinking_effort: int | None
    tools: tuple[str, ...]
    """Ids, or `namespace:*`."""

    @classmethod
    def from_entry(cls, entry: Entry) -> AgentSpec:
        """Raises EntryError with one line for an entry that is no usable agent."""
        if entry.type != "agent.gen1":
            raise EntryError(f"{entry.id} is no agent: its meta.type is {entry.type!r}, not 'agent.gen1'")
        data = entry.data
        prompt, model, tools = data.get("prompt"), data.get("model"), data.get("tools", [])
        max_tokens, effort = data.get("max_tokens", DEFAULT_MAX_TOKENS), data.get("thinking_effort")
        temperature = data.get("temperature", 0.0)
        if not isinstance(prompt, str) or not isinstance(model, str):
            raise EntryError(f"{entry.id}: an agent has a prompt and a model, both text")
        if not isinstance(tools, list) or not all(isinstance(tool, str) for tool in tools):
            raise EntryError(f"{entry.id}: tools is a list of ids, or 'namespace:*'")
        if not isinstance(max_tokens, int) or max_tokens < 1:
            raise EntryError(f"{entry.id}: max_tokens is a number above 0")
        if not isinstance(temperature, (int, float)) or not (effort is None or isinstance(effort, int)):
            raise EntryError(f"{entry.id}: temperature and thinking_effort are numbers")
        names = tuple(tool for tool in tools if isinstance(tool, str))
        return cls(entry.id, prompt, model, max_tokens, float(temperature), effort, names)


@dataclass(frozen=True, slots=True)
class BoundTool:
    """A tool as the model sees it, and the entry behind it."""

    id: EntryId
    spec: ToolSpec
    exclusive: bool
    """Runs alone, in the model's order."""


Toolset = Mapping[str, BoundTool]
"""By the name that the model uses."""


class AgentContext:
    """The tools of one conversation: those of the agent's entry, and those loaded since."""

    def __init__(self, spec: AgentSpec, catalog: ToolCatalog) -> None:
        self.spec = spec
        self._catalog = catalog
        self._loaded: list[EntryId] = []

    @property
    def loaded(self) -> tuple[EntryId, ...]:
        return tuple(self._loaded)

    def load(self, id: EntryId) -> BoundTool | CallError:
        """Add a tool to the agent, or say why not."""
        entry = self._catalog.get(id)
        if entry is None:
            return CallError(ErrorKind.NOT_FOUND, f"not found: {id}")
        if not entry.is_tool:
            return CallError(ErrorKind.INVALID, f"not a tool (meta.type != 'tool'): {id}")
        if refusal := self._catalog.refuses_load(entry):
            return refusal
        tool = bind(entry)
        holder = self.toolset().get(tool.spec.name)
        if holder is not None and holder.id != id:
            return CallError(
                ErrorKind.ALREADY_EXISTS, f"the name {tool.spec.name!r} belongs to {holder.id}, loaded first"
            )
        if id not in self._loaded:
            self._loaded.append(id)
        return tool

    def drop_deleted(self) -> tuple[EntryId, ...]:
        """Forget loaded tools that the registry no longer has (or that are broken now), and name them."""
        gone = tuple(id for id in self._loaded if self._tool(id) is None)
        self._loaded = [id for id in self._loaded if id not in gone]
        return gone

    def toolset(self) -> Toolset:
        """The tools callable now. Of two with one name the first keeps it."""
        tools: dict[str, BoundTool] = {}
        for entry in self._entries():
            tool = bind(entry)
            tools.setdefault(tool.spec.name, tool)
        return tools

    def _entries(self) -> list[Entry]:
        entries: list[Entry] = []
        for name in self.spec.tools:
            if name.endswith(":*"):
                entries += self._catalog.tools(name.removesuffix(":*"))
            elif (entry := self._tool(EntryId.parse(name))) is not None:
                entries.append(entry)
        return entries + [entry for id in self._loaded if (entry := self._tool(id)) is not None]

    def _tool(self, id: EntryId) -> Entry | None:
        """The entry, when it is a tool that can be read."""
        try:
            entry = self._catalog.get(id)
        except EntryError:
            return None
        return entry if entry is not None and entry.is_tool else None


def bind(entry: Entry) -> BoundTool:
    """`entry` with a name and a schema that every provider accepts."""
    alias = _NOT_IN_A_NAME.sub("_", entry.text("llm_alias") or entry.id.name)[:_MAX_NAME]
    description = entry.text("llm_description") or entry.text("comment") or entry.text("title")
    return BoundTool(entry.id, ToolSpec(alias, description, _schema(entry)), entry.meta.get("exclusive") is True)


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
    return {**schema, "type": "object", "properties": schema.get("properties") or {}}
