"""Compiling the ways into a value: fields, elements, slices, and chains of them with `?.`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from micro_agi_kernel.expr.nodes import Call, Chain, Literal, Member, Pointer, Slice

if TYPE_CHECKING:
    from micro_agi_kernel.expr.compiler import Compiler


def compile_member(compiler: Compiler, node: Member) -> ast.expr:
    """`base.name`, `base[key]`."""
    base = node.base
    if isinstance(base, Pointer) and not base.name and compiler.scopes:
        # No check that there is an element: taking a field of what a map has instead of elements fails by itself.
        return _field(compiler, compiler.write.name(compiler.scopes[-1].item), node)
    return _field(compiler, compiler.visit(base), node)


def _field(compiler: Compiler, base: ast.expr, node: Member) -> ast.expr:
    """One step from `base`; the field of a map at once."""
    w = compiler.write
    if not isinstance(node.key, Literal) or type(node.key.value) is not str:
        return compiler.helper("fetch", base, compiler.visit(node.key))
    compiler.weight += 1
    key = w.constant(node.key.value)
    name = base.id if isinstance(base, ast.Name) else w.fresh()
    is_map = w.has_type(base if isinstance(base, ast.Name) else w.assign(name, base), "dict")
    return w.choose(is_map, w.call(w.attribute(w.name(name), "get"), key), compiler.helper("fetch", w.name(name), key))


def compile_slice(compiler: Compiler, node: Slice) -> ast.expr:
    """`base[start:stop]`."""
    bounds = [
        compiler.write.constant(None) if bound is None else compiler.write.call("bound", compiler.visit(bound))
        for bound in (node.start, node.stop)
    ]
    return compiler.helper("cut", compiler.visit(node.base), *bounds)


def compile_chain(compiler: Compiler, node: Chain) -> ast.expr:
    """The path from its start; at a `?.` whose base is nil the rest is skipped."""
    w = compiler.write
    steps: list[Member | Call] = []
    start = node.path
    while isinstance(start, (Member, Call)):
        steps.append(start)
        start = start.base if isinstance(start, Member) else start.callee
    # The arguments of calls come first, whether the path is skipped or not: so it is in expr-lang.
    names: dict[int, list[str]] = {}
    before: list[ast.expr] = []
    for step in steps:
        if isinstance(step, Call):
            names[id(step)] = [w.fresh() for _ in step.arguments]
            values = map(compiler.visit, step.arguments)
            before += [w.assign(name, value) for name, value in zip(names[id(step)], values, strict=True)]
    found = _path(compiler, compiler.visit(start), steps[::-1], names)
    if before:
        found = w.then(w.array(before), found)
    name = w.fresh()
    missing = w.compare(w.assign(name, found), ast.Is(), w.name("NO_SLICE"))
    return w.choose(missing, w.constant(None), w.name(name))


def _path(
    compiler: Compiler, value: ast.expr, steps: list[Member | Call], arguments: Mapping[int, list[str]]
) -> ast.expr:
    for number, step in enumerate(steps):
        compiler.weight += 1
        compiler.write.offset = step.offset
        if isinstance(step, Call):
            value = compiler.helper(
                "call", compiler.write.constant(step.name), value, *map(compiler.write.name, arguments[id(step)])
            )
        elif step.optional:
            w, name = compiler.write, compiler.write.fresh()
            missing = compiler.is_nil(w.assign(name, value))
            rest = _path(compiler, _field(compiler, w.name(name), step), steps[number + 1 :], arguments)
            return w.choose(missing, w.constant(None), rest)
        else:
            value = _field(compiler, value, step)
    return value
