"""Operators on constants, worked out before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from micro_agi_kernel.expr.kinds import wrap
from micro_agi_kernel.expr.nodes import Binary, Literal, Node, Unary
from micro_agi_kernel.expr.operators import quotient, raised, remainder
from micro_agi_kernel.expr.static_types import INT, hint


def _constant(node: Node, value: Any) -> Literal:
    made = Literal(node.offset, value)
    made.static = INT if type(value) is int else hint(value)
    return made


def fold_unary(node: Unary) -> Node:
    """`node`, or the constant that it is."""
    if not isinstance(node.operand, Literal):
        return node
    value = node.operand.value
    if node.operator == "not":
        return _constant(node, not value) if type(value) is bool else node
    if type(value) not in (int, float):
        return node
    if node.operator == "+":
        return _constant(node, value)
    return _constant(node, wrap(-value) if type(value) is int else -value)


_NUMERIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: quotient(float(a), float(b)),
    "**": lambda a, b: raised(float(a), float(b)),
}


def fold_binary(node: Binary) -> Node:
    """Raises ZeroDivisionError with the node's offset."""
    if not isinstance(node.left, Literal) or not isinstance(node.right, Literal):
        return node
    left, right = node.left.value, node.right.value
    types = {type(left), type(right)}
    if node.operator == "%" and types == {int}:
        if right == 0:
            raise ZeroDivisionError(node.offset)
        return _constant(node, remainder(left, right))
    if node.operator in _NUMERIC and types <= {int, float}:
        value = _NUMERIC[node.operator](left, right)
        return _constant(node, wrap(value) if type(value) is int else value)
    if node.operator == "+" and types == {str}:
        return _constant(node, left + right)
    if node.operator == "==" and types in ({int}, {str}, {bool}):
        return _constant(node, left == right)
    return node
