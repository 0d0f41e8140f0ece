"""The patterns of a JSON Schema, which are ECMA-262's, run by RE2 in time linear to the text.

RE2 lacks look-around and back-references: a schema that has them is refused.
"""

from __future__ import annotations

import re

from micro_agi_kernel.patterns import Pattern, compile_re2

_MEMORY = 512 << 10
"""Bytes that RE2 may take for a pattern; it keeps the last 128 of them."""

_SPACES = r"\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
"""What ECMA-262 takes for white space; RE2 has ASCII's alone."""

_CATEGORIES = {
    "Letter": "L",
    "Uppercase_Letter": "Lu",
    "Lowercase_Letter": "Ll",
    "Titlecase_Letter": "Lt",
    "Modifier_Letter": "Lm",
    "Other_Letter": "Lo",
    "Mark": "M",
    "Number": "N",
    "Decimal_Number": "Nd",
    "digit": "Nd",
    "Punctuation": "P",
    "punct": "P",
    "Symbol": "S",
    "Separator": "Z",
    "Other": "C",
}
"""The long names of Unicode's categories, of which RE2 has the short ones."""

_TOKEN = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u\{?([0-9a-fA-F]{4,6})\}?"
    r"|\\c([a-zA-Z])|\\([pP])\{(?:\w+=)?(\w+)\}|\\(.)|([\[\]])",
    re.DOTALL,
)


def compile_pattern(pattern: str) -> Pattern:
    """The compiled pattern. Raises ValueError for what RE2 does not take."""
    return compile_re2(_as_re2(pattern), _MEMORY, captures=False)


def _as_re2(pattern: str) -> str:
    """A pattern of ECMA-262 as RE2 writes it; within a class `\\S` stays RE2's, for want of a way to write it."""
    in_class = False

    def token(match: re.Match[str]) -> str:
        nonlocal in_class
        high, low, code, control, negated, name, escaped, bracket = match.groups()
        if high:
            return rf"\x{{{0x10000 + ((int(high, 16) & 0x3FF) << 10 | int(low, 16) & 0x3FF):x}}}"
        if code:
            return rf"\x{{{code}}}"
        if control:
            return rf"\x{{{ord(control) & 31:x}}}"
        if name:
            return rf"\{negated}{{{_CATEGORIES.get(name, name)}}}"
        if bracket:
            in_class = bracket == "["
        if escaped == "s":
            return _SPACES if in_class else f"[{_SPACES}]"
        if escaped == "S" and not in_class:
            return f"[^{_SPACES}]"
        return match[0]

    return _TOKEN.sub(token, pattern)
