"""Short ways to write Python's own syntax tree, into which expressions are compiled."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

_LOAD, _STORE = ast.Load(), ast.Store()


class Writer:
    """Makes nodes; each carries, as its line number, where in the expression it comes from (from 1)."""

    def __init__(self) -> None:
        self.offset = 0
        self._temporaries = 0

    @property
    def at(self) -> dict[str, Any]:
        line = self.offset + 1
        return {"lineno": line, "end_lineno": line, "col_offset": 0, "end_col_offset": 0}

    def fresh(self, kind: str = "t") -> str:
        """A name that nothing else has."""
        self._temporaries += 1
        return f"{kind}{self._temporaries}"

    def name(self, name: str) -> ast.expr:
        return ast.Name(name, _LOAD, **self.at)

    def constant(self, value: Any) -> ast.expr:
        return ast.Constant(value, **self.at)

    def call(self, function: str | ast.expr, *arguments: ast.expr) -> ast.expr:
        callee = self.name(function) if isinstance(function, str) else function
        return ast.Call(callee, [*arguments], [], **self.at)

    def assign(self, name: str, value: ast.expr) -> ast.expr:
        """`(name := value)`"""
        return ast.NamedExpr(ast.Name(name, _STORE, **self.at), value, **self.at)

    def compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
        return ast.Compare(left, [operator], [right], **self.at)

    def has_type(self, value: ast.expr, kind: str) -> ast.expr:
        """`type(value) is kind`"""
        return self.compare(self.call("type", value), ast.Is(), self.name(kind))

    def choose(self, test: ast.expr, yes: ast.expr, no: ast.expr) -> ast.expr:
        return ast.IfExp(test, yes, no, **self.at)

    def every(self, *parts: ast.expr) -> ast.expr:
        return ast.BoolOp(ast.And(), [*parts], **self.at)

    def some(self, *parts: ast.expr) -> ast.expr:
        return ast.BoolOp(ast.Or(), [*parts], **self.at)

    def negation(self, value: ast.expr) -> ast.expr:
        return ast.UnaryOp(ast.Not(), value, **self.at)

    def array(self, items: Sequence[ast.expr]) -> ast.expr:
        return ast.List([*items], _LOAD, **self.at)

    def pair(self, a: ast.expr, b: ast.expr) -> ast.expr:
        return ast.Tuple([a, b], _LOAD, **self.at)

    def then(self, before: ast.expr, value: ast.expr) -> ast.expr:
        """`value`, after `before` was evaluated."""
        return self.item(self.pair(before, value), 1)

    def item(self, value: ast.expr, number: int) -> ast.expr:
        return ast.Subscript(value, self.constant(number), _LOAD, **self.at)

    def attribute(self, value: ast.expr, name: str) -> ast.expr:
        return ast.Attribute(value, name, _LOAD, **self.at)

    def function(self, parameters: Sequence[str], body: ast.expr) -> ast.expr:
        arguments = [ast.arg(name, **self.at) for name in parameters]
        return ast.Lambda(ast.arguments([], arguments, None, [], [], None, []), body, **self.at)

    def loop(self, targets: Sequence[str], items: ast.expr, test: ast.expr | None) -> list[ast.comprehension]:
        """`for targets in items if test`"""
        names: list[ast.expr] = [ast.Name(name, _STORE, **self.at) for name in targets]
        target = names[0] if len(names) == 1 else ast.Tuple(names, _STORE, **self.at)
        return [ast.comprehension(target, items, [] if test is None else [test], 0)]

    def listed(self, value: ast.expr, loop: list[ast.comprehension]) -> ast.expr:
        return ast.ListComp(value, loop, **self.at)

    def generated(self, value: ast.expr, loop: list[ast.comprehension]) -> ast.expr:
        return ast.GeneratorExp(value, loop, **self.at)
