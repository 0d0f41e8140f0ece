"""A question to the person as text that a terminal or a notebook may show, and the reading of its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.questions import Answer, Question, read_answer
from micro_agi_kernel.values import shorten

PROMPT = "approve? [y]es, [n]o, [a]lways for this session: "
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
"""The same of the one line about it; a description or a URL may be long."""


async def ask_twice(read: Callable[[str], Awaitable[str]]) -> Answer:
    """The person's answer to PROMPT; what is none is asked for once more, and then it is no."""
    return read_answer(await read(PROMPT)) or read_answer(await read(AGAIN)) or "no"


def question_text(question: Question) -> str:
    """Lines that say all that is known; what a model chose stands behind a word of ours or a bar."""
    return "".join(f"  {line}\n" for line in _lines(question))


def _lines(question: Question) -> Iterator[str]:
    asked = ", ".join(f"{action} on {resource}" for action, resource in question.subjects)
    yield f"? {one_line(question.asker)} asks for {one_line(asked)} (policy {one_line(', '.join(question.policies))})"
    if question.about:
        yield f"  about: {one_line(shorten(question.about, SHOWN_ABOUT))}"
    if question.modules:
        yield f"  modules: {one_line(', '.join(question.modules))}"
    if question.hosts is not None:
        yield f"  hosts that it names: {one_line(', '.join(question.hosts)) or 'none'}"
    if question.tests is not None:
        yield f"  tests passed: {question.tests or 'none'}"
    if question.diff:
        yield from (f"  | {line}" for line in plain(question.diff[:SHOWN]).removesuffix("\n").split("\n"))
        if (missing := len(question.diff) - SHOWN) > 0:
            yield f"  {missing:,} characters more are NOT shown: say no unless you know what they are"
