"""The texts with which the code refuses what a model writes, read from its source: each as it would be said.

What stands in a text for a value is a word here; a text that is all value (it passes on another's) is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import micro_agi_kernel
from micro_agi_kernel.resources import resource

PACKAGE = Path(micro_agi_kernel.__file__).parent
READ = (
    *("agent_rules", "arguments", "checks", "dependents", "entries", "kind_checks", "lua_entries", "permissions"),
    *("programs", "publishing", "reaching", "testing", "tool_tests", "values", "host/http/stubs"),
)
"""The modules that judge what `create_tool` is given."""

_LUA = re.compile(r"(?:\berror = |return nil, |message = message \.\. )([^}\n]*(?:\n\s+\.\. [^\n]*)*)")
_LUA_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|[A-Za-z_][\w.:()]*')

REFUSING = ("Refused", "EntryError", "NotTested", "_miss")
LIKE = {"where": "tests[1]"}
"""What a text may begin with, by the variable; any other value is `x`."""


def texts() -> dict[str, str]:
    """Where each text stands, by the text."""
    found = {}
    for name in READ:
        tree = ast.parse((PACKAGE / f"{name}.py").read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for text in _of_function(function):
                    if _says_something(text):
                        found[text] = name
    lua = (resource("registry_repo") / "app/tools/create_tool.lua").read_text()
    for said in _LUA.findall(lua):
        text = "".join(match[1] or match[2] or "x" for match in _LUA_PIECE.finditer(said)).replace('\\"', '"')
        if _says_something(text):
            found[text] = "create_tool.lua"
    return found


def _says_something(text: str) -> bool:
    return re.search(r"[a-wyz]{2}", text.replace("tests[1]", "")) is not None


def _of_function(function: ast.AST) -> Iterator[str]:
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _name(node.func) in REFUSING and node.args:
            yield from _said(node.args[-1], assigned)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _said(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> Iterable[str]:
    """All that an expression may give, as far as it says so itself."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return map("".join, product(*(list(_said(part, assigned)) for part in parts)))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return map("".join, product(list(_said(left, assigned)), list(_said(right, assigned))))
        case ast.IfExp(body=body, orelse=other):
            return [*_said(body, assigned), *_said(other, assigned)]
        case ast.FormattedValue(value=value):
            return _said(value, assigned)
        case ast.Name(id=name) if name in LIKE:
            return [LIKE[name]]
        case ast.Name(id=name) if name in assigned:
            less = {other: values for other, values in assigned.items() if other != name}
            return [text for value in assigned[name] for text in _said(value, less)]
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=" "), attr="join"),
            args=[ast.Call(func=ast.Attribute(value=text))],
        ):
            return _said(text, assigned)
        case _:
            return ["x"]
