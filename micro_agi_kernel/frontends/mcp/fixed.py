"""The pair `list_tools` and `call_tool`: every tool in reach of clients that read the list of tools only once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mcp_types import Tool

from micro_agi_kernel.arguments import UNFIT, schema_problems
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.frontends.mcp.content import RESULT
from micro_agi_kernel.frontends.mcp.names import CALL_TOOL, LIST_TOOLS
from micro_agi_kernel.values import Json, as_value

_MOST = 100

TOOLS: Mapping[str, Tool] = {
    LIST_TOOLS: Tool(
        name=LIST_TOOLS,
        title="List the tools of the registry",
        description=(
            "The tools that the registry holds now, with their input schemas. Use it when a tool was made or changed"
            f" since this list was read; {CALL_TOOL} calls what it finds."
        ),
        input_schema={
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "Words that name, title or description hold."},
                "limit": {"type": "integer", "minimum": 1, "maximum": _MOST, "description": "At most so many; 20."},
                "offset": {"type": "integer", "minimum": 0, "description": "How many to leave out first; 0."},
            },
            "additionalProperties": False,
        },
    ),
    CALL_TOOL: Tool(
        name=CALL_TOOL,
        title="Call a tool of the registry",
        description=(
            f"Calls a tool by the name that {LIST_TOOLS} gives, at once when it was made: no tool needs load_tool here."
            " The result is the tool's own."
        ),
        input_schema={
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The tool's name."},
                "arguments": {"type": "object", "description": "As its input schema says; {} unless given."},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    ),
}
"""By name."""


def checked(name: str, arguments: Mapping[str, Json]) -> dict[str, Any]:
    """The arguments of a tool of the pair, numbers as int. Raises Refused unless they fit its schema."""
    found = schema_problems(json.dumps(TOOLS[name].input_schema), as_value(dict(arguments)))
    if found:
        raise Refused(ErrorKind.INVALID, f"{UNFIT} of {name}: {'; '.join(found)}")
    return {key: int(given) if isinstance(given, float) else given for key, given in arguments.items()}


def listed(tools: list[Tool], query: str = "", limit: int = 20, offset: int = 0) -> dict[str, Json]:
    """The answer of `list_tools`: so many of the tools that hold all words of the query, as far as a result can."""
    words = query.lower().split()
    found = [tool for tool in tools if all(word in _words_of(tool) for word in words)]
    rows: list[Json] = []
    room = RESULT - 1_000
    for tool in found[offset : offset + limit]:
        row: Json = {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        room -= len(json.dumps(row))
        if room < 0 and rows:
            break
        rows.append(row)
    return {"tools": rows, "total": len(found), "offset": offset}


def _words_of(tool: Tool) -> str:
    return f"{tool.name} {tool.title or ''} {tool.description or ''}".lower()
