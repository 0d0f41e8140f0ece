"""What error lines advise when a field, function or operand does not fit: whoever reads them mends the expression."""

from __future__ import annotations

from micro_agi_kernel.expr.lexer import NEGATABLE
from micro_agi_kernel.expr.methods import METHODS
from micro_agi_kernel.expr.signatures import NAMES
from micro_agi_kernel.values import shorten

_ELSEWHERE = {
    **dict.fromkeys(("length", "size"), "len(x)"),
    **dict.fromkeys(("toUpperCase", "toUpper"), "upper(x)"),
    **dict.fromkeys(("toLowerCase", "toLower"), "lower(x)"),
    **dict.fromkeys(("substring", "substr", "slice"), "x[0:3]"),
    **dict.fromkeys(("includes", "has"), "x contains y, of an array y in x"),
    **dict.fromkeys(("toString", "tostring", "str"), "string(x)"),
    **dict.fromkeys(("parseInt", "parseFloat", "tonumber"), "int(x) or float(x)"),
    **dict.fromkeys(("avg", "average"), "mean(x)"),
    "some": "any(x, ...)",
    "every": "all(x, ...)",
}
"""What other languages call it, and how it is written here."""


def quote(name: str) -> str:
    """A name of the source for an error line: short, and on one line whatever it holds."""
    name = shorten(name, 40)
    return name if name.removesuffix("…").isidentifier() else repr(name)


def no_field(kind: str, name: str) -> str:
    """The error line for `x.name` of a value of type `kind`."""
    line, shown = f"{kind} has no field {quote(name)}", quote(name)
    method = name[:1].upper() + name[1:]
    if method in METHODS.get(kind, ()):
        return f"{line}; write .{method}()"
    if kind == "nil":
        return f"{line}; ?.{shown} would give nil"
    if kind == "array":
        line += f"; take an element first, or all of them by map(xs, .{shown})"
    return line + _instead(name)


def no_function(name: str) -> str:
    """The error line for a call of what there is not."""
    return f"there is no function {quote(name)}{_instead(name)}"


def misfit(operator: str, left: str, right: str) -> str:
    """The error line for an operator between values of types that it does not join."""
    line = f"{operator} does not take {left} and {right}"
    if operator == "+" and "string" in (left, right) and not {left, right}.isdisjoint(("int", "float", "byte", "bool")):
        line += "; string(x) makes text of it"
    return line


def _instead(name: str) -> str:
    if name in NAMES:
        return f"; write {name}(x)"
    if name in NEGATABLE:
        return f"; write x {name} y"
    return f"; write {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
