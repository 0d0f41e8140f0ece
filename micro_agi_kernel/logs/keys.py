"""Keys that must not be written or shown: how they are known, and taken out of a text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

LONG_KEY = 8
"""Characters from which on a key is hidden inside of words too: none holds it by chance."""

SHORTEST_KEY = 4
"""Characters. What is shorter is no secret: a server would be asked for all of them within hours."""

PLACEHOLDERS = frozenset(
    {
        *("any-text", "anything", "dummy", "empty", "fake", "key", "lm-studio", "local", "no-key", "none"),
        *("not-needed", "null", "ollama", "sk-no-key-required", "test"),
    }
)
"""What the instructions of local servers put where a key is demanded and none is needed. These are words, not secrets:
hidden, they would be missing from prompts, and a replay would not find them."""

_HIDDEN = "***"

_BEFORE_A_WORD = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
"""The escapes are of JSON in a string, where `\\nabcd` is a new line and a word."""


class Keys:
    """The keys that must not be written or shown, as they are known until now."""

    def __init__(self) -> None:
        self._whole: tuple[str, ...] = ()
        self._words: re.Pattern[str] | None = None
        self._known: frozenset[str] = frozenset()

    def learn(self, keys: Iterable[str]) -> None:
        """Hide these too: long ones wherever they occur, short ones where they stand as words."""
        secret = {key for key in keys if len(key) >= SHORTEST_KEY and key.casefold() not in PLACEHOLDERS}
        # Arguments of a call are JSON in a string, and may hold JSON in strings themselves.
        forms = {form for key in secret for form in (key, _escaped(key), _escaped(_escaped(key)))}
        self._known |= forms
        known = sorted(self._known, key=len, reverse=True)
        self._whole = tuple(form for form in known if len(form) >= LONG_KEY)
        short = "|".join(re.escape(form) for form in known if len(form) < LONG_KEY)
        self._words = re.compile(f"{_BEFORE_A_WORD}(?:{short})(?![A-Za-z0-9_-])") if short else None

    def begun_in(self, text: str) -> int:
        """The most characters at the end of `text` with which a key may begin."""
        sizes = (size for key in self._known for size in range(1, len(key)) if text.endswith(key[:size]))
        return max(sizes, default=0)

    def hidden_in(self, text: str) -> str:
        """`text` with `***` in the place of each key."""
        for key in self._whole:
            if key in text:
                text = text.replace(key, _HIDDEN)
        return text if self._words is None else self._words.sub(_HIDDEN, text)


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]
