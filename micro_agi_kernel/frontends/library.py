"""Micro AGI as a Python library: an agent that a script or a Python notebook asks, and its registry to be read.

    with Agent() as agent:
        print(agent.ask("What time is it in Lisbon?"))

docs/library.md shows all of it. What the package gives by name stands in its `__init__`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, get_args

from micro_agi_kernel.commands.cell import run_cell
from micro_agi_kernel.entries import Entry
from micro_agi_kernel.environment import load_settings
from micro_agi_kernel.errors import ErrorKind, MicroAgiError, Refused, ToolError
from micro_agi_kernel.events import (
    CommandAnswered,
    DiffShown,
    Event,
    Notice,
    RegistryShown,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
)
from micro_agi_kernel.frontends.markdown_as_text import markdown_as_text
from micro_agi_kernel.frontends.panel_text import diff_markdown, panel_markdown
from micro_agi_kernel.frontends.session_thread import Running, SessionThread, tell_lines
from micro_agi_kernel.frontends.text import one_line
from micro_agi_kernel.naming import TOOLS, named, need_there
from micro_agi_kernel.questions import Answer, Question
from micro_agi_kernel.registry import Registry, Version
from micro_agi_kernel.session import open_session
from micro_agi_kernel.values import check_json

Approve: TypeAlias = Callable[[Question], Answer]
"""Answers what policies want a person asked: "yes", "no", or "always", which is for as long as the agent lives."""


class Agent:
    """A conversation with an agent that writes its own tools, for code that is not asynchronous.

    It works in a thread of its own, also where an event loop is running, as in a notebook, and does one thing at a
    time: whoever asks it meanwhile gets a MicroAgiError. Close it, or use it as a context manager. For asynchronous
    code there is `open_session`.
    """

    def __init__(self, /, *, approve: Approve | None = None, **settings: object) -> None:
        """Open the registry, which is made where there is none; no model is needed until one is asked.

        `settings` are those of docs/settings.md by name, with `_` for the dot: `model="demo", limits_steps=5`. They go
        before those of the environment and the config file. `approve` is called in the thread that takes the events;
        without one, the answer to every question is no. Raises MicroAgiError for a setting or a registry that cannot
        be used.
        """
        if approve is not None and not callable(approve):
            raise Refused(ErrorKind.INVALID, one_line(f"approve is a function of a question, not {approve!r}"))
        self._approve = approve
        self._cells = 0
        self._thread = SessionThread(open_session(load_settings(None, **settings)))

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs and end all that the agent started: processes, threads, files. Harmless when repeated."""
        self._thread.close()

    def run(self, prompt: str) -> Generator[Event, None, None]:
        """Answer a prompt, or do a command such as `%tools`: its events as they come, the last one is TurnFinished.

        A turn that fails ends with a TurnFinished that says so. Leaving the loop over the events stops the turn, and
        so does an interrupt (Ctrl-C): the running tool is killed, and the next prompt goes on from what was said.
        Raises MicroAgiError when the agent is busy or closed, and what `approve` raises.
        """
        if not isinstance(prompt, str):
            raise Refused(ErrorKind.INVALID, one_line(f"the prompt is text, not {prompt!r}"))
        check_json(prompt, "the prompt")
        session, approve = self._thread.session, self._approve
        self._cells += 1
        cell = self._cells

        async def work(running: Running[Event, None]) -> None:
            async def ask(question: Question) -> Answer:
                assert approve is not None
                return await running.there(lambda: _checked(approve(question)))

            async with aclosing(run_cell(session, prompt, cell=cell, ask=ask if approve else None)) as events:
                async for event in events:
                    running.give(event)

        running = self._thread.begin(work)
        try:
            yield from running
        finally:
            for _ in running.stop():
                """Nobody is there any more to take it."""
        running.result()

    def ask(self, prompt: str) -> str:
        """The text of the answer to a prompt (the model's Markdown), or what a command answers, as a terminal shows it.

        Of several pieces, between which tools were called, it is the last. Notes to the person go to the logger
        `micro_agi_kernel`. Raises MicroAgiError, in one line, when the turn fails.
        """
        pieces: list[str] = []
        answers: list[str] = []
        called = False
        for event in self._told(prompt):
            match event:
                case ToolStarted():
                    called = True
                case TextDelta(text):
                    if called:
                        pieces.clear()
                    called = False
                    pieces.append(text)
                case CommandAnswered(markdown):
                    answers.append(markdown_as_text(markdown))
                case RegistryShown():
                    answers.append(markdown_as_text(panel_markdown(event)))
                case DiffShown():
                    answers.append(markdown_as_text(diff_markdown(event)))
        return "".join(pieces) or "\n\n".join(answers)

    def call(self, id: str, input: Mapping[str, Any] | None = None) -> Any:
        """Call a tool, or another entry with a function, by its id or a name that only one has; what it gives, as JSON.

        The call is the person's, under the policies and limits of any other; no model is asked. `run('%call ID JSON')`
        is the same with its events. Bytes that are no text come as `{"base64": ..., "note": ...}`. Raises ToolError
        when the call failed, also when the tool says so itself by an `error` in what it gives; MicroAgiError where
        there is no such entry.
        """
        if input is not None and not isinstance(input, Mapping):
            raise Refused(ErrorKind.INVALID, one_line(f"the input is an object, not {input!r}"))
        given = {} if input is None else dict(input)
        check_json(given, "the input")
        value = None
        for event in self._told(f"%call {_word(id)} {json.dumps(given)}"):
            if isinstance(event, ToolFinished):
                if event.status == "error":
                    raise ToolError(one_line(event.summary))
                value = event.value
        return value

    @property
    def registry(self) -> RegistryView:
        """The registry, to be read."""
        self._thread.check_open()
        return RegistryView(self._thread)

    def _told(self, text: str) -> Generator[Event, None, None]:
        """The events of `run`; notices go to the log, and a turn that fails raises."""
        for event in self.run(text):
            if isinstance(event, Notice):
                tell_lines([event.text])
            elif isinstance(event, TurnFinished) and event.status == "error":
                raise MicroAgiError(one_line(event.error))
            yield event


