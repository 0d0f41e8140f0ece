"""Changes how ipykernel takes requests from the shell channel: some beside a running cell, none after a failed one.

Only what this needs of ipykernel's inside is here: look here first when a new ipykernel breaks the kernel.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import Any

import zmq
from ipykernel.kernelbase import Kernel

_CONCURRENT = frozenset({"complete_request", "inspect_request"})
"""Requests that are answered while a cell runs."""

_STEPS_TO_LOCK = 3
"""Steps of the event loop that ipykernel takes from reading a message to asking for the shell lock, and one more."""


class DispatchingKernel(Kernel):
    """A kernel whose cell may be a task that others cancel, and that answers small requests beside it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._aborter: asyncio.Task[None] | None = None

    async def shell_main(self, subshell_id: str | None, msg: Any) -> None:
        """Let completion and inspection through while a cell runs, as the base class does for comms."""
        if not (self._main_asyncio_lock.locked() and self._message_type(msg) in _CONCURRENT):
            await super().shell_main(subshell_id, msg)
            return
        running = self.get_parent("shell")
        ident = self._get_shell_context_var(self._shell_parent_ident)
        request = asyncio.create_task(self._dispatch_beside(msg, running), context=copy_context())
        try:
            await request
        finally:
            self.set_parent(ident, running, channel="shell")

    async def _dispatch_beside(self, msg: Any, running: dict[str, Any]) -> None:
        await self.dispatch_shell(msg, concurrent=True)
        # Front ends wait for the idle of their request; the cell is busy still, and says so again.
        self._publish_status("idle", "shell")
        self._publish_status("busy", "shell", parent=running)

    def _message_type(self, msg: Any) -> str:
        assert self.session is not None
        try:
            _, frames = self.session.feed_identities(msg, copy=False)
            return str(self.session.deserialize(frames, content=False, copy=False)["header"]["msg_type"])
        except (ValueError, TypeError, KeyError):
            return ""  # the base class reports broken messages

    def should_handle(self, stream: Any, msg: dict[str, Any], idents: Any) -> bool:
        """Handle every request, with half a surrogate pair in its code as a replacement character.

        A browser's JSON may hold one, our messages cannot: the base class would send no reply.
        """
        if isinstance(code := msg["content"].get("code"), str):
            msg["content"]["code"] = code.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return True

    def front_end_of_request(self) -> list[bytes]:
        """Where an answer to the shell request of the running task goes, as sockets spell it."""
        # The base class keeps the list of a message's identities under a type that says one.
        return self._get_shell_context_var(self._shell_parent_ident)  # type: ignore[arg-type]

    def pre_handler_hook(self) -> None:
        """Leave the SIGINT handler alone: the base class would install Python's own."""

    def post_handler_hook(self) -> None:
        """See pre_handler_hook."""

    async def abort_waiting(self) -> None:
        """Abort the cells that were queued behind the one that failed; called before its reply goes out.

        They wait for the shell lock, first come, first served: a task that queues behind them lowers the
        flag. Who reads the reply and sends the next cell at once comes later than that task.
        """
        if not self.get_parent("shell")["content"].get("stop_on_error", True):
            return
        assert self.shell_stream is not None
        self._aborting = True
        self.shell_stream.flush(zmq.POLLIN)  # what lies at the socket was sent before the reply too
        for _ in range(_STEPS_TO_LOCK):
            await asyncio.sleep(0)
        self._aborter = asyncio.create_task(self._stop_aborting())
        await asyncio.sleep(0)

    async def _stop_aborting(self) -> None:
        async with self._main_asyncio_lock:
            self._aborting = False

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """Done before the reply, by abort_waiting: the base class would also abort what comes after it."""
