"""An agent at work: its entry's instructions, and the tools that it can call at this moment.

Tools are read anew from the registry at every step, so that an update (by the agent, another kernel or
a person's push) is in force at the next step, and a deleted tool is gone from the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import CallError, EntryError, ErrorKind
from micro_agi_kernel.interfaces import ToolCatalog
from micro_agi_kernel.messages import NOT_AT_TOP, ToolSpec
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
        if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or not 1 <= max_tokens <= 10**9:
            raise EntryError(f"{entry.id}: max_tokens is a whole number from 1 to a thousand million")
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
            raise EntryError(f"{entry.id}: temperature is a number from 0 to 2")
        if isinstance(effort, bool) or not isinstance(effort, int | None) or not -100 <= (effort or 0) <= 100:
            raise EntryError(f"{entry.id}: thinking_effort is a whole number up to 100")
        names = tuple(tool for tool in tools if isinstance(tool, str))
        for name in names:
            _check_tool_name(name, entry)
        return cls(entry.id, prompt, model, max_tokens, float(temperature), effort, names)


def _check_tool_name(name: str, entry: Entry) -> None:
    """Raise EntryError unless `name` is an id or `namespace:*`."""
    try:
        EntryId.parse(f"{name[:-1]}x" if name.endswith(":*") else name)
    except EntryError as error:
        raise EntryError(f"{entry.id}: tools: {error}") from error


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

    def load(self, id: EntryId) -> BoundTool | CallError:
        """Add a tool to the agent, or say why not."""
        catalog = self._catalog.pinned()
        entry = catalog.get(id)
        if entry is None:
            return CallError(ErrorKind.NOT_FOUND, f"not found: {id}")
        if not entry.is_tool:
            return CallError(ErrorKind.INVALID, f"not a tool (meta.type != 'tool'): {id}")
        if refusal := catalog.refuses_load(entry):
            return refusal
        tool = bind(entry)
        holder = _toolset(self._entries(catalog)).get(tool.spec.name)
        if holder is not None and holder.id != id:
            return CallError(
                ErrorKind.ALREADY_EXISTS, f"the name {tool.spec.name!r} belongs to {holder.id}, loaded first"
            )
        if id not in self._loaded:
            self._loaded.append(id)
        return tool

    def refresh(self) -> tuple[Toolset, tuple[EntryId, ...]]:
        """The tools callable now, all as of one commit, and the loaded tools that are gone.

        Loaded tools that the registry no longer has (or that are broken now) are forgotten.
        """
        entries = self._entries(self._catalog.pinned())
        found = {entry.id for entry in entries}
        gone = tuple(id for id in self._loaded if id not in found)
        self._loaded = [id for id in self._loaded if id in found]
        return _toolset(entries), gone

    def _entries(self, catalog: ToolCatalog) -> list[Entry]:
        """The agent's own tools, then those loaded, in the order of their loading."""
        entries: list[Entry] = []
        for name in self.spec.tools:
            if name.endswith(":*"):
                entries += catalog.tools(name.removesuffix(":*"))
            else:
                entries += _readable_tool(catalog, EntryId.parse(name))
        for id in self._loaded:
            entries += _readable_tool(catalog, id)
        return entries


def _readable_tool(catalog: ToolCatalog, id: EntryId) -> list[Entry]:
    """The entry in a list, when it is a tool that can be read; else nothing."""
    try:
        entry = catalog.get(id)
    except EntryError:
        return []
    return [entry] if entry is not None and entry.is_tool else []


def _toolset(entries: Iterable[Entry]) -> Toolset:
    """The tools by name; of two with one name the first keeps it."""
    tools: dict[str, BoundTool] = {}
    for entry in entries:
        tool = bind(entry)
        tools.setdefault(tool.spec.name, tool)
    return tools


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
    kept = {key: value for key, value in schema.items() if key not in NOT_AT_TOP}
    return {**kept, "type": "object", "properties": schema.get("properties") or {}}
