"""Makes hostile text safe wherever plain text is shown: no terminal escapes, no hidden directions or words."""

from __future__ import annotations

import json
import re
from typing import Literal, TypeAlias

from micro_agi_kernel.unseen import CONTROLS, OPEN_END, UNSEEN

Tone: TypeAlias = Literal["plain", "ok", "error", "note", "dim"]
"""How a line of ours, or a word of it, is meant. Never the only thing that says it: the words do."""

_CODES = {"ok": "32", "error": "31", "note": "33", "dim": "2"}

_PICTURES = {code: 0x2400 + code for code in range(32)} | {0x7F: 0x2421, 0x2028: 0x2424, 0x2029: 0x2424}
_PLAIN = {code: _PICTURES.get(code, 0xFFFD) for code in CONTROLS}


def plain(text: str) -> str:
    """`text` for a place that shows plain text: a terminal, a stream, text/plain.

    Only \\n and \\r\\n end a line. Other control characters become their pictures (ESC is ␛, a lone CR ␍), and so do
    Unicode's separators of lines (␤); C1 controls, lone surrogates and what shows nothing (`unseen.UNSEEN`: controls
    of direction, zero-width characters, tags) become U+FFFD.
    """
    text = text.replace("\r\n", "\n").translate(_PLAIN)
    return text if text.isascii() else UNSEEN.sub("\ufffd", text)


def inert_json(text: str) -> str:
    """JSON in which what a terminal or a reader's eye would act upon stands as its escape."""
    return re.sub(
        r"[^\n -~]", lambda found: found[0] if plain(found[0]) == found[0] else json.dumps(found[0])[1:-1], text
    )


class PlainPieces:
    """`plain` for a text that comes in pieces: an end that the next piece may change waits for it."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, piece: str) -> str:
        """What to show now."""
        text = self._held + piece
        found = OPEN_END.search(text)
        cut = found.start() if found else len(text)
        self._held = text[cut:]
        return plain(text[:cut])

    def end(self) -> str:
        """What remains to show."""
        held, self._held = self._held, ""
        return plain(held)


def one_line(text: str) -> str:
    """`plain(text)` on one line, for status and error lines."""
    return " ".join(plain(text).split())


def painted(text: str, tone: Tone) -> str:
    """`text`, which is safe already, with a terminal's codes for `tone`."""
    return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if tone in _CODES and text else text
