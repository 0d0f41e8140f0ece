"""Names that cross to clients: what policies call a client, and what a client calls a tool."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from micro_agi_kernel.agent.context import BoundTool
from micro_agi_kernel.entries import GENERATED_NAMESPACE, EntryId
from micro_agi_kernel.permissions import CLIENT, UNPROVEN

LIST_TOOLS = "list_tools"
CALL_TOOL = "call_tool"
FIXED = frozenset({LIST_TOOLS, CALL_TOOL})
"""Tools that every client has, whatever the registry holds: for those that read the list of tools only once."""

MAX_CLIENT = 48
"""Characters of a client's name."""

MAX_NAME = 64
"""Characters of a tool's name, as the strictest of the models' servers takes it."""

_CLIENT_NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_CLIENT - 1}}}")


def is_client_name(name: str) -> bool:
    """Whether the person may give a client this name."""
    return _CLIENT_NAME.fullmatch(name) is not None


def actor_of(given: str, claimed: str) -> str:
    """The actor whose calls policies are asked about: `mcp:NAME` as the person named the client, or
    `mcp:unproven:NAME` as it names itself, which nobody checked and which therefore never is one of the former.
    """
    if given:
        return f"{CLIENT}{given}"
    safe = re.sub(r"[^a-z0-9._-]+", "-", claimed[: 4 * MAX_CLIENT].lower()).strip("-._")[:MAX_CLIENT]
    return f"{UNPROVEN}{safe or 'nameless'}"


def unique_names(tools: Iterable[BoundTool]) -> Mapping[str, BoundTool]:
    """The tools by names that clients take, sorted by id.

    A tool keeps the name that an agent has for it. Of several with one name the person's keeps it before one that an
    agent wrote, and of those the one whose id says it: no new tool takes the name of another that a client knows.
    The others have their namespace before it.
    """
    names: dict[str, BoundTool] = {}
    for tool in sorted(tools, key=_rank):
        names[next(name for name in _candidates(tool) if name not in names and name not in FIXED)] = tool
    return dict(sorted(names.items(), key=lambda item: item[1].id))


def _rank(tool: BoundTool) -> tuple[bool, bool, EntryId]:
    return tool.id.namespace == GENERATED_NAMESPACE, tool.spec.name != tool.id.name, tool.id


def _candidates(tool: BoundTool) -> Iterable[str]:
    yield tool.spec.name
    long = re.sub(r"[^A-Za-z0-9_-]", "_", f"{tool.id.namespace}_{tool.id.name}")
    yield long[:MAX_NAME]
    digest = hashlib.sha256(str(tool.id).encode()).hexdigest()
    yield f"{long[: MAX_NAME - 17]}_{digest[:16]}"
    yield digest
