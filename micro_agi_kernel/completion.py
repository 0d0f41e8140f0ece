"""What could stand at the cursor of a cell: commands and their arguments, tools, entries, models, pages, files.

All of it is looked up as it is now, so it may be asked while a cell runs. Blocks: call it in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from micro_agi_kernel.commands import COMMANDS, arguments_of, key_of, words_of
from micro_agi_kernel.commands.cell import command_in
from micro_agi_kernel.commands.notebook import first_prompt
from micro_agi_kernel.entries import GENERATED_NAMESPACE, TOOLS_NAMESPACE
from micro_agi_kernel.errors import EntryError, Refused
from micro_agi_kernel.evaluation import evaluation_modules
from micro_agi_kernel.logs.turns import find_log, logs_in, read_header
from micro_agi_kernel.lua_entries import FUNCTION_KIND
from micro_agi_kernel.model_choice import models_in
from micro_agi_kernel.naming import TOOLS, named
from micro_agi_kernel.notebook_memory import minute
from micro_agi_kernel.registry import Head
from micro_agi_kernel.session import Session
from micro_agi_kernel.settings import AT_START, choices_of, setting_names
from micro_agi_kernel.tool_tests import read_tests
from micro_agi_kernel.values import Json, short_commit
from micro_agi_kernel.working_folder import MENTION_BEGUN, names

MOST = 50
"""Matches that are offered: more is no help, and a registry may hold thousands."""

_LOOKED_AT = 200
"""Entries that hold the words of what is typed and are compared with it."""

AROUND = 300
"""Characters at the cursor that are looked at: `re` holds the interpreter, and a cell may have a megabyte. No id, page
or setting is as long."""

_WORD = re.compile(r"[\w.:/%-]*\Z")


@dataclass(frozen=True, slots=True)
class Match:
    """One text that could stand there."""

    text: str
    kind: str
    """"command", "tool", "entry", "model", "page", "revision", "setting", "module", "test" or "file"; of a session when
    it was and its first prompt, which is hostile text."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What could replace the characters from `start` to `end` of the cell."""

    start: int
    end: int
    matches: tuple[Match, ...]


def complete(session: Session, text: str, cursor: int) -> Completion:
    """The completion of what stands before `cursor`, a place between characters of `text`. Raises RegistryError."""
    before = text[:cursor].lstrip()
    said = command_in(before)
    begin = max(0, cursor - AROUND)
    file = MENTION_BEGUN.search(text, begin, cursor) if said is None else None
    word = file or _WORD.search(text, begin, cursor)
    assert word is not None  # an empty one stands everywhere
    typed = word[0]
    if file is not None:
        found: Iterable[Match] = (Match(f"@{name}", "file") for name in names(session.folder, file[1]))
    elif typed.startswith("%") and typed == before:
        found = (Match(f"%{key}", "command") for key in COMMANDS)
    elif said is not None:
        found = _in_command(session, said.name, before[1 + len(said.name) :], typed)
    else:
        found = _in_prose(session, typed)
    fitting = (match for match in found if match.text.startswith(typed) and match.text != typed)
    return Completion(word.start(), cursor, tuple(islice(dict.fromkeys(fitting), MOST)))


def _in_prose(session: Session, typed: str) -> Iterator[Match]:
    """Names that a prompt may hold; every other word is a person's own."""
    if "/" in typed:
        yield from _pages(session, typed)
    elif ":" in typed or "." in typed:
        yield from _ids(session, typed)
        yield from _of_servers(session, typed)
    elif typed:
        yield from _tools(session, typed)


