"""What tools cost to make, by the `Cost:` of their commits, against how often they were used on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from micro_agi_kernel.entries import AGENT, GENERATED_NAMESPACE, EntryId
from micro_agi_kernel.registry import Registry
from micro_agi_kernel.registry.cost import Cost
from micro_agi_kernel.registry.uses import UseCounter, Uses

MOST_COMMITS = 1_000
"""Of one tool: what older ones cost is left out."""
NOT_KNOWN = "not known"
"""What stands for a cost that no commit says."""
NEWEST_COMMITS = 50
"""Of the registry, in which tools are looked for that nobody called yet."""


@dataclass(frozen=True, slots=True)
class ToolCost:
    """One tool that an agent made."""

    id: EntryId
    commits: int
    """Commits of an agent that made it and changed it."""
    cost: Cost
    """Of these, as far as they say it; of a commit of several entries an equal share."""
    uses: Uses


def tool_costs(registry: Registry, uses: UseCounter, limit: int) -> list[ToolCost]:
    """The tools that were used last, then those that were written last, at most `limit`. Blocks."""
    snapshot = registry.snapshot()
    known = dict.fromkeys([*uses.latest(GENERATED_NAMESPACE, limit), *_written(registry)])
    ids = [id for id in known if snapshot.has(id)][:limit]
    return [ToolCost(id, *making(registry, id), uses.of(id)) for id in ids]


def _written(registry: Registry) -> Iterator[EntryId]:
    for version in registry.versions(NEWEST_COMMITS):
        if version.actor == AGENT:
            yield from (id for _, id in version.operations if id.namespace == GENERATED_NAMESPACE)


def making(registry: Registry, id: EntryId) -> tuple[int, Cost]:
    """The commits of an agent that made one tool, and what these cost; see ToolCost. Blocks."""
    commits, cost = 0, Cost()
    for version in registry.versions(MOST_COMMITS, id=id):
        if version.actor == AGENT:
            commits += 1
            said = Cost.parse(version.trailers.get("Cost", "")) or Cost()
            among = max(1, len(version.operations))
            cost += Cost(said.money / among, said.tokens // among, said.steps // among)
    return commits, cost
