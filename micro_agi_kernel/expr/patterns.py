"""`matches`: regular expressions in Go's syntax, by RE2, so that time grows with the text and nothing else."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from micro_agi_kernel.expr.budget import MAX_PATTERN, MAX_PATTERNS, PATTERN_MEMORY, Budget
from micro_agi_kernel.expr.errors import RunError
from micro_agi_kernel.expr.kinds import Bytes, Dynamic, is_nil, raw, type_name
from micro_agi_kernel.values import shorten

_COMPILING = 50
"""Steps, at least, of making a pattern from text that is only known now."""


def compiled(source: bytes) -> Any:
    """The pattern. Raises ValueError with one line."""
    import re2

    if len(source) > MAX_PATTERN:
        raise ValueError(f"a pattern of {len(source):,} bytes, more than {MAX_PATTERN:,}")
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    options.never_capture = True
    try:
        return re2.compile(source, options)
    except re2.error as error:
        found = error.args[0] if error.args else ""
        reason = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        shown = shorten(source.decode(errors="replace"), 40)
        raise ValueError(f"bad pattern {shown!r}: {reason}") from error


_recent = lru_cache(maxsize=16)(compiled)


class Patterns:
    """The patterns that stand in one source."""

    def __init__(self) -> None:
        self.by_source: dict[str, Any] = {}
        self.size = 0

    def add(self, source: str) -> Any:
        """Raises ValueError for what is no pattern, and when all of them together are too large."""
        if source not in self.by_source:
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
    if type(source) not in (str, bytes):
        raise RunError(f"a pattern is a string, not {type_name(source)}")
    budget.work(_COMPILING)
    try:
        pattern = _recent(raw(source))
    except ValueError as error:
        raise RunError(str(error)) from error
    budget.work(4 * pattern.programsize)
    return matches_pattern(budget, text, pattern)


def matches_pattern(budget: Budget, text: Dynamic, pattern: Any) -> bool:
    """`text matches pattern`; of nil it is false."""
    if is_nil(text):
        return False
    if type(text) not in (str, bytes, Bytes):
        raise RunError(f"matches does not take {type_name(text)}")
    octets = raw(text)
    # At worst RE2 tries every instruction of the pattern at every byte.
    budget.work(4 + (len(octets) * pattern.programsize >> 6))
    return pattern.search(octets) is not None
