"""What could stand at the cursor of a cell: commands and their arguments, tools, entries, models, pages, files.

All of it is looked up as it is now, so it may be asked while a cell runs. Blocks: call it in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from micro_agi_kernel.commands import COMMANDS, arguments_of
from micro_agi_kernel.entries import GENERATED_NAMESPACE, TOOLS_NAMESPACE
from micro_agi_kernel.evaluation import evaluation_modules
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.model_choice import models_in
from micro_agi_kernel.registry import Head
from micro_agi_kernel.session import Session
from micro_agi_kernel.session_log import SUFFIX
from micro_agi_kernel.settings import AT_START, choices_of, setting_names
from micro_agi_kernel.values import Json, short_commit
from micro_agi_kernel.working_folder import MENTION_BEGUN, names

MOST = 50
"""Matches that are offered: more is no help, and a registry may hold thousands."""

_TOOL: Mapping[str, Json] = {"meta.type": "tool"}

_LOOKED_AT = 200
"""Entries that hold the words of what is typed and are compared with it."""

AROUND = 300
"""Characters at the cursor that are looked at: `re` holds the interpreter, and a cell may have a megabyte. No id, page
or setting is as long."""

_COMMAND = re.compile(r"%(%?\w*)")
_WORD = re.compile(r"[\w.:/%-]*\Z")


@dataclass(frozen=True, slots=True)
class Match:
    """One text that could stand there."""

    text: str
    kind: str
    """"command", "tool", "entry", "model", "page", "revision", "setting", "module", "session" or "file"."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What could replace the characters from `start` to `end` of the cell."""

    start: int
    end: int
    matches: tuple[Match, ...]


def complete(session: Session, text: str, cursor: int) -> Completion:
    """The completion of what stands before `cursor`, a place between characters of `text`. Raises RegistryError."""
    command, behind = _command(text[:cursor].lstrip())
    begin = max(0, cursor - AROUND)
    file = MENTION_BEGUN.search(text, begin, cursor) if command is None else None
    word = file or _WORD.search(text, begin, cursor)
    assert word is not None  # an empty one stands everywhere
    typed = word[0]
    if file is not None:
        found: Iterable[Match] = (Match(f"@{name}", "file") for name in names(session.folder, file[1]))
    elif command is None:
        found = _in_prose(session, typed)
    elif behind is None:
        found = (Match(f"%{name}", "command") for name in COMMANDS)
    else:
        found = _in_command(session, command, behind, typed)
    fitting = (match for match in found if match.text.startswith(typed) and match.text != typed)
    return Completion(word.start(), cursor, tuple(islice(dict.fromkeys(fitting), MOST)))


def _command(before: str) -> tuple[str | None, str | None]:
    """The name of the command that a cell begins with, and what stands behind it; None for what is not there."""
    found = _COMMAND.match(before, 0, AROUND)
    if found is None or "\n" in before:
        return None, None
    behind = before[found.end() :]
    if not behind:
        return found[1], None
    return (found[1], behind) if behind[0] in " \t" else (None, None)


def _in_prose(session: Session, typed: str) -> Iterator[Match]:
    """Names that a prompt may hold; every other word is a person's own."""
    if "/" in typed:
        yield from _pages(session, typed)
    elif ":" in typed or "." in typed:
        yield from _ids(session, typed)
    elif typed:
        yield from _tools(session, typed)


def _in_command(session: Session, name: str, before: str, typed: str) -> Iterable[Match]:
    """What the argument that is being typed may be; `before` is all that stands behind the name."""
    if name not in COMMANDS or not (parameters := arguments_of(name)):
        return ()
    place = len(before.split()) - bool(typed)
    last = len(parameters) - 1
    if place > last and parameters[last].kind is not parameters[last].KEYWORD_ONLY:
        return ()
    parameter = parameters[min(place, last)].name
    if f"{name} {parameter}" == "set value":
        return _values(session, before.split()[0]) if place == last else ()
    source = _SOURCES.get(f"{name} {parameter}") or _SOURCES.get(parameter)
    return source(session, typed) if source is not None else ()


