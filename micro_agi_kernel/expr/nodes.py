"""The syntax tree: one class per kind of node; the checker notes on each what it knows of its type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from micro_agi_kernel.expr.static_types import UNKNOWN, Static


@dataclass(slots=True)
class Node:
    """What every node has."""

    offset: int
    """Where in the source errors of this node are shown, in characters."""
    static: Static = field(default=UNKNOWN, init=False, compare=False)
    """Its type as far as it is known without running."""
    depth: int = field(default=0, init=False, compare=False)


@dataclass(slots=True)
class Literal(Node):
    """A constant: None, bool, int, float, str, Bytes, or the list of constants that folding makes of an array."""

    value: Any


@dataclass(slots=True)
class Name(Node):
    """A variable of a `let`, `$env`, or a field of the environment."""

    name: str


@dataclass(slots=True)
class Pointer(Node):
    """`#`, `#index` or `#acc` inside a predicate; the name without the mark."""

    name: str


@dataclass(slots=True)
class Unary(Node):
    operator: str
    """One of - + not; `!` is not."""
    operand: Node


@dataclass(slots=True)
class Binary(Node):
    """Every operator with two sides but `and` and `or`; `^` is **."""

    operator: str
    left: Node
    right: Node


@dataclass(slots=True)
class Logic(Node):
    """`a and b and ...`, or the same with `or`; && is and, || is or."""

    operator: str
    parts: list[Node]


@dataclass(slots=True)
class Comparison(Node):
    """`a < b <= c ...`: at least three operands, each evaluated once."""

    operators: list[str]
    operands: list[Node]


@dataclass(slots=True)
class InSet(Node):
    """`x in [...]` of constants that are all int or all text: a look-up, which only takes x of that type."""

    operand: Node
    members: frozenset[Any]
    textual: bool


@dataclass(slots=True)
class Member(Node):
    """`base.name`, `base?.name`, `base[key]`."""

    base: Node
    key: Node
    optional: bool = False


@dataclass(slots=True)
class Slice(Node):
    base: Node
    start: Node | None
    stop: Node | None


@dataclass(slots=True)
class Chain(Node):
    """Around a path with `?.`: when the base of one of these is nil, all of the path is nil."""

    path: Node


@dataclass(slots=True)
class Call(Node):
    """A call of what is no builtin: a method, or a function that the environment does not have."""

    callee: Node
    arguments: list[Node]
    name: str
    """What the source calls it, for errors."""


@dataclass(slots=True)
class Builtin(Node):
    """A call of a builtin; what the optimizer sets changes how its loop ends."""

    name: str
    arguments: list[Node]
    transform: Node | None = None
    """filter and find: what to make of each element found; set by the optimizer."""
    must_find: bool = False
    """find: nothing found is an error; set by the optimizer."""
    enough: int | None = None
    """count: stop at this number; set by the optimizer."""


@dataclass(slots=True)
class Predicate(Node):
    body: Node


@dataclass(slots=True)
class Let(Node):
    name: str
    value: Node
    body: Node


@dataclass(slots=True)
class Sequence(Node):
    parts: list[Node]


@dataclass(slots=True)
class Conditional(Node):
    condition: Node
    yes: Node
    no: Node


@dataclass(slots=True)
class Array(Node):
    items: list[Node]


@dataclass(slots=True)
class Map(Node):
    pairs: list[tuple[Node, Node]]


def children(node: Node) -> list[Node]:
    """The nodes directly below `node`, in the order in which they are evaluated."""
    match node:
        case Unary(operand=only) | InSet(operand=only) | Chain(path=only) | Predicate(body=only):
            return [only]
        case Binary():
            return [node.left, node.right]
        case Logic(parts=many) | Sequence(parts=many) | Array(items=many) | Comparison(operands=many):
            return many
        case Member():
            return [node.base, node.key]
        case Slice():
            return [part for part in (node.base, node.start, node.stop) if part is not None]
        case Call():
            return [*node.arguments, node.callee]
        case Builtin():
            return node.arguments if node.transform is None else [*node.arguments, node.transform]
        case Let():
            return [node.value, node.body]
        case Conditional():
            return [node.condition, node.yes, node.no]
        case Map():
            return [part for pair in node.pairs for part in pair]
    return []


def replace_children(node: Node, change: Callable[[Node], Node]) -> None:
    """Put `change` of each child in its place."""
    match node:
        case Unary() | InSet():
            node.operand = change(node.operand)
        case Chain():
            node.path = change(node.path)
        case Predicate():
            node.body = change(node.body)
        case Binary():
            node.left, node.right = change(node.left), change(node.right)
        case Logic() | Sequence():
            node.parts = [*map(change, node.parts)]
        case Array():
            node.items = [*map(change, node.items)]
        case Comparison():
            node.operands = [*map(change, node.operands)]
        case Member():
            node.base, node.key = change(node.base), change(node.key)
        case Slice():
            node.base = change(node.base)
            node.start = node.start and change(node.start)
            node.stop = node.stop and change(node.stop)
        case Call():
            node.arguments = [*map(change, node.arguments)]
            node.callee = change(node.callee)
        case Builtin():
            node.arguments = [*map(change, node.arguments)]
            node.transform = node.transform and change(node.transform)
        case Let():
            node.value, node.body = change(node.value), change(node.body)
        case Conditional():
            node.condition, node.yes, node.no = change(node.condition), change(node.yes), change(node.no)
        case Map():
            node.pairs = [(change(key), change(value)) for key, value in node.pairs]


def contains_pointer(node: Node, name: str) -> bool:
    """Whether `#name` stands anywhere below, in predicates of its own too."""
    if isinstance(node, Pointer):
        return node.name == name
    return any(contains_pointer(child, name) for child in children(node))
