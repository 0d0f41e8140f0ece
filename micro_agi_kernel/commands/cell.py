"""A cell that is a command: how it is read, and run here instead of going to the model."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from micro_agi_kernel.approval import Ask
from micro_agi_kernel.commands import COMMANDS, arguments_of, key_of, unknown, usage
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.events import CommandAnswered, Event, TurnFinished
from micro_agi_kernel.interfaces import CallContext, Provenance
from micro_agi_kernel.session import Emit, Session

_COMMAND = re.compile(r"%(%?[A-Za-z]\w*+)(?:[ \t]+(.*))?")
"""Gives nothing back, and so takes a megabyte in one go: completion asks it for each key."""

_HELP = re.compile(r"%{1,2}|\?{1,2}|\??(%{1,2}[A-Za-z]\w*+)\?{0,2}")
"""What asks for help elsewhere, and is no prompt worth a model: `?`, `%`, `%tool?`."""

_SHELL = re.compile(r"!{1,2}[ \t]*[\w.~/][^\n]*")
"""What is a line for a shell elsewhere."""


@dataclass(frozen=True, slots=True)
class Said:
    """A cell that is a command, as it is written."""

    name: str
    """Behind the first %."""
    arguments: str
    """The rest of its line."""
    below: str | None
    """The lines below it; None when there are none."""


def run_cell(
    session: Session, text: str, *, cell: int = 0, cell_id: str = "", ask: Ask | None = None
) -> AsyncGenerator[Event, None]:
    """What a cell does: its command, or an answer to the prompt; the events of `Session.run`."""
    said = command_in(text) or _asked_for_help(text)
    if said is None and _SHELL.fullmatch(text.strip()) is None:
        return session.run(text, cell=cell, cell_id=cell_id, ask=ask)
    if said is not None and said.name == "resume":
        session.notebook.offer = ""  # it is taken up

    async def work(emit: Emit) -> TurnFinished:
        if said is None:
            line = "there is no shell here: a cell is a prompt to the agent, or a command, and %help lists these"
            raise Refused(ErrorKind.INVALID, line)
        origin = Provenance(prompt=text, session=session.id, cell=cell)
        actor = f"user:{session.workspace.person.name}"
        context = CallContext(actor, emit, provenance=origin, approver=session.approver)
        answer = await _run(session, context, said)
        if answer:
            emit(CommandAnswered(answer))
        return TurnFinished("ok")

    return session.perform(work, text=text, cell=cell, cell_id=cell_id, ask=ask)


def command_in(text: str) -> Said | None:
    """What a cell says if it is a command, of a name that there is or not; None for a prompt."""
    written = text.strip()
    if not written.startswith("%"):
        return None
    first, *more = written.splitlines()
    found = _COMMAND.fullmatch(first.rstrip())
    if found is None or (more and key_of(found[1]) is None and not found[1].startswith("%")):
        return None
    return Said(found[1], found[2] or "", _below(text, first) if more else None)


def _asked_for_help(text: str) -> Said | None:
    """`%help`, or `%help NAME`, as people who come from IPython write it; None for anything else."""
    found = _HELP.fullmatch(text.strip())
    return Said("help", found[1] or "", None) if found is not None else None


async def _run(session: Session, context: CallContext, said: Said) -> str:
    """The answer of one command. Raises Refused, with one line, for a name or arguments that there are not."""
    below, known = said.below, key_of(said.name)
    if known is None:
        raise unknown(said.name)
    takes_lines = known.startswith("%")
    if takes_lines and not said.name.startswith("%"):
        line = f"write it as {usage(known)}; what it works on, such as code, goes on the next line"
        raise Refused(ErrorKind.INVALID, line)
    if below is not None and not takes_lines:
        raise Refused(ErrorKind.INVALID, f"%{known} stands alone in its cell: {_instead(known, below)}")
    if below is None and takes_lines:
        raise Refused(ErrorKind.INVALID, f"write it as {usage(known)}, and what it works on in the lines below")
    words, named = _arguments(known, said.arguments)
    run = COMMANDS[known]
    try:
        bound = inspect.signature(run).bind(session, context, *([below] if takes_lines else []), *words, **named)
    except TypeError as error:
        raise Refused(ErrorKind.INVALID, f"write it as {usage(known)}") from error
    return await run(*bound.args, **bound.kwargs)


def _instead(key: str, below: str) -> str:
    """What to do with the lines below a command that takes none."""
    if arguments_of(key) and command_in(below) is None:
        return f"what it takes goes on its line, {usage(key)}, all else into another cell"
    return "write what is below it into another cell"


def _arguments(key: str, text: str) -> tuple[list[str], dict[str, str]]:
    """The words of `text`, and if the command has a keyword all that is left, spaces and all."""
    parameters = arguments_of(key)
    keyword = next((p.name for p in parameters if p.kind is p.KEYWORD_ONLY), None)
    if keyword is None:
        return text.split(), {}
    words = text.split(maxsplit=len(parameters) - 1)
    rest = words[len(parameters) - 1 :]
    return words[: len(parameters) - 1], {keyword: rest[0].strip()} if rest else {}


def _below(text: str, first: str) -> str:
    """What stands below the line `first`, at the line numbers that it has in the cell."""
    above, _, below = text.partition(first)
    return "\n" * above.count("\n") + below
