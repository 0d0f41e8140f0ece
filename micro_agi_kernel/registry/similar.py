"""Tools that may already do what a new one is meant for: the same code, or a purpose that reads alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from micro_agi_kernel.code_hash import code_hash
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.registry.sidecar_query import CommitRows, Head
from micro_agi_kernel.registry.words import ALIKE, likeness, purpose


@dataclass(frozen=True, slots=True)
class Similar:
    """A tool that is like another."""

    head: Head
    why: Literal["same code", "similar purpose"]


def similar_tools(state: CommitRows, entry: Entry) -> list[Similar]:
    """As `Snapshot.similar`."""
    code = code_hash(entry.source or "")
    found = {head.id: Similar(head, "same code") for head in (state.with_code(code) if code else ())}
    own = purpose(entry.id.name, entry.meta)
    alike = [(likeness(own, other), head) for head, other in state.sharing(own)]
    for rate, head in sorted(alike, key=lambda pair: -pair[0]):
        if rate >= ALIKE:
            found.setdefault(head.id, Similar(head, "similar purpose"))
    found.pop(entry.id, None)
    return list(found.values())
