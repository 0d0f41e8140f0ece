"""The conversation: what was said, kept so that it can be sent to a model at any moment.

A model refuses a conversation in which a tool call has no result. So every way out of a turn, an
interrupt too, closes the calls that are still open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from micro_agi_kernel.errors import CallError, ErrorKind
from micro_agi_kernel.messages import AssistantMessage, Message, SystemMessage, ToolCall, ToolResult, UserMessage

UNLOADED = "no longer loaded"
GONE = "no longer in the registry"
AWAY = "not in the registry at {place}, where this notebook is pinned"

TOOL_LINE = re.compile(rf"The tool [\w.:-]{{1,200}} is ({UNLOADED}|{GONE}|{AWAY.format(place='v[0-9]+')})\.", re.ASCII)
"""All that we tell a model of a tool beside the conversation, as `tool_line` says it."""


def tool_line(id: object, where: str) -> str:
    """What the model is told of a tool that it had."""
    return f"The tool {id} is {where}."


class Conversation:
    """Messages in order, without the agent's own instructions, which `request` puts first."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    def say(self, said: str | UserMessage) -> None:
        """The person speaks."""
        self._messages.append(UserMessage(said) if isinstance(said, str) else said)

    def forget_refused_images(self) -> None:
        """Keep the newest prompt without its images if nothing was answered to it.

        A server that refused one of them would refuse each request that follows.
        """
        for at in reversed(range(len(self._messages))):
            match self._messages[at]:
                case UserMessage(images=images) as message:
                    gone = tuple(replace(image, data=b"") for image in images)
                    self._messages[at] = replace(message, images=gone)
                    return
                case AssistantMessage() | ToolResult():
                    return

    def tell(self, text: str) -> None:
        """We tell the model a fact that changed beside the conversation."""
        self._messages.append(SystemMessage(text))

    def answer(self, message: AssistantMessage) -> None:
        if message.text.strip() or message.calls:  # servers refuse an answer without a word
            self._messages.append(message)

    def result(self, result: ToolResult) -> None:
        self._messages.append(result)

    def open_calls(self) -> tuple[ToolCall, ...]:
        """Calls of the newest answer that have no result yet."""
        answered: set[str] = set()
        for message in reversed(self._messages):  # what lies before the newest answer does not matter
            if isinstance(message, ToolResult):
                answered.add(message.call_id)
            elif isinstance(message, AssistantMessage):
                return tuple(call for call in message.calls if call.id not in answered)
        return ()

    def close_open_calls(self, kind: ErrorKind, why: str) -> None:
        """Answer the calls that were stopped, or never began. Those that wrote, or may have, have their answers."""
        error = CallError(kind, f"{why}; the call wrote nothing to the registry")
        for call in self.open_calls():
            self.result(ToolResult(call.id, call.name, json.dumps({"error": error.as_json()}), ok=False))

    def request(self, instructions: str) -> tuple[Message, ...]:
        """All that a model is sent."""
        return (SystemMessage(instructions), *self._messages)

    def turns(self) -> tuple[int, ...]:
        """Where each turn begins, as indexes into `messages`; what lies before the first belongs to none."""
        return tuple(index for index, message in enumerate(self._messages) if isinstance(message, UserMessage))

    def replace_beginning(self, count: int, messages: Sequence[Message]) -> None:
        """Put `messages` where the first `count` are; the border lies between turns."""
        self._messages[:count] = messages
