"""Interrupts at random moments of a cell, in a notebook and in jupyter console: the next cell is right every time."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kernel_kit import Outputs, shown_text, vscode
from model_server import Hold, ModelServer, Reply, calls, delta, end, reply, text
from registries_kit import made_in
from test_console import Console, console

__all__ = ["console"]

TIMES = 50 if os.environ.get("MICRO_AGI_FULL") == "1" else 3
SEED = 20_260
LONGEST = 0.06
"""Seconds from the beginning of a step to its interrupt at most: longer than a step takes where nothing else runs."""

AGAIN = 3.0
"""Seconds after which a person presses again, since the first came before the cell began."""


def answer(request: dict[str, Any]) -> Reply:
    """To `work N`: words, a look at the documentation, a new tool, its use, words without an end; else words."""
    messages = request["messages"]
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    prompt = messages[last]["content"]
    if not prompt.startswith("work"):
        return text("fine ", prompt.removeprefix("say "), ".")
    name = f"made_{prompt.removeprefix('work ')}"
    steps = (
        reply(("Let ", "me ", "see ", "first. "), [("doc_search", {"path": "lua/core/time"})]),
        calls(("create_tool", made(name))),
        calls(("load_tool", {"id": f"app.generated:{name}"})),
        calls((name, {})),
        Reply((delta(content="It "), 0.02, delta(content="is "), 0.02, delta(content="long. "), Hold(), end("stop"))),
    )
    return steps[sum(message["role"] == "tool" for message in messages[last:])]


def made(name: str) -> dict[str, Any]:
    source = f"return {{handler = function(input) print('{name}') return 1 end}}"
    return {"name": name, "description": f"The tool {name}", "source": source, "input_schema": {"type": "object"}}


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    with ModelServer(answer) as server:
        monkeypatch.setenv("MICRO_AGI_MODEL", "")
        monkeypatch.setenv("OPENAI_API_KEY", "anything")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def whole(home: Path) -> None:
    """What was made was made whole: each tool once."""
    names = made_in(home)
    assert len(names) == len(set(names)) <= TIMES


class Moments:
    """When to interrupt: for each cell a step of the five, and some time after it began; 0 is before the first."""

    def __init__(self, server: ModelServer, *, first: int) -> None:
        self._random = random.Random(SEED)
        self._server = server
        self._first = first

    def begin(self) -> None:
        """A cell is about to be sent."""
        self._requests = len(self._server.requests) + self._random.randint(self._first, 5)
        self._delay = self._random.uniform(0, LONGEST)
        self._at: float | None = None

    @property
    def is_now(self) -> bool:
        """Whether to press; once, and again when that was too soon."""
        now = time.monotonic()
        if self._at is None and len(self._server.requests) >= self._requests:
            self._at = now + self._delay
        if self._at is None or now < self._at:
            return False
        self._at = now + AGAIN
        return True


def test_in_a_notebook(home: Path, server: ModelServer) -> None:
    moments = Moments(server, first=0)
    with vscode() as code:

        def press(outputs: Outputs) -> None:
            if moments.is_now:
                code.interrupt()

        for number in range(TIMES):
            moments.begin()
            stopped, outputs = code.run(f"work {number}", press)
            assert stopped["ename"] == "Interrupted", number
            assert [output.output_type for output in outputs].count("error") == 1
            answered, outputs = code.run(f"say {number}")
            assert answered["status"] == "ok" and f"fine {number}." in shown_text(outputs), number
        assert code.notebook.replaced == 0
    whole(home)


def test_in_the_console(home: Path, server: ModelServer, console: Callable[..., Console]) -> None:
    moments = Moments(server, first=1)  # before, a Ctrl-C may be the line editor's
    terminal = console(MICRO_AGI_HOME=str(home / "data"))
    for number in range(TIMES):
        moments.begin()
        terminal.type(f"work {number}\r")
        while not moments.is_now:
            time.sleep(0.002)
        terminal.interrupt()
        terminal.wait_for("Interrupted")
        terminal.wait_for(f"In [{2 * number + 2}]:")
        terminal.type(f"say {number}\r")
        terminal.wait_for(f"fine {number}.")
        terminal.wait_for(f"In [{2 * number + 3}]:")
    assert terminal.exit() == 0
    whole(home)
