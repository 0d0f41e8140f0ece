"""From the checked tree to a Python function.

The tree becomes Python's own syntax tree and that a code object: several times as fast as walking our tree or
calling closures. What the expression's author wrote enters it as constants only; every name in it is ours. What is
common (a field of a map, comparing with a constant) is written out, everything else calls a function of `library`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from micro_agi_kernel.expr.advice import quote
from micro_agi_kernel.expr.errors import CompileError, located
from micro_agi_kernel.expr.kinds import Bytes, Dynamic
from micro_agi_kernel.expr.library import NAMESPACE
from micro_agi_kernel.expr.loops import Scope, compile_loop
from micro_agi_kernel.expr.nodes import (
    Array,
    Binary,
    Builtin,
    Call,
    Chain,
    Comparison,
    Conditional,
    InSet,
    Let,
    Literal,
    Logic,
    Map,
    Member,
    Name,
    Node,
    Pointer,
    Sequence,
    Slice,
    Unary,
)
from micro_agi_kernel.expr.operators import EXACT
from micro_agi_kernel.expr.paths import compile_chain, compile_member, compile_slice
from micro_agi_kernel.expr.patterns import Patterns
from micro_agi_kernel.expr.python_ast import Writer
from micro_agi_kernel.expr.signatures import LOOPS, wrong_count
from micro_agi_kernel.expr.static_types import UNKNOWN

FILE = "<expression>"
"""What a traceback calls the file of compiled expressions."""

CALLS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "modulo",
    "**": "power",
    "..": "span",
    "in": "contained",
    "matches": "matches",
    "contains": "contains",
    "startsWith": "starts_with",
    "endsWith": "ends_with",
    "<": "less",
    "<=": "less_or_equal",
    ">": "more",
    ">=": "more_or_equal",
}
"""Operators, and the function that does each."""
_ORDER: Mapping[str, type[ast.cmpop]] = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}
_BOOLEAN = frozenset({"==", "!=", "in", "matches", "contains", "startsWith", "endsWith", *_ORDER})
_BOOLEAN_BUILTINS = frozenset({"all", "any", "none", "one", "hasPrefix", "hasSuffix"})


@dataclass(frozen=True, slots=True)
class Code:
    """What a tree was compiled to."""

    function: Callable[..., Dynamic]
    """Takes the budget, a look-up of variables, and the environment."""
    weight: int
    """Steps of one pass."""
    variables: frozenset[str]
    """The names of the environment's variables that it looks up."""
    operands: Mapping[int, list[tuple[str, bool]]]
    """By the offset of a node the variables directly below it, and whether a predicate is around them: for errors."""


def compile_tree(root: Node, source: str, patterns: Patterns) -> Code:
    """Raises CompileError."""
    compiler = Compiler(source, patterns)
    body = compiler.visit(root)
    function = compiler.write.function(["budget", "variable", "env"], body)
    code = compile(ast.Expression(function), FILE, "eval")
    return Code(
        eval(code, {**NAMESPACE, **compiler.constants}), compiler.weight, frozenset(compiler.named), compiler.operands
    )


