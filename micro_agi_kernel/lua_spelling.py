"""One spelling for what Lua lets one write in several: calls, fields, separators and functions that have a name.

`f'x'` is `f('x')`, `t['a']` is `t.a`, `function M:f()` is `M.f = function(self)`, and most semicolons say nothing. All
this can be told from the tokens alone: whether what stands before a bracket can be called or indexed decides whether
the bracket goes on with it or begins a statement.
"""

from __future__ import annotations

import re

from micro_agi_kernel.lua_tokens import KEYWORDS, NoLua, Token

OPERAND_ENDS = frozenset({"end", "false", "nil", "true", "...", ")", "]", "}"})
"""Signs and keywords that an operand may end with."""
CLOSING = {")": "(", "]": "[", "}": "{"}
_ENDS = {"end": ("function", "do", "if"), "until": ("repeat",)} | {end: (start,) for end, start in CLOSING.items()}
"""What ends a block or a bracket, with what may have begun it."""
_DECLARED = (("sign", "local"), ("sign", ","), ("sign", "<"))
"""What stands before a name, or an attribute, that a `local` declares."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NONE: Token = ("", "")


def spelled_one_way(tokens: list[Token]) -> list[Token]:
    """The tokens of a source that means the same, in time linear in theirs. Raises NoLua for what is certainly none.

    What it gives need not be Lua itself, but two sources that give the same are the same program.
    """
    return _Speller(tokens).spelled()


class _Speller:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._out: list[Token] = []
        self._open: list[tuple[str, bool, int]] = []
        """Brackets and blocks that are open: which, whether it goes on with what stands before, its place in `_out`."""
        self._table = -1
        """Where the table that was closed last begins in `_out`."""
        self._prefix = False
        """Whether what was just taken can be called and indexed."""
        self._operand = False
        """Whether an operand just ended."""
        self._declaring = False
        """Whether names are those of a `local`."""

    def spelled(self) -> list[Token]:
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind == "sign":
                self._sign(text)
            elif kind == "name":
                self._declaring = self._declaring and self._peek(-1) in _DECLARED
                self._take(prefix=not self._declaring and self._peek(-1) != ("sign", "goto"), operand=True)
            else:
                self._take(prefix=kind == "string" and self._prefix, operand=True)
        return [token for token in self._out if token != _NONE]

    def _peek(self, ahead: int) -> Token:
        at = self._at + ahead
        return self._tokens[at] if 0 <= at < len(self._tokens) else _NONE

    def _take(self, *, prefix: bool, operand: bool) -> None:
        self._out.append(self._tokens[self._at])
        self._prefix, self._operand = prefix, operand
        self._at += 1

    def _sign(self, text: str) -> None:
        in_table = bool(self._open) and self._open[-1][0] == "{"
        self._declaring = self._declaring and text in (",", "<", ">")
        match text:
            case ";" if not in_table:
                self._at += 1  # it comes back before a bracket that could go on with what stands before it
                self._prefix = False
            case "," | ";" if in_table:
                self._at += 1
                if self._peek(0) != ("sign", "}"):
                    self._out.append(("sign", ","))
                self._prefix = self._operand = False
            case "function":
                self._function()
            case "[" if self._is_field(in_table):
                self._field()
            case "(" | "[" | "{" | "do" | "if" | "repeat":
                self._begin(text)
            case ")" | "]" | "}" | "end" | "until":
                self._end(text)
            case _:
                self._take(prefix=False, operand=text in OPERAND_ENDS)
                self._declaring = self._declaring or (text == "local" and self._peek(0)[0] == "name")

    def _function(self) -> None:
        """`function a.b:c(` becomes `a.b.c = function(self`; behind it the parameters follow."""
        own = False
        if self._peek(1)[0] == "name" and self._peek(-1) != ("sign", "local"):
            self._at += 1
            while self._peek(0) != ("sign", "("):
                kind, text = self._peek(0)
                if kind != "name" and text not in (".", ":"):
                    raise NoLua
                own = own or text == ":"
                self._out.append(("sign", ".") if text == ":" else (kind, text))
                self._at += 1
            self._out += [("sign", "="), ("sign", "function")]
        else:
            self._take(prefix=False, operand=False)
            if self._peek(0)[0] == "name":
                self._take(prefix=False, operand=False)
        if self._peek(0) != ("sign", "("):
            raise NoLua
        self._open.append(("function", False, len(self._out)))
        self._take(prefix=False, operand=False)
        if own:
            self._out.append(("name", "self"))
            if self._peek(0) != ("sign", ")"):
                self._out.append(("sign", ","))
        while self._peek(0) != ("sign", ")"):
            if self._peek(0) == _NONE:
                raise NoLua
            self._take(prefix=False, operand=False)
        self._take(prefix=False, operand=False)

    def _is_field(self, in_table: bool) -> bool:
        """Whether `['a']` stands here, as a key: of what was just taken, or of a table that is being made."""
        kind, text = self._peek(1)
        if kind != "string" or text in KEYWORDS or not _IDENTIFIER.fullmatch(text) or self._peek(2) != ("sign", "]"):
            return False
        return self._prefix or (in_table and not self._operand and self._peek(3) == ("sign", "="))

    def _field(self) -> None:
        if self._prefix:
            self._out.append(("sign", "."))
        self._out.append(("name", self._peek(1)[1]))
        self._at += 3
        self._prefix = self._operand = True

    def _begin(self, text: str) -> None:
        if text == "(" and self._operand and not self._prefix:
            self._out.append(("sign", ";"))
        self._open.append((text, self._prefix, len(self._out)))
        self._take(prefix=False, operand=False)

    def _end(self, text: str) -> None:
        if not self._open or self._open[-1][0] not in _ENDS[text]:
            raise NoLua
        _, goes_on, start = self._open.pop()
        if text == ")" and goes_on and self._is_alone(start + 1):
            self._out[start] = _NONE
            self._at += 1
            self._prefix = self._operand = True
            return
        if text == "}":
            self._table = start
        self._take(prefix=text in (")", "]") or (text == "}" and goes_on), operand=text in OPERAND_ENDS)

    def _is_alone(self, start: int) -> bool:
        """Whether what was taken since `start` is one string or one table."""
        kind, text = self._out[-1]
        return (kind == "string" and len(self._out) == start + 1) or (text == "}" and self._table == start)
