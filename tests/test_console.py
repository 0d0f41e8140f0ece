"""jupyter console with the shipped kernel, through a pseudo-terminal: as a person meets it."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from model_server import Hold, ModelServer, Reply, delta, end, text

from micro_agi_kernel.frontends.jupyter.spec import install_kernelspec

ENDING = "Do you really want to exit"
UP = "\x1b[A"


class Console:
    """`micro-agi console` with its line editor; what it draws is read without the terminal's control sequences."""

    def __init__(self, environment: dict[str, str]) -> None:
        code = "from micro_agi_kernel.frontends.cli.main import main; main(['console'], prog_name='micro-agi')"
        self._terminal = pexpect.spawn(
            sys.executable,
            ["-c", code],
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
            encoding="utf-8",
            timeout=40,
            dimensions=(50, 150),
        )
        self.wait_for("In [1]:")
        # The console asks before its output channel is connected, and waits for ever for what it missed.
        time.sleep(2)

    def wait_for(self, text: str) -> str:
        """Wait until `text` is shown; what came before it."""
        spaced = r"(?:\x1b\[[0-9;?]*[A-Za-z])*".join(re.escape(character) for character in text)
        self._terminal.expect(spaced)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._terminal.before or "")

    def type(self, keys: str) -> None:
        self._terminal.send(keys)

    def interrupt(self) -> None:
        """Ctrl-C, which the terminal sends to every process of the foreground."""
        self._terminal.sendintr()

    def exit(self) -> int:
        self._terminal.sendeof()
        self.wait_for(ENDING)
        self._terminal.send("y\r")
        self._terminal.expect(pexpect.EOF)
        self._terminal.close()
        return int(self._terminal.exitstatus)

    def close(self) -> None:
        self._terminal.close(force=True)


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Console]]:
    """Starts a console in a fresh home, with this interpreter's kernel."""
    install_kernelspec(prefix=str(tmp_path))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share/jupyter"))
    monkeypatch.setenv("MICRO_AGI_HOME", str(tmp_path / "data"))
    started: list[Console] = []

    def start(**environment: str) -> Console:
        started.append(Console(environment))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_a_conversation_and_its_history(console: Callable[..., Console]) -> None:
    terminal = console(MICRO_AGI_MODEL="demo")
    terminal.type("what time is it?\r")
    shown = terminal.wait_for("The current UTC time is 20")
    lines = ["[doc_search] ok", "[create_tool] ok", "[load_tool] ok", "[+] app.generated:current_time_utc"]
    places = [shown.index(f"  {line}\r\n") for line in [*lines, "[current_time_utc] ok"]]
    assert places == sorted(places)
    terminal.wait_for("In [2]:")
    terminal.type(UP)
    terminal.wait_for("what time is it?")
    terminal.type("\r")
    assert "[create_tool]" not in terminal.wait_for("The current UTC time is 20"), "the tool is there already"
    terminal.wait_for("In [3]:")
    terminal.type("%%lua\rreturn 6 *\r7\r\r")
    assert "write it as" not in terminal.wait_for("42"), "an empty line ends it"
    terminal.wait_for("In [4]:")
    assert terminal.exit() == 0


def test_ctrl_c_stops_a_model_that_says_nothing_and_the_kernel_lives(console: Callable[..., Console]) -> None:
    hold = Hold()
    stalled = Reply((delta(role="assistant", content=""), delta(content="Let me see"), hold, end("stop")))
    with ModelServer([stalled, text("I am here.")]) as server:
        terminal = console(OPENAI_BASE_URL=server.url, OPENAI_API_KEY="anything")
        terminal.type("think\r")
        terminal.wait_for("Let me see")
        assert hold.reached.wait(20)
        terminal.interrupt()
        terminal.wait_for("In [2]:")
        assert hold.closed.wait(20), "the request was given up"
        terminal.type("are you there?\r")
        terminal.wait_for("I am here.")
        terminal.wait_for("In [3]:")
        assert terminal.exit() == 0
    contents = [message["content"] for message in server.requests[1].body["messages"]]
    assert any("Let me see" in str(content) for content in contents), "the conversation holds what was shown"
