"""How much a server may say, by whichever way it says it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from micro_agi_kernel.logs.keys import Keys

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCMessage

    Streams: TypeAlias = "tuple[MemoryObjectReceiveStream[SessionMessage | Exception], Any]"

MAX_MESSAGE = 4 << 20
"""Bytes of one message: above that a server is no longer listened to."""

MAX_SAID = 4 * MAX_MESSAGE
"""Bytes that a server may say after we last asked it something."""

MAX_MESSAGES = 2_000
"""Messages that it may send then: a busy log has some hundreds in a call."""


class Watch:
    """What a server said since we last asked it something, and whether it is still listened to."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        """What must not be told of what it said."""
        self.ended = asyncio.Event()
        self.why = ""
        """Why it ended, for a person or a model: a sentence without its subject."""
        self.list_changed = False
        """It said that its tools are others now."""
        self.status = 0
        """The last HTTP status that told of an error."""
        self._messages = self._bytes = 0
        self.requests = 0

    def asked(self) -> None:
        """We send a message: what was said before no longer counts."""
        self._messages = self._bytes = self.requests = 0

    def end(self, why: str) -> None:
        """Listen no longer; what is said first holds."""
        self.why = self.why or why
        self.ended.set()

    def heard(self, size: int, messages: int = 1) -> bool:
        """Count what was said; False when that is too much, which ends it."""
        self._messages += messages
        self._bytes += size
        if self._messages > MAX_MESSAGES or self._bytes > MAX_SAID:
            self.end("said too much that nobody asked for")
        return not self.ended.is_set()

    def passes(self, message: JSONRPCMessage) -> bool:
        """Whether the session needs a message: answers and requests, which it refuses. What a server only tells (its
        log, its progress) is dropped."""
        from mcp_types import JSONRPCNotification

        if not isinstance(message, JSONRPCNotification):
            return True
        self.list_changed = self.list_changed or message.method == "notifications/tools/list_changed"
        return False
