"""`micro-agi ask` where policies want a person asked: at a terminal, and where there is none."""

from __future__ import annotations

import json
import os
import pty
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_kit import SECONDS, Started, publish
from click.testing import Result

PROMPT = "? [y]es, [n]o, [a]lways for this session: "
FETCH = "return { handler = function() return require('http_client').get('http://127.0.0.1:9') end }"
ID = "app.generated:current_time_utc"


@pytest.fixture(autouse=True)
def guarded(seeded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRO_AGI_PROFILE", "guarded")
    monkeypatch.setenv("MICRO_AGI_SANDBOX_REQUIRE", "limits")  # what this machine can do is for other tests


class Terminal:
    """A terminal with a person before it; what a command writes to stdout goes elsewhere."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self.seen = ""

    def until(self, text: str) -> str:
        """Read until `text` is there, and forget it; what stood before it."""
        while text not in self.seen:
            self.seen += os.read(self._ours, 65_536).decode().replace("\r\n", "\n")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def leave(self) -> None:
        os.close(self.theirs)

    def close(self) -> None:
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def start_at(terminal: Terminal, *arguments: str) -> Started:
    command = Started(*arguments, stdin=terminal.theirs, stderr=terminal.theirs)
    terminal.leave()  # so that reading ends when the command does
    return command


def test_the_person_at_the_terminal_is_asked(terminal: Terminal) -> None:
    command = start_at(terminal, "ask", "--model", "demo", "what time is it?")
    shown = terminal.until(PROMPT)
    assert f"? service:agent asks for registry.create on {ID} (policy guarded:ask_write)\n" in shown
    assert "    | --- current_time_utc.lua\n    | +" in shown
    terminal.type("maybe\n")
    terminal.until("y, n or a? anything else is no: ")
    terminal.type("y\n")
    loads = terminal.until(PROMPT)
    assert f"asks for tool.load on {ID}" in loads and loads.endswith(f"\napprove tool.load on {ID}")
    terminal.type("a\n")
    out, _ = command.process.communicate(timeout=SECONDS)
    assert command.process.returncode == 0
    assert f"  asked: registry.create on {ID}: yes\n" in out.decode() and f"  [+] {ID}\n" in out.decode()
    assert f"  asked: tool.load on {ID}: yes, for this session\n" in out.decode()


def test_a_line_typed_ahead_answers_no_question_that_nobody_saw(terminal: Terminal) -> None:
    command = start_at(terminal, "ask", "--model", "demo", "what time is it?")
    terminal.until(PROMPT)
    terminal.type("y\ny\n")
    terminal.until(f"asks for tool.load on {ID}")
    terminal.until(PROMPT)
    terminal.type("n\n")
    out, _ = command.process.communicate(timeout=SECONDS)
    assert f"  asked: registry.create on {ID}: yes\n" in out.decode()
    assert f"  asked: tool.load on {ID}: no\n" in out.decode()


def test_ctrl_c_at_a_question(terminal: Terminal, cli: Callable[..., Result]) -> None:
    command = start_at(terminal, "ask", "--model", "demo", "what time is it?")
    terminal.until(PROMPT)
    os.killpg(command.process.pid, signal.SIGINT)
    command.process.communicate(timeout=SECONDS)
    assert command.process.returncode == 130
    assert ID not in cli("registry", "list").stdout


def test_a_call_asks_too(terminal: Terminal) -> None:
    publish("app.generated:fetch", FETCH, modules=("http_client",))
    command = start_at(terminal, "call", "app.generated:fetch")
    assert "? service:agent asks for tool.call on app.generated:fetch" in terminal.until(PROMPT)
    terminal.type("y\n")
    request = "http_client.request on GET/HEAD http://127.0.0.1:9"
    assert f"? tool:app.generated:fetch asks for {request}" in terminal.until(PROMPT)
    terminal.type("n\n")
    command.process.communicate(timeout=SECONDS)
    assert command.process.returncode == 1
    terminal.until(f"not approved by the person: {request}")


def test_ctrl_d_at_a_question_is_a_no(terminal: Terminal) -> None:
    publish("app.generated:fetch", FETCH, modules=("http_client",))
    command = start_at(terminal, "call", "app.generated:fetch")
    terminal.until(PROMPT)
    terminal.type("\x04")
    command.process.communicate(timeout=SECONDS)
    assert command.process.returncode == 1
    assert "y, n or a?" not in terminal.until("not approved by the person: tool.call on app.generated:fetch")


def test_where_nobody_sits_the_answer_is_no(cli: Callable[..., Result]) -> None:
    shown = cli("ask", "--model", "demo", "what time is it?", input="y\ny\n").stdout
    assert f"  asked: registry.create on {ID}: no, nobody can be asked here\n" in shown
    lines = cli("ask", "--json", "--model", "demo", "what time is it?", input="y\n").stdout.splitlines()
    events = [event for line in lines if (event := json.loads(line))["event"] == "Asked"]
    question = {"question": f"registry.create on {ID}", "policies": ["guarded:ask_write"], "answer": "nobody"}
    assert events and events[0] == {"event": "Asked", **question}