class Compiler:
    """Makes Python of a tree, one method for each kind of node."""

    def __init__(self, source: str, patterns: Patterns) -> None:
        self.source = source
        self.patterns = patterns
        self.constants: dict[str, Dynamic] = {}
        self.write = Writer()
        self.variables: dict[str, str] = {}
        self.scopes: list[Scope] = []
        self.weight = 0
        """Steps of one pass through what is being compiled, predicates inside it left out."""
        self.named: set[str] = set()
        """Variables of the environment."""
        self.operands: dict[int, list[tuple[str, bool]]] = {}

    def fail(self, node: Node, message: str) -> NoReturn:
        raise CompileError(located(message, self.source, node.offset))

    def visit(self, node: Node) -> ast.expr:
        self.weight += 1
        before, self.write.offset = self.write.offset, node.offset
        if type(node) is Name and node.name != "$env" and node.name not in self.variables:
            self.operands.setdefault(before, []).append((node.name, bool(self.scopes)))
        made = _VISITORS[type(node)](self, node)
        self.write.offset = before
        return made

    def helper(self, name: str, *arguments: ast.expr) -> ast.expr:
        """A call of a function that takes the budget first."""
        return self.write.call(name, self.write.name("budget"), *arguments)

    def literal(self, node: Literal) -> ast.expr:
        if isinstance(node.value, (str, bytes, list)):
            self.weight += len(node.value) >> 6
        if isinstance(node.value, (list, Bytes)):
            return self.constant(node.value)
        return self.write.constant(node.value)

    def constant(self, value: Dynamic) -> ast.expr:
        """A name for what Python's syntax has no constant for."""
        name = self.write.fresh("c")
        self.constants[name] = value
        return self.write.name(name)

    def name(self, node: Name) -> ast.expr:
        if node.name in self.variables:
            return self.write.name(self.variables[node.name])
        if node.name == "$env":
            return self.write.name("env")
        self.named.add(node.name)
        return self.write.call("variable", self.write.constant(node.name))

    def pointer(self, node: Pointer) -> ast.expr:
        if not self.scopes or node.name not in ("", "index", "acc"):
            self.fail(node, f"unknown #{quote(node.name)}")
        if node.name not in self.scopes[-1].known:
            # The checker refuses this, but not where it does not look: among the arguments of an unknown function.
            return self.write.call("fail", self.write.constant(f"there is no #{node.name} here"))
        scope = self.scopes[-1]
        if node.name:
            return self.write.name(scope.index if node.name == "index" else scope.so_far)
        return self.element(scope)

    def element(self, scope: Scope) -> ast.expr:
        """The current element, which a map does not have."""
        item = self.write.name(scope.item)
        missing = self.write.compare(item, ast.Is(), self.write.name("NO_ITEM"))
        return self.write.choose(missing, self.write.call("no_item", item), item)

    def unary(self, node: Unary) -> ast.expr:
        if node.operator == "+":
            return self.visit(node.operand)
        if node.operator == "-":
            return self.write.call("negate", self.visit(node.operand))
        if is_boolean(node.operand):
            return self.write.negation(self.visit(node.operand))
        return self.write.call("invert", self.visit(node.operand))

    def test(self, node: Node) -> ast.expr:
        """`node` as True or False and nothing else; another value is an error."""
        if isinstance(node, Logic):
            self.weight += 1
            join = self.write.every if node.operator == "and" else self.write.some
            return join(*(self.test(part) for part in node.parts))
        value = self.visit(node)
        return value if is_boolean(node) else self.truth(value)

    def truth(self, value: ast.expr) -> ast.expr:
        w, name = self.write, self.write.fresh()
        is_true = w.compare(w.assign(name, value), ast.Is(), w.constant(True))
        is_other = w.compare(w.name(name), ast.IsNot(), w.constant(False))
        return w.some(is_true, w.every(is_other, w.call("bad_bool", w.name(name))))

    def logic(self, node: Logic) -> ast.expr:
        join = self.write.every if node.operator == "and" else self.write.some
        # The last part is given as it is, whatever its type.
        return join(*(self.test(part) for part in node.parts[:-1]), self.visit(node.parts[-1]))

    def binary(self, node: Binary) -> ast.expr:
        if node.operator == "??":
            return self.coalesce(node)
        if node.operator in ("==", "!="):
            equal = self.equality(node)
            return equal if node.operator == "==" else self.write.negation(equal)
        if node.operator in _ORDER and isinstance(node.right, Literal) and type(node.right.value) in (int, float):
            return self.order_by_constant(node)
        if node.operator == "matches" and isinstance(node.right, Literal) and isinstance(node.right.value, str):
            return self.helper("matches_pattern", self.visit(node.left), self.pattern(node.right, node.right.value))
        return self.helper(CALLS[node.operator], self.visit(node.left), self.visit(node.right))

    def pattern(self, node: Node, source: str) -> ast.expr:
        try:
            made = self.patterns.add(source)
        except ValueError as error:
            self.fail(node, str(error))
        return self.constant(made)

    def equality(self, node: Binary) -> ast.expr:
        w, types = self.write, (node.left.static.name, node.right.static.name)
        left, right = self.visit(node.left), self.visit(node.right)
        if types == ("int", "int"):
            return w.call("equal_int", left, right)
        if types == ("string", "string"):
            if not isinstance(node.right, Literal):
                return self.helper("equal_text", left, right)
            name = w.fresh()
            fast = w.compare(w.name(name), ast.Eq(), right)
            return w.choose(
                w.has_type(w.assign(name, left), "str"), fast, self.helper("equal_text", w.name(name), right)
            )
        for constant, side, other in ((node.right, right, left), (node.left, left, right)):
            if isinstance(constant, Literal):
                if isinstance(constant.value, str):  # which equals nothing but the same str
                    return w.compare(other, ast.Eq(), side)
                if isinstance(constant.value, bool):
                    return w.compare(other, ast.Is(), side)
                if constant.value is None:
                    return self.is_nil(other)
        return self.helper("equal", left, right)

    def is_nil(self, value: ast.expr) -> ast.expr:
        w, name = self.write, self.write.fresh()
        is_none = w.compare(w.assign(name, value), ast.Is(), w.constant(None))
        return w.some(is_none, w.compare(w.name(name), ast.Is(), w.name("NO_SLICE")))

    def order_by_constant(self, node: Binary) -> ast.expr:
        """Comparing with a number. What needs no conversion that Go would round is compared at once."""
        assert isinstance(node.right, Literal)
        w, name, number = self.write, self.write.fresh(), self.write.constant(node.right.value)
        left = w.assign(name, self.visit(node.left))
        if type(node.right.value) is float:
            exact = w.has_type(left, "float")
        elif abs(node.right.value) > EXACT:
            exact = w.has_type(left, "int")
        else:
            kind = w.fresh()
            is_float = w.compare(w.assign(kind, w.call("type", left)), ast.Is(), w.name("float"))
            exact = w.some(is_float, w.compare(w.name(kind), ast.Is(), w.name("int")))
        fast = w.compare(w.name(name), _ORDER[node.operator](), number)
        return w.choose(exact, fast, self.helper(CALLS[node.operator], w.name(name), number))

    def comparison(self, node: Comparison) -> ast.expr:
        names = [self.write.fresh() for _ in node.operands]
        operands = [
            self.write.assign(name, self.visit(operand)) for name, operand in zip(names, node.operands, strict=True)
        ]
        parts = []
        for number, operator in enumerate(node.operators):
            left = self.write.name(names[number]) if number else operands[0]
            parts.append(self.helper(CALLS[operator], left, operands[number + 1]))
        return self.write.every(*parts)

    def coalesce(self, node: Binary) -> ast.expr:
        w, name = self.write, self.write.fresh()
        exists = w.every(
            w.compare(w.assign(name, self.visit(node.left)), ast.IsNot(), w.constant(None)),
            w.compare(w.name(name), ast.IsNot(), w.name("NO_SLICE")),
        )
        return w.choose(exists, w.name(name), self.visit(node.right))

    def in_set(self, node: InSet) -> ast.expr:
        w, name = self.write, self.write.fresh()
        members = w.constant(node.members)
        self.weight += sum(map(len, node.members)) >> 8 if node.textual else 0
        kind, slow = ("str", "among_texts") if node.textual else ("int", "among_ints")
        test = w.has_type(w.assign(name, self.visit(node.operand)), kind)
        fast = w.compare(w.name(name), ast.In(), members)
        return w.choose(test, fast, self.helper(slow, w.name(name), members))

    def call(self, node: Call) -> ast.expr:
        arguments = [self.visit(argument) for argument in node.arguments]
        # What is missing is a function then, so it is not noted as an operand.
        callee = self.name(node.callee) if isinstance(node.callee, Name) else self.visit(node.callee)
        return self.helper("call", self.write.constant(node.name), callee, *arguments)

    def builtin(self, node: Builtin) -> ast.expr:
        if node.name in LOOPS:
            return compile_loop(self, node)
        # Only where the checker does not look, as at the bounds of a slice of a variable.
        if node.static == UNKNOWN and (message := wrong_count(node.name, len(node.arguments))):
            return self.write.call("fail", self.write.constant(message))
        return self.helper(f"do_{node.name}", *map(self.visit, node.arguments))

    def let(self, node: Let) -> ast.expr:
        value, name = self.visit(node.value), self.write.fresh("v")
        before = self.variables
        self.variables = {**before, node.name: name}
        body = self.visit(node.body)
        self.variables = before
        return self.write.then(self.write.assign(name, value), body)

    def sequence(self, node: Sequence) -> ast.expr:
        return self.write.item(self.write.array([self.visit(part) for part in node.parts]), -1)

    def conditional(self, node: Conditional) -> ast.expr:
        return self.write.choose(self.test(node.condition), self.visit(node.yes), self.visit(node.no))

    def array(self, node: Array) -> ast.expr:
        return self.helper("made", self.write.array([self.visit(item) for item in node.items]))

    def map(self, node: Map) -> ast.expr:
        pairs = [self.write.pair(self.visit(key), self.visit(value)) for key, value in node.pairs]
        return self.helper("made_map", self.write.array(pairs))


def is_boolean(node: Node) -> bool:
    """Whether what `node` compiles to is always True or False; the static type may promise more than it keeps."""
    match node:
        case Literal(value=bool()) | Comparison() | InSet() | Unary(operator="not"):
            return True
        case Binary(operator=operator):
            return operator in _BOOLEAN
        case Builtin(name=name):
            return name in _BOOLEAN_BUILTINS
        case Logic(parts=parts):
            return all(is_boolean(part) for part in parts)
    return False


_VISITORS: Mapping[type[Node], Callable[[Compiler, Any], ast.expr]] = {
    Literal: Compiler.literal,
    Name: Compiler.name,
    Pointer: Compiler.pointer,
    Unary: Compiler.unary,
    Binary: Compiler.binary,
    Logic: Compiler.logic,
    Comparison: Compiler.comparison,
    InSet: Compiler.in_set,
    Chain: compile_chain,
    Member: compile_member,
    Slice: compile_slice,
    Call: Compiler.call,
    Builtin: Compiler.builtin,
    Let: Compiler.let,
    Sequence: Compiler.sequence,
    Conditional: Compiler.conditional,
    Array: Compiler.array,
    Map: Compiler.map,
}