def _commands(session: Session, typed: str) -> Iterator[Match]:
    for name in COMMANDS:
        yield Match(name, "command")


def _ids(session: Session, typed: str) -> Iterator[Match]:
    for head in _heads(session, typed, {}):
        yield Match(str(head.id), "entry")


def _tools(session: Session, typed: str) -> Iterator[Match]:
    """By their names where these say enough, else by their ids."""
    for head in _heads(session, typed, _TOOL):
        short = head.id.namespace in (GENERATED_NAMESPACE, TOOLS_NAMESPACE)
        yield Match(head.id.name if short else str(head.id), "tool")


def _tool_ids(session: Session, typed: str) -> Iterator[Match]:
    yield from _tools(session, typed)
    for head in _heads(session, typed, _TOOL):
        yield Match(str(head.id), "tool")


def _functions(session: Session, typed: str) -> Iterator[Match]:
    """What can be called: tools, and other functions by their ids."""
    yield from _tool_ids(session, typed)
    for head in _heads(session, typed, {".kind": FUNCTION_KIND}):
        if head.type != "tool":
            yield Match(str(head.id), "entry")


def _tools_and_ids(session: Session, typed: str) -> Iterator[Match]:
    yield from _tools(session, typed)
    yield from _ids(session, typed)


def _heads(session: Session, typed: str, filter: Mapping[str, Json]) -> list[Head]:
    words = " ".join(re.findall(r"[^\W_]+", typed))
    return session.workspace.pin.current().search(words, filter, _LOOKED_AT)[0]


def _models(session: Session, typed: str) -> Iterator[Match]:
    for spec in models_in(session.workspace.registry.snapshot())[0]:
        yield Match(spec.name, "model")


def _pages(session: Session, typed: str) -> Iterator[Match]:
    for path in session.workspace.docs.index().paths:
        yield Match(path, "page")


def _revisions(session: Session, typed: str) -> Iterator[Match]:
    for version in session.workspace.registry.versions(MOST):
        yield Match(f"v{version.number}", "revision")
        yield Match(short_commit(version.commit), "revision")


def _settings(session: Session, typed: str) -> Iterator[Match]:
    for name in setting_names():
        yield Match(name, "setting")


def _values(session: Session, key: str) -> Iterator[Match]:
    """What a setting may be, where that is one of a few; of one that `%set` refuses nothing."""
    if key in ("model", "compression.model"):
        yield from _models(session, "")
    elif key in setting_names() and key not in AT_START:
        yield from (Match(value, "setting") for value in choices_of(key))


def _modules(session: Session, typed: str) -> Iterator[Match]:
    for name in sorted(evaluation_modules()):
        yield Match(name, "module")


def _sessions(session: Session, typed: str) -> Iterator[Match]:
    """Those of this notebook first, then the others, the newest first."""
    for talk in islice(session.notebook.talks(), MOST):
        if talk.session != session.id:
            yield Match(talk.session, "session")
    logs = session.settings.sessions.glob(f"*{SUFFIX}")
    for id in sorted((log.name.removesuffix(SUFFIX) for log in logs), reverse=True):
        if id != session.id:
            yield Match(id, "session")


_Source: TypeAlias = Callable[[Session, str], Iterator[Match]]

_SOURCES: Mapping[str, _Source] = {
    "id": _tools_and_ids,
    "load id": _tool_ids,
    "call id": _functions,
    "bisect id": _tool_ids,
    "resume id": _sessions,
    "rev": _revisions,
    "a": _revisions,
    "b": _revisions,
    "key": _settings,
    "modules": _modules,
    "help name": _commands,
    "tool name": _tools,
    "model name": _models,
    "docs query": _pages,
}
"""Where the matches for a parameter come from, by its name, or by its command's and its own."""
