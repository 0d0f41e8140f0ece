"""Where a session stands between two cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from micro_agi_kernel.entries import EntryId
from micro_agi_kernel.events import Spent
from micro_agi_kernel.messages import Message


@dataclass(frozen=True, slots=True)
class SessionState:
    """Where a session stands between two cells: all that another one needs to go on from there."""

    messages: tuple[Message, ...] = ()
    """The conversation, without the agent's own instructions."""
    cells: int = 0
    """Prompts of the conversation."""
    loaded: tuple[EntryId, ...] = ()
    pinned: str = ""
    """The commit that the notebook is pinned to."""
    registry: str = ""
    """The commit that the last cell saw in the end."""
    spent: Mapping[str, Spent] = field(default_factory=dict)
    """What it took of each model, by its name."""
