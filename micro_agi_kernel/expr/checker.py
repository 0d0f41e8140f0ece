"""What can be known to fail before anything runs: unknown names, wrong arguments, types that never fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from micro_agi_kernel.expr.advice import misfit, no_field, no_function, quote
from micro_agi_kernel.expr.errors import CompileError, located
from micro_agi_kernel.expr.kinds import Bytes
from micro_agi_kernel.expr.methods import METHODS
from micro_agi_kernel.expr.nodes import (
    Array,
    Binary,
    Builtin,
    Call,
    Chain,
    Comparison,
    Conditional,
    Let,
    Literal,
    Logic,
    Map,
    Member,
    Name,
    Node,
    Pointer,
    Predicate,
    Sequence,
    Slice,
    Unary,
)
from micro_agi_kernel.expr.operator_types import binary_type, check_order
from micro_agi_kernel.expr.patterns import Patterns
from micro_agi_kernel.expr.signatures import CHECKS, LOOPS, NAMES, Mismatch, match
from micro_agi_kernel.expr.static_types import (
    ANY,
    ARRAY,
    BOOL,
    BYTES,
    FUNCTION,
    GROUPS,
    INT,
    MAP,
    STRING,
    UNKNOWN,
    Static,
    array_of,
    assignable,
    hint,
)


def check(root: Node, source: str, patterns: Patterns, env: Mapping[str, Static], *, strict: bool) -> Static:
    """Note the static type on every node and return that of the whole. Raises CompileError.

    `env`: what the environment's variables are, as far as it is known. `strict`: others do not exist.
    """
    return _Checker(source, patterns, env, strict).visit(root)


class _Checker:
    def __init__(self, source: str, patterns: Patterns, env: Mapping[str, Static], strict: bool) -> None:
        self.source = source
        self.patterns = patterns
        self.env = env
        self.strict = strict
        self.variables: dict[str, Static] = {}
        self.scopes: list[tuple[Static, Mapping[str, Static]]] = []
        """Of the predicates around: the array, and what `#index` and `#acc` are."""

    def fail(self, node: Node, message: str) -> NoReturn:
        raise CompileError(located(message, self.source, node.offset))

    def visit(self, node: Node) -> Static:
        node.static = _VISITORS[type(node)](self, node)
        return node.static

    def literal(self, node: Literal) -> Static:
        if isinstance(node.value, Bytes):
            return BYTES
        return INT if type(node.value) is int else hint(node.value)

    def name(self, node: Name) -> Static:
        if node.name in self.variables:
            return self.variables[node.name]
        if node.name == "$env":
            return UNKNOWN
        if node.name in self.env:
            return self.env[node.name]
        if node.name in NAMES:
            return FUNCTION
        return self.unknown(node, node.name, self.strict)

    def unknown(self, node: Node, name: str, strict: bool) -> Static:
        if strict:
            self.fail(node, f"there is no variable {quote(name)}")
        return UNKNOWN

    def unary(self, node: Unary) -> Static:
        operand = self.visit(node.operand)
        fits = operand == BOOL if node.operator == "not" else operand.is_number
        if not fits and not operand.is_unknown:
            self.fail(node, f"{node.operator} does not take {operand}")
        if node.operator == "not":
            return BOOL
        return operand if fits else UNKNOWN

    def binary(self, node: Binary) -> Static:
        left, right = self.visit(node.left), self.visit(node.right)
        if node.operator == "matches" and isinstance(node.right, Literal) and isinstance(node.right.value, str):
            try:
                self.patterns.add(node.right.value)
            except ValueError as error:
                self.fail(node.right, str(error))
        found = binary_type(node.operator, left, right)
        if found is None:
            self.fail(node, misfit(node.operator, str(left), str(right)))
        return found

    def logic(self, node: Logic) -> Static:
        for part in node.parts:
            static = self.visit(part)
            if static != BOOL and not static.is_unknown:
                self.fail(part, f"{node.operator} does not take {static}")
        return BOOL

    def comparison(self, node: Comparison) -> Static:
        operands = [self.visit(operand) for operand in node.operands]
        for operator, left, right in zip(node.operators, operands, operands[1:], strict=False):
            if not check_order(left, right):
                self.fail(node, misfit(operator, str(left), str(right)))
        return BOOL

    def chain(self, node: Chain) -> Static:
        return self.visit(node.path)

    def member(self, node: Member) -> Static:
        name = node.key.value if isinstance(node.key, Literal) and isinstance(node.key.value, str) else None
        if isinstance(node.base, Name) and node.base.name == "$env":
            if name is None:  # as in expr-lang, the key is not looked at then
                return UNKNOWN
            return self.env.get(name) or self.unknown(node, name, self.strict and not node.optional)
        base, key = self.visit(node.base), self.visit(node.key)
        if base.is_unknown:
            return UNKNOWN
        if name is not None and name in METHODS.get(base.name, {}):
            return Static("function", method=METHODS[base.name][name])
        if base.is_map:
            if not (key.is_unknown or assignable(key, base.key)):
                self.fail(node.key, f"a map has elements by {base.key}, not by {key}")
            return base.element
        if not base.is_array:
            self.fail(node, f"{base} has no elements" if name is None else no_field(str(base), name))
        if not (key.is_unknown or key.is_integer):
            wrong = f"an array has elements by number, not by {key}"
            self.fail(node.key, wrong if name is None else no_field("array", name))
        return base.element

    def slice(self, node: Slice) -> Static:
        base = self.visit(node.base)
        if base.is_unknown:
            # As in expr-lang, the bounds are not looked at then.
            return UNKNOWN
        if not base.is_array and base != STRING:
            self.fail(node, f"{base} has no slices")
        for bound in (node.start, node.stop):
            if bound is not None and not ((static := self.visit(bound)).is_integer or static.is_unknown):
                self.fail(bound, f"a slice goes from number to number, not by {static}")
        return base

    def call(self, node: Call) -> Static:
        if isinstance(node.callee, Name) and node.callee.name == "$env":
            self.fail(node, "$env is no function")
        if self.strict and isinstance(node.callee, Name) and node.name not in {*self.variables, *self.env, *NAMES}:
            self.fail(node, no_function(node.name))
        callee = self.visit(node.callee)
        if callee.is_unknown:
            return UNKNOWN
        method = callee.method
        if method is None:
            self.fail(node, f"{quote(node.name)} is {callee}, no function")
        if method.result is None:
            self.fail(node, f"{node.name} gives several values and cannot be used here")
        self.arguments(node, node.arguments, lambda found: match(node.name, method.parameters, found))
        return method.result

    def arguments(self, node: Node, arguments: list[Node], take: Callable[[list[Static]], Any]) -> Any:
        found = [self.visit(argument) for argument in arguments]
        try:
            return take([ANY if static == UNKNOWN else static for static in found])
        except Mismatch as mismatch:
            self.fail(node if mismatch.argument is None else arguments[mismatch.argument], str(mismatch))

    def builtin(self, node: Builtin) -> Static:
        if node.name in LOOPS:
            return self.loop(node)
        if node.name == "get" and len(node.arguments) == 2:
            base, key = node.arguments
            if isinstance(base, Name) and base.name == "$env":
                self.visit(key)
                name = key.value if isinstance(key, Literal) else None
                return self.env.get(name, UNKNOWN) if isinstance(name, str) else UNKNOWN
        static = self.arguments(node, node.arguments, lambda found: CHECKS[node.name](node.name, found))
        assert isinstance(static, Static)
        return static

    def loop(self, node: Builtin) -> Static:
        collection = self.visit(node.arguments[0])
        if not collection.is_array and not collection.is_unknown:
            self.fail(node.arguments[0], f"{node.name} takes an array, not {collection}")
        element = UNKNOWN if collection.is_unknown else collection.element
        if len(node.arguments) == 1:
            return INT if node.name == "count" else element
        extra = {"map": {"index": INT}, "reduce": {"index": INT, "acc": UNKNOWN}}.get(node.name, {})
        self.scopes.append((collection, extra))
        result = self.visit(node.arguments[1])
        self.scopes.pop()
        if result.is_nil:
            self.fail(node.arguments[1], f"the predicate of {node.name} gives nothing but nil")
        if len(node.arguments) == 3:
            third = self.visit(node.arguments[2])
            if node.name == "sortBy" and third != STRING and not third.is_unknown:
                self.fail(node.arguments[2], f"the order is text, not {third}")
        if node.name in _WANT_BOOL and result != BOOL and not result.is_unknown:
            self.fail(node.arguments[1], f"the predicate of {node.name} gives {result}, not bool")
        match node.name:
            case "filter":
                return ARRAY if collection.is_unknown else array_of(element)
            case "map":
                return array_of(result)
            case "sum":  # of an array as a predicate's result, no more is known than that it is one
                return ARRAY if result == ARRAY else ANY if result == UNKNOWN else result
            case "reduce":
                return result
            case "count" | "findIndex" | "findLastIndex":
                return INT
            case "find" | "findLast":
                return element
            case "groupBy":
                return GROUPS
            case "sortBy":
                return collection
        return BOOL

    def predicate(self, node: Predicate) -> Static:
        return self.visit(node.body)

    def pointer(self, node: Pointer) -> Static:
        if not self.scopes:
            self.fail(node, "# outside a predicate")
        collection, extra = self.scopes[-1]
        if not node.name:
            return UNKNOWN if collection.is_unknown else collection.element
        if node.name not in extra:
            self.fail(node, f"unknown #{quote(node.name)}: map has #index, reduce #index and #acc")
        return extra[node.name]

    def let(self, node: Let) -> Static:
        if node.name in self.env or node.name in NAMES or node.name in self.variables:
            self.fail(node, f"{quote(node.name)} exists already")
        self.variables[node.name] = self.visit(node.value)
        static = self.visit(node.body)
        del self.variables[node.name]
        return static

    def sequence(self, node: Sequence) -> Static:
        return [self.visit(part) for part in node.parts][-1]

    def conditional(self, node: Conditional) -> Static:
        condition = self.visit(node.condition)
        if condition != BOOL and not condition.is_unknown:
            self.fail(node.condition, f"a condition is bool, not {condition}")
        yes, no = self.visit(node.yes), self.visit(node.no)
        if yes.is_nil or no.is_nil:
            return no if yes.is_nil else yes
        if not assignable(yes, no):
            return UNKNOWN
        if yes.is_array and no.is_array:
            a, b = yes.element, no.element
            return yes if assignable(a, b) and assignable(b, a) else ARRAY
        return yes

    def array(self, node: Array) -> Static:
        found = [self.visit(item) for item in node.items]
        if len({static.family for static in found}) > 1:
            return ARRAY
        return array_of(found[-1] if found else UNKNOWN)

    def map(self, node: Map) -> Static:
        for key, value in node.pairs:
            self.visit(key)
            self.visit(value)
        return MAP


_WANT_BOOL = frozenset({"all", "none", "any", "one", "filter", "count"}) | {
    *("find", "findIndex", "findLast", "findLastIndex")
}

_VISITORS: Mapping[type[Node], Callable[[_Checker, Any], Static]] = {
    Literal: _Checker.literal,
    Name: _Checker.name,
    Pointer: _Checker.pointer,
    Unary: _Checker.unary,
    Binary: _Checker.binary,
    Logic: _Checker.logic,
    Comparison: _Checker.comparison,
    Chain: _Checker.chain,
    Member: _Checker.member,
    Slice: _Checker.slice,
    Call: _Checker.call,
    Builtin: _Checker.builtin,
    Predicate: _Checker.predicate,
    Let: _Checker.let,
    Sequence: _Checker.sequence,
    Conditional: _Checker.conditional,
    Array: _Checker.array,
    Map: _Checker.map,
}
