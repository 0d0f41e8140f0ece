"""Go's `regexp` over RE2, for the Lua module `text`: which matches there are, what a replacement becomes.

Go and RE2 share syntax and matching, by the same author; they differ in what becomes of empty matches, templates and
bytes that are no UTF-8. Positions are 0-based and in bytes.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from time import process_time

from micro_agi_kernel.errors import Refused
from micro_agi_kernel.interfaces import MIB
from micro_agi_kernel.lua_modules._arguments import integer, invalid, octets, text
from micro_agi_kernel.patterns import Pattern, compile_re2
from micro_agi_kernel.values import Value, shorten

MAX_PATTERN = 100_000
"""Characters. RE2 bounds the compiled form besides, and what a repetition may multiply to (1,000, as in Go)."""
MAX_POSITIONS = 1_000_000
"""Of matches and groups in one answer: 8 MB as they cross, the most that any value may take."""
MAX_RESULT = 8 * MIB
"""Bytes of a replaced text: the most that any value may take."""
MAX_PARTS = 2_000_000
"""Parts of templates put in by one replacement."""
MAX_BROKEN = MIB
"""Bytes of a text that is no UTF-8: finding its way back to the bytes takes far more room than a text."""

MAX_WORK = 20_000_000_000
"""Bytes of the text times instructions of the pattern: about half a second where RE2 tries each at each byte."""
MAX_SECONDS = 5
"""For all matches of one call. A pattern such as `a.*b|a` looks at all that follows for each of them, and RE2 does not
tell how far it looked, so time is the only measure."""

_MEMORY = 4 * MIB
"""What RE2 may take for a pattern, in each direction. Letters of any script, repeated 200 times, fit."""
_KEPT = 8
"""Compiled patterns: those of one loop. All of them at their largest leave the child half of its room."""

_INSIDE = frozenset(bytes([byte]) for byte in range(0x80, 0xC0))
"""Bytes that go on with a character."""
_TOKEN = re.compile(
    r"""\\Q.*?(?:\\E|\Z)|\\(?P<escaped>.)|\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^]\\])*+\]|(?P<group>\((?!\?)|\(\?P?<(?P<name>\w+)>)""",
    re.DOTALL,
)
"""What of a valid pattern must be told apart to know its groups: quoted text, escapes, classes, groups."""
_TEMPLATE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_BROKEN = re.compile("([\udc80-\udcff])")


@lru_cache(maxsize=_KEPT)
def _compiled(pattern: str, groups: bool) -> Pattern:
    """`pattern` for matches with their groups or, several times faster, without those that have no names."""
    import re2

    re2.purge()  # it keeps 128 patterns, each of which may take _MEMORY
    try:
        compiled = compile_re2(pattern.encode(), _MEMORY, captures=groups)
    except ValueError as error:
        raise _no_pattern(str(error)) from error
    for name in compiled.groupindex:
        if not name.isascii():
            raise _no_pattern(f"invalid named capture: {name.decode()}")
    return compiled


def _no_pattern(reason: str) -> Refused:
    return invalid(f"regex compile error: {shorten(reason, 200)}")


def _regexp(pattern: Value, groups: bool) -> Pattern:
    return _compiled(text(pattern, "pattern", MAX_PATTERN), groups)


def names(pattern: Value) -> Value:
    """The names of the groups of `pattern`, "" for one without; the first stands for the whole match."""
    _regexp(pattern, groups=True)
    return list(_names(pattern))


def _names(pattern: Value) -> list[str]:
    assert isinstance(pattern, str)
    return ["", *(token["name"] or "" for token in _TOKEN.finditer(pattern) if token["group"])]


def positions(pattern: Value, subject: Value, most: Value, groups: Value) -> Value:
    """Where the first `most` matches lie (-1: all), as 32-bit integers: start and end of each.

    With `groups` those of its groups follow, -1 where a group took no part.
    """
    most = integer(most, "n")
    compiled = _regexp(pattern, groups is True)
    count = compiled.groups if groups is True else 0
    width = 2 * (count + 1)
    found = array("i")
    for spans in _matches(compiled, octets(subject, "s"), count):
        if len(found) == most * width:
            break
        if len(found) >= 2 * MAX_POSITIONS:
            raise invalid(f"more than {MAX_POSITIONS:,} matches and groups")
        found.extend(spans)
    return found.tobytes()


def replaced(pattern: Value, subject: Value, template: Value) -> Value:
    """`subject` with each match replaced by `template`: $1, ${1}, $name, ${name} are groups in it, $$ is a dollar."""
    compiled = _regexp(pattern, groups=True)
    parts = _template(octets(template, "repl"), _names(pattern))
    subject = octets(subject, "s")
    last = max((group for part in parts if isinstance(part, list) for group in part), default=0)
    if not last:
        compiled = _regexp(pattern, groups=False)
    pieces: list[bytes] = []
    done = size = count = 0
    for spans in _matches(compiled, subject, last):
        added = [subject[done : spans[0]]]
        for part in parts:
            if isinstance(part, bytes):
                added.append(part)
            elif taking := [group for group in part if spans[2 * group] >= 0]:
                added.append(subject[spans[2 * taking[0]] : spans[2 * taking[0] + 1]])
        done = spans[1]
        size += sum(map(len, added))
        count += 1 + len(parts)
        if size > MAX_RESULT or count > MAX_PARTS:
            raise invalid("the replaced text is larger than 8 MiB" if size > MAX_RESULT else "too much to replace")
        pieces += added
    pieces.append(subject[done:])
    return b"".join(pieces)


def _template(template: bytes, names: list[str]) -> list[bytes | list[int]]:
    """Bytes that stand for themselves and groups: that of a number, or those of a name, of which the first one counts
    that took part. A group that there is not is left out, as Go does.
    """
    known: dict[str, list[int]] = {str(number): [number] for number in range(len(names))}
    for number, name in enumerate(names):
        if name and not name.isdecimal():
            known.setdefault(name, []).append(number)
    parts: list[bytes | list[int]] = []
    source = template.decode(errors="surrogateescape")
    done = 0
    for found in _TEMPLATE.finditer(source):
        parts.append(source[done : found.start()].encode(errors="surrogateescape"))
        done = found.end()
        if found[1]:
            parts.append(b"$")
        elif groups := known.get(found[2] or found[3]):
            parts.append(groups)
    parts.append(source[done:].encode(errors="surrogateescape"))
    return [part for part in parts if part != b""]


def _matches(compiled: Pattern, subject: bytes, groups: int) -> Iterator[list[int]]:
    """Start and end of each match that Go finds, and of its first `groups` groups.

    An empty match directly behind another match is none, and neither is one inside a character.
    """
    subject, broken = _as_utf8(subject)
    if len(subject) * compiled.programsize > MAX_WORK:
        raise invalid("too much work: the pattern and the text are too large together")
    numbers = range(groups + 1)
    last = -1
    until = process_time() + MAX_SECONDS
    for number, match in enumerate(compiled.finditer(subject)):
        if number % 16 == 0 and process_time() > until:
            raise invalid(f"too much work: finding the matches takes more than {MAX_SECONDS} seconds")
        start, end = match.span()
        if start == end and (start == last or subject[start : start + 1] in _INSIDE):
            continue
        last = end
        spans = [position for number in numbers for position in match.span(number)]
        yield [position - 2 * bisect_left(broken, position) for position in spans] if broken else spans


def _as_utf8(subject: bytes) -> tuple[bytes, array[int]]:
    """`subject` with U+FFFD, which is three bytes long, for each byte that is no UTF-8, as Go reads it; and where."""
    broken = array("i")
    try:
        subject.decode()
        return subject, broken
    except UnicodeDecodeError:
        if len(subject) > MAX_BROKEN:
            raise invalid(f"s is not valid UTF-8 and longer than {MAX_BROKEN} bytes") from None
    pieces = _BROKEN.split(subject.decode(errors="surrogateescape"))
    encoded = ["\ufffd".encode() if index % 2 else piece.encode() for index, piece in enumerate(pieces)]
    at = 0
    for index, piece in enumerate(encoded):
        if index % 2:
            broken.append(at)
        at += len(piece)
    return b"".join(encoded), broken
