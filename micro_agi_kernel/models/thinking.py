"""Thoughts that a server leaves in the words of an answer: `<think>...</think>` at their beginning is reasoning.

Local servers tell thoughts apart only where they know the model's template; DeepSeek-R1, QwQ, Qwen 3 and what was
made from them write these tags.
"""

from __future__ import annotations

from typing import Literal

from micro_agi_kernel.messages import ReasoningChunk, TextChunk

_OPEN, _CLOSE = "<think>", "</think>"

_BLANKS = 100
"""Characters of white space that the first tag may stand behind."""


class InlineThoughts:
    """The words of one answer, piece by piece. White space around the tags is left out, nothing else is."""

    def __init__(self) -> None:
        self._at: Literal["start", "thoughts", "behind", "text"] = "start"
        self._held = ""
        """What may be the beginning of a tag."""
        self._thought = False
        """There was more than white space in the thoughts."""

    def are_told_apart(self) -> None:
        """The server names thoughts as such: tags in its words are words."""
        if self._at == "start" and not self._held:
            self._at = "text"

    def add(self, text: str) -> list[TextChunk | ReasoningChunk]:
        """Take a piece in; what is known to be a thought or text comes out."""
        text, self._held = self._held + text, ""
        chunks: list[TextChunk | ReasoningChunk] = []
        if self._at == "start":
            begun = text.lstrip()
            if len(begun) < len(_OPEN) and _OPEN.startswith(begun) and len(text) < _BLANKS:
                self._held = text
                return chunks
            self._at = "thoughts" if begun.startswith(_OPEN) else "text"
            text = begun[len(_OPEN) :] if self._at == "thoughts" else text
        if self._at == "thoughts":
            thought, tag, text = text.partition(_CLOSE)
            if tag:
                self._at = "behind"
            else:
                self._held = _beginning_of_a_tag(thought)
                thought = thought.removesuffix(self._held)
            thought = thought if self._thought else thought.lstrip()
            if thought:
                self._thought = True
                chunks.append(ReasoningChunk(thought))
        if self._at == "behind":
            text = text.lstrip()
        if text:
            self._at = "text"
            chunks.append(TextChunk(text))
        return chunks

    def end(self) -> list[TextChunk | ReasoningChunk]:
        """What is still held, when nothing more comes."""
        text, self._held = self._held, ""
        if not text:
            return []
        return [ReasoningChunk(text) if self._at == "thoughts" else TextChunk(text)]


def _beginning_of_a_tag(text: str) -> str:
    """The end of `text` with which the closing tag may begin."""
    most = min(len(text), len(_CLOSE) - 1)
    return next((text[-size:] for size in range(most, 0, -1) if _CLOSE.startswith(text[-size:])), "")
