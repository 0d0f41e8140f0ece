"""What a turn tells its front end: one closed union, folded by every sink.

A turn begins with nothing and ends with exactly one TurnFinished, unless it is cancelled: then its events
just end. Every ToolStarted is followed by exactly one ToolFinished with the same `call_id`; the output that
lies between the two carries that id too, since calls may run side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from micro_agi_kernel.entries import EntryId, Operation
from micro_agi_kernel.messages import Usage
from micro_agi_kernel.panels import Change, PanelTool
from micro_agi_kernel.questions import Answer
from micro_agi_kernel.values import Json, Value


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the model's answer (Markdown). Hostile: escape it for the place where it is shown."""

    text: str


@dataclass(frozen=True, slots=True)
class CommandAnswered:
    """All that a command answers, as `markdown_text` writes it: a front end may align its tables."""

    markdown: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the model's visible reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call begins. `name` is the alias that the model used, `arguments` its JSON text."""

    call_id: str
    name: str
    arguments: str
    by_person: bool = False
    """No model asked for it, but a cell."""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool printed, in pieces as it ran. Hostile text."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """How far a tool is: see outputs.Progress."""

    call_id: str
    done: float
    total: float | None
    text: str


@dataclass(frozen=True, slots=True)
class ToolDisplay:
    """One thing that a tool shows, in one or more forms by MIME type: see outputs.Display."""

    call_id: str
    data: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool call ended. `status` is "ok", or "error" (then `summary` is the reason in one line)."""

    call_id: str
    name: str
    status: Literal["ok", "error", "interrupted"]
    summary: str
    seconds: float
    value: Json = None
    """What the call gave, whole; the model may have read less of it. None when it was interrupted."""


@dataclass(frozen=True, slots=True)
class ToolLoaded:
    """The running agent has one tool more, from its next step on."""

    id: EntryId
    alias: str


@dataclass(frozen=True, slots=True)
class EntryPublished:
    """A commit was written to the registry."""

    commit: str
    subject: str
    operations: tuple[Operation, ...]
    policy: str = ""
    """What allowed it: the commit's `Policy:` trailer."""
    tests: int = 0
    """How many passed."""
    diff: str = ""
    """What was updated or deleted, against what stood there: a line begins with +, -, @ or a space, or is `--- file`.
    Of many entries, and of long ones, not all. What was created stands in `operations`. Hostile text."""


@dataclass(frozen=True, slots=True)
class RegistryShown:
    """The person looked for tools in the registry: those that were found, with their history."""

    query: str
    """The words that they have; "" for all tools."""
    total: int
    """How many were found; no more than a panel holds are in `tools`."""
    tools: tuple[PanelTool, ...]


@dataclass(frozen=True, slots=True)
class DiffShown:
    """The person compared two revisions that differ."""

    changes: tuple[Change, ...]
    all_of_it: str = ""
    """The command of a shell that shows all of it; "" when nothing is left out here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The person was asked whether something may be done, as policies want it, and this came of it."""

    question: str
    """What it was about: `registry.create on app.generated:x`. Hostile text."""
    policies: tuple[str, ...]
    answer: Answer


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file that the prompt names was read for the model. Hostile: its name, and what is said of it."""

    name: str
    """As the prompt has it."""
    size: int
    """Bytes."""
    sha256: str
    """Of what was read: working_folder.READ bytes of a longer file."""
    said: str
    """What it is and how much of it is sent: `table, 1,204 rows, 5 columns, first 20 sent`."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line from us to the person: a model chosen for them, a retry, a limit reached."""

    text: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Tokens of the model step that just ended, and the model that took it."""

    model: str
    usage: Usage
    cost: float = 0.0
    """Money by the prices of the model's entry (US dollars)."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What model steps took."""

    steps: int = 0
    """Requests that a model answered, those that compress a conversation among them."""
    usage: Usage = field(default_factory=Usage)
    cost: float = 0.0
    """Money, as in UsageReport."""
    seconds: float = 0.0
    """Wall time, tools and all, but for the time that a person took to answer questions."""

    @property
    def tokens(self) -> int:
        """Of prompts and answers."""
        return self.usage.prompt + self.usage.completion

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.steps + other.steps, self.usage + other.usage, self.cost + other.cost, self.seconds + other.seconds
        )


@dataclass(frozen=True, slots=True)
class Revision:
    """What a cell did to the registry: the commits before and after it, and which cell it was."""

    registry: str
    """The commit after the cell."""
    before: str
    session: str
    cell: int


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The end of a turn.

    "ok": the model finished. "error": `error` is the one line for the person, and `error_name` what
    Jupyter calls ename.
    """

    status: Literal["ok", "error"]
    error: str = ""
    error_name: str = ""
    registry: Revision | None = None
    """None when the turn did not come to its first step."""
    spent: Spent = Spent()


Event: TypeAlias = (
    TextDelta
    | CommandAnswered
    | ReasoningDelta
    | ToolStarted
    | ToolOutput
    | ToolProgress
    | ToolDisplay
    | ToolFinished
    | ToolLoaded
    | EntryPublished
    | RegistryShown
    | DiffShown
    | Asked
    | FileRead
    | Notice
    | UsageReport
    | TurnFinished
)
