"""Compiling an expression and running it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Any, TypeAlias

from micro_agi_kernel.expr.access import fetch, no_env
from micro_agi_kernel.expr.budget import DEFAULT, Budget, Limits
from micro_agi_kernel.expr.checker import check
from micro_agi_kernel.expr.compiler import FILE, compile_tree
from micro_agi_kernel.expr.errors import CompileError, LimitError, RunError, place
from micro_agi_kernel.expr.kinds import type_name
from micro_agi_kernel.expr.optimizer import optimize
from micro_agi_kernel.expr.parser import parse
from micro_agi_kernel.expr.patterns import Patterns
from micro_agi_kernel.expr.static_types import BOOL, UNKNOWN, hint
from micro_agi_kernel.values import Value

Result: TypeAlias = Any
"""What an expression gives: a Value, or a time, a duration ... that `to_value` converts."""


class Program:
    """A compiled expression. It holds no state: it may run any number of times, in several threads."""

    __slots__ = ("_boolean", "_function", "_source", "_weight", "variables")

    def __init__(
        self, source: str, function: Callable[..., Result], weight: int, variables: frozenset[str], *, boolean: bool
    ) -> None:
        self.variables = variables
        """The names of the environment's variables that it looks at."""
        self._source = source
        self._function = function
        self._weight = weight
        self._boolean = boolean

    def run(self, env: Value = None, limits: Limits = DEFAULT) -> Result:
        """The value with the variables of `env`. Raises RunError, and LimitError when it costs too much."""
        budget = Budget(limits)
        budget.steps -= self._weight
        try:
            if budget.steps < 0:
                budget.work(0)
            found = self._function(budget, env.get if type(env) is dict else _variables(budget, env), env)
        except RunError as error:
            raise type(error)(self._placed(error)) from error
        except RecursionError as error:
            raise LimitError("the limit of nesting was reached: values too deep to look through") from error
        except UnicodeEncodeError as error:
            raise RunError("a text of the environment has a lone surrogate") from error
        except MemoryError as error:
            raise LimitError("the limit of the process's memory was reached") from error
        if self._boolean and type(found) is not bool:
            if found is None:
                return False
            raise RunError(f"the result is {type_name(found)}, not bool")
        return found

    def _placed(self, error: RunError) -> str:
        """The error's line with the place in the source, which is the line number in the compiled code."""
        offset = _offset(error.__traceback__)
        return str(error) if offset is None else f"{error} ({place(self._source, offset)})"


def _variables(budget: Budget, env: Value) -> Callable[[str], Result]:
    """How the program looks up a variable in what is no map."""
    if env is None:
        return no_env
    return lambda name: fetch(budget, env, name)


def _offset(traceback: TracebackType | None) -> int | None:
    found = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            found = traceback.tb_lineno - 1
        traceback = traceback.tb_next
    return found


def compile(
    source: str, env: Mapping[str, Value] | None = None, *, boolean: bool = False, variables: Collection[str] = ()
) -> Program:
    """The program of an expression. Raises CompileError.

    `env`: variables as the program will find them; their types are checked, and no others exist. Without it every
    variable may be anything.
    `boolean`: the result must be true or false, nil being false, and variables beside `env` may exist.
    `variables`: what stands for a variable of the environment although a builtin has that name; it may be anything.
    """
    hints = {name: hint(value) for name, value in (env or {}).items()}
    try:
        root = parse(source, frozenset(hints))
        patterns = Patterns()
        known = dict.fromkeys(variables, UNKNOWN) | hints
        static, named = check(root, source, patterns, known, strict=env is not None and not boolean)
        if boolean and static != BOOL and not static.is_unknown:
            raise CompileError(f"the expression gives {static}, not bool")
        function, weight = compile_tree(optimize(root, source), source, patterns)
    except RecursionError as error:
        raise CompileError("nested too deeply") from error
    return Program(source, function, weight, named, boolean=boolean)
