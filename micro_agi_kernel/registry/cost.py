"""The `Cost:` trailer: what the model steps behind a commit took."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"\$(\d{1,9}(?:\.\d{1,6})?), (\d{1,12}) tokens, (\d{1,6}) steps?")


@dataclass(frozen=True, slots=True)
class Cost:
    """Money in US dollars, tokens of prompts and answers, and the steps that took them."""

    money: float = 0.0
    tokens: int = 0
    steps: int = 0

    @property
    def is_known(self) -> bool:
        """Whether anybody said what it was: no step takes no token."""
        return self.tokens > 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.money + other.money, self.tokens + other.tokens, self.steps + other.steps)

    def __str__(self) -> str:
        """`$0.012345, 8120 tokens, 4 steps`; the money is whole to a millionth."""
        money = f"{self.money:.6f}".rstrip("0").rstrip(".")
        return f"${money}, {self.tokens} tokens, {self.steps} step{'s' * (self.steps != 1)}"

    @classmethod
    def parse(cls, text: str) -> Cost | None:
        """What `str` wrote; None for anything else, since a commit may say what it likes."""
        found = _FORM.fullmatch(text)
        return cls(float(found[1]), int(found[2]), int(found[3])) if found else None
