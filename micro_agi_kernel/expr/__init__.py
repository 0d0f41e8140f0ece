"""expr: the expression language expr-lang 1.17, for policies and the Lua module `expr`.

From source to code: `lexer` makes tokens (`literals`: what they mean), `parser` the tree (`stream`, `operands`,
`nodes`). `checker` refuses what must fail whatever the variables hold (`static_types`, `operator_types`, `signatures`
of the builtins). `optimizer` rewrites (`folding`), and `compiler` turns the tree into Python's own (`python_ast`,
`loops`, `paths`), in which nothing of the source becomes a name. `program` joins these and runs the code.

While it runs: the code sees only `library`, which gathers the operators (`operators`, `comparing`, `access`,
`patterns`) and the builtins (`strings`, `numeric`, `arrays`, `dates`, `conversion`, `printing`; `methods` of times), on
the values of `kinds`. `budget` bounds every cost, `results` makes plain values of what comes out. `errors` are the
exceptions, `advice` is what their lines propose.
"""

from __future__ import annotations

from micro_agi_kernel.expr.budget import Limits
from micro_agi_kernel.expr.errors import CompileError, ExprError, LimitError, RunError
from micro_agi_kernel.expr.program import Program, compile
from micro_agi_kernel.expr.results import to_value
from micro_agi_kernel.expr.signatures import NAMES as BUILTINS

__all__ = [
    "BUILTINS",
    "CompileError",
    "ExprError",
    "LimitError",
    "Limits",
    "Program",
    "RunError",
    "compile",
    "to_value",
]
