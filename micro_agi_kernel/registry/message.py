"""Commit messages: the audit trail's form, written so that no value can forge a line of it.

    Create app.generated:current_time_utc

    Returns the current UTC time.

    Create: app.generated:current_time_utc
    Actor: service:agent
    Policy: undefined (app:deny_core_ns, app:deny_tools_ns)

Values come from models and pages. Whatever they hold, `git interpret-trailers --parse` and
`git log --format='%(trailers)'` read exactly the trailers that stand here, and `git log` in a terminal
shows no escape sequence.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from micro_agi_kernel.entries import Action, Changeset, EntryId
from micro_agi_kernel.errors import EntryError
from micro_agi_kernel.unseen import UNSEEN

MAX_VALUE = 200
"""Characters of one trailer value."""
MAX_BODY = 1_000
"""Characters of the body paragraph."""
MAX_PATH = 500
"""Characters of the path of a file that is no entry."""

_ACTIONS: Mapping[str, Action] = {"Create": "create", "Update": "update", "Delete": "delete"}
_SERVICE = re.compile(rb"^actor[ \t]*:\s*service:", re.IGNORECASE | re.MULTILINE)
_TRAILER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:(.*)")
_ACTOR = re.compile(r"(service|user):\S.*")
_KEPT_FORMATS = "\u200c\u200d"
"""The joiners that Persian, Hindi and emoji need stay where `UNSEEN` lets them; every other format character goes."""


@dataclass(frozen=True, slots=True)
class CommitMessage:
    """What a commit says beside its operations, which come from its changeset. Empty fields give no trailer."""

    actor: str
    """"service:agent", "service:installer" or "user:<name>"."""
    body: str = ""
    """One paragraph for people: what the change is for."""
    policy: str = ""
    modules: tuple[str, ...] = ()
    tests: str = ""
    model: str = ""
    prompt: str = ""
    session: str = ""
    cell: int = 0
    cost: str = ""
    source_sha256: str = ""
    subject: str = ""
    """The first line; empty: what `subject_of` says of the changeset."""
    imports: tuple[str, ...] = ()
    """Ids; as those of `calls`, each is a line of its own, so that no number of them can hide one."""
    calls: tuple[str, ...] = ()

    def render(self, changeset: Changeset) -> bytes:
        """The message of the commit that `changeset` becomes."""
        paragraphs = [clean(self.subject) or subject_of(changeset)]
        if body := _body(self.body):
            paragraphs.append(body)
        lines = [f"{key}: {text}" for key, value in self._trailers(changeset) if (text := clean(value, _limit(key)))]
        paragraphs.append("\n".join(lines))
        return "\n\n".join(paragraphs).encode() + b"\n"

    def _trailers(self, changeset: Changeset) -> Iterator[tuple[str, str]]:
        for operation in changeset.operations:
            yield operation.action.capitalize(), str(operation.id)
        for file in changeset.files:
            yield "File", file.path
        if not _ACTOR.fullmatch(clean(self.actor)):
            raise ValueError(f"not an actor: {self.actor!r}")
        yield "Actor", self.actor
        yield "Policy", self.policy
        yield "Modules", ", ".join(self.modules)
        yield from (("Imports", id) for id in self.imports)
        yield from (("Calls", id) for id in self.calls)
        yield "Tests", self.tests
        yield "Model", self.model
        yield "Prompt", self.prompt
        yield "Session", self.session
        yield "Cell", str(self.cell) if self.cell else ""
        yield "Cost", self.cost
        yield "Source-SHA256", self.source_sha256


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A commit message as it was read; nothing in it can be trusted beyond its commit."""

    subject: str
    body: str
    operations: tuple[tuple[Action, EntryId], ...]
    files: tuple[str, ...]
    trailers: Mapping[str, str]
    """The other trailers; a key that stands twice has its values joined by ", "."""

    @property
    def actor(self) -> str | None:
        """The `Actor:` trailer when it has the form of an actor."""
        actor = self.trailers.get("Actor", "")
        return actor if _ACTOR.fullmatch(actor) else None


def parse_message(raw: bytes) -> ParsedMessage:
    """Read a commit message as Git does: trailers are the last paragraph, if every line of it is one."""
    text = raw.decode(errors="replace").replace("\r\n", "\n").strip("\n")
    paragraphs = [p.strip("\n") for p in re.split(r"\n[ \t]*\n", text)]
    pairs = _pairs(paragraphs[-1]) if len(paragraphs) > 1 else None
    if pairs is not None:
        paragraphs.pop()
    operations: list[tuple[Action, EntryId]] = []
    files: list[str] = []
    trailers: dict[str, str] = {}
    for key, value in pairs or ():
        if key in _ACTIONS and (id := _entry_id(value)) is not None:
            operations.append((_ACTIONS[key], id))
        elif key == "File":
            files.append(value)
        else:
            trailers[key] = f"{trailers[key]}, {value}" if key in trailers else value
    subject = clean(paragraphs[0], MAX_PATH)
    body = "\n\n".join("\n".join(clean(line, MAX_BODY) for line in p.split("\n")) for p in paragraphs[1:])
    return ParsedMessage(subject, body.strip("\n"), tuple(operations), tuple(files), trailers)


def claims_service(message: bytes) -> bool:
    """Whether a reader of Git may take a commit for one of `service:...`, wherever and in whichever case it says so."""
    return _SERVICE.search(message) is not None or (parse_message(message).actor or "").startswith("service:")


def subject_of(changeset: Changeset) -> str:
    """`Create app.generated:x`, `Change 3 entries`; for files alone `Change docs/x.md`, `Change 3 files`."""
    operations, files = changeset.operations, changeset.files
    if len(operations) == 1:
        return f"{operations[0].action.capitalize()} {operations[0].id}"
    if operations:
        return f"Change {len(operations)} entries"
    return f"Change {clean(files[0].path, MAX_PATH)}" if len(files) == 1 else f"Change {len(files)} files"


def clean(text: str, limit: int = MAX_VALUE) -> str:
    """`text` as one line of at most `limit` characters: white space folded, what shows nothing gone."""
    # Cutting first bounds the work on a megabyte of prompt; folding then only makes it shorter.
    text = text[: limit * 8]
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            " " if c.isspace() else c
            for c in text
            if c.isspace() or c in _KEPT_FORMATS or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
        )
        text = UNSEEN.sub("", text)
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else folded[: limit - 1].rstrip() + "…"


def _body(text: str) -> str:
    """One wrapped paragraph, no line of which Git could take for more than text.

    Git cuts a message at a line that begins with `---` or with a comment character and a scissors mark, and
    reads `Key: value` lines as trailers. A line that begins in such a way gets a space in front.
    """
    lines = textwrap.wrap(clean(text, MAX_BODY), 72, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f" {line}" if not line[0].isalnum() or _TRAILER.match(line) else line for line in lines)


def _pairs(paragraph: str) -> list[tuple[str, str]] | None:
    """The trailers of the last paragraph; None when it is ordinary text."""
    pairs: list[tuple[str, str]] = []
    for line in paragraph.split("\n"):
        if line.startswith((" ", "\t")) and pairs:
            key, value = pairs.pop()
            pairs.append((key, clean(f"{value} {line}")))
        elif match := _TRAILER.fullmatch(line):
            pairs.append((match[1], clean(match[2], _limit(match[1]))))
        elif not line.startswith("(cherry picked from commit "):
            return None
    return pairs


def _limit(key: str) -> int:
    return MAX_PATH if key == "File" else MAX_VALUE


def _entry_id(text: str) -> EntryId | None:
    try:
        return EntryId.parse(text)
    except EntryError:
        return None