class RegistryView:
    """What an agent's registry holds now, and how it came to that. Nothing can be written here.

    Each question is answered from the newest commit there is then, whoever wrote it. Raises MicroAgiError when the
    registry cannot be read, or the agent is closed.
    """

    def __init__(self, thread: SessionThread) -> None:
        self._thread = thread

    @property
    def path(self) -> Path:
        """Where the bare repository lies."""
        return self._open().path

    @property
    def head(self) -> str:
        """The newest commit, 40 hexadecimal digits."""
        return self._open().head()

    def tools(self) -> list[Entry]:
        """All tools, sorted by id."""
        return self._open().snapshot().find(TOOLS)

    def entry(self, id: str) -> Entry:
        """The entry of that id, or of a name that only one has. Raises MicroAgiError where there is none."""
        snapshot = self._open().snapshot()
        meant = named(self._open(), _word(id), snapshot)
        need_there(snapshot, meant)
        entry = snapshot.get(meant)
        assert entry is not None
        return entry

    def log(self, limit: int | None = 20, *, id: str | None = None) -> list[Version]:
        """The newest commits, the newest first; those that changed the entry `id` alone, which may be gone by now.

        `limit` is how many at most; None: all.
        """
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
            line = f"limit is a whole number of commits, or None for all, not {limit!r}"
            raise Refused(ErrorKind.INVALID, one_line(line))
        registry = self._open()
        most = None if limit is None else min(limit, sys.maxsize)
        return list(registry.versions(most, id=None if id is None else named(registry, _word(id))))

    def _open(self) -> Registry:
        self._thread.check_open()
        return self._thread.session.workspace.registry


def _checked(answer: Answer) -> Answer:
    """`answer`, or Refused when it is none: whoever wrote True is not to wonder why it is a no."""
    if answer not in get_args(Answer):
        line = f"approve answers one of {', '.join(map(repr, get_args(Answer)))}, not {answer!r}"
        raise Refused(ErrorKind.INVALID, one_line(line))
    return answer


def _word(id: str) -> str:
    """`id`, or Refused when it cannot be the id or the name of an entry."""
    if not isinstance(id, str) or id.split() != [id]:
        line = f"{id!r} is no entry: write its id, such as app.tools:registry_list"
        raise Refused(ErrorKind.INVALID, one_line(line))
    return id
