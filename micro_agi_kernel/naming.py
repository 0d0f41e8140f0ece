"""What a person calls an entry: its id, or a name or `llm_alias` that only one entry has."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from micro_agi_kernel.entries import GENERATED_NAMESPACE, EntryId
from micro_agi_kernel.errors import EntryError, ErrorKind, Refused
from micro_agi_kernel.mcp_settings import NAMESPACE
from micro_agi_kernel.registry import Registry, Snapshot
from micro_agi_kernel.values import Json, shorten

NEAREST = 3
"""Ids that one line names."""

ALIKE = 0.6
"""How alike a name must be to be offered, as difflib measures it."""

TOOLS: Mapping[str, Json] = {"meta.type": "tool"}
"""What the index is asked for when only tools are wanted."""


def named(
    registry: Registry, said: str, at: Snapshot | None = None, *, tools: bool = False, cell: bool = False
) -> EntryId:
    """The id that `said` means in the snapshot `at`, or now. Blocks; asks the index, whatever the registry holds.

    A name that nothing has any more is that of a generated entry, if there ever was one. `tools`: other entries do not
    count. An id need not be there. `cell`: it is said in one, which has other commands. Raises EntryError for what is
    none, Refused for a name that nothing or more than one entry has: the line names the nearest.
    """
    if ":" in said:
        return EntryId.parse(said)
    try:
        generated = EntryId.parse(f"{GENERATED_NAMESPACE}:{said}")
    except EntryError as error:
        raise Refused(ErrorKind.INVALID, f"{shorten(said)!r} is no {_what(tools)}: {error}") from error
    snapshot = registry.snapshot() if at is None else at
    wanted = TOOLS if tools else {}
    by_name, _ = snapshot.search(said, {**wanted, ".name": said})
    by_alias, _ = snapshot.search("", {**wanted, "meta.llm_alias": said})
    ids = sorted({head.id for head in (*by_name, *by_alias)})
    if len(ids) > 1:
        more = f" or {len(ids) - NEAREST} more" if len(ids) > NEAREST else ""
        line = f"{said} may be {', '.join(map(str, ids[:NEAREST]))}{more}: write the id"
        raise Refused(ErrorKind.INVALID, line)
    if ids:
        return ids[0]
    if next(registry.versions(1, id=generated), None) is not None:
        return generated
    raise nothing_named(snapshot, said, said, tools=tools, cell=cell)


def need_there(snapshot: Snapshot, id: EntryId, *, tools: bool = False, cell: bool = False) -> None:
    """Raise Refused, with the nearest, unless the snapshot has that entry. Blocks."""
    if not snapshot.has(id):
        raise nothing_named(snapshot, str(id), id.name, tools=tools, cell=cell)


def nothing_named(snapshot: Snapshot, said: str, name: str, *, tools: bool = False, cell: bool = False) -> Refused:
    """The line for what there is not, with what has a name like `name`."""
    what = f"there is no {_what(tools)} {shorten(said)}"
    if cell and said.startswith(NAMESPACE):
        return Refused(ErrorKind.NOT_FOUND, f"{what}; %tools shows those of MCP servers")
    listing = (
        "%registry shows the tools"
        if cell
        else f"`micro-agi registry list{' --type tool' * tools}` shows what there is"
    )
    return Refused(ErrorKind.NOT_FOUND, f"{what}; {nearest(snapshot, name, tools=tools) or listing}")


def nearest(snapshot: Snapshot, name: str, *, tools: bool = False) -> str:
    """`the nearest: ID, ID`, of the entries that have a name like this; "" where none has. Blocks."""
    ids: dict[str, list[str]] = {}
    for head in snapshot.near(name):
        if not tools or head.type == "tool":
            ids.setdefault(head.id.name, []).append(str(head.id))
    names = difflib.get_close_matches(name, ids, NEAREST, cutoff=ALIKE)
    found = [id for each in names for id in sorted(ids[each])][:NEAREST]
    return f"the nearest: {', '.join(found)}" if found else ""


def _what(tools: bool) -> str:
    return "tool" if tools else "entry"
