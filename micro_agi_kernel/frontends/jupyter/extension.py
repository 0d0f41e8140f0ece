"""The extension of IPython: `%load_ext micro_agi_kernel`, and then `%%agi` with a prompt below, or `%agi %tools`.

It holds a session of its own in the process of the Python kernel, and shows a turn as our kernel does. Nothing of
Python goes into a prompt: `{name}` and `$name` stay as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from micro_agi_kernel.commands.cell import command_in, run_cell
from micro_agi_kernel.environment import load_settings, notebook_path
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.events import TurnFinished
from micro_agi_kernel.frontends.jupyter.outcome import CellFailure, failure_of, outcome
from micro_agi_kernel.frontends.jupyter.sinks import choose_sink, show
from micro_agi_kernel.frontends.question_text import asker
from micro_agi_kernel.frontends.session_thread import Running, SessionThread
from micro_agi_kernel.session import open_session

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Message: TypeAlias = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""Its type, content and metadata, as the kernel would send it."""


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give the shell `%agi` and `%%agi`. Nothing is opened before the first prompt."""
    magic = Magic(shell)
    for kind in ("line", "cell"):
        shell.magics_manager.register_function(magic.agi, kind, "agi")


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them back, and end the session."""
    shell.magics_manager.magics["line"].pop("agi", None)
    magic = shell.magics_manager.magics["cell"].pop("agi", None)
    if magic is not None:
        magic.__self__.close()


class Magic:
    """What stands behind `%agi`: the session of one shell, which opens with the first prompt."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._thread: SessionThread | None = None

    def agi(self, line: str, cell: str | None = None) -> None:
        """Ask the agent: `%%agi`, and the prompt in the lines below. Or give it a command of the kernel: `%agi %help`
        lists them, `%agi %tools` shows the agent's tools. An interrupt of the cell stops the turn.
        """
        if cell is None and command_in(line) is None:
            # IPython itself would take one that ends in "?" for a question to it.
            why = "a prompt goes below %%agi; %agi is for commands: %agi %help lists them"
            raise _raised(failure_of("Refused", why, color=False))
        text = "\n".join(part for part in (line, (cell or "").removesuffix("\n")) if part.strip())
        if text and (failure := self._answer(text)) is not None:
            raise _raised(failure)

    agi._ipython_magic_no_var_expand = True  # type: ignore[attr-defined]  # what IPython's @no_var_expand does

    def close(self) -> None:
        """End the session, if it was opened."""
        if self._thread is not None:
            self._thread.close()

    def _answer(self, text: str) -> CellFailure | None:
        """Show what comes of a prompt; why it failed."""
        try:
            if self._thread is None:
                self._thread = SessionThread(open_session(load_settings(), notebook_path()))
            cell = _Cell(self._shell, self._thread, text)
            running = self._thread.begin(cell.run)
        except MicroAgiError as error:
            return failure_of(type(error).__name__, str(error), color=False)
        try:
            for message in running:
                cell.show(message)
        except KeyboardInterrupt:
            """The end of the turn says so."""
        finally:
            for message in running.stop():
                cell.show(message)
        assert running.task is not None
        return outcome(running.task, color=self._thread.session.settings.render.color)[0]


class _Cell:
    """A cell of Python that asks: how its front end wants to be shown, and the turn."""

    def __init__(self, shell: InteractiveShell, thread: SessionThread, text: str) -> None:
        self._shell = shell
        self._session = thread.session
        self._text = text
        kernel = getattr(shell, "kernel", None)
        request = kernel.get_parent("shell") if kernel is not None else {}
        self._id = str(request.get("metadata", {}).get("cellId") or "")
        self._allow_stdin = kernel is None or bool(request.get("content", {}).get("allow_stdin"))

    async def run(self, running: Running[Message, TurnFinished]) -> TurnFinished:
        """The turn; in the session's thread."""

        def send(msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
            running.give((msg_type, content, metadata or {}))

        async def read(prompt: str) -> str | None:
            return await running.there(lambda: _line(prompt))

        render = self._session.settings.render
        sink = choose_sink(send, render, cell_id=self._id, allow_stdin=self._allow_stdin)
        ask = asker(sink.ask, read) if self._allow_stdin else None
        number = self._shell.execution_count
        return await show(run_cell(self._session, self._text, cell=number, cell_id=self._id, ask=ask), sink)

    def show(self, message: Message) -> None:
        """Have the shell show a message; in the thread of the cell, to which its output belongs."""
        kind, content, _ = message
        if kind == "stream":
            print(content["text"], end="", flush=True)
            return
        self._shell.display_pub.publish(
            data=content["data"],
            metadata=content["metadata"],
            transient=content["transient"],
            update=kind == "update_display_data",
        )


def _line(prompt: str) -> str | None:
    """A line of the person's; None at the end of the input (Ctrl-D)."""
    try:
        return input(prompt)
    except EOFError:
        return None


def _raised(failure: CellFailure) -> Exception:
    """What IPython shows as our kernel shows a failure: by its name, in one line where it is the person's."""
    kind = type(failure.name, (Exception,), {"_render_traceback_": lambda _: list(failure.traceback)})
    error: Exception = kind(failure.line)
    return error
