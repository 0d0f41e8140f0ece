"""Rewriting the tree before it is compiled.

These are expr-lang's rewritings as far as they show: which operands are looked at, and with them which errors there
are (`x and false` never looks at x, `first(filter(...))` stops at the first), and what fails before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable

from micro_agi_kernel.expr.errors import CompileError, located
from micro_agi_kernel.expr.folding import fold_binary, fold_unary
from micro_agi_kernel.expr.kinds import wrap
from micro_agi_kernel.expr.nodes import (
    Array,
    Binary,
    Builtin,
    Comparison,
    InSet,
    Literal,
    Logic,
    Member,
    Node,
    Pointer,
    Predicate,
    Unary,
    contains_pointer,
    replace_children,
)
from micro_agi_kernel.expr.static_types import ARRAY, INT

Rewrite = Callable[[Node], Node]


def optimize(root: Node, source: str) -> Node:
    """The tree to compile; nodes of `root` are reused and changed. Raises CompileError for a division by zero."""
    try:
        for rewrite in (_sets, _fold, _ranges, _filters, _sums, _counts):
            root = _everywhere(root, rewrite)
    except ZeroDivisionError as error:
        raise CompileError(located("division by zero", source, error.args[0])) from error
    return root


def _everywhere(node: Node, rewrite: Rewrite) -> Node:
    """`rewrite` of every node, below before above; what replaces a node has its place and type."""
    replace_children(node, lambda child: _everywhere(child, rewrite))
    made = rewrite(node)
    if made is not node and not isinstance(made, Literal) and made.static.name == "unknown":
        made.static = node.static
    return made


def _literal(node: Node, kind: type | tuple[type, ...]) -> bool:
    return isinstance(node, Literal) and type(node.value) in (kind if isinstance(kind, tuple) else (kind,))


def _integer(node: Node) -> int | None:
    return node.value if isinstance(node, Literal) and type(node.value) is int else None


def _call(node: Node, name: str, arguments: int) -> Builtin | None:
    """`node` if it calls that builtin with that many arguments."""
    matches = isinstance(node, Builtin) and node.name == name and len(node.arguments) == arguments
    return node if matches and isinstance(node, Builtin) else None


def _sets(node: Node) -> Node:
    """`x in ["a", "b"]` and, of an integer, `x in [1, 2]`."""
    if not isinstance(node, Binary) or node.operator != "in" or not isinstance(node.right, Array):
        return node
    items = node.right.items
    for kind, textual in ((int, False), (str, True)):
        if items and all(_literal(item, kind) for item in items) and (textual or node.left.static == INT):
            members = frozenset(item.value for item in items if isinstance(item, Literal))
            return InSet(node.offset, node.left, members, textual)
    return node


def _fold(node: Node) -> Node:
    """Constants of operators on constants."""
    match node:
        case Unary():
            return fold_unary(node)
        case Binary():
            return fold_binary(node)
        case Logic():
            return _fold_logic(node)
        case Array(items=items) if items and all(_literal(item, (int, float, str, bool)) for item in items):
            made = Literal(node.offset, [item.value for item in items if isinstance(item, Literal)])
            made.static = ARRAY
            return made
        case Builtin(name="filter", arguments=[Builtin(name="filter") as inner, Predicate(body=outer)]):
            predicate = inner.arguments[1]
            assert isinstance(predicate, Predicate)
            both = Predicate(predicate.offset, _fold_logic(Logic(predicate.offset, "and", [predicate.body, outer])))
            return Builtin(node.offset, "filter", [inner.arguments[0], both])
    return node


def _fold_logic(node: Logic) -> Node:
    """`true and x` is x, `x and false` is false whatever x is; the same for `or` the other way round.

    In expr-lang `a and b and c` is `(a and b) and c`, and a pair folds only when one of its two sides is a constant. So
    a constant here meets all of what stands before it (one node there), and afterwards what comes next.
    """
    neutral = node.operator == "and"
    parts: list[Node] = []
    for part in node.parts:
        if isinstance(part, Literal) and type(part.value) is bool:
            if part.value is not neutral or not parts:
                parts = [part]
        elif parts and isinstance(parts[0], Literal):
            parts = [part] if parts[0].value is neutral else parts
        else:
            parts.append(part)
    if len(parts) == 1:
        return parts[0]
    node.parts = parts
    return node


def _ranges(node: Node) -> Node:
    """`n in 1..9` of an integer makes no array."""
    if isinstance(node, Binary) and node.operator == "in" and node.left.static == INT:
        bounds = node.right
        if not isinstance(bounds, Binary) or bounds.operator != "..":
            return node
        if _literal(bounds.left, int) and _literal(bounds.right, int):
            return Comparison(node.offset, ["<=", "<="], [bounds.left, node.left, bounds.right])
    return node


def _filters(node: Node) -> Node:
    """map, len, first, last, [0] and [-1] of a filter."""
    if (mapped := _call(node, "map", 2)) and isinstance(mapped.arguments[1], Predicate):
        inner, indexed = mapped.arguments[0], contains_pointer(mapped.arguments[1], "index")
        if isinstance(inner, Builtin) and inner.name == "filter" and inner.transform is None and not indexed:
            return Builtin(node.offset, "filter", inner.arguments, transform=mapped.arguments[1].body)
    if (counted := _call(node, "len", 1)) and (found := _call(counted.arguments[0], "filter", 2)):
        return Builtin(node.offset, "count", found.arguments)
    for name, position, find in (("first", 0, "find"), ("last", -1, "findLast")):
        if (called := _call(node, name, 1)) and (found := _call(called.arguments[0], "filter", 2)):
            return Builtin(node.offset, find, found.arguments, found.transform)
        if not isinstance(node, Member) or node.optional or _integer(node.key) != position:
            continue
        if found := _call(node.base, "filter", 2):
            return Builtin(node.offset, find, found.arguments, found.transform, must_find=True)
    return node


def _sums(node: Node) -> Node:
    """sum and reduce of a range of constants, sum of a map.

    Folded because it shows: `sum(1..1000000000)` has a value in expr-lang, though such a range would be too large for
    the budget, and where the numbers overflow its formula gives another sum than adding them does.
    """
    if not isinstance(node, Builtin) or node.name not in ("sum", "reduce"):
        return node
    collection = node.arguments[0]
    if isinstance(collection, Binary) and collection.operator == "..":
        first, last = _integer(collection.left), _integer(collection.right)
        if first is not None and last is not None and first <= last:
            found = _range_sum(node, wrap(last - first + 1), first + last)
            if found is not None:
                made = Literal(node.offset, wrap(found))
                made.static = INT
                return made
    if node.name == "sum" and len(node.arguments) == 1 and (mapped := _call(collection, "map", 2)):
        return Builtin(node.offset, "sum", mapped.arguments)
    return node


def _range_sum(node: Builtin, count: int, ends: int) -> int | None:
    """The sum of `count` integers whose first and last add up to `ends`, changed as the predicate says."""
    doubled = wrap(count * wrap(ends))
    total = (abs(doubled) // 2) * (-1 if doubled < 0 else 1)
    body = node.arguments[1].body if len(node.arguments) > 1 and isinstance(node.arguments[1], Predicate) else None
    if node.name == "reduce":
        if (
            not isinstance(body, Binary)
            or body.operator != "+"
            or {_pointer(body.left), _pointer(body.right)} != {"", "acc"}
        ):
            return None
        initial = _integer(node.arguments[2]) if len(node.arguments) == 3 else 0
        return None if initial is None else total + initial
    if body is None or _pointer(body) == "":
        return total
    if not isinstance(body, Binary):
        return None
    pointer_left = _pointer(body.left) == ""
    constant = _integer(body.right if pointer_left else body.left)
    if constant is None or (not pointer_left and _pointer(body.right) != ""):
        return None
    match body.operator:
        case "*":
            return constant * total
        case "+":
            return total + count * constant
        case "-":
            return total - count * constant if pointer_left else count * constant - total
    return None


def _pointer(node: Node) -> str | None:
    return node.name if isinstance(node, Pointer) else None


def _counts(node: Node) -> Node:
    """Comparing a count with a constant needs no more elements than that."""
    if not isinstance(node, Binary) or (limit := _integer(node.right)) is None:
        return node
    counted = _call(node.left, "count", 2)
    if counted is None:
        return node
    if (node.operator, limit) in ((">", 0), (">=", 1)):
        return Builtin(node.offset, "any", counted.arguments)
    enough = limit + 1 if node.operator in (">", "<=") else limit
    if node.operator in (">", ">=", "<", "<=") and limit >= 0 and enough > 1:
        counted.enough = enough
    return node
