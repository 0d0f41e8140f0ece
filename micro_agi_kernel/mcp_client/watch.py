"""How much a server may say, by whichever way it says it, and what of that the SDK sees."""

from __future__ import annotations

import asyncio
import re
from itertools import islice
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

TOO_LONG = f"sent a message of more than {MAX_MESSAGE >> 20} MiB"
TOO_MUCH = "said too much that nobody asked for"

MAX_MESSAGES = 2_000
"""Messages that it may send then: a busy log has some hundreds in a call."""

MAX_PARTS = 200_000
"""Values and names in what it says then: each takes more room and time than its bytes tell."""

MAX_JUDGED = 2_000
"""Values of a message that the SDK holds to the forms of the protocol, to all that there are, on the session's loop."""

WHOLE = "whole"
"""Where the result of a tool, or a list of tools, stands in the empty one that the SDK gets in its place."""

_PART = re.compile(rb'"(?:[^"\\\r\n]++|\\[^\r\n])*+"?|[\[{]|[^\s\[\]{},:"]++')


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
        self._messages = self._bytes = self._parts = 0
        self.requests = 0

    def asked(self) -> None:
        """We send a message: what was said before no longer counts."""
        self._messages = self._bytes = self._parts = self.requests = 0

    def end(self, why: str) -> None:
        """Listen no longer; what is said first holds."""
        self.why = self.why or why
        self.ended.set()

    def heard(self, size: int, messages: int = 1) -> bool:
        """Count what was said; False when that is too much, which ends it."""
        self._messages += messages
        self._bytes += size
        if self._messages > MAX_MESSAGES or self._bytes > MAX_SAID:
            self.end(TOO_MUCH)
        return not self.ended.is_set()

    def may_be_read(self, lines: bytes | bytearray) -> bool:
        """Count the parts of JSON before it is read; False when they are too many, which ends it. A text that goes on
        beyond its line is none in JSON."""
        self._parts += sum(1 for _ in islice(_PART.finditer(lines), MAX_PARTS + 1))
        if self._parts > MAX_PARTS:
            self.end(f"said more than {MAX_PARTS:,} parts")
        return not self.ended.is_set()

    def passes(self, message: JSONRPCMessage) -> bool:
        """Whether the session needs a message: answers and requests, which it refuses. What a server only tells (its
        log, its progress) is dropped. A result is emptied for the SDK: we read it ourselves."""
        from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCResponse

        whole: dict[str, Any] | None = None
        judged: Any
        match message:
            case JSONRPCNotification():
                self.list_changed = self.list_changed or message.method == "notifications/tools/list_changed"
                return False
            case JSONRPCResponse(result=judged):
                judged.pop(WHOLE, None)
                if kind := next((kind for kind in ("content", "tools") if kind in judged), ""):
                    whole = judged
                    plain = {key: value for key, value in whole.items() if not isinstance(value, dict | list)}
                    judged = message.result = {**plain, kind: []}
            case JSONRPCError():
                judged = message.error.data
            case _:
                judged = message.params
        if _beyond(judged, MAX_JUDGED):
            self.end(f"said more than {MAX_JUDGED:,} parts in what is no result of a tool")
            return False
        if whole is not None:
            judged[WHOLE] = whole
        return True


def _beyond(value: Any, most: int) -> bool:
    """Whether JSON has more than so many values."""
    left, seen = [value], 0
    while left:
        item = left.pop()
        values = list(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        seen += len(values)
        if seen > most:
            return True
        left += values
    return False
