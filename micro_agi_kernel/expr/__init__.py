"""expr: the expression language expr-lang 1.17, for policies and the Lua module `expr`."""

from __future__ import annotations

from micro_agi_kernel.expr.budget import DEFAULT, Limits
from micro_agi_kernel.expr.errors import CompileError, ExprError, LimitError, RunError
from micro_agi_kernel.expr.program import Program, Result, compile
from micro_agi_kernel.expr.results import to_value
from micro_agi_kernel.expr.signatures import NAMES as BUILTINS

__all__ = [
    "BUILTINS",
    "DEFAULT",
    "CompileError",
    "ExprError",
    "LimitError",
    "Limits",
    "Program",
    "Result",
    "RunError",
    "compile",
    "to_value",
]
