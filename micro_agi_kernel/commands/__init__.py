"""The table of the commands, `%name arguments` alone in a cell, and what is said of each.

A command is a name and its function, of one of this folder's modules. What a function takes after session and context
are the command's arguments, by the names that its help shows; a keyword is all that is left of the line, and words of a
Literal are written as they stand. Its docstring is the help, the first line of it in the list; what it returns is the
answer, in Markdown. A name that begins with % is of a cell whose other lines belong to the command, as `%%lua` is: its
function takes them before the arguments. How a cell is read and run is in cell.py.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Awaitable, Callable
from typing import Literal, get_args, get_origin

from micro_agi_kernel.commands import choices, conversation, notebook, registry, tools
from micro_agi_kernel.commands.lua import lua
from micro_agi_kernel.commands.parameters import parameters
from micro_agi_kernel.errors import ErrorKind, Refused
from micro_agi_kernel.interfaces import CallContext
from micro_agi_kernel.naming import ALIKE
from micro_agi_kernel.session import Session
from micro_agi_kernel.values import shorten

Command = Callable[..., Awaitable[str]]


async def show_help(session: Session, context: CallContext, name: str | None = None) -> str:
    """List the commands, or show all that there is to say of the command NAME."""
    if name is None:
        return "\n".join(f"- `{usage(each)}`: {_help(each).partition(chr(10))[0]}" for each in COMMANDS)
    if (key := key_of(name)) is None:
        raise unknown(name.lstrip("%"))
    return show_command(key)


def show_command(key: str) -> str:
    """All that there is to say of the command of that key, in Markdown."""
    return f"`{usage(key)}`\n\n{_help(key)}"


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


def key_of(name: str) -> str | None:
    """The key of a command, however many % its name is written with; None where there is no such command."""
    bare = name.lstrip("%")
    return next((key for key in (bare, f"%{bare}") if key in COMMANDS), None)


def unknown(name: str) -> Refused:
    """The line for a command that there is not, with the nearest; `name` is what stands behind the first %."""
    bare = {key.removeprefix("%"): key for key in COMMANDS}
    wanted = name.removeprefix("%").lower()
    alike = [each for each, key in bare.items() if key.startswith("%") == name.startswith("%") or each == wanted]
    near = difflib.get_close_matches(wanted, alike, n=1, cutoff=ALIKE)
    nearest = f"the nearest is {usage(bare[near[0]])}, " if near else ""
    return Refused(ErrorKind.NOT_FOUND, f"no command %{shorten(name)}; {nearest}%help lists them all")


def usage(key: str) -> str:
    """`%revert REV [ID]`, from the function's parameters; a word that is written as it stands is in small letters."""
    words = [f"%{key}"]
    for parameter in arguments_of(key):
        word = parameter.name if words_of(parameter) else parameter.name.upper()
        words.append(word if parameter.default is parameter.empty else f"[{word}]")
    return " ".join(words)


def arguments_of(key: str) -> list[inspect.Parameter]:
    """Those that a person gives on the line of the command, with their types."""
    first = 3 if key.startswith("%") else 2
    return [*inspect.signature(COMMANDS[key], eval_str=True).parameters.values()][first:]


def words_of(parameter: inspect.Parameter) -> tuple[str, ...]:
    """The words that an argument may be, where these are a few: its type is a Literal of them."""
    is_word = get_origin(parameter.annotation) is Literal
    return tuple(word for word in get_args(parameter.annotation) if word) if is_word else ()


def _help(key: str) -> str:
    return inspect.getdoc(COMMANDS[key]) or ""
