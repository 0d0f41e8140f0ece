"""What a turn tells its front end: one closed union, folded by every sink.

A turn begins with nothing and ends with exactly one TurnFinished, unless it is cancelled: then its events
just end. Every ToolStarted is followed by exactly one ToolFinished with the same `call_id`; the output that
lies between the two carries that id too, since calls may run side by side.

What the fields hold stands in the docstrings of the classes: `help` shows nothing that stands below a field.
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
    """The next piece of the model's answer.

    `text`: Markdown. Hostile: escape it for the place where it is shown.
    """

    text: str


@dataclass(frozen=True, slots=True)
class CommandAnswered:
    """All that a command answers.

    `markdown`: as `markdown_text` writes it; a front end may align its tables.
    """

    markdown: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the model's visible reasoning.

    `text`: as hostile as the answer's.
    """

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call begins.

    `call_id`: the same in all events of the call.
    `name`: the alias that the model used; of a call of the person's the entry's id, or `lua`.
    `arguments`: JSON text as it was written, which need not be valid.
    `by_person`: no model asked for the call, but a cell.
    """

    call_id: str
    name: str
    arguments: str
    by_person: bool = False


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool printed, in pieces as it ran.

    `call_id`: the call's. `text`: hostile.
    """

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """How far a tool is.

    `call_id`: the call's.
    `done`, `total`: so much of so much, in whatever the tool counts; a `total` of None: not known.
    `text`: a few words about it, or "". Hostile.
    """

    call_id: str
    done: float
    total: float | None
    text: str


@dataclass(frozen=True, slots=True)
class ToolDisplay:
    """One thing that a tool shows.

    `call_id`: the call's.
    `data`: the same in one or more forms, by MIME type: a text, the bytes of a picture, or JSON. Hostile.
    """

    call_id: str
    data: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool call ended.

    `call_id`, `name`: those of its ToolStarted.
    `status`: "ok"; "error", also when the tool says so itself by an `error` in what it gives; or "interrupted": the
    turn was stopped meanwhile.
    `summary`: in one line why it failed, or what it had committed when it was stopped; "" when it is ok. Hostile.
    `seconds`: wall time, but for the time that the person took to answer questions.
    `value`: what the call gave, whole; the model may have read less of it. Of a failed call `{"error": ...}`. None when
    it gave nothing, or was interrupted.
    """

    call_id: str
    name: str
    status: Literal["ok", "error", "interrupted"]
    summary: str
    seconds: float
    value: Json = None


@dataclass(frozen=True, slots=True)
class ToolLoaded:
    """The running agent has one tool more, from its next step on.

    `id`: the entry's. `alias`: the name by which the model calls it.
    """

    id: EntryId
    alias: str


@dataclass(frozen=True, slots=True)
class EntryPublished:
    """A commit was written to the registry.

    `commit`: 40 hexadecimal digits. `subject`: the first line of its message.
    `operations`: what was done, each with `action`, `id` and `entry`, which is None for a delete.
    `policy`: what allowed it, the commit's `Policy:` trailer; "" where no policy was asked.
    `tests`: how many passed.
    `diff`: what was updated or deleted, against what stood there: a line begins with +, -, @ or a space, or is
    `--- file`. Of many entries, and of long ones, not all. What was created stands in `operations`. Hostile.
    """

    commit: str
    subject: str
    operations: tuple[Operation, ...]
    policy: str = ""
    tests: int = 0
    diff: str = ""


@dataclass(frozen=True, slots=True)
class RegistryShown:
    """The person looked for tools in the registry: those that were found, with their history.

    `query`: the words that they have; "" for all tools.
    `total`: how many were found; no more than a panel holds are in `tools`.
    `tools`: each with its `id`, `title`, `source`, `commits` and more.
    """

    query: str
    total: int
    tools: tuple[PanelTool, ...]


@dataclass(frozen=True, slots=True)
class DiffShown:
    """The person compared two revisions that differ.

    `changes`: of each entry or file its `action`, `name` and `diff`.
    `all_of_it`: the command of a shell that shows all of it; "" when nothing is left out here.
    """

    changes: tuple[Change, ...]
    all_of_it: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The person was asked whether something may be done, as policies want it, and this came of it.

    `question`: what it was about: `registry.create on app.generated:x`. Hostile.
    `policies`: the ids of those that wanted it asked.
    `answer`: "yes", "no", "always" (yes, and for the rest of the session), or "nobody" (there was nobody to ask).
    """

    question: str
    policies: tuple[str, ...]
    answer: Answer


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file that the prompt names was read for the model. Hostile: its name, and what is said of it.

    `name`: as the prompt has it. `size`: bytes.
    `sha256`: hexadecimal, of what was read: working_folder.READ bytes of a longer file.
    `said`: what it is and how much of it is sent: `table, 1,204 rows, 5 columns, first 20 sent`.
    """

    name: str
    size: int
    sha256: str
    said: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A line from us to the person: a model chosen for them, a retry, a limit reached.

    `text`: that line.
    """

    text: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What the model step that just ended took.

    `model`: the name of the one that took it.
    `usage`: tokens, `prompt` and `completion`; of these `cached` and `reasoning` are parts.
    `cost`: US dollars, by the prices of the model's entry; 0 where it has none.
    """

    model: str
    usage: Usage
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What model steps took.

    `steps`: requests that a model answered, those that compress a conversation among them.
    `usage`, `cost`: as in UsageReport.
    `seconds`: wall time, tools and all, but for the time that a person took to answer questions.
    """

    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float = 0.0
    seconds: float = 0.0

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
    """What a cell did to the registry.

    `registry`, `before`: the commits after the cell and before it; the same when it wrote nothing that it sees.
    `session`: the id of the session. `cell`: the number of the cell in it; 0 where its front end counts none.
    """

    registry: str
    before: str
    session: str
    cell: int


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The end of a turn.

    `status`: "ok", the model finished or the command was done; or "error".
    `error`: one line for the person, `error_name`: what Jupyter calls ename; both "" when it is ok.
    `registry`: the commits before and after it; None when the registry could not be read.
    `spent`: what its model steps took.
    """

    status: Literal["ok", "error"]
    error: str = ""
    error_name: str = ""
    registry: Revision | None = None
    spent: Spent = Spent()


STOPPED = "the cell was stopped"
"""What is said of a turn that was cancelled, and so has no end of its own."""

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
