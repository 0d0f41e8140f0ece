"""What the scalars of YAML stand for, by the rules of the reference's parser.

They are those of YAML 1.2 with some of 1.1 kept: `yes` and `on` are text, and so is `12:30:45`; but 010 is eight,
1_000 a thousand, 2024-01-15 a moment, and `<<` merges.
"""

from __future__ import annotations

import math
import re

from micro_agi_kernel.go_time import Time, parse_time
from micro_agi_kernel.values import decode_base64

# `bool` before what it would be taken for: in Python it is an int.
Scalar = bool | int | float | str | bytes | Time | None

_PREFIX = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {
    _PREFIX + "null": (type(None),),
    _PREFIX + "bool": (bool,),
    _PREFIX + "int": (int,),
    _PREFIX + "float": (float, int),
    _PREFIX + "timestamp": (Time,),
}
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_BASES = (0, 0, 16, 2, 8, 10)
"""By the group of _INTEGER that holds the digits."""
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ]?)")
_LAYOUTS = {
    "T": "2006-1-2T15:4:5.999999999Z07:00",
    "t": "2006-1-2t15:4:5.999999999Z07:00",
    " ": "2006-1-2 15:4:5.999999999",
    "": "2006-1-2",
}
"""By what stands behind the date."""

_LONGEST = 400
"""Characters: no number or moment is longer, and reading one takes more than time in proportion."""

_ELSEWHERE = re.compile(
    r"[yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
)
"""Text here, and something else for a parser of YAML 1.1."""


def plain(text: str) -> Scalar:
    """What a scalar without quotes and tag stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if not ("0" <= text[0] <= "9" or text[0] in "+-.") or len(text) > _LONGEST:
        return text
    if is_like_a_moment(text) and (moment := _moment(text)):
        return moment
    digits = text if text[0] == "." else text.replace("_", "")
    if match := _INTEGER.fullmatch(digits):
        number = int(match[1] + (match[2] or match[3] or match[4] or match[5]), _BASES[match.lastindex or 5])
        if -(1 << 63) <= number < 1 << 63:
            return number
        if 0 < number < 1 << 64:
            return float(number)
    if _FLOAT.fullmatch(digits):
        found = float(digits)
        return found if math.isfinite(found) else text
    return text


def is_like_a_moment(text: str) -> bool:
    """Whether it costs what reading a moment does, which is much."""
    return text[4:5] == "-" and text[:4].isdigit()


def _moment(text: str) -> Time | None:
    if match := _MOMENT.match(text):
        try:
            return parse_time(_LAYOUTS[match[1]], text)
        except ValueError:
            pass
    return None


def tagged(tag: str, text: str) -> Scalar:
    """What a scalar with a tag stands for. Raises ValueError when it is none of those that the tag names.

    A tag that says nothing here (`!mine`, `!!set`) makes it text.
    """
    if tag == _PREFIX + "binary":
        try:
            return decode_base64(text.encode())
        except ValueError as error:
            raise ValueError("!!binary without valid base64") from error
    if tag not in _TYPES:
        return text
    found = plain(text)
    if not isinstance(found, _TYPES[tag]) or (isinstance(found, bool) and tag != _PREFIX + "bool"):
        raise ValueError(f"{text[:40]!r} is no !!{tag.removeprefix(_PREFIX)}")
    return float(found) if tag == _PREFIX + "float" and isinstance(found, int) else found


def key_text(key: Scalar) -> str:
    """A key as the text that Lua sees: much as Go prints its value. Raises ValueError for bytes that are no text."""
    match key:
        case None:
            return "<nil>"
        case bool():
            return "true" if key else "false"
        case bytes():
            return key.decode()
        case Time():
            return str(key)
        case float():
            return repr(key).removesuffix(".0")
        case _:
            return str(key)


def needs_quotes(text: str) -> bool:
    """Whether a text written without quotes would be read as something else, here or by a parser of YAML 1.1."""
    return not isinstance(plain(text), str) or text == "<<" or _ELSEWHERE.fullmatch(text) is not None
