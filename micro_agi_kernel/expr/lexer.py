"""From source to tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from micro_agi_kernel.expr.budget import MAX_SOURCE
from micro_agi_kernel.expr.errors import CompileError, located
from micro_agi_kernel.expr.literals import unquote, unquote_bytes
from micro_agi_kernel.values import GO_SPACE, shorten


class TokenKind(Enum):
    """What a token is."""

    NAME = "name"
    NUMBER = "number"
    STRING = "string"
    BYTES = "bytes"
    OPERATOR = "operator"
    BRACKET = "bracket"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number, string, operator or bracket of the source."""

    kind: TokenKind
    text: str
    """The content of a string, of bytes as Latin-1; else what stands in the source."""
    offset: int

    def __str__(self) -> str:
        return (
            "end of the expression" if self.kind is TokenKind.END else f"{self.kind.value} {shorten(self.text, 40)!r}"
        )

    @property
    def advice(self) -> str:
        """What was probably meant, if it stands where it cannot."""
        if self.kind is not TokenKind.OPERATOR:
            return ""
        if self.text in NEGATABLE:
            return f"it stands between, x {self.text} y"
        return _MEANT.get(self.text, "")


WORDS = frozenset({"in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else", "not"})
NEGATABLE = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})
"""Words that may follow `not`, as in `not in`."""
_MEANT = {
    "=": "== compares, let x = 1; names a value, and a predicate has no x =>, as in map(xs, .name)",
    "#": "it is the element in a predicate, as in map(xs, # + 1)",
    ".": "with nothing before it, it is a field of the element in a predicate, as in map(xs, .name)",
}
"""Operators that other languages have, or that are only valid elsewhere."""

_SKIPPED = re.compile(rf"(?:[{GO_SPACE}]+|//[^\n]*(?:\n|\Z)|/\*(?s:.*?)\*/)*")
_OPERATOR = re.compile(r"\?[.?]?|\|\|?|::?|\.\.?|[,;%+\-^/]|[&!=*<>][&=*]?|##?")
_PLAIN = re.compile(r"[A-Za-z0-9_$]*")
# Digits by what follows the leading zero. A dot that another dot follows is the range operator (1..2).
_DIGITS = {"": r"[0-9_]*", "x": r"[0-9a-fA-F_]*", "o": r"[0-7_]*", "b": r"[01_]*"}
_WHOLE = {radix: re.compile(digits) for radix, digits in _DIGITS.items()}
_REST = {radix: re.compile(rf"(?:\.(?!\.){digits})?(?:[eE][+-]?{digits})?") for radix, digits in _DIGITS.items()}


def tokens(source: str) -> list[Token]:
    """All tokens of `source`, the last one END. Raises CompileError."""
    if len(source) > MAX_SOURCE:
        raise CompileError(f"the source is longer than {MAX_SOURCE:,} characters")
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise CompileError("the source has a lone surrogate") from error
    return _Lexer(source).run()


