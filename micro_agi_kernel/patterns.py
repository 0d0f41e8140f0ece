"""Regular expressions by RE2, whose time grows with the text and nothing else: the one place that sets it up."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import re2

Pattern: TypeAlias = "re2._Regexp"
"""A compiled pattern, to be used in several threads at once: `search(text)`, `programsize` ..."""


_QUOTED_OR_ESCAPED = re.compile(rb"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)


def compile_re2(source: str | bytes, memory: int, *, captures: bool = True) -> Pattern:
    """The pattern `source`, for texts of the same type, out of at most `memory` bytes.

    Without `captures` a match is the whole match alone, which is several times as fast. The library keeps the last 128
    patterns. Raises ValueError with RE2's reason for what is no pattern or takes too much, and for a byte out of the
    middle of a character (`C` behind a backslash), which Go's own port does not have.
    """
    import re2

    octets = source if isinstance(source, bytes) else source.encode(errors="surrogatepass")
    if any(escaped[1] == b"C" for escaped in _QUOTED_OR_ESCAPED.finditer(octets)):
        raise ValueError("invalid escape sequence: \\C")
    try:
        return re2.compile(source, _options(memory, captures))
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error


@cache
def _options(memory: int, captures: bool) -> re2.Options:
    import re2

    options = re2.Options()
    options.max_mem = memory
    options.never_capture = not captures
    options.log_errors = False
    return options
