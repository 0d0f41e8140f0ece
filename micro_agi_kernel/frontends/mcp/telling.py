"""What a call shows while it runs, sent to its client in few messages: printed text as logs, progress, displays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import assert_never

from mcp.server.connection import allowed_log_levels
from mcp_types import LoggingMessageNotification, LoggingMessageNotificationParams

from micro_agi_kernel.frontends.mcp.asking import Context
from micro_agi_kernel.frontends.mcp.clients import Client
from micro_agi_kernel.frontends.mcp.content import Displays
from micro_agi_kernel.frontends.text import one_line, plain
from micro_agi_kernel.outputs import Display, Output, Printed, Progress
from micro_agi_kernel.values import shorten

_PAUSE = 0.02
"""Seconds between two messages of a kind: what happens meanwhile goes together."""
_PRINTED = 65_536
"""Characters of what one call prints that are sent."""
_MESSAGE = 200
LOGGER = "micro-agi"


class Teller:
    """Tells one client what one call shows. `displays` are for the call's result."""

    def __init__(self, ctx: Context, client: Client, name: str) -> None:
        self.displays = Displays()
        self.ctx = ctx
        """The request whose client is told; another one once that goes on with the call."""
        self._client = client
        self._name = name
        self._printed: list[str] = []
        self._room = _PRINTED
        self._missing = 0
        self._progress: Progress | None = None
        self._done = -1.0
        self._news, self._over = asyncio.Event(), asyncio.Event()

    def __call__(self, output: Output) -> None:
        """The next thing that the call shows."""
        match output:
            case Printed(text):
                shown = text[: self._room]
                self._room -= len(shown)
                self._missing += len(text) - len(shown)
                if shown:
                    self._printed.append(shown)
            case Progress():
                self._progress = output
            case Display(data):
                self.displays.add(data)
            case _:
                assert_never(output)
        self._news.set()

    @contextlib.asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Tell while the body runs, and the rest when it has ended; nothing more when it is cancelled or fails."""
        task = asyncio.create_task(self._tell())
        try:
            yield
            if self._missing:
                self._printed.append(f"\n... {self._missing:,} characters not shown ...\n")
            self._over.set()
            self._news.set()
            await task
        finally:
            task.cancel()

    async def _tell(self) -> None:
        while not self._over.is_set():
            await self._news.wait()
            self._news.clear()
            await self._send()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _PAUSE)
        await self._send()

    async def _send(self) -> None:
        text, self._printed = "".join(self._printed), []
        progress, self._progress = self._progress, None
        if (
            text
            and self._client.wants("info")
            and "info" in allowed_log_levels(self.ctx.protocol_version, self.ctx.meta)
        ):
            data = {"tool": self._name, "text": plain(text)}
            params = LoggingMessageNotificationParams(level="info", logger=LOGGER, data=data)
            log = LoggingMessageNotification(params=params)
            await self.ctx.session.send_notification(log, related_request_id=self.ctx.request_id)
        if progress is not None and progress.done > self._done:  # the protocol wants it to grow
            self._done = progress.done
            message = shorten(one_line(progress.text), _MESSAGE) or None
            await self.ctx.session.report_progress(progress.done, progress.total, message)