class _Lexer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.found: list[Token] = []

    def run(self) -> list[Token]:
        source = self.source
        while True:
            self.at = _end(_SKIPPED, source, self.at)
            if self.at >= len(source):
                self.found.append(Token(TokenKind.END, "", max(len(source) - 1, 0)))
                return self.found
            self.one(source[self.at], source[self.at + 1 : self.at + 2])

    def one(self, char: str, following: str) -> None:
        if char in "'\"":
            self.quoted(TokenKind.STRING, self.at)
        elif char in "bB" and following and following in "'\"":
            self.quoted(TokenKind.BYTES, self.at + 1)
        elif char == "`":
            self.raw_string()
        elif char in "0123456789" or (char == "." and following and following in "0123456789"):
            self.number()
        elif char in "()[]{}":
            self.add(TokenKind.BRACKET, self.at + 1)
        elif char == "#":
            self.pointer()
        elif is_letter(char):
            self.word()
        elif self.source.startswith("/*", self.at):
            self.fail("the comment is not closed", self.at)
        elif operator := _OPERATOR.match(self.source, self.at):
            self.add(TokenKind.OPERATOR, operator.end())
        else:
            self.fail(f"unknown character {char!r}", self.at)

    def add(self, kind: TokenKind, end: int) -> None:
        self.found.append(Token(kind, self.source[self.at : end], self.at))
        self.at = end

    def fail(self, message: str, at: int) -> NoReturn:
        raise CompileError(located(message, self.source, min(at, max(len(self.source) - 1, 0))))

    def quoted(self, kind: TokenKind, start: int) -> None:
        """A string or bytes whose quote stands at `start`."""
        end = _closing(self.source, start)
        if end < 0:
            self.fail("the string is not closed", self.at)
        body = self.source[start + 1 : end].replace("\r\n", "\n").replace("\r", "\n")
        try:
            if kind is TokenKind.BYTES:
                text = unquote_bytes(body, self.source[start]).decode("latin-1")
            else:
                text = unquote(body, self.source[start])
        except ValueError as error:
            self.fail(str(error), self.at)
        self.found.append(Token(kind, text, self.at))
        self.at = end + 1

    def raw_string(self) -> None:
        """Between backticks there is no escape; two backticks stand for one."""
        end = self.at + 1
        while True:
            end = self.source.find("`", end)
            if end < 0:
                self.fail("the string is not closed", self.at)
            if self.source[end + 1 : end + 2] != "`":
                break
            end += 2
        self.found.append(Token(TokenKind.STRING, self.source[self.at + 1 : end].replace("``", "`"), self.at))
        self.at = end + 1

    def number(self) -> None:
        at, source = self.at, self.source
        if source[at] == ".":  # the digits after it are read like a number of their own
            at += 1
        radix = source[at + 1 : at + 2].lower() if source[at] == "0" else ""
        if radix in ("x", "o", "b"):
            at += 2
        else:
            radix = ""
        at = _end(_WHOLE[radix], source, at)
        if not source.startswith("..", at):
            at = _end(_REST[radix], source, at)
        if at < len(source) and is_alphanumeric(source[at]):
            self.fail(f"bad number {shorten(source[self.at : at + 1], 40)!r}", at)
        self.add(TokenKind.NUMBER, at)

    def pointer(self) -> None:
        """`#`, and the name that may stand right behind it."""
        self.add(TokenKind.OPERATOR, self.at + (2 if self.source.startswith("##", self.at) else 1))
        end = self.word_end(self.at)
        if end > self.at:
            self.add(TokenKind.NAME, end)

    def word(self) -> None:
        end = self.word_end(self.at)
        word = self.source[self.at : end]
        self.add(TokenKind.OPERATOR if word in WORDS else TokenKind.NAME, end)
        if word == "not":
            # `not in` is two operators on one line; before anything else the next word is read as usual.
            start = self.at
            while self.source.startswith(" ", start):
                start += 1
            end = self.word_end(start)
            if self.source[start:end] in NEGATABLE:
                self.at = start
                self.add(TokenKind.OPERATOR, end)

    def word_end(self, at: int) -> int:
        while True:
            at = _end(_PLAIN, self.source, at)
            if at >= len(self.source) or not is_alphanumeric(self.source[at]):
                return at
            at += 1


def _end(pattern: re.Pattern[str], source: str, at: int) -> int:
    """Where the match of `pattern`, which may be empty, ends that begins at `at`."""
    match = pattern.match(source, at)
    return match.end() if match else at


def _closing(source: str, start: int) -> int:
    """Where the string whose quote stands at `start` ends, or -1: a line break or the end comes first."""
    quote, at = source[start], start + 1
    while at < len(source) and source[at] != "\n":
        if source[at] == quote:
            return at
        at += 2 if source[at] == "\\" else 1
    return -1


def is_letter(char: str) -> bool:
    return char in "_$" or char.isalpha()


def is_alphanumeric(char: str) -> bool:
    return char in "_$" or char.isalpha() or char.isdecimal()
