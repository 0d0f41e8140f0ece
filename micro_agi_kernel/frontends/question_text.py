"""A question to the person as text that a terminal or a notebook may show, and the reading of its answer."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Mapping

from micro_agi_kernel.approval import Ask
from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.questions import Answer, Question, read_answer
from micro_agi_kernel.values import shorten

CHOICE = "[y]es, [n]o, [a]lways for this session: "
AGAIN = "y, n or a? anything else is no: "

ANSWERS: Mapping[Answer, str] = {
    "yes": "yes",
    "no": "no",
    "always": "yes, for this session",
    "nobody": "no, nobody can be asked here",
}

SHOWN = 131_072
"""Characters of a diff that are shown: far above any tool that the agent writes alone."""

SHOWN_ABOUT = 1_200
"""The same of the one line about it, which may be an input or a URL: of a longer one its head and its tail."""

_TAIL = 400
_HOSTS = 20
_COLUMNS = 80
"""A line is at most so long, or as long as the terminal is wide."""


def asker(show: Callable[[Question], None], read: Callable[[str], Awaitable[str | None]]) -> Ask:
    """A way to the person: `show` shows them a question, `read` reads the line of their answer, see `ask_twice`."""

    async def ask(question: Question) -> Answer:
        show(question)
        return await ask_twice(question, read)

    return ask


async def ask_twice(question: Question, read: Callable[[str], Awaitable[str | None]]) -> Answer:
    """The person's answer to what `prompt` says; what is none is asked for once more, and then it is no.

    `read` gives None at the end of the input (Ctrl-D), which is no at once.
    """
    for text in (prompt(question), AGAIN):
        line = await read(text)
        if line is None:
            return "no"
        if (answer := read_answer(line)) is not None:
            return answer
    return "no"


def prompt(question: Question) -> str:
    """The line before the answer; what it is about may have scrolled away."""
    return f"approve {one_line(shorten(str(question), 120))}? {CHOICE}"


def question_text(question: Question) -> str:
    """Lines that say all that is known; what a model chose stands behind a word of ours or a bar, wrapped lines too."""
    return "".join(f"  {line}\n" for line in _lines(question))


def _lines(question: Question) -> Iterator[str]:
    asked = ", ".join(f"{action} on {resource}" for action, resource in question.subjects)
    yield f"? {one_line(question.asker)} asks for {one_line(asked)} (policy {one_line(', '.join(question.policies))})"
    if question.about:
        yield from _about(one_line(question.about))
    if question.modules:
        yield from _folded("  modules: ", one_line(", ".join(question.modules)))
    if question.hosts is not None:
        hosts = [one_line(shorten(host, 300)) for host in question.hosts[:_HOSTS]]
        yield from _folded("  hosts that it names: ", ", ".join(hosts) or "none")
        if (missing := len(question.hosts) - _HOSTS) > 0:
            yield f"  and {missing:,} more hosts that are NOT shown: say no unless you know what they are"
    if question.tests is not None:
        yield f"  tests passed: {question.tests or 'none'}"
    if question.diff:
        for line in plain(question.diff[:SHOWN]).removesuffix("\n").split("\n"):
            yield from _folded("  | ", line)
        if (missing := len(question.diff) - SHOWN) > 0:
            yield f"  {missing:,} characters more are NOT shown: say no unless you know what they are"


def _about(text: str) -> Iterator[str]:
    if len(text) <= SHOWN_ABOUT:
        yield from _folded("  about: ", text)
        return
    head, tail = text[: SHOWN_ABOUT - _TAIL], text[-_TAIL:]
    yield from _folded("  about: ", head)
    missing = len(text) - SHOWN_ABOUT
    yield f"  {missing:,} characters here are NOT shown: say no unless you know what they are"
    yield from _folded("  about, its end: ", tail)


def _folded(mark: str, text: str) -> Iterator[str]:
    """`text` behind `mark` in lines that no terminal wraps: the rest of one would begin where our own words do."""
    width = min(_COLUMNS, max(shutil.get_terminal_size().columns, 2 * len(mark))) - 2  # all are indented
    start, left = 0, width - len(mark)
    for at, character in enumerate(text):
        left -= _columns(character)
        if left < 0:
            yield mark + text[start:at]
            mark, start = "  |> ", at
            left = width - len(mark) - _columns(character)
    yield mark + text[start:]


def _columns(character: str) -> int:
    """How many a terminal may take for it, at most."""
    if character == "\t":
        return 8
    return 2 if unicodedata.east_asian_width(character) in "WFA" else 1
