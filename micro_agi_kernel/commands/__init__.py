"""Cells that are commands: `%name arguments`, alone in its cell, runs here instead of going to the model.

COMMANDS is the table: a name and its function, of one of this folder's modules. What a function takes after session and
context are the command's arguments, by the names that its help shows; a keyword is all that is left of the line. Its
docstring is the help, the first line of it in the list; what it returns is the answer, in Markdown. A name that begins
with % is of a cell whose other lines belong to the command, `%%lua`: its function takes them before the arguments.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from micro_agi_kernel.approval import Ask
from micro_agi_kernel.commands import choices, conversation, notebook, registry, tools
from micro_agi_kernel.commands.lua import lua
from micro_agi_kernel.commands.parameters import parameters
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.events import Event, TextDelta, TurnFinished
from micro_agi_kernel.interfaces import CallContext, Provenance
from micro_agi_kernel.session import Emit, Session
from micro_agi_kernel.values import shorten

Command = Callable[..., Awaitable[str]]

_LIKE = 0.6
"""How alike a name must be to be offered, as difflib measures it."""

_COMMAND = re.compile(r"%(%?[A-Za-z]\w*)(?:[ \t]+(.*))?")


@dataclass(frozen=True, slots=True)
class Said:
    """A cell that is a command, as it is written."""

    name: str
    """Behind the first %."""
    arguments: str
    """The rest of its line."""
    below: str | None
    """The lines below it; None when there are none."""


async def show_help(session: Session, context: CallContext, name: str | None = None) -> str:
    """List the commands, or show all that there is to say of the command NAME."""
    if name is None:
        return "\n".join(f"- `{usage(each)}`: {_help(each).partition(chr(10))[0]}" for each in COMMANDS)
    bare = name.lstrip("%")
    known = next((key for key in COMMANDS if key.lstrip("%") == bare), None) or _known(bare)
    return show_command(known)


def show_command(name: str) -> str:
    """All that there is to say of the command of that key, in Markdown."""
    return f"`{usage(name)}`\n\n{_help(name)}"


COMMANDS: dict[str, Command] = {
    "help": show_help,
    "tools": tools.tools,
    "tool": tools.tool,
    "load": tools.load,
    "call": tools.call,
    "docs": tools.docs,
    "registry": registry.registry,
    "log": registry.log,
    "diff": registry.diff,
    "revert": registry.revert,
    "restore": registry.restore,
    "bisect": registry.bisect,
    "model": choices.model,
    "set": choices.set_setting,
    "pin": notebook.pin,
    "resume": notebook.resume,
    "session": conversation.show_session,
    "cost": conversation.cost,
    "approve": conversation.approve,
    "compact": conversation.compact,
    "reset": conversation.reset,
    "%lua": lua,
    "%parameters": parameters,
}
"""By name, in the order of the help."""


def run_cell(
    session: Session, text: str, *, cell: int = 0, cell_id: str = "", ask: Ask | None = None
) -> AsyncGenerator[Event, None]:
    """What a cell does: its command, or an answer to the prompt; the events of `Session.run`."""
    said = command_in(text)
    if said is None:
        return session.run(text, cell=cell, cell_id=cell_id, ask=ask)
    if said.name == "resume":
        session.notebook.offer = ""  # it is taken up

    async def work(emit: Emit) -> TurnFinished:
        origin = Provenance(prompt=text, session=session.id, cell=cell)
        actor = f"user:{session.workspace.person.name}"
        context = CallContext(actor, emit, provenance=origin, approver=session.approver)
        answer = await _run(session, context, said)
        if answer:
            emit(TextDelta(answer, of_command=True))
        return TurnFinished("ok")

    return session.perform(work, text=text, cell=cell, cell_id=cell_id, ask=ask)


def command_in(text: str) -> Said | None:
    """What a cell says if it is a command, of a name that there is or not; None for a prompt."""
    first, *more = text.strip().splitlines() or [""]
    found = _COMMAND.fullmatch(first.rstrip())
    if found is None or (more and not {found[1], f"%{found[1]}"} & COMMANDS.keys() and not found[1].startswith("%")):
        return None
    return Said(found[1], found[2] or "", _below(text, first) if more else None)


def usage(name: str) -> str:
    """`%revert REV [ID]`, from the function's parameters; a word that is written as it stands is in small letters."""
    words = [f"%{name}"]
    for parameter in arguments_of(name):
        is_word = "Literal" in str(parameter.annotation)
        word = parameter.name if is_word else parameter.name.upper()
        words.append(word if parameter.default is parameter.empty else f"[{word}]")
    return " ".join(words)


async def _run(session: Session, context: CallContext, said: Said) -> str:
    """The answer of one command. Raises Refused, with one line, for a name or arguments that there are not."""
    below, known = said.below, _known(said.name)
    takes_lines = known.startswith("%")
    if below is not None and not takes_lines:
        raise Refused(ErrorKind.INVALID, f"%{known} stands alone in its cell")
    if below is None and takes_lines:
        raise Refused(ErrorKind.INVALID, f"write it as {usage(known)}, and what it works on in the lines below")
    words, named = _arguments(known, said.arguments)
    run = COMMANDS[known]
    try:
        bound = inspect.signature(run).bind(session, context, *([below] if takes_lines else []), *words, **named)
    except TypeError as error:
        raise Refused(ErrorKind.INVALID, f"write it as {usage(known)}") from error
    return await run(*bound.args, **bound.kwargs)


def _known(name: str) -> str:
    """The key of a command, written with one % or two. Raises Refused that names the nearest."""
    for key in (name, name.removeprefix("%")):
        if key in COMMANDS:
            return key
    if f"%{name}" in COMMANDS:
        form = usage(f"%{name}")
        raise Refused(ErrorKind.INVALID, f"write it as {form}; what it works on, such as code, goes on the next line")
    bare = {key.removeprefix("%"): key for key in COMMANDS}
    wanted = name.removeprefix("%").lower()
    alike = [each for each, key in bare.items() if key.startswith("%") == name.startswith("%") or each == wanted]
    near = difflib.get_close_matches(wanted, alike, n=1, cutoff=_LIKE)
    nearest = f"the nearest is {usage(bare[near[0]])}, " if near else ""
    raise Refused(ErrorKind.NOT_FOUND, f"no command %{shorten(name)}; {nearest}%help lists them all")


def _arguments(name: str, text: str) -> tuple[list[str], dict[str, str]]:
    """The words of `text`, and if the command has a keyword all that is left, spaces and all."""
    parameters = arguments_of(name)
    keyword = next((p.name for p in parameters if p.kind is p.KEYWORD_ONLY), None)
    if keyword is None:
        return text.split(), {}
    words = text.split(maxsplit=len(parameters) - 1)
    rest = words[len(parameters) - 1 :]
    return words[: len(parameters) - 1], {keyword: rest[0].strip()} if rest else {}


def arguments_of(name: str) -> list[inspect.Parameter]:
    """Those that a person gives on the line of the command."""
    first = 3 if name.startswith("%") else 2
    return [*inspect.signature(COMMANDS[name]).parameters.values()][first:]


def _help(name: str) -> str:
    return inspect.getdoc(COMMANDS[name]) or ""


def _below(text: str, first: str) -> str:
    """What stands below the line `first`, at the line numbers that it has in the cell."""
    above, _, below = text.partition(first)
    return "\n" * above.count("\n") + below
