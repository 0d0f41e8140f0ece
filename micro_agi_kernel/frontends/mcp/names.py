"""What a client calls the tools: each by a name of its own, which no new tool takes."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping

from micro_agi_kernel.agent.context import BoundTool
from micro_agi_kernel.entries import GENERATED_NAMESPACE, EntryId
from micro_agi_kernel.messages import TOOL_NAME_LENGTH, as_tool_name

LIST_TOOLS = "list_tools"
CALL_TOOL = "call_tool"
FIXED = frozenset({LIST_TOOLS, CALL_TOOL})
"""Tools that every client has, whatever the registry holds: for those that read the list of tools only once."""


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
    long = as_tool_name(f"{tool.id.namespace}_{tool.id.name}")
    yield long[:TOOL_NAME_LENGTH]
    digest = hashlib.sha256(str(tool.id).encode()).hexdigest()
    yield f"{long[: TOOL_NAME_LENGTH - 17]}_{digest[:16]}"
    yield digest
    for number in itertools.count(2):  # somebody named tools of theirs after all these
        yield f"{digest[:40]}_{number}"
