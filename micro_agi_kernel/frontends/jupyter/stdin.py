"""The input line of a running cell: a line of text from the person, while the kernel's loop goes on.

ipykernel's own `raw_input` holds the loop until the answer comes, and so an interrupt too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import zmq

if TYPE_CHECKING:
    from micro_agi_kernel.frontends.jupyter.dispatch import DispatchingKernel

_END_OF_INPUT = "\x04"
"""What front ends send for Ctrl-D."""


class Stdin:
    """The stdin channel of the front end that sent the cell. Make it in the task of the cell's request."""

    def __init__(self, kernel: DispatchingKernel) -> None:
        assert kernel.session is not None
        self._session = kernel.session
        self._socket: zmq.Socket[bytes] = kernel.stdin_socket
        self._parent = kernel.get_parent("shell")
        self._ident = kernel.front_end_of_request()
        self._asked: set[str] = set()
        """What an answer may say it is to. Some front ends, jupyter console among them, do not say."""
        self._log = kernel.log

    async def read(self, prompt: str) -> str | None:
        """Ask for a line and wait for it; None at the end of the input (Ctrl-D).

        Cancelling leaves the channel ready for the next question.
        """
        self._asked.clear()
        while self._receive() is not None:
            """It answers a question that was taken back."""
        content = {"prompt": prompt, "password": False}
        sent = self._session.send(self._socket, "input_request", content, self._parent, ident=self._ident)
        assert sent is not None
        self._asked |= {sent["header"]["msg_id"], self._parent["header"]["msg_id"]}
        loop, something, file = asyncio.get_running_loop(), asyncio.Event(), int(self._socket.getsockopt(zmq.FD))
        loop.add_reader(file, something.set)  # it tells of what comes after the socket was found empty
        try:
            while (answer := self._receive()) is None:
                await something.wait()
                something.clear()
        finally:
            loop.remove_reader(file)
        return None if answer == _END_OF_INPUT else answer

    def _receive(self) -> str | None:
        """The next answer that has come; None when none has."""
        while True:
            try:
                ident, message = self._session.recv(self._socket)
            except (ValueError, TypeError, KeyError):
                self._log.warning("a broken message on the stdin channel", exc_info=True)
                continue
            if message is None or ident is None:
                return None
            value, about = message["content"].get("value"), message["parent_header"].get("msg_id")
            if ident[:1] == self._ident[:1] and isinstance(value, str) and about in {None, *self._asked}:
                return value
