"""Questions to the person: what an agent or a tool wants to do, as data, and what can be answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.values import shorten

Answer: TypeAlias = Literal["yes", "no", "always", "nobody"]
"""What came of a question. "always": yes, and for the rest of the session; "nobody": nobody could be asked."""

Subject: TypeAlias = tuple[str, str]
"""An action and its resource: `("registry.create", "app.generated:x")`."""

READING = ("GET", "HEAD")
"""HTTP methods that change nothing at a server that keeps to the rules (RFC 9110, 9.2.1)."""

_NAMED = 3
"""Subjects that one line names."""


@dataclass(frozen=True, slots=True)
class Question:
    """May this be done? Any text of it may be a model's: escape it for the place where it is shown.

    `str` is what it asks about, on one line. Two that are equal show the person the same.
    """

    subjects: tuple[Subject, ...]
    """At least one; for HTTP the resource is method, scheme and host. Of what is created "always" is about its updates
    too."""
    asker: str
    """"service:agent", or "tool:<id>"."""
    policies: tuple[str, ...]
    """Those that say "ask"."""
    about: str = ""
    """One line more: what the tool says of itself, the input of a call, method and URL of a request."""
    diff: str = ""
    """What would be written, against what stands there: a line begins with +, - or a space. Sources come first."""
    modules: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None
    """Those that source and tests name, where http_client may be required; it may ask for others too."""
    tests: int | None = None
    """How many passed; None where none were run."""
    code: str = ""
    """A digest of what is loaded or called: "always" holds as long as that stays the same. Empty: nothing is."""

    @property
    def covers(self) -> frozenset[Subject]:
        """What "always" as the answer is about."""
        return frozenset((action, f"{resource} {self.code}".rstrip()) for action, resource in self.subjects)

    def __str__(self) -> str:
        named = [f"{action} on {_printable(resource)}" for action, resource in self.subjects[:_NAMED]]
        more = len(self.subjects) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def not_approved(question: Question, answer: Answer) -> Refused:
    """What the model reads when the answer was not yes."""
    why = "not approved by the person"
    if answer == "nobody":
        why = f"a person must approve this (policy {question.policies[0]}), and nobody can be asked here"
    return Refused(ErrorKind.PERMISSION_DENIED, f"{why}: {question}", retryable=False)


def read_answer(text: str) -> Answer | None:
    """y/yes, n/no, a/always, in any case; None for anything else."""
    match text.strip().lower():
        case "y" | "yes":
            return "yes"
        case "n" | "no":
            return "no"
        case "a" | "always":
            return "always"
        case _:
            return None


def _printable(resource: str) -> str:
    shown = shorten(resource, 300)
    return shown if shown.isprintable() else repr(shown)
