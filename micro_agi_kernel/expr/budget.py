"""What one expression may cost: bounds on its source, and the budget of one run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from micro_agi_kernel.expr.errors import LimitError
from micro_agi_kernel.patterns import Pattern

MAX_SOURCE = 65_536
"""Characters. The longest source that MAX_NODES nodes can reasonably need, and milliseconds to read."""
MAX_NODES = 10_000
"""expr-lang's own bound."""
MAX_DEPTH = 100
"""Nesting, of brackets and of operators; chains of `and` and `or` count once. Keeps every recursion over the
source inside Python's own limit of a thousand frames."""
MAX_LOOPS = 12
"""Predicates inside predicates; Python's compiler takes twenty blocks."""
MAX_PATTERN = 4_096
"""Characters of a regular expression."""
PATTERN_MEMORY = 1 << 20
"""Bytes that a compiled regular expression may take."""
MAX_PATTERNS = 100_000
"""Instructions of all regular expressions in one source; a thousand take about a millisecond to compile."""
MAX_PATTERN_TEXT = 8_192
"""Characters of all regular expressions in one source: some, as of \\pL, take 25 µs each to compile."""
MAX_NUMBER = 1_000
"""Characters of a text that is read as one number."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; reaching one raises LimitError with its name."""

    steps: int = 10_000_000
    """Operators, calls, elements and the bytes looked at, weighed by what they cost: at worst about half a
    microsecond each, mostly a fraction of that."""
    memory: int = 1_000_000
    """Elements of all arrays and maps that are made, as expr-lang counts them; `repeat` counts bytes."""
    text: int = 32 << 20
    """Bytes of all strings that are made."""


DEFAULT = Limits()


class Budget:
    """What is left of the limits during one run."""

    __slots__ = ("limits", "memory", "patterns", "steps", "text")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.steps = limits.steps
        self.memory = limits.memory
        self.text = limits.text
        self.patterns: dict[str | bytes, Pattern] = {}
        """Those that were made during the run, by their source."""

    def work(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise LimitError(f"the limit of {self.limits.steps:,} steps was reached")

    def grow(self, elements: int) -> None:
        """Elements are paid for before they are made, and take time as well."""
        self.memory -= elements
        self.steps -= elements
        if self.memory <= 0:  # expr-lang stops when its budget is used up, not when it is exceeded
            raise LimitError(f"the limit of {self.limits.memory:,} elements in memory was reached")
        if self.steps < 0:
            self.work(0)

    def write(self, length: int) -> None:
        """Bytes of a string to be made."""
        self.text -= length
        if self.text < 0:
            raise LimitError(f"the limit of {self.limits.text:,} bytes of text was reached")
        self.steps -= length >> 8
        if self.steps < 0:
            self.work(0)

    def read(self, length: int) -> None:
        """Bytes of a string to be compared or copied."""
        self.work(length >> 8)

    def search(self, length: int, part: int) -> None:
        """Bytes of a string in which `part` bytes are looked for.

        At worst Python compares the part at each place: with a short part at each of up to 30,000, with any at each of
        the last 2,000. Else its time grows with the lengths.
        """
        places = min(max(length - part, 0) + 1, 30_000 if part < 100 else 2_000)
        self.work(1 + (length >> 6) + (part * places >> 9))

    def sort(self, texts: Iterable[object], count: int) -> None:
        """`count` keys to be sorted; those that are text are compared as such."""
        rounds = count.bit_length()
        self.work(rounds * count)
        self.work(rounds * (sum(len(key) for key in texts if isinstance(key, (str, bytes))) >> 8))

    def key(self, key: object) -> None:
        """A key to be looked up: one that is found is compared as a whole."""
        if isinstance(key, (str, bytes)) and len(key) > 255:
            self.read(len(key))
