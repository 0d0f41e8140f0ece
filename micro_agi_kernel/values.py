"""The plain data that crosses every seam: JSON, and JSON with byte strings."""

from __future__ import annotations

import binascii
import ipaddress
import json
import math
import re
from datetime import datetime
from typing import TypeAlias, cast

from micro_agi_kernel.errors import EntryError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What a model, a file or a command line can say."""

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"
"""What Lua can say: a Lua string is `str` when it is valid UTF-8 and `bytes` when it is not."""

GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What Go takes for white space (unicode.IsSpace); Python's has four control characters more."""

INDENTED = 65_536
"""Characters of JSON that are indented: depth times length adds up."""

MAX_DEPTH = 128
"""Nesting that any value may have; the limit of the reference's JSON module."""

_CAPITALS = re.compile(r"[A-Z_][A-Z0-9_]{0,79}")

# Checked here, since what binascii lets pass differs from one Python to the next. No repeated group: `re` would keep
# a hundred bytes for each of its rounds.
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


def check_json(value: object, where: str, *, depth: int = 0) -> None:
    """Raise EntryError unless `value` is JSON that can be written to a file and read back the same.

    Refused: other types, NaN and infinities, integers beyond 64 bits (Lua has no others), lone surrogates, keys
    that are not text, nesting beyond MAX_DEPTH. `where` opens the error line.
    """
    if depth > MAX_DEPTH:
        raise EntryError(f"{where}: nested too deeply")
    match value:
        case None | bool():
            return
        case int():
            if not -(1 << 63) <= value < 1 << 63:
                raise EntryError(f"{where}: an integer beyond 64 bits")
        case float():
            if not math.isfinite(value):
                raise EntryError(f"{where}: {value} is no JSON number")
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise EntryError(f"{where}: text with a lone surrogate") from error
        case list():
            for item in value:
                check_json(item, where, depth=depth + 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise EntryError(f"{where}: the key {shorten(repr(key))} is not text")
                check_json(key, where, depth=depth + 1)
                check_json(item, where, depth=depth + 1)
        case _:
            raise EntryError(f"{where}: a {type(value).__name__} is no JSON value")


def parse_json(text: str, wrong: str) -> Json:
    """What `text` says, as `check_json` has it. Raises EntryError with one line, which begins with `wrong`."""
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EntryError(f"{wrong}: {error}") from error
    check_json(value, wrong)
    return value


def as_value(value: Json) -> Value:
    """`value` itself: JSON is a Value without byte strings (the type checker cannot see into the containers)."""
    return cast(Value, value)


def as_json(value: Value, where: str) -> Json:
    """`value` itself when it holds no byte strings and nothing else that JSON lacks. Raises EntryError."""
    check_json(value, where)
    return cast(Json, value)


def shorten(text: str, limit: int = 80) -> str:
    """`text` cut to `limit` characters, for error lines."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def head_and_tail(text: str, most: int) -> str:
    """The first and the last of a text's characters, `most` together, and between them a line that says what lacks."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters not shown ...\n{text[-half:]}"


def readable_json(value: Value | Json) -> str:
    """`value` as JSON, all of it: indented when it is small, on one line when it is not."""
    text = json.dumps(value, ensure_ascii=False, default=_bytes)
    return json.dumps(value, ensure_ascii=False, default=_bytes, indent=2) if len(text) <= INDENTED else text


def shown_json(value: Value | Json, most: int) -> str:
    """`value` as JSON of about `most` characters, at most INDENTED: head and tail, of what is larger the head alone.

    No more than INDENTED characters are written for that: a megabyte takes long.
    """
    parts: list[str] = []
    size = 0
    for part in json.JSONEncoder(ensure_ascii=False, default=_bytes).iterencode(value):
        parts.append(part)
        size += len(part)
        if size > INDENTED:
            return f"{''.join(parts)[:most]}\n... the rest is not shown ..."
    return head_and_tail(json.dumps(value, ensure_ascii=False, default=_bytes, indent=2), most)


def _bytes(value: object) -> str:
    assert isinstance(value, bytes)
    return f"<{len(value):,} bytes>"


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, is this machine for itself alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_key(text: str) -> bool:
    """Whether `text` can stand in a header as a key: ASCII that shows something."""
    return all("!" <= character <= "~" for character in text)


def unset_variable(name: str) -> str:
    """The name of a variable that is not set, for error lines; not one that may be a key put in the place of a name."""
    return name if _CAPITALS.fullmatch(name) else "*** (not in capitals: it may be a key)"


def short_commit(commit: str) -> str:
    """As much of a commit's 40 digits as people are shown, and can give back."""
    return commit[:12]


def many(count: int, what: str, plural: str = "") -> str:
    """`1 step`, `1,204 steps`; `plural` is that of a word which does not only get an s."""
    return f"{count:,} {what if count == 1 else plural or f'{what}s'}"


def number(text: str, most: int) -> int | None:
    """The number from 1 to `most` that a person writes as `text`; None when it is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        return None
    return int(text)


def minute_of(time: datetime) -> str:
    """`2026-03-01 12:30`, as the clock had it that `time` is of."""
    return f"{time:%Y-%m-%d %H:%M}"


def money(amount: float) -> str:
    """`amount` of US dollars, for people."""
    if 0 < amount < 0.0001:
        return "<$0.0001"
    return f"${amount:,.4f}" if amount < 1 else f"${amount:,.2f}"


def decode_base64(text: bytes) -> bytes:
    """The bytes that `text` stands for, by RFC 4648 with padding. Raises ValueError with one line.

    Line ends are skipped, as Go does: mail and many APIs wrap base64 into lines.
    """
    compact = text.translate(None, b"\r\n")
    if len(compact) % 4 or not _BASE64.fullmatch(compact):
        raise ValueError("invalid base64: a character outside A-Z a-z 0-9 + / or wrong padding")
    return binascii.a2b_base64(compact)
