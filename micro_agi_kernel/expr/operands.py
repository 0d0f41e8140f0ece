"""Parsing what stands in brackets or behind a dot: arguments, arrays, maps, fields, elements, slices."""

from __future__ import annotations

from abc import ABC, abstractmethod

from micro_agi_kernel.expr.lexer import TokenKind, is_letter
from micro_agi_kernel.expr.nodes import Array, Call, Chain, Literal, Map, Member, Node, Slice
from micro_agi_kernel.expr.stream import Stream


class Operands(Stream, ABC):
    """The part of the parser that reads around and inside brackets."""

    @abstractmethod
    def expression(self, precedence: int = 0) -> Node:
        """One expression, as far as its operators bind at least that strongly."""

    def arguments(self, found: list[Node]) -> list[Node]:
        if not self.sees(TokenKind.BRACKET, "("):
            self.unexpected("a function's arguments follow it in parentheses, as in len(xs) or xs | len()")
        self.next()
        first = len(found)
        while not self.sees(TokenKind.BRACKET, ")"):
            if len(found) > first:
                self.expect(TokenKind.OPERATOR, ",")
                if self.sees(TokenKind.BRACKET, ")"):
                    break
            found.append(self.expression())
        self.next()
        return found

    def array(self) -> Node:
        offset = self.next().offset
        items: list[Node] = []
        while not self.sees(TokenKind.BRACKET, "]"):
            if items:
                self.expect(TokenKind.OPERATOR, ",")
                if self.sees(TokenKind.BRACKET, "]"):
                    break
            items.append(self.expression())
        self.next()
        return self.node(Array(offset, items))

    def map(self) -> Node:
        offset = self.next().offset
        pairs: list[tuple[Node, Node]] = []
        while not self.sees(TokenKind.BRACKET, "}"):
            if pairs:
                self.expect(TokenKind.OPERATOR, ",")
                if self.sees(TokenKind.BRACKET, "}"):
                    break
            key: Node
            if self.token.kind in (TokenKind.NUMBER, TokenKind.STRING, TokenKind.NAME):
                token = self.next()
                key = self.node(Literal(token.offset, token.text))
            elif self.sees(TokenKind.BRACKET, "("):
                key = self.expression()
            else:
                self.unexpected("a key is a name, a number, text, or in parentheses")
            self.expect(TokenKind.OPERATOR, ":")
            pairs.append((key, self.expression()))
        self.next()
        return self.node(Map(offset, pairs), more=len(pairs))

    def postfix(self, node: Node) -> Node:
        while True:
            token = self.token
            if self.sees(TokenKind.OPERATOR, ".", "?."):
                self.next()
                if token.text == "?." and self.sees(TokenKind.BRACKET, "["):
                    node = self.index(node, optional=True)
                else:
                    node = self.field(node, optional=token.text == "?.")
            elif self.sees(TokenKind.BRACKET, "["):
                node = self.index(node, optional=False)
            else:
                return node

    def field(self, node: Node, *, optional: bool) -> Node:
        name = self.next()
        if name.kind is not TokenKind.NAME and not (name.kind is TokenKind.OPERATOR and is_letter(name.text[0])):
            self.fail("a name must follow the dot", name)
        chained = isinstance(node, Chain)
        base = node.path if isinstance(node, Chain) else node
        key = self.node(Literal(name.offset, name.text))
        node = self.node(Member(name.offset, base, key, optional))
        if self.sees(TokenKind.BRACKET, "("):
            node = self.node(Call(name.offset, node, self.arguments([]), name.text))
        return self.node(Chain(name.offset, node)) if chained or optional else node

    def index(self, node: Node, *, optional: bool) -> Node:
        """`[key]`, `[from:to]`; the token is the bracket."""
        offset = self.next().offset
        start = None if self.sees(TokenKind.OPERATOR, ":") else self.expression()
        if self.sees(TokenKind.OPERATOR, ":"):
            self.next()
            stop = None if self.sees(TokenKind.BRACKET, "]") else self.expression()
            node = self.node(Slice(offset, node, start, stop))
        else:
            assert start is not None
            node = self.node(Member(offset, node, start, optional))
            if optional:
                node = self.node(Chain(offset, node))
        self.expect(TokenKind.BRACKET, "]")
        return node
