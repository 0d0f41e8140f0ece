"""The Jupyter kernel: a cell is a prompt, a turn is a task that can be stopped at any moment."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from types import FrameType
from typing import TYPE_CHECKING, Any

from ipykernel._version import kernel_protocol_version
from tornado.platform.asyncio import BaseAsyncIOLoop

from micro_agi_kernel import __version__
from micro_agi_kernel.errors import MicroAgiError
from micro_agi_kernel.frontends.jupyter.dispatch import DispatchingKernel
from micro_agi_kernel.frontends.jupyter.outcome import metadata_of, outcome
from micro_agi_kernel.frontends.jupyter.prompt import goes_on
from micro_agi_kernel.frontends.jupyter.stdin import Stdin

if TYPE_CHECKING:  # these load with the first cell, or in the background once the kernel answers
    from collections.abc import Callable, Mapping

    from micro_agi_kernel.events import Revision, TurnFinished
    from micro_agi_kernel.session import Session

_CLOSE_SECONDS = 3.0
"""Time that a shutdown gives to a running turn and to the session; Jupyter kills after 5 s."""


class MicroAgiKernel(DispatchingKernel):
    """Speaks the Jupyter protocol on one side and holds a `Session` on the other."""

    implementation = "micro-agi"
    implementation_version = __version__
    banner = (
        f"Micro AGI {__version__}: a cell is a prompt; tools that the agent makes become commits in a Git registry.\n"
        "Ctrl-C stops a cell, Ctrl-D leaves."
    )
    language_info = {  # noqa: RUF012 (the base class has it as a plain attribute too)
        "name": "markdown",
        "version": "0.31",  # of CommonMark
        "mimetype": "text/markdown",
        "file_extension": ".md",
        "pygments_lexer": "markdown",
        "codemirror_mode": "markdown",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._opening: asyncio.Task[Session] | None = None
        self._turn: asyncio.Task[TurnFinished] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._history: list[tuple[int, int, str]] = []
        self._revision: Revision | None = None
        self._color = False

    def make_session(self) -> Session:
        """Open the session that this kernel holds. Runs in a thread: imports and Git take a good part of a second.

        Raises MicroAgiError: the next cell tries again.
        """
        import micro_agi_kernel.commands.cell
        import micro_agi_kernel.frontends.jupyter.sinks  # noqa: F401 (the first cell needs both)
        from micro_agi_kernel.environment import load_settings, notebook_path
        from micro_agi_kernel.session import open_session

        return open_session(load_settings(), notebook_path())

    # -- a cell ------------------------------------------------------------------------------------

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> dict[str, Any]:
        """Run one turn and always come back with a reply: without one the client waits for ever."""
        if silent or not code.strip():
            # A silent request is a front end's, not a person's: no model is asked for it.
            return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}
        if store_history:
            self._history.append((0, self.execution_count, code))
        stdin = Stdin(self) if allow_stdin else None
        self._turn = asyncio.create_task(self._run_turn(code, cell_id=cell_id, stdin=stdin))
        try:
            await asyncio.wait({self._turn})
            failure, self._revision = outcome(self._turn, color=self._color)
        finally:
            self._turn = None
        if failure is None:
            return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}
        await self.abort_waiting()
        self._send("error", failure.content)
        return {"status": "error", "execution_count": self.execution_count, **failure.content}

    async def _run_turn(self, code: str, *, cell_id: str | None, stdin: Stdin | None) -> TurnFinished:
        session = await self._open()
        self._color = session.settings.render.color
        from micro_agi_kernel.commands.cell import run_cell  # no sooner: the session's own imports ran in a thread
        from micro_agi_kernel.frontends.jupyter.sinks import choose_sink, show
        from micro_agi_kernel.frontends.question_text import asker

        render = session.settings.render
        sink = choose_sink(self._send, render, cell_id=cell_id or "", allow_stdin=stdin is not None)
        ask = asker(sink.ask, stdin.read) if stdin is not None else None
        events = run_cell(session, code, cell=self.execution_count, cell_id=cell_id or "", ask=ask)
        return await show(events, sink)

    async def _open(self) -> Session:
        """The session, opened anew if that failed before; a cell that is stopped meanwhile leaves it to the next."""
        opening = self._opening
        if opening is None or (opening.done() and opening.exception() is not None):
            opening = self._opening = asyncio.create_task(asyncio.to_thread(self.make_session))
        await asyncio.wait({opening})
        return opening.result()

    def _send(self, msg_type: str, content: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        self.send_response(self.iopub_socket, msg_type, dict(content), metadata=dict(metadata or {}))

    def finish_metadata(
        self, parent: dict[str, Any], metadata: dict[str, Any], reply_content: dict[str, Any]
    ) -> dict[str, Any]:
        """Put the registry revision of the cell that ends onto its reply."""
        metadata.update(metadata_of(self._revision))
        self._revision = None
        return metadata

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The main thread's loop, for other threads and the signal handler."""
        assert isinstance(self.io_loop, BaseAsyncIOLoop)
        return self.io_loop.asyncio_loop

    # -- interrupts --------------------------------------------------------------------------------

    def on_sigint(self, signum: int, frame: FrameType | None) -> None:
        """The process's SIGINT handler: KeyboardInterrupt would kill an asyncio kernel."""
        self._loop.call_soon_threadsafe(self._cancel_turn)  # wakes a loop that only waits

    async def interrupt_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Stop the running turn; runs in the control thread."""
        self.io_loop.add_callback(self._cancel_turn)
        if self.session:
            self.session.send(stream, "interrupt_reply", {"status": "ok"}, parent, ident=ident)

    def _cancel_turn(self) -> None:
        if self._turn is not None:
            self._turn.cancel()

    # -- the rest of the protocol ------------------------------------------------------------------

    @property
    def kernel_info(self) -> dict[str, Any]:
        """As in the base class, which would import debugpy and claim a debugger and subshells."""
        return {
            "protocol_version": kernel_protocol_version,
            "implementation": self.implementation,
            "implementation_version": self.implementation_version,
            "language_info": self.language_info,
            "banner": self.banner,
            "help_links": [],
            "supported_features": [],
        }

    async def kernel_info_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Answer, then start to load what the first cell needs. May run in the control thread."""
        await super().kernel_info_request(stream, ident, parent)
        self.io_loop.add_callback(self._start_warming)

    def _start_warming(self) -> None:
        if self._warming is None:
            self._warming = asyncio.create_task(self._warm_up())

    async def _warm_up(self) -> None:
        try:
            (await self._open()).preload()
        except MicroAgiError:
            pass  # the first cell tries again, and says it
        except Exception:
            # A boundary: nobody asked for anything yet, and a cell may never meet this bug.
            self.log.warning("warming up failed", exc_info=True)

    async def do_is_complete(self, code: str) -> dict[str, str]:
        """A prompt is complete unless its last line ends in a backslash or a code fence is open."""
        if goes_on(code):
            return {"status": "incomplete", "indent": ""}
        return {"status": "complete"}

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """What could stand at the cursor; nothing where no session can be opened. A running cell goes on."""

        def ask(session: Session) -> dict[str, Any]:
            from micro_agi_kernel.frontends.jupyter.lookup import completion

            return completion(session, code, cursor_pos)

        nothing = {"matches": [], "cursor_start": cursor_pos, "cursor_end": cursor_pos, "metadata": {}}
        return {"status": "ok", **nothing, **await self._look_up(code, ask)}

    async def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """What is known of the word at the cursor, the same on every level of detail."""

        def ask(session: Session) -> dict[str, Any]:
            from micro_agi_kernel.frontends.jupyter.lookup import inspection

            return inspection(session, code, cursor_pos)

        nothing: dict[str, Any] = {"found": False, "data": {}, "metadata": {}}
        return {"status": "ok", **nothing, **await self._look_up(code, ask)}

    async def _look_up(self, code: str, ask: Callable[[Session], dict[str, Any]]) -> dict[str, Any]:
        """What `ask` says of a cell with this code, in a thread; empty when nothing can be said."""
        if not code:  # and so no session is waited for
            return {}
        try:
            session = await self._open()
            return await asyncio.to_thread(ask, session)
        except MicroAgiError:  # the next cell says what is wrong
            return {}
        except Exception:
            # A boundary: without a reply the client would wait for ever.
            self.log.warning("a look-up failed", exc_info=True)
            return {}

    async def do_history(
        self,
        hist_access_type: str,
        output: bool,
        raw: bool,
        session: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        n: int | None = None,
        pattern: str | None = None,
        unique: bool = False,
    ) -> dict[str, Any]:
        """Prompts of this kernel: the last `n` ("tail": a console's arrow-up; "search": that match), or a "range"."""
        items = self._history
        if hist_access_type == "range":
            items = [item for item in items if (start or 0) <= item[1] and (stop is None or item[1] < stop)]
        else:
            if hist_access_type == "search":
                items = [item for item in items if fnmatchcase(item[2], pattern or "*")]
            if unique:
                items = sorted({item[2]: item for item in items}.values())
            items = items[-n:] if n else items
        return {"status": "ok", "history": [(s, i, (text, None)) if output else (s, i, text) for s, i, text in items]}

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """Stop the turn and close the session; runs in the control thread."""
        closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        await asyncio.wrap_future(closing)
        return {"status": "ok", "restart": restart}

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._turn is not None:
                    self._turn.cancel()
                    await asyncio.wait({self._turn})
                if self._opening is not None:
                    await asyncio.wait({self._opening})
                    if self._opening.exception() is None:
                        await self._opening.result().close()
        except Exception:
            # A boundary: the process ends now, whatever the session says.
            self.log.warning("the session did not close cleanly", exc_info=True)