def _in_command(session: Session, name: str, behind: str, typed: str) -> Iterable[Match]:
    """What the argument that is being typed may be; `behind` is all that stands behind the name.

    The lines below the first are the command's own: of these nothing is known.
    """
    key = key_of(name)
    if key is None or "\n" in behind or not (parameters := arguments_of(key)):
        return ()
    place = len(behind.split()) - bool(typed)
    last = len(parameters) - 1
    if place > last and parameters[last].kind is not parameters[last].KEYWORD_ONLY:
        return ()
    parameter = parameters[min(place, last)]
    if words := words_of(parameter):
        return (Match(word, "command") for word in words)
    what = f"{key} {parameter.name}"
    if (after := _AFTER.get(what)) is not None:
        return after(session, behind.split()[0]) if place == last else ()
    source = _SOURCES.get(what) or _SOURCES.get(parameter.name)
    return source(session, typed) if source is not None else ()


def _commands(session: Session, typed: str) -> Iterator[Match]:
    for name in COMMANDS:
        yield Match(name, "command")


def _ids(session: Session, typed: str) -> Iterator[Match]:
    for head in _heads(session, typed, {}):
        yield Match(str(head.id), "entry")


def _tools(session: Session, typed: str) -> Iterator[Match]:
    """By their names where these say enough, else by their ids."""
    for head in _heads(session, typed, TOOLS):
        short = head.id.namespace in (GENERATED_NAMESPACE, TOOLS_NAMESPACE)
        yield Match(head.id.name if short else str(head.id), "tool")


def _tool_ids(session: Session, typed: str) -> Iterator[Match]:
    yield from _tools(session, typed)
    for head in _heads(session, typed, TOOLS):
        yield Match(str(head.id), "tool")


def _of_servers(session: Session, typed: str) -> Iterator[Match]:
    """The tools of MCP servers that are known by now."""
    servers = session.workspace.servers
    for namespace in servers.offering:
        yield from (Match(str(entry.id), "tool") for entry in servers.entries(namespace) or ())


def _agent_tools(session: Session, typed: str) -> Iterator[Match]:
    """What the agent can have."""
    yield from _tool_ids(session, typed)
    yield from _of_servers(session, typed)


def _functions(session: Session, typed: str) -> Iterator[Match]:
    """What can be called: tools, and other functions by their ids."""
    yield from _agent_tools(session, typed)
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


def _tests(session: Session, tool: str) -> Iterator[Match]:
    """The names of a tool's tests."""
    registry = session.workspace.registry
    try:
        entry = registry.snapshot().get(named(registry, tool, cell=True))
        for test in read_tests(entry) if entry is not None else ():
            yield Match(test.name, "test")
    except (EntryError, Refused):  # there is no such tool, or it is broken
        return


def _modules(session: Session, typed: str) -> Iterator[Match]:
    for name in sorted(evaluation_modules()):
        yield Match(name, "module")


def _sessions(session: Session, typed: str) -> Iterator[Match]:
    """Those of this notebook first, then the others, the newest first."""
    others = (log.stem for log in logs_in(session.settings.sessions))
    for id in dict.fromkeys((*(talk.session for talk in session.notebook.talks()), *others)):
        if id != session.id and id.startswith(typed):
            yield Match(id, _what_was_said(session, id))


def _what_was_said(session: Session, id: str) -> str:
    try:
        when = minute(read_header(find_log(session.settings.sessions, id)).time)
    except Refused:  # it is no log, or one of another version
        return "session"
    return f"{when} {first_prompt(session, id)}".strip()


_Source: TypeAlias = Callable[[Session, str], Iterator[Match]]

_SOURCES: Mapping[str, _Source] = {
    "id": _tools_and_ids,
    "load id": _agent_tools,
    "call id": _functions,
    "bisect id": _tool_ids,
    "resume id": _sessions,
    "rev": _revisions,
    "a": _revisions,
    "b": _revisions,
    "key": _settings,
    "modules": _modules,
    "help name": _commands,
    "tool name": _agent_tools,
    "model name": _models,
    "docs query": _pages,
}
"""Where the matches for a parameter come from, by its name, or by its command's and its own."""

_AFTER: Mapping[str, _Source] = {"set value": _values, "bisect test": _tests}
"""The same for what depends on the argument before it: it is given that, and not what is typed."""
