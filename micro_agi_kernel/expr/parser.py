"""From tokens to the syntax tree."""

from __future__ import annotations

from micro_agi_kernel.expr.budget import MAX_DEPTH, MAX_LOOPS
from micro_agi_kernel.expr.kinds import Bytes
from micro_agi_kernel.expr.lexer import NEGATABLE, Token, TokenKind
from micro_agi_kernel.expr.literals import read_number
from micro_agi_kernel.expr.nodes import (
    Binary,
    Builtin,
    Call,
    Comparison,
    Conditional,
    Let,
    Literal,
    Logic,
    Name,
    Node,
    Pointer,
    Predicate,
    Sequence,
    Unary,
)
from micro_agi_kernel.expr.operands import Operands
from micro_agi_kernel.expr.signatures import LOOPS, NAMES

BINARY = {
    "|": 0,
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    **dict.fromkeys(("==", "!=", "<", ">", ">=", "<=", "in", "matches", "contains", "startsWith", "endsWith"), 20),
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
"""How strongly an operator binds."""
UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
COMPARISONS = frozenset({"<", ">", "<=", ">="})
_SAME = {"&&": "and", "||": "or", "^": "**", "!": "not"}


def parse(source: str, overridden: frozenset[str] = frozenset()) -> Node:
    """The tree of `source`. `overridden`: builtins that the environment replaces by a variable. Raises CompileError."""
    parser = _Parser(source, overridden)
    node = parser.sequence()
    if parser.token.kind is not TokenKind.END:
        parser.unexpected()
    return node


class _Parser(Operands):
    def __init__(self, source: str, overridden: frozenset[str]) -> None:
        super().__init__(source)
        self.overridden = overridden
        self.nesting = 0
        self.loops = 0

    def sequence(self) -> Node:
        parts = [self.expression()]
        while self.sees(TokenKind.OPERATOR, ";"):
            self.next()
            if self.sees(TokenKind.END):
                break
            parts.append(self.expression())
        return parts[0] if len(parts) == 1 else self.node(Sequence(parts[0].offset, parts))

    def expression(self, precedence: int = 0) -> Node:
        self.nesting += 1
        if self.nesting > MAX_DEPTH:
            self.too_deep()
        try:
            if precedence == 0 and self.sees(TokenKind.OPERATOR, "let"):
                return self.let()
            if precedence == 0 and self.sees(TokenKind.OPERATOR, "if"):
                return self.conditional_if()
            node = self.binary(self.primary(), precedence)
            return self.ternary(node) if precedence == 0 else node
        finally:
            self.nesting -= 1

    def binary(self, left: Node, precedence: int) -> Node:
        """What follows `left` as long as it binds at least as strongly as `precedence`."""
        previous = ""
        while self.token.kind is TokenKind.OPERATOR:
            token, negated = self.token, self.sees(TokenKind.OPERATOR, "not")
            if negated:
                token = self.tokens[self.at + 1]
                if token.text not in NEGATABLE:
                    self.fail(f"unexpected {token}", token)
            binds = BINARY.get(token.text)
            if binds is None or binds < precedence:
                break
            self.at += 2 if negated else 1
            operator = _SAME.get(token.text, token.text)
            if operator == "|":
                left = self.call(self.expect(TokenKind.NAME), [left])
            elif previous == "??" and operator != "??":
                self.fail(f"{operator} beside ?? needs parentheses", token)
            elif operator in COMPARISONS:
                left = self.comparison(left, token, binds)
            else:
                right = self.expression(binds if operator == "**" else binds + 1)
                left = self.combine(operator, left, right, token.offset)
                if negated:
                    left = self.node(Unary(token.offset, "not", left))
            previous = operator
        return left

    def combine(self, operator: str, left: Node, right: Node, offset: int) -> Node:
        if operator not in ("and", "or"):
            return self.node(Binary(offset, operator, left, right))
        # A chain is one node, so that it may be long without being deep.
        if isinstance(left, Logic) and left.operator == operator:
            left.parts.append(right)
            return self.counted(left, right)
        return self.node(Logic(offset, operator, [left, right]))

    def comparison(self, left: Node, token: Token, binds: int) -> Node:
        operands, operators = [left], [token.text]
        while True:
            operands.append(self.expression(binds + 1))
            if not self.sees(TokenKind.OPERATOR, *COMPARISONS):
                break
            operators.append(self.next().text)
        if len(operators) == 1:
            return self.node(Binary(token.offset, token.text, left, operands[1]))
        return self.node(Comparison(token.offset, operators, operands), more=2 * len(operators) - 2)

    def ternary(self, node: Node) -> Node:
        while self.sees(TokenKind.OPERATOR, "?"):
            offset = self.next().offset
            yes = node
            if not self.sees(TokenKind.OPERATOR, ":"):
                yes = self.expression()
            self.expect(TokenKind.OPERATOR, ":")
            node = self.node(Conditional(offset, node, yes, self.expression()))
        return node

    def let(self) -> Node:
        self.next()
        name = self.expect(TokenKind.NAME)
        self.expect(TokenKind.OPERATOR, "=")
        value = self.expression()
        self.expect(TokenKind.OPERATOR, ";")
        return self.node(Let(name.offset, name.text, value, self.sequence()))

    def conditional_if(self) -> Node:
        offset = self.next().offset
        condition = self.expression()
        yes = self.block()
        self.expect(TokenKind.OPERATOR, "else")
        # `else if` is a block of one expression.
        no = self.expression() if self.sees(TokenKind.OPERATOR, "if") else self.block()
        return self.node(Conditional(offset, condition, yes, no), more=-1)

    def block(self) -> Node:
        self.expect(TokenKind.BRACKET, "{")
        node = self.sequence()
        if self.sees(TokenKind.OPERATOR, ":"):
            self.unexpected("braces around a predicate or branch; a map in them needs its own, {{a: 1}} or ({a: 1})")
        self.expect(TokenKind.BRACKET, "}")
        return node

    def primary(self) -> Node:
        token = self.token
        if token.kind is TokenKind.OPERATOR and token.text in UNARY:
            self.next()
            operator = _SAME.get(token.text, token.text)
            return self.postfix(self.node(Unary(token.offset, operator, self.expression(UNARY[token.text]))))
        if self.sees(TokenKind.BRACKET, "("):
            self.next()
            node = self.sequence()
            self.expect(TokenKind.BRACKET, ")")
            return self.postfix(node)
        if self.loops and self.sees(TokenKind.OPERATOR, "#", "."):
            name = ""
            if token.text == "#":
                self.next()
                if self.sees(TokenKind.NAME):
                    name = self.next().text
            return self.postfix(self.node(Pointer(token.offset, name)))
        if self.sees(TokenKind.OPERATOR, "::"):
            self.next()
            return self.postfix(self.call(self.expect(TokenKind.NAME), [], overridable=False))
        return self.secondary()

    def secondary(self) -> Node:
        token = self.token
        match token.kind:
            case TokenKind.NAME:
                self.next()
                if token.text in ("true", "false", "nil"):  # nothing may follow a constant
                    return self.node(Literal(token.offset, {"true": True, "false": False}.get(token.text)))
                if self.sees(TokenKind.BRACKET, "("):
                    return self.postfix(self.call(token, []))
                return self.postfix(self.node(Name(token.offset, token.text)))
            case TokenKind.NUMBER:
                self.next()
                try:
                    return self.node(Literal(token.offset, read_number(token.text)))
                except ValueError as error:
                    self.fail(str(error), token)
            case TokenKind.STRING:
                self.next()
                return self.postfix(self.node(Literal(token.offset, token.text)))
            case TokenKind.BYTES:
                self.next()
                return self.postfix(self.node(Literal(token.offset, Bytes(token.text, "latin-1"))))
        if self.sees(TokenKind.BRACKET, "["):
            return self.postfix(self.array())
        if not self.sees(TokenKind.BRACKET, "{"):
            self.unexpected()
        return self.postfix(self.map())

    def call(self, name: Token, arguments: list[Node], *, overridable: bool = True) -> Node:
        """A call whose name was read. After a pipe, `arguments` holds what stands before it."""
        if overridable and name.text in self.overridden:
            pass
        elif name.text in LOOPS:
            return self.loop(name, arguments)
        elif name.text in NAMES:
            return self.node(Builtin(name.offset, name.text, self.arguments(arguments)))
        callee = self.node(Name(name.offset, name.text))
        return self.node(Call(name.offset, callee, self.arguments(arguments), name.text))

    def loop(self, name: Token, arguments: list[Node]) -> Node:
        """A builtin that takes a predicate: array, predicate, and for some one more."""
        self.expect(TokenKind.BRACKET, "(")
        first, (needed, most) = len(arguments), LOOPS[name.text]
        while len(arguments) < most:
            if self.sees(TokenKind.BRACKET, ")"):
                if len(arguments) < needed:
                    self.fail(f"{name.text} needs {needed} arguments", self.token)
                break
            if len(arguments) > first:
                self.expect(TokenKind.OPERATOR, ",")
            arguments.append(self.predicate() if len(arguments) == 1 else self.expression())
        if self.sees(TokenKind.OPERATOR, ","):
            self.next()
        self.expect(TokenKind.BRACKET, ")")
        return self.node(Builtin(name.offset, name.text, arguments))

    def predicate(self) -> Node:
        offset = self.token.offset
        self.loops += 1
        if self.loops > MAX_LOOPS:
            self.fail(f"more than {MAX_LOOPS} predicates inside one another", self.token)
        if self.sees(TokenKind.BRACKET, "{"):
            body = self.block()
        else:
            body = self.expression()
            if self.sees(TokenKind.OPERATOR, ";"):
                self.fail("a predicate with a semicolon needs { and }", self.token)
        self.loops -= 1
        return self.node(Predicate(offset, body))
