"""The tools that a server lists, as entries that an agent can be offered; or why one is left out.

A server's words stand in every request to the model: they are bounded, what hides or turns text is taken out, and a
schema that a provider could refuse takes its tool with it, since the provider would refuse the whole request.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from micro_agi_kernel.arguments import require_usable
from micro_agi_kernel.entries import Entry, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.lua_modules._json_work import BadSchema
from micro_agi_kernel.mcp_client.words import clean, clean_line
from micro_agi_kernel.mcp_settings import McpServer
from micro_agi_kernel.messages import TOOL_NAME_LENGTH, as_tool_name
from micro_agi_kernel.values import Json, check_json, many, shorten

MAX_TOOLS = 64
"""Tools of one server, and of all together: OpenAI takes 128 with a request."""

MAX_DEFINITION = 16_384
"""Characters of a tool's description and schema as JSON."""

MAX_DEFINITIONS = 65_536
"""Characters of all of one server, and of all servers together: about 16,000 tokens of each request."""

MAX_SECONDS = 3.0
"""For checking the schemas of one server, each of which may take a second."""

MAX_TOLD = 5
"""Tools that are named among those that are left out."""

MAX_DESCRIPTION = 2_000
MAX_DEPTH = 24
"""Nesting of a schema."""

_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PROSE = frozenset({"description", "title", "$comment"})
_KIND = "function.mcp"


@dataclass(frozen=True, slots=True)
class ListedByServer:
    """A tool as a server lists it: nothing of it is checked."""

    name: str
    description: Json
    schema: Json

    @classmethod
    def of(cls, tool: Json) -> ListedByServer:
        """What `tool`, a part of the list, says of a tool."""
        said = tool if isinstance(tool, dict) else {}
        name = said.get("name")
        return cls(name if isinstance(name, str) else "", said.get("description") or "", said.get("inputSchema"))


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers."""

    entries: Mapping[EntryId, Entry]
    """`data.tool` of each is the server's own name for it."""
    left_out: tuple[str, ...] = ()
    """Lines about tools that are not among them: the first few by name."""


def read_offer(server: McpServer, listed: Iterable[ListedByServer]) -> Offer:
    """What `server` offers the agent of the tools that it lists. Blocks: it may take seconds for many odd schemas."""
    until = time.monotonic() + MAX_SECONDS
    entries: dict[EntryId, Entry] = {}
    left_out: list[str] = []
    aliases: set[str] = set()
    seen: set[str] = set()
    size = beyond = 0
    for tool in listed:
        seen.add(tool.name)
        if server.tools and tool.name not in server.tools:
            continue
        if len(entries) >= MAX_TOOLS or time.monotonic() > until:
            beyond += 1
            continue
        try:
            entry = _entry(server, tool, aliases)
            if entry.id in entries:
                raise EntryError("another tool of that name came first")
        except (EntryError, BadSchema) as error:
            left_out.append(f"{clean_line(tool.name, 60)!r} is left out: {clean_line(str(error), 200)}")
            continue
        length = size_of(entry)
        if size + length > MAX_DEFINITIONS:
            beyond += 1
            continue
        size += length
        aliases.add(entry.text("llm_alias"))
        entries[entry.id] = entry
    if (more := len(left_out) - MAX_TOLD) > 0:
        left_out[MAX_TOLD:] = [f"{many(more, 'more tool')} left out for such reasons"]
    if beyond:
        left_out.append(beyond_bounds(beyond, server))
    if missing := [name for name in server.tools if name not in seen]:
        left_out.append(f"it has no tool {shorten(repr(missing[0]))}, which mcp.servers.{server.name}.tools names")
    return Offer(entries, tuple(left_out))


def beyond_bounds(tools: int, server: McpServer) -> str:
    """The line for tools of `server` that are too many."""
    names = f"name those that you want in mcp.servers.{server.name}.tools"
    return f"{many(tools, 'more tool')}, beyond {MAX_TOOLS} tools or {MAX_DEFINITIONS:,} characters: {names}"


def size_of(entry: Entry) -> int:
    """Characters that a tool takes of each request, about."""
    return len(json.dumps(entry.meta))


def _entry(server: McpServer, tool: ListedByServer, aliases: set[str]) -> Entry:
    if not _NAME.fullmatch(tool.name):
        raise EntryError("its name is not of letters, digits, _, -, . and /")
    if not isinstance(tool.description, str):
        raise EntryError("its description is no text")
    if not isinstance(tool.schema, dict):
        raise EntryError("its schema is no table")
    check_json(tool.schema, "its schema")
    if len(json.dumps(tool.schema)) > MAX_DEFINITION:
        raise EntryError(f"its schema is longer than {MAX_DEFINITION:,} characters")
    name = tool.name.replace("/", "_")
    id = EntryId.parse(f"{server.namespace}:{name if not name[0].isdigit() and name[0] not in '.-' else f'_{name}'}")
    schema = _schema(tool.schema)
    said = shorten(clean(tool.description[: 4 * MAX_DESCRIPTION]).strip(), MAX_DESCRIPTION)
    meta: dict[str, Json] = {
        "type": "tool",
        "llm_alias": _alias(server.alias_prefix, name, tool.name, aliases),
        "llm_description": f"[of the MCP server {server.name}] {said or tool.name}",
        "input_schema": schema,
    }
    return Entry(id, _KIND, meta, {"server": server.name, "tool": tool.name})


def _alias(prefix: str, name: str, whole: str, taken: set[str]) -> str:
    """What the model calls it: another one for each tool, and the same one whenever the server lists the same.

    Raises EntryError when a tool before it has that one too.
    """
    alias = as_tool_name(f"{prefix}{name}")
    if len(alias) > TOOL_NAME_LENGTH or alias in taken:
        alias = f"{alias[: TOOL_NAME_LENGTH - 9]}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    if alias in taken:
        raise EntryError("the model would know it by the name of another tool")
    return alias


def _schema(given: Mapping[str, Json]) -> dict[str, Json]:
    """The schema of the arguments, in a form that providers accept. Raises EntryError and BadSchema."""
    schema = _walked({key: value for key, value in given.items() if key != "$schema"}, 0)
    assert isinstance(schema, dict)
    if schema.get("type", "object") != "object":
        raise EntryError("its schema is of no object")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise EntryError("its schema has properties that are no table")
    if odd := [name for name in properties if not _PROPERTY.fullmatch(name)]:
        raise EntryError(f"its argument {shorten(odd[0], 60)!r} has a name that models cannot use")
    require_usable(json.dumps(schema))
    return schema


def _walked(value: Json, depth: int, key: str = "") -> Json:
    """A part of a schema: prose made clean; what else holds hidden text, or leads elsewhere, is refused."""
    if depth > MAX_DEPTH:
        raise EntryError(f"its schema is nested more than {MAX_DEPTH} deep")
    match value:
        case str() if key in _PROSE:
            return shorten(clean(value[: 4 * MAX_DESCRIPTION]), MAX_DESCRIPTION)
        case str():
            if clean(value) != value:
                raise EntryError("its schema has a text with hidden or control characters")
            if key in ("$ref", "$dynamicRef") and not value.startswith("#"):
                raise EntryError("its schema refers to another document")
        case list():
            return [_walked(item, depth + 1) for item in value]
        case dict():
            if any(clean(name) != name for name in value):
                raise EntryError("its schema has a name with hidden or control characters")
            return {name: _walked(item, depth + 1, name) for name, item in value.items()}
    return value
