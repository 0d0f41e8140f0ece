"""The tokens of a Lua 5.4 source, without white space and comments; numbers and strings as what they stand for."""

from __future__ import annotations

import re

KEYWORDS = frozenset(
    (
        *(
            "and",
            "break",
            "do",
            "else",
            "elseif",
            "end",
            "false",
            "for",
            "function",
            "goto",
            "if",
            "in",
            "local",
            "nil",
        ),
        *("not", "or", "repeat", "return", "then", "true", "until", "while"),
    )
)

Token = tuple[str, str]
"""Its kind ("name", "number", "string", and "sign" for keywords too) and its text: of a string, whatever its quotes and
escapes, a character for each byte; of a number its value, "16" for 0x10, and float.hex() of what is no integer."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\v\f]+)
    |(?P<comment>--)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>0[xX](?:[pP][+-]?|[0-9A-Fa-f.])+|\.?[0-9](?:[eE][+-]?|[0-9.])*)
    |(?P<long>\[=*\[)
    |(?P<quote>["'])
    |(?P<sign>\.\.\.|\.\.|::|//|<<|>>|[<>=~]=|[-+*/%^\#&~|<>={}()\[\];:,.])""",
    re.VERBOSE,
)
_PLAIN = {quote: re.compile(rf"[^\\\n\r{quote}]*") for quote in "\"'"}
_ESCAPE = re.compile(r"\\(?:z[ \t\r\n\v\f]*|x([0-9A-Fa-f]{2})|([0-9]{1,3})|u\{([0-9A-Fa-f]{1,8})\}|(\r\n|\n\r|[\s\S]))")
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39, "\n": 10, "\r": 10}
_MAX_NUMERAL = 100
_LINE = re.compile(r"[^\r\n]*")
_LINE_END = re.compile(r"\r\n|\n\r|\r")


class NoLua(Exception):
    """The source is no Lua."""


def tokens_of(source: str) -> list[Token]:
    """The tokens of `source`, in time linear in it. Raises NoLua for what is certainly none."""
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise NoLua
        text, kind = found[0], found.lastgroup or ""
        at = found.end()
        if kind == "comment":
            at = _after_comment(source, at)
        elif kind == "quote":
            value, at = _quoted(source, at, text)
            tokens.append(("string", value))
        elif kind == "long":
            value, at = _long(source, at, text)
            tokens.append(("string", value))
        elif kind == "number":
            tokens.append((kind, _number(text.lower())))
        elif kind != "space":
            tokens.append(("sign" if text in KEYWORDS else kind, text))
    return tokens


def _after_comment(source: str, at: int) -> int:
    found = _TOKEN.match(source, at)
    if found is not None and found.lastgroup == "long":
        return _long(source, found.end(), found[0])[1]
    line = _LINE.match(source, at)
    assert line is not None
    return line.end()


def _long(source: str, at: int, opening: str) -> tuple[str, int]:
    closing = opening.replace("[", "]")
    end = source.find(closing, at)
    if end < 0:
        raise NoLua
    text = _LINE_END.sub("\n", source[at:end])
    return _bytes(text.removeprefix("\n")).decode("latin-1"), end + len(closing)


def _quoted(source: str, at: int, quote: str) -> tuple[str, int]:
    parts: list[bytes] = []
    while True:
        plain = _PLAIN[quote].match(source, at)
        assert plain is not None
        parts.append(_bytes(plain[0]))
        at = plain.end()
        if source[at : at + 1] == quote:
            return b"".join(parts).decode("latin-1"), at + 1
        escape = _ESCAPE.match(source, at)
        if escape is None:
            raise NoLua
        parts.append(_meant(escape))
        at = escape.end()


def _meant(escape: re.Match[str]) -> bytes:
    digits, number, point, letter = escape.groups()
    try:
        if digits or number:
            return bytes([int(digits, 16) if digits else int(number)])
        if point:
            return _utf8(int(point, 16))
        return bytes([_LETTERS[letter[0]]]) if letter else b""
    except (ValueError, KeyError) as error:
        raise NoLua from error


def _utf8(point: int) -> bytes:
    """`point` as Lua writes it, which is not bound to what Unicode has."""
    if point < 0x80:
        return bytes([point])
    more: list[int] = []
    first = 0x3F
    while point > first:
        more.append(0x80 | point & 0x3F)
        point >>= 6
        first >>= 1
    return bytes([(~first << 1 & 0xFF) | point, *reversed(more)])


def _number(text: str) -> str:
    """What a numeral in small letters stands for; one that is none, or very long, stays as it is."""
    if len(text) > _MAX_NUMERAL:
        return text
    try:
        if text.startswith("0x"):
            if not text.isalnum() or "p" in text:
                return float.fromhex(text).hex()
            return str(int(text, 16) % (1 << 64))  # integers in hexadecimal wrap around
        if text.isdigit() and int(text) < 1 << 63:
            return str(int(text))
        return float(text).hex()
    except OverflowError:
        return "inf"
    except ValueError:
        return text


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
