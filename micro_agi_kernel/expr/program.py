"""Compiling an expression and running it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import TracebackType

from micro_agi_kernel.expr.access import fetch, no_env
from micro_agi_kernel.expr.advice import quote
from micro_agi_kernel.expr.budget import DEFAULT, Budget, Limits
from micro_agi_kernel.expr.checker import check
from micro_agi_kernel.expr.compiler import FILE, Code, compile_tree
from micro_agi_kernel.expr.errors import CompileError, LimitError, RunError, located
from micro_agi_kernel.expr.kinds import Dynamic, type_name
from micro_agi_kernel.expr.optimizer import optimize
from micro_agi_kernel.expr.parser import parse
from micro_agi_kernel.expr.patterns import Patterns
from micro_agi_kernel.expr.static_types import BOOL, UNKNOWN, hint
from micro_agi_kernel.values import Value, shorten

FAULT = "a fault in the evaluation"
"""So begins the line of an error that no expression and no environment should be able to cause."""


class Program:
    """A compiled expression. It holds no state: it may run any number of times, in several threads."""

    __slots__ = ("_boolean", "_code", "_function", "_source", "_weight")

    def __init__(self, source: str, code: Code, *, boolean: bool) -> None:
        self._source = source
        self._code = code
        self._function = code.function
        self._weight = code.weight
        self._boolean = boolean

    @property
    def variables(self) -> frozenset[str]:
        """The names of the environment's variables that it looks up."""
        return self._code.variables

    def run(self, env: Value = None, limits: Limits = DEFAULT) -> Dynamic:
        """What it gives with the variables of `env`: a Value, or a time, a duration ... that `to_value` converts.

        Raises RunError, and LimitError when it costs too much.
        """
        budget = Budget(limits)
        budget.steps -= self._weight
        try:
            if budget.steps < 0:
                budget.work(0)
            found = self._function(budget, env.get if type(env) is dict else _variables(budget, env), env)
        except RunError as error:
            raise type(error)(self._placed(error, env)) from error
        except RecursionError as error:
            raise LimitError("the limit of nesting was reached: values too deep to look through") from error
        except UnicodeEncodeError as error:
            raise RunError("a text of the environment has a lone surrogate") from error
        except MemoryError as error:
            raise LimitError("the limit of the process's memory was reached") from error
        except Exception as error:  # a fault of ours must neither open a policy nor end a turn
            raise RunError(f"{FAULT}: {type(error).__name__}: {shorten(repr(str(error)), 100)}") from error
        if self._boolean and type(found) is not bool:
            if found is None:
                return False
            raise RunError(f"the result is {type_name(found)}, not bool")
        return found

    def _placed(self, error: RunError, env: Value) -> str:
        """The error's line with the place in the source, which is the line number in the compiled code."""
        offset = _offset(error.__traceback__)
        if offset is None:
            return str(error)
        missing = "" if isinstance(error, LimitError) else self._missing(offset, env)
        return located(f"{error}{missing}", self._source, offset)

    def _missing(self, offset: int, env: Value) -> str:
        """That a variable is not there which the node at `offset` works on: it is probably why that failed."""
        for name, in_predicate in self._code.operands.get(offset, ()):
            if isinstance(env, dict) and name not in env:
                advice = f", a field of the element is .{quote(name)}" if in_predicate else ""
                return f"; there is no variable {quote(name)}{advice}"
        return ""


def _variables(budget: Budget, env: Value) -> Callable[[str], Dynamic]:
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
        static = check(root, source, patterns, known, strict=env is not None and not boolean)
        if boolean and static != BOOL and not static.is_unknown:
            raise CompileError(f"the expression gives {static}, not bool")
        code = compile_tree(optimize(root, source), source, patterns)
    except RecursionError as error:
        raise CompileError("nested too deeply") from error
    return Program(source, code, boolean=boolean)
