"""`matches`: regular expressions in Go's syntax, by RE2, so that time grows with the text and nothing else."""

from __future__ import annotations

from micro_agi_kernel.expr.budget import MAX_PATTERN, MAX_PATTERN_TEXT, MAX_PATTERNS, PATTERN_MEMORY, Budget
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import TEXTS, Bytes, Dynamic, is_nil, raw, type_name
from micro_agi_kernel.patterns import Pattern, compile_re2
from micro_agi_kernel.values import shorten

_COMPILING = 50
"""Steps, at least, of making a pattern from text that is only known now."""
_CHARACTER = 40
"""Steps for each of its characters more."""
_MOST_KEPT = 64
"""Of such patterns, during one run."""


def compiled(source: bytes) -> Pattern:
    """The pattern. Raises ValueError with one line."""
    if len(source) > MAX_PATTERN:
        raise ValueError(f"a pattern of {len(source):,} bytes, more than {MAX_PATTERN:,}")
    try:
        return compile_re2(source, PATTERN_MEMORY, captures=False)
    except ValueError as error:
        shown = shorten(source.decode(errors="replace"), 40)
        raise ValueError(f"bad pattern {shown!r}: {shorten(str(error), 100)}") from error


class Patterns:
    """The patterns that stand in one source."""

    def __init__(self) -> None:
        self.by_source: dict[str, Pattern] = {}
        self.size = 0
        self.text = 0

    def add(self, source: str) -> Pattern:
        """Raises ValueError for what is no pattern, and when all of them together are too large."""
        if source not in self.by_source:
            self.text += len(source)
            if self.text > MAX_PATTERN_TEXT:
                raise ValueError(f"patterns of more than {MAX_PATTERN_TEXT:,} characters together")
            made = compiled(source.encode())
            self.size += made.programsize
            if self.size > MAX_PATTERNS:
                raise ValueError(f"patterns of more than {MAX_PATTERNS:,} instructions together")
            self.by_source[source] = made
        return self.by_source[source]


def matches(budget: Budget, text: Dynamic, source: Dynamic) -> bool:
    """`text matches source` with a pattern that is only known now; of nil it is false."""
    if is_nil(text) or is_nil(source):
        return False
    if type(source) not in TEXTS:
        raise RunError(f"a pattern is a string, not {type_name(source)}")
    budget.key(source)
    pattern = budget.patterns.get(source)
    if pattern is None:
        budget.work(_COMPILING + _CHARACTER * min(len(source), MAX_PATTERN))
        try:
            pattern = compiled(raw(source))
        except ValueError as error:
            raise RunError(str(error)) from error
        budget.work(4 * pattern.programsize)
        if len(budget.patterns) < _MOST_KEPT:
            budget.patterns[source] = pattern
    return matches_pattern(budget, text, pattern)


def matches_pattern(budget: Budget, text: Dynamic, pattern: Pattern) -> bool:
    """`text matches pattern`; of nil it is false."""
    if is_nil(text):
        return False
    if type(text) not in TEXTS and type(text) is not Bytes:
        raise RunError(f"matches does not take {type_name(text)}")
    budget.work(4 + (len(text) >> 6))
    octets = raw(text)
    # At worst RE2 tries every instruction of the pattern at every byte.
    budget.work(len(octets) * pattern.programsize >> 6)
    return pattern.search(octets) is not None
