"""Compiling the builtins that run a predicate over an array: each becomes a loop of its own."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from micro_agi_kernel.expr.nodes import Array, Builtin, Node, Predicate, contains_pointer

if TYPE_CHECKING:
    from micro_agi_kernel.expr.compiler import Compiler


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that stand for `#`, `#index` and `#acc` in one predicate, and which of these the source may use."""

    item: str
    index: str
    so_far: str
    known: frozenset[str]


def compile_loop(compiler: Compiler, node: Builtin) -> ast.expr:
    return _Loop(compiler, node).made()


class _Loop:
    def __init__(self, compiler: Compiler, node: Builtin) -> None:
        self.compiler = compiler
        self.write = compiler.write
        self.node = node
        fresh = compiler.write.fresh
        known = {"map": ("", "index"), "sum": ("", "index"), "reduce": ("", "index", "acc")}.get(node.name, ("",))
        self.scope = Scope(fresh("i"), fresh("n"), fresh("a"), frozenset(known))
        self.items = fresh("s")
        self.weight = 1
        """Steps of one element."""

    def inside(self, body: Node, *, boolean: bool = False) -> ast.expr:
        """Code that runs once for each element."""
        compiler = self.compiler
        outer, compiler.weight = compiler.weight, 0
        compiler.scopes.append(self.scope)
        body = body.body if isinstance(body, Predicate) else body
        made = compiler.test(body) if boolean else compiler.visit(body)
        compiler.scopes.pop()
        self.weight += compiler.weight
        compiler.weight = outer
        return made

    @property
    def predicate(self) -> Node | None:
        return self.node.arguments[1] if len(self.node.arguments) > 1 else None

    def test(self) -> ast.expr:
        """Whether the predicate holds; without one, whether the element is true."""
        if self.predicate is not None:
            return self.inside(self.predicate, boolean=True)
        return self.compiler.truth(self.element())

    def value(self) -> ast.expr:
        return self.element() if self.predicate is None else self.inside(self.predicate)

    def element(self) -> ast.expr:
        return self.compiler.element(self.scope)

    def result(self) -> ast.expr:
        """What filter and find give for an element that they want."""
        return self.element() if self.node.transform is None else self.inside(self.node.transform)

    def each(self, test: ast.expr | None = None, *, over: str | None = None) -> list[ast.comprehension]:
        """The loop's head; `over`: a function around the elements, which gives positions too if it is no `reversed`."""
        items = self.write.name(self.items)
        targets = [self.scope.item] if over in (None, "reversed") else [self.scope.index, self.scope.item]
        return self.write.loop(targets, self.write.call(over, items) if over else items, test)

    def made(self) -> ast.expr:
        w, first = self.write, self.node.arguments[0]
        is_sum = self.node.name == "sum" and self.predicate is None
        if is_sum and isinstance(first, Array) and len(first.items) > 1:
            return self.compiler.helper("total_of_literal", w.array([*map(self.compiler.visit, first.items)]))
        body = self.body()
        # Python allows no assignment in a loop's head, so the elements come before it.
        collection = self.compiler.visit(first)
        weight = w.constant(self.weight)
        return w.then(w.assign(self.items, self.compiler.helper("elements", collection, weight)), body)

    def body(self) -> ast.expr:
        w, helper = self.write, self.compiler.helper
        match self.node.name:
            case "all" | "any":
                return w.call(self.node.name, w.generated(self.test(), self.each()))
            case "none":
                return w.negation(w.call("any", w.generated(self.test(), self.each())))
            case "one" | "count":
                return self.count()
            case "filter":
                return helper("made", w.listed(self.result(), self.each(self.test())))
            case "map" | "sum":
                indexed = self.predicate is not None and contains_pointer(self.predicate, "index")
                values = w.listed(self.value(), self.each(over="enumerate" if indexed else None))
                return helper("made" if self.node.name == "map" else "total", values)
            case "find" | "findLast" | "findIndex" | "findLastIndex":
                return self.find()
            case "groupBy":
                keyed = w.pair(self.value(), self.element())
                return helper("group_by", w.listed(keyed, self.each()))
            case "sortBy":
                keyed = w.pair(self.value(), self.element())
                return helper("sort_by", w.listed(keyed, self.each()), *self.third())
        step = w.function([self.scope.so_far, self.scope.item, self.scope.index], self.value())
        return w.call("reduced", w.name(self.items), step, *self.third())

    def count(self) -> ast.expr:
        w = self.write
        if self.node.enough is not None:
            found = w.generated(self.test(), self.each())
            return w.call("count_up_to", found, w.constant(self.node.enough))
        counted = w.call("len", w.listed(w.constant(None), self.each(self.test())))
        return counted if self.node.name == "count" else w.compare(counted, ast.Eq(), w.constant(1))

    def find(self) -> ast.expr:
        w, name = self.write, self.node.name
        over = "reversed" if name.startswith("findLast") else None
        if name.endswith("Index"):
            over = "backwards" if over else "enumerate"
            value = w.name(self.scope.index)
        else:
            value = self.result()
        found = w.generated(value, self.each(self.test(), over=over))
        if not self.node.must_find:
            return w.call("next", found, w.constant(None))
        return w.call("found_or_fail", w.call("next", found, w.name("MISSING")), w.name("MISSING"))

    def third(self) -> list[ast.expr]:
        return [self.compiler.visit(argument) for argument in self.node.arguments[2:]]
