"""What a Lua source says, whatever its layout, comments, spelling and the names of its locals: as one hash.

On top of the tokens in one spelling stand the rules of scope: a name that a `local`, a `for` or a list of parameters
declares becomes the number of its declaration, all other names stay. So what is hashed is the source up to spelling and
the names of its locals, and two sources of one hash do the same.

The reverse does not hold: the hash does not see that code does the same which is written otherwise. That is any other
order of statements, fields or locals; brackets that are not needed (but for those of a call with one text or table);
what is unused; a value by another expression (`not (a == b)`, `1 + 1`, `'a' .. 'b'`); a local in place of a global or
of a value that is used once; `else if` for `elseif`; other names of globals, fields and labels.

Time and memory are linear in the source, however it is nested; nothing here runs it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from micro_agi_kernel.lua_spelling import CLOSING, OPERAND_ENDS, spelled_one_way
from micro_agi_kernel.lua_tokens import KEYWORDS, NoLua, Token, tokens_of

MOST = 200_000
"""Characters of a source that gets a hash; the checks of an entry allow far fewer."""

_BEGINNINGS = KEYWORDS - {"and", "or"} | {";", "::"}
"""What cannot follow an operand within its statement."""
_NONE: Token = ("", "")


def code_hash(source: str) -> str | None:
    """64 hex digits, equal for sources that differ in layout, comments, spelling and names of locals only.

    None when the source is too long, or certainly no Lua.
    """
    if len(source) > MOST:
        return None
    try:
        tokens = _Scopes(spelled_one_way(tokens_of(source))).resolved()
    except NoLua:
        return None
    said = "".join([f"{kind} {len(text)}:{text}\n" for kind, text in tokens])
    return hashlib.sha256(said.encode("latin-1")).hexdigest()


@dataclass(slots=True)
class _Block:
    """A block that is open: what it declared, and how far its statement has come."""

    opener: str
    declared: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    """Names that count from the end of the statement, or of a `for` from its `do`."""
    brackets: list[str] = field(default_factory=list)
    ending: bool = False
    """A `repeat` whose `until` was met: the block goes on to the end of its condition."""


class _Scopes:
    """Follows the blocks of a source, token by token."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._out: list[Token] = []
        self._blocks = [_Block("")]
        self._numbers: dict[str, list[int]] = {}
        """Of each name the declarations that stand, the innermost last."""
        self._count = 0

    def resolved(self) -> list[Token]:
        """The tokens, with locals as the numbers of their declarations."""
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if self._ends_statement(kind, text):
                self._end_statement()
            if kind == "name":
                self._name(text)
            elif kind == "sign":
                self._sign(text)
            else:
                self._take()
        return self._out

    def _take(self) -> None:
        self._out.append(self._tokens[self._at])
        self._at += 1

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[self._at + ahead] if self._at + ahead < len(self._tokens) else _NONE

    def _is(self, *texts: str) -> bool:
        kind, text = self._peek()
        return kind == "sign" and text in texts

    # Statements

    def _ends_statement(self, kind: str, text: str) -> bool:
        """Whether the token begins a new statement, and what was declared with an expression counts from here."""
        block = self._blocks[-1]
        if block.brackets or not (block.pending or block.ending) or not self._out:
            return False
        last, said = self._out[-1]
        after_operand = last != "sign" or said in OPERAND_ENDS
        begins = kind == "name" or (kind == "sign" and text in _BEGINNINGS)
        return after_operand and begins and not (block.opener == "for" and text == "do")

    def _end_statement(self) -> None:
        if self._blocks[-1].ending:
            self._close()
        block = self._blocks[-1]
        if block.opener != "for":
            self._declare(block.pending)
            block.pending = []

    def _sign(self, text: str) -> None:
        match text:
            case "function":
                self._function()
                return
            case "local":
                self._local()
                return
            case "for":
                self._for()
                return
            case "goto":
                self._take()
                self._keep_name()
                return
            case "do" if self._blocks[-1].opener in ("for", "while"):
                block = self._blocks[-1]
                block.opener = "do"
                self._declare(block.pending)
                block.pending = []
            case "do" | "then" | "repeat" | "while":
                self._blocks.append(_Block(text))
            case "end" | "elseif":
                self._close()
            case "else":
                self._close()
                self._blocks.append(_Block(text))
            case "until":
                if self._blocks[-1].opener != "repeat":
                    raise NoLua
                self._blocks[-1].ending = True
            case "(" | "[" | "{":
                self._blocks[-1].brackets.append(text)
            case ")" | "]" | "}":
                brackets = self._blocks[-1].brackets
                if not brackets or brackets.pop() != CLOSING[text]:
                    raise NoLua
        self._take()

    def _local(self) -> None:
        self._take()
        if self._is("function"):
            self._take()
            self._declare([self._new_name(1)])
            self._parameters()
            return
        names = self._names()
        if self._is("="):
            self._blocks[-1].pending = names
        else:
            self._declare(names)

    def _for(self) -> None:
        self._take()
        block = _Block("for")
        block.pending = self._names()
        self._blocks.append(block)

    def _function(self) -> None:
        """`function` and the parameters; the body's block is open then."""
        self._take()
        self._parameters()

    def _parameters(self) -> None:
        if not self._is("("):
            raise NoLua
        self._take()
        self._blocks.append(_Block("function"))
        names = [] if self._is(")", "...") else self._names()
        if self._is("..."):
            self._take()
        if not self._is(")"):
            raise NoLua
        self._take()
        self._declare(names)

    def _names(self) -> list[str]:
        """The names of a declaration, with the attributes that a `local` may give them."""
        names: list[str] = []
        while self._peek()[0] == "name":
            names.append(self._new_name(len(names) + 1))
            if self._is("<"):
                self._take()
                self._keep_name()
                self._take()
            if not self._is(","):
                break
            self._take()
        if not names:
            raise NoLua
        return names

    def _new_name(self, place: int) -> str:
        kind, name = self._peek()
        if kind != "name":
            raise NoLua
        # Globals are fields of _ENV, wherever that comes from: its name means something.
        self._out.append(("name", name) if name == "_ENV" else ("new", str(place)))
        self._at += 1
        return name

    def _keep_name(self) -> None:
        if self._peek()[0] != "name":
            raise NoLua
        self._take()

    # Names

    def _name(self, name: str) -> None:
        standing = self._numbers.get(name)
        if standing and name != "_ENV" and not self._is_field():
            self._out.append(("local", str(standing[-1])))
            self._at += 1
        else:
            self._take()

    def _is_field(self) -> bool:
        """Whether the name is a key, or a label, and so no variable."""
        last = self._out[-1] if self._out else _NONE
        if last in (("sign", "."), ("sign", ":")):
            return True
        if last == ("sign", "::"):  # the second pair of a label ends it
            return self._peek(1) == ("sign", "::")
        brackets = self._blocks[-1].brackets
        in_table = bool(brackets) and brackets[-1] == "{"
        begins = last in (("sign", "{"), ("sign", ","))
        return in_table and begins and self._peek(1) == ("sign", "=")

    def _declare(self, names: list[str]) -> None:
        for name in names:
            self._count += 1
            self._numbers.setdefault(name, []).append(self._count)
            self._blocks[-1].declared.append(name)

    def _close(self) -> None:
        if len(self._blocks) < 2:
            raise NoLua
        for name in self._blocks.pop().declared:
            self._numbers[name].pop()
