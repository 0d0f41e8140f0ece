"""The tokens of a source as the parser takes them, and the count of what it makes of them."""

from __future__ import annotations

from typing import NoReturn, TypeVar

from micro_agi_kernel.expr.budget import MAX_DEPTH, MAX_NODES
from micro_agi_kernel.expr.errors import CompileError, located
from micro_agi_kernel.expr.lexer import Token, TokenKind, tokens
from micro_agi_kernel.expr.nodes import Node, children

AnyNode = TypeVar("AnyNode", bound=Node)


class Stream:
    """The tokens with a place among them. Raises CompileError that ends with the place."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokens(source)
        self.at = 0
        self.nodes = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def next(self) -> Token:
        token = self.token
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def sees(self, kind: TokenKind, *texts: str) -> bool:
        return self.token.kind is kind and (not texts or self.token.text in texts)

    def expect(self, kind: TokenKind, text: str | None = None) -> Token:
        if not (self.sees(kind) if text is None else self.sees(kind, text)):
            self.unexpected()
        return self.next()

    def unexpected(self, why: str = "") -> NoReturn:
        """Fail at the current token; `why`: what should stand there, or what was probably meant."""
        why = why or self.token.advice
        self.fail(f"unexpected {self.token}{why and ': '}{why}", self.token)

    def fail(self, message: str, token: Token) -> NoReturn:
        raise CompileError(located(message, self.source, token.offset))

    def node(self, node: AnyNode, more: int = 0) -> AnyNode:
        """Every node passes here, where it is counted; `more`: for what counts, but has no node of its own."""
        return self.counted(node, *children(node), more=more)

    def counted(self, node: AnyNode, *below: Node, more: int = 0) -> AnyNode:
        """`node`, with the nodes `below` that have come to it."""
        self.nodes += 1 + more
        if self.nodes > MAX_NODES:
            raise CompileError(f"the expression has more than {MAX_NODES:,} nodes")
        node.depth = max(node.depth, 1 + max((child.depth for child in below), default=0))
        if node.depth > MAX_DEPTH:
            self.too_deep()
        return node

    def too_deep(self) -> NoReturn:
        self.fail(f"nested more than {MAX_DEPTH} deep", self.token)
